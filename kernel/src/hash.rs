//! The two hash functions of the protocol: SHA-256 for content (fast here, and a cheap precompile on chain) and
//! Keccak-256 for what Ethereum wallets sign and contracts check.

use sha2::{Digest, Sha256};
use tiny_keccak::{Hasher, Keccak};

use crate::ids::Hash;

/// SHA-256 over the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    Hash(hasher.finalize().into())
}

/// Keccak-256 over the concatenation of `parts`.
pub fn keccak256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Keccak::v256();
    parts.iter().for_each(|part| hasher.update(part));
    let mut out = [0u8; 32];
    hasher.finalize(&mut out);
    Hash(out)
}
