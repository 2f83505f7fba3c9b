//! A header with its signature and no events: evidence of a fork, or a voucher for the lane's meter.

use alloc::vec::Vec;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::error::BatchError;
use super::header::Header;
use super::session::Certificate;
use crate::codec::Reader;
use crate::limits::HEADER_BYTES;
use crate::signature::{KEYED_HASH, SECP256K1, Signature};

/// A header, a signature of the type that the header names, and the certificate where a session key signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// What was signed.
    pub header: Header,
    /// The signature, not checked by this type.
    pub signature: Signature,
    /// By what right another than the origin signs; `None` where the origin signs itself.
    pub certificate: Option<Certificate>,
}

impl SignedHeader {
    /// A header that its origin signed itself.
    pub fn by_origin(header: Header, signature: Signature) -> Self {
        Self { header, signature, certificate: None }
    }

    /// Bytes of the encoding.
    pub fn encoded_bytes(&self) -> usize {
        HEADER_BYTES + 1 + self.proof_bytes()
    }

    /// The canonical bytes: those that a batch starts with.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_bytes());
        self.encode_into(&mut bytes);
        bytes
    }

    /// What shows who signed, as contracts take it: the signature and, after it, the certificate if there is one.
    pub fn proof(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.proof_bytes());
        self.proof_into(&mut bytes);
        bytes
    }

    /// Whether contracts can check who signed: they know secp256k1 alone.
    pub fn is_for_contracts(&self) -> bool {
        let by_wallet = self.certificate.is_none_or(|it| it.signature.signature_type() == SECP256K1);
        by_wallet && self.header.signature_type == SECP256K1
    }

    /// The rules of [`crate::batch`] that a header and what shows who signed it can break.
    pub fn check(&self) -> Result<(), BatchError> {
        self.header.check()?;
        match &self.certificate {
            Some(certificate) => certificate.check(&self.header),
            None if self.header.certificate.is_zero() => Ok(()),
            None => Err(BatchError::Certificate(self.header.certificate)),
        }
    }

    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header.encode());
        let length = self.signature.as_bytes().len();
        out.push(u8::try_from(length).expect("every type's signatures are short"));
        self.proof_into(out);
    }

    fn proof_bytes(&self) -> usize {
        self.signature.as_bytes().len() + self.certificate.map_or(0, |it| it.encoded_bytes())
    }

    fn proof_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.signature.as_bytes());
        if let Some(certificate) = &self.certificate {
            certificate.encode_into(out);
        }
    }

    /// Reads a signed header that is all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let mut reader = Reader::new(bytes);
        let signed = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(signed)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BatchError> {
        let header = Header::read(reader)?;
        let length = usize::from(reader.u8()?);
        let signature = Signature::from_bytes(header.signature_type, reader.take(length)?)?;
        let certificate = if header.certificate.is_zero() { None } else { Some(Certificate::read(reader)?) };
        let signed = Self { header, signature, certificate };
        signed.check()?;
        Ok(signed)
    }
}

impl Encode for SignedHeader {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let of_the_type_named = self.header.signature_type == self.signature.signature_type();
        if !of_the_type_named || self.certificate.is_some() == self.header.certificate.is_zero() {
            return Err(EncodeError::Other(
                "a signed header whose signature or certificate is not as it names",
            ));
        }
        Encode::encode(&self.header, encoder)?;
        encode_signature(&self.signature, encoder)?;
        match &self.certificate {
            Some(certificate) => {
                Encode::encode(&certificate.expiry_block, encoder)?;
                Encode::encode(&certificate.signature.signature_type(), encoder)?;
                encode_signature(&certificate.signature, encoder)
            }
            None => Ok(()),
        }
    }
}

/// The header says what follows. What breaks a rule does not decode.
impl<Context> Decode<Context> for SignedHeader {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let header = <Header as Decode<Context>>::decode(decoder)?;
        let signature = decode_signature(header.signature_type, decoder)?;
        let certificate = if header.certificate.is_zero() {
            None
        } else {
            let expiry_block = Decode::decode(decoder)?;
            let signature_type = Decode::decode(decoder)?;
            Some(Certificate { expiry_block, signature: decode_signature(signature_type, decoder)? })
        };
        let signed = Self { header, signature, certificate };
        signed.check().map_err(|_| DecodeError::Other("a signed header that breaks a rule of the format"))?;
        Ok(signed)
    }
}

fn encode_signature<E: Encoder>(signature: &Signature, encoder: &mut E) -> Result<(), EncodeError> {
    match signature {
        Signature::Secp256k1(bytes) => bytes.encode(encoder),
        Signature::KeyedHash(bytes) => bytes.encode(encoder),
    }
}

fn decode_signature<D: Decoder>(signature_type: u8, decoder: &mut D) -> Result<Signature, DecodeError> {
    match signature_type {
        SECP256K1 => Ok(Signature::Secp256k1(Decode::decode(decoder)?)),
        KEYED_HASH => Ok(Signature::KeyedHash(Decode::decode(decoder)?)),
        _ => Err(DecodeError::Other("a signature type that is unknown")),
    }
}

bincode::impl_borrow_decode!(SignedHeader);
