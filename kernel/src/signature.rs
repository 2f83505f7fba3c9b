//! Signature types: a byte in the header says how a batch is signed, and a verifier is looked up by it, so that
//! further types (P-256, contract wallets) join here and in a [`Verifier`] and nowhere else (WP 2.4.9).
//!
//! | type | signature | signs |
//! | --- | --- | --- |
//! | 1 | r \[32\], s \[32\] (low), v (27 or 28) | the EIP-712 signing hash, with secp256k1 |
//! | 0xF0 | 32 bytes | SHA-256 of `weir simulation`, signer \[20\], signing hash \[32\] |
//!
//! The second has no secret: anybody can forge it. It is there so that a simulation of a large network spends its
//! time on the protocol, and so that its runs need no keys; a node's verifier refuses it.

use core::fmt;

use crate::hash::sha256;
use crate::ids::{Address, Hash};
use crate::verify::Verifier;

#[cfg(feature = "secp256k1")]
mod secp256k1;
#[cfg(feature = "secp256k1")]
pub use secp256k1::{InvalidSecretKey, Secp256k1Verifier, SecretKey, recover};

/// Signature type: secp256k1 over EIP-712 typed data.
pub const SECP256K1: u8 = 1;

/// Signature type: keyed hash, for simulation only.
pub const KEYED_HASH: u8 = 0xF0;

/// A signature of a known type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// Type 1: r, s, v.
    Secp256k1([u8; 65]),
    /// Type 0xF0.
    KeyedHash([u8; 32]),
}

/// Why bytes are not a signature of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The type is unknown.
    Type(u8),
    /// The length is not that of the type.
    Length {
        /// The type.
        signature_type: u8,
        /// Bytes that signatures of this type have.
        wanted: usize,
        /// Bytes given.
        found: usize,
    },
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => write!(f, "signature type {kind} is unknown, 1 (secp256k1) is known"),
            Self::Length { signature_type, wanted, found } => {
                write!(f, "signature of type {signature_type} has {wanted} bytes, found {found}")
            }
        }
    }
}

impl core::error::Error for SignatureError {}

/// Bytes of a signature of a type.
pub fn signature_length(signature_type: u8) -> Result<usize, SignatureError> {
    match signature_type {
        SECP256K1 => Ok(65),
        KEYED_HASH => Ok(32),
        unknown => Err(SignatureError::Type(unknown)),
    }
}

impl Signature {
    /// Reads a signature of a type.
    pub fn from_bytes(signature_type: u8, bytes: &[u8]) -> Result<Self, SignatureError> {
        let wanted = signature_length(signature_type)?;
        let wrong_length = |_| SignatureError::Length { signature_type, wanted, found: bytes.len() };
        match signature_type {
            SECP256K1 => bytes.try_into().map(Self::Secp256k1).map_err(wrong_length),
            _ => bytes.try_into().map(Self::KeyedHash).map_err(wrong_length),
        }
    }

    /// Its type byte.
    pub fn signature_type(&self) -> u8 {
        match self {
            Self::Secp256k1(_) => SECP256K1,
            Self::KeyedHash(_) => KEYED_HASH,
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Secp256k1(bytes) => bytes,
            Self::KeyedHash(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:#x}, 0x{})", self.signature_type(), crate::ids::hex(self.as_bytes()))
    }
}

/// Signs in a simulation.
pub fn keyed_hash(signer: &Address, signing_hash: &Hash) -> Signature {
    Signature::KeyedHash(sha256(&[b"weir simulation", &signer.0, &signing_hash.0]).0)
}

/// Accepts type 0xF0 and nothing else: for simulation only, since anybody can make such signatures.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyedHashVerifier;

impl Verifier for KeyedHashVerifier {
    fn verify(&self, signature_type: u8, signer: &Address, signing_hash: &Hash, signature: &[u8]) -> bool {
        signature_type == KEYED_HASH && keyed_hash(signer, signing_hash).as_bytes() == signature
    }
}

/// Accepts type 0xF0, and [`keyed_report`]s under type 1: for searches and fuzzing, in which reports need no keys
/// either.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyedReportVerifier;

impl Verifier for KeyedReportVerifier {
    fn verify(&self, signature_type: u8, signer: &Address, signing_hash: &Hash, signature: &[u8]) -> bool {
        match signature_type {
            SECP256K1 => keyed_report(signer, signing_hash) == signature,
            _ => KeyedHashVerifier.verify(signature_type, signer, signing_hash, signature),
        }
    }
}

/// Signs a report in a search: 65 bytes, because that is what a certificate carries. They are the signer \[20\], the
/// keyed hash \[32\] and zeros, so that who signed can be read from them as `ecrecover` does.
pub fn keyed_report(signer: &Address, signing_hash: &Hash) -> [u8; 65] {
    let mut signature = [0; 65];
    signature[..20].copy_from_slice(&signer.0);
    signature[20..52].copy_from_slice(keyed_hash(signer, signing_hash).as_bytes());
    signature
}

/// Who made a [`keyed_report`]; `None` if nobody did.
pub fn recover_keyed_report(signing_hash: &Hash, signature: &[u8; 65]) -> Option<Address> {
    let signer = Address(*signature.first_chunk()?);
    (keyed_report(&signer, signing_hash) == *signature).then_some(signer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_the_length_of_its_type() {
        assert_eq!(Signature::from_bytes(SECP256K1, &[1; 65]), Ok(Signature::Secp256k1([1; 65])));
        assert_eq!(Signature::from_bytes(KEYED_HASH, &[1; 32]), Ok(Signature::KeyedHash([1; 32])));
        assert_eq!(
            Signature::from_bytes(SECP256K1, &[1; 64]),
            Err(SignatureError::Length { signature_type: SECP256K1, wanted: 65, found: 64 })
        );
        assert_eq!(Signature::from_bytes(2, &[1; 65]), Err(SignatureError::Type(2)));
        for kind in [SECP256K1, KEYED_HASH] {
            let length = signature_length(kind).expect("the type is known");
            let bytes = alloc::vec![5; length];
            let signature = Signature::from_bytes(kind, &bytes).expect("the length is right");
            assert_eq!((signature.signature_type(), signature.as_bytes()), (kind, &bytes[..]));
        }
    }

    #[test]
    fn a_keyed_hash_is_for_one_signer_and_one_hash() {
        let (signer, hash) = (Address([1; 20]), Hash([2; 32]));
        let signature = keyed_hash(&signer, &hash);
        let accepts = |kind, signer: &Address, hash: &Hash| {
            KeyedHashVerifier.verify(kind, signer, hash, signature.as_bytes())
        };
        assert!(accepts(KEYED_HASH, &signer, &hash));
        assert!(!accepts(SECP256K1, &signer, &hash));
        assert!(!accepts(KEYED_HASH, &Address([3; 20]), &hash));
        assert!(!accepts(KEYED_HASH, &signer, &Hash([3; 32])));
    }

    #[test]
    fn a_keyed_report_names_its_signer_and_nobody_else() {
        let (signer, hash, other) = (Address([1; 20]), Hash([2; 32]), Hash([3; 32]));
        let signature = keyed_report(&signer, &hash);
        assert!(KeyedReportVerifier.verify(SECP256K1, &signer, &hash, &signature));
        assert!(!KeyedReportVerifier.verify(SECP256K1, &signer, &other, &signature));
        assert!(!KeyedReportVerifier.verify(KEYED_HASH, &signer, &hash, &signature));
        assert_eq!(recover_keyed_report(&hash, &signature), Some(signer));
        assert_eq!(recover_keyed_report(&other, &signature), None);
    }
}
