//! A header with its signature and no events: evidence of a fork, or a voucher for the lane's meter.

use alloc::vec::Vec;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::error::BatchError;
use super::header::Header;
use crate::codec::Reader;
use crate::limits::HEADER_BYTES;
use crate::signature::Signature;

/// A header and a signature of the type that the header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// What was signed.
    pub header: Header,
    /// The signature, not checked by this type.
    pub signature: Signature,
}

impl SignedHeader {
    /// Bytes of the encoding.
    pub fn encoded_bytes(&self) -> usize {
        HEADER_BYTES + 1 + self.signature.as_bytes().len()
    }

    /// The canonical bytes: those that a batch starts with.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_bytes());
        self.encode_into(&mut bytes);
        bytes
    }

    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        let signature = self.signature.as_bytes();
        out.extend_from_slice(&self.header.encode());
        out.push(u8::try_from(signature.len()).expect("every type's signatures are short"));
        out.extend_from_slice(signature);
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
        Ok(Self { header, signature })
    }
}

impl Encode for SignedHeader {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        if self.header.signature_type != self.signature.signature_type() {
            return Err(EncodeError::Other(
                "a signed header whose signature is of another type than it names",
            ));
        }
        Encode::encode(&self.header, encoder)?;
        match &self.signature {
            Signature::Secp256k1(bytes) => bytes.encode(encoder),
            Signature::KeyedHash(bytes) => bytes.encode(encoder),
        }
    }
}

/// The header says what signature follows.
impl<Context> Decode<Context> for SignedHeader {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let header = <Header as Decode<Context>>::decode(decoder)?;
        let signature = match header.signature_type {
            crate::signature::SECP256K1 => Signature::Secp256k1(Decode::decode(decoder)?),
            crate::signature::KEYED_HASH => Signature::KeyedHash(Decode::decode(decoder)?),
            _ => return Err(DecodeError::Other("a signature type that is unknown")),
        };
        Ok(Self { header, signature })
    }
}

bincode::impl_borrow_decode!(SignedHeader);
