//! Session certificates: a wallet signs once, and a session key signs the batches (WP 2.4.9).

use alloc::vec::Vec;

use super::error::BatchError;
use super::header::{self, Header};
use crate::codec::Reader;
use crate::ids::{Address, Hash, StreamId};
use crate::signature::Signature;
use crate::typed_data::WordHasher;

/// The EIP-712 type that a wallet signs, encoded as the EIP says.
pub const SESSION_TYPE: &str =
    "Session(address stream,address origin,address key,uint64 expiryBlock,uint8 signatureType)";

/// What a wallet signs: that batches by `key` in one stream are its own, in lanes that open before a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The stream; its contract is the signing domain too, so that a certificate is good for no other.
    pub stream: StreamId,
    /// The wallet.
    pub origin: Address,
    /// The account of the session key.
    pub key: Address,
    /// Height of the first block in which the session is over.
    pub expiry_block: u64,
    /// How the wallet signs: see [`crate::signature`].
    pub signature_type: u8,
}

impl Session {
    /// The EIP-712 struct hash: what a header's field `certificate` says.
    pub fn digest(&self) -> Hash {
        WordHasher::of_type(SESSION_TYPE.as_bytes())
            .address(&self.stream.0)
            .address(&self.origin.0)
            .address(&self.key.0)
            .uint(self.expiry_block)
            .uint(self.signature_type)
            .finish()
    }

    /// What the wallet signs on the chain with that id.
    pub fn signing_hash(&self, chain_id: u64) -> Hash {
        header::signing_hash(&self.stream, chain_id, &self.digest())
    }

    /// The certificate, once the wallet has signed. Whether it did is for [`crate::verify`] to say.
    ///
    /// # Panics
    ///
    /// If the signature is of another type than this names.
    pub fn certified(&self, signature: Signature) -> Certificate {
        assert_eq!(self.signature_type, signature.signature_type(), "the wallet signs as it says");
        Certificate { expiry_block: self.expiry_block, signature }
    }
}

/// A certificate as a batch carries it: what its header does not say already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Height of the first block in which the session is over.
    pub expiry_block: u64,
    /// The wallet's signature, not checked by this type.
    pub signature: Signature,
}

impl Certificate {
    /// What the wallet signed, if this is the certificate of that header.
    pub fn session(&self, header: &Header) -> Session {
        Session {
            stream: header.stream,
            origin: header.origin,
            key: header.signer,
            expiry_block: self.expiry_block,
            signature_type: self.signature.signature_type(),
        }
    }

    /// Bytes of the encoding.
    pub fn encoded_bytes(&self) -> usize {
        8 + 1 + 1 + self.signature.as_bytes().len()
    }

    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        let signature = self.signature.as_bytes();
        out.extend_from_slice(&self.expiry_block.to_be_bytes());
        out.push(self.signature.signature_type());
        out.push(u8::try_from(signature.len()).expect("every type's signatures are short"));
        out.extend_from_slice(signature);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BatchError> {
        let expiry_block = reader.u64()?;
        let signature_type = reader.u8()?;
        let length = usize::from(reader.u8()?);
        let signature = Signature::from_bytes(signature_type, reader.take(length)?)?;
        Ok(Self { expiry_block, signature })
    }

    /// The rules that tie a certificate to the header it comes with.
    pub(super) fn check(&self, header: &Header) -> Result<(), BatchError> {
        let digest = self.session(header).digest();
        if digest != header.certificate {
            return Err(BatchError::SessionMismatch { header: header.certificate, certificate: digest });
        }
        let (opening_block, expiry_block) = (header.opening_block, self.expiry_block);
        if opening_block >= expiry_block {
            return Err(BatchError::SessionExpired { opening_block, expiry_block });
        }
        Ok(())
    }
}
