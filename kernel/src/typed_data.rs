//! EIP-712: hashes of typed data that a wallet shows before it signs and a contract checks with one `ecrecover`.
//!
//! ```text
//!   struct hash      = keccak256( type hash | word | word | ... )
//!   domain separator = keccak256( type hash | keccak256(name) | keccak256(version) | chain id | contract )
//!   signing hash     = keccak256( 0x19 0x01 | domain separator | struct hash )
//! ```
//!
//! Every word has 32 bytes: integers and addresses stand right, fixed bytes stand left (the Solidity ABI).

use tiny_keccak::{Hasher, Keccak};

use crate::hash::keccak256;
use crate::ids::{Address, Hash};

/// Name of every signing domain of this protocol.
pub const DOMAIN_NAME: &str = "weir";

/// Version of every signing domain of this protocol.
pub const DOMAIN_VERSION: &str = "1";

/// Keccak-256 of `EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)`.
const DOMAIN_TYPE_HASH: [u8; 32] = hex("8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");

/// Keccak-256 of [`DOMAIN_NAME`].
const DOMAIN_NAME_HASH: [u8; 32] = hex("fd6cce17040eb11b0838ac7e9c51cf92e33d7b56ecc282f9d77928f2cfed2717");

/// Keccak-256 of [`DOMAIN_VERSION`].
const DOMAIN_VERSION_HASH: [u8; 32] = hex("c89efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bc6");

/// The bytes that 64 hexadecimal digits stand for.
pub(crate) const fn hex(digits: &str) -> [u8; 32] {
    const fn value(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("a hash is written in lower case hexadecimal digits"),
        }
    }
    let digits = digits.as_bytes();
    assert!(digits.len() == 64, "a hash has 64 digits");
    let (mut bytes, mut at) = ([0; 32], 0);
    while at < 32 {
        bytes[at] = value(digits[2 * at]) << 4 | value(digits[2 * at + 1]);
        at += 1;
    }
    bytes
}

/// An unsigned integer as an ABI word.
pub fn uint_word(value: u64) -> [u8; 32] {
    right_word(&value.to_be_bytes())
}

/// An address as an ABI word.
pub fn address_word(address: &[u8; 20]) -> [u8; 32] {
    right_word(address)
}

/// Fixed bytes (`bytes1` to `bytes32`) as an ABI word.
pub fn fixed_bytes_word<const N: usize>(bytes: &[u8; N]) -> [u8; 32] {
    const { assert!(N <= 32) };
    let mut word = [0; 32];
    word[..N].copy_from_slice(bytes);
    word
}

fn right_word<const N: usize>(bytes: &[u8; N]) -> [u8; 32] {
    const { assert!(N <= 32) };
    let mut word = [0; 32];
    word[32 - N..].copy_from_slice(bytes);
    word
}

/// Keccak-256 of ABI words, given one after the other: `keccak256(abi.encode(...))` of static types.
#[derive(Clone)]
pub struct WordHasher(Keccak);

impl WordHasher {
    /// Starts an encoding without a type hash.
    pub fn new() -> Self {
        Self(Keccak::v256())
    }

    /// Starts the struct hash of an EIP-712 type, given as `Name(type field,type field)`.
    pub fn of_type(encoded_type: &[u8]) -> Self {
        Self::new().word(&keccak256(&[encoded_type]).0)
    }

    /// A word as it is: a `bytes32`, or a hash of a dynamic value.
    pub fn word(mut self, word: &[u8; 32]) -> Self {
        self.0.update(word);
        self
    }

    /// An unsigned integer of any width up to 64 bits.
    pub fn uint(self, value: impl Into<u64>) -> Self {
        self.word(&uint_word(value.into()))
    }

    /// An address.
    pub fn address(self, address: &[u8; 20]) -> Self {
        self.word(&address_word(address))
    }

    /// Fixed bytes.
    pub fn fixed_bytes<const N: usize>(self, bytes: &[u8; N]) -> Self {
        self.word(&fixed_bytes_word(bytes))
    }

    /// The hash.
    pub fn finish(self) -> Hash {
        let mut out = [0; 32];
        self.0.finalize(&mut out);
        Hash(out)
    }
}

impl Default for WordHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// The separator of the domain that a contract checks signatures under: batches under their stream's contract,
/// reports under the coordinator's.
pub fn domain_separator(chain_id: u64, verifying_contract: &Address) -> Hash {
    WordHasher::new()
        .word(&DOMAIN_TYPE_HASH)
        .word(&DOMAIN_NAME_HASH)
        .word(&DOMAIN_VERSION_HASH)
        .uint(chain_id)
        .address(&verifying_contract.0)
        .finish()
}

/// What is signed.
pub fn signing_hash(domain_separator: &Hash, struct_hash: &Hash) -> Hash {
    keccak256(&[&[0x19, 0x01], &domain_separator.0, &struct_hash.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stand_right_and_fixed_bytes_left() {
        assert_eq!(uint_word(0x0102)[29..], [0, 1, 2]);
        assert_eq!(address_word(&[7; 20])[..12], [0; 12]);
        assert_eq!(fixed_bytes_word(&[7; 16])[16..], [0; 16]);
    }

    #[test]
    fn the_hashes_of_the_domain_are_of_what_they_say() {
        let domain_type: &[u8] =
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        assert_eq!(keccak256(&[domain_type]).0, DOMAIN_TYPE_HASH);
        assert_eq!(keccak256(&[DOMAIN_NAME.as_bytes()]).0, DOMAIN_NAME_HASH);
        assert_eq!(keccak256(&[DOMAIN_VERSION.as_bytes()]).0, DOMAIN_VERSION_HASH);
    }
}
