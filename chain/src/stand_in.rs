//! Stand-ins for secp256k1 signatures, for simulations: a curve operation costs more than all else that a simulated
//! broker does with a report.
//!
//! | bytes | |
//! | --- | --- |
//! | r | 12 bytes that say so, and the signer's address |
//! | s | keccak256 of the same 32 bytes and the digest, its first byte zero, so that it is in the lower half |
//! | v | 27 |
//!
//! Anybody can make one, so nothing takes them but a [`Mirror`](crate::mirror::Mirror) in memory that was told to:
//! there transactions and `ecrecover` take them beside real signatures.

use std::cell::Cell;
use std::sync::Once;

use alloy_primitives::{Address, B256, keccak256};
use revm::precompile::{Crypto, DefaultCrypto, PrecompileHalt};

/// How r begins. That a real signature begins so has a chance of 2^-96.
const TAG: [u8; 12] = *b"weir stands\0";

/// The stand-in for a signer's signature under a digest: r, s, v.
pub fn sign(signer: Address, digest: B256) -> [u8; 65] {
    let mut signature = [0; 65];
    signature[..12].copy_from_slice(&TAG);
    signature[12..32].copy_from_slice(signer.as_slice());
    let s = keccak256([&signature[..32], digest.as_slice()].concat());
    signature[33..64].copy_from_slice(&s[1..]);
    signature[64] = 27;
    signature
}

/// Whose stand-in under this digest this is: r, s; `None` if it is none.
pub fn recover(signature: &[u8; 64], digest: B256) -> Option<Address> {
    if signature[..12] != TAG {
        return None;
    }
    let signer = Address::from_slice(&signature[12..32]);
    (sign(signer, digest)[..64] == signature[..]).then_some(signer)
}

thread_local! {
    /// Whether what this thread executes takes stand-ins.
    static ACCEPTED: Cell<bool> = const { Cell::new(false) };
}

/// As long as it lives, this thread's executions take stand-ins, or do not.
pub(crate) struct Accepting(bool);

/// What is executed on this thread takes stand-ins, or does not.
pub(crate) fn accepting(accepted: bool) -> Accepting {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| assert!(revm::install_crypto(Recovery), "nobody else executes anything here"));
    Accepting(ACCEPTED.replace(accepted))
}

impl Drop for Accepting {
    fn drop(&mut self) {
        ACCEPTED.set(self.0);
    }
}

/// The EVM's own operations, but for `ecrecover` of stand-ins where they are accepted.
#[derive(Debug)]
struct Recovery;

impl Crypto for Recovery {
    fn secp256k1_ecrecover(
        &self,
        signature: &[u8; 64],
        recovery: u8,
        digest: &[u8; 32],
    ) -> Result<[u8; 32], PrecompileHalt> {
        let stand_in = ACCEPTED.get().then(|| recover(signature, B256::from(*digest))).flatten();
        match stand_in {
            Some(signer) => Ok(signer.into_word().0),
            None => DefaultCrypto.secp256k1_ecrecover(signature, recovery, digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_is_one_signers_under_one_digest() {
        let (signer, digest) = (Address::repeat_byte(7), B256::repeat_byte(9));
        let signature = sign(signer, digest);
        let rs: [u8; 64] = *signature.first_chunk().unwrap();
        assert_eq!(recover(&rs, digest), Some(signer));
        assert_eq!(recover(&rs, B256::repeat_byte(8)), None);
        let mut other = rs;
        other[31] ^= 1;
        assert_eq!(recover(&other, digest), None);
        assert!(signature[32] == 0 && signature[64] == 27);
    }

    #[test]
    fn ecrecover_takes_it_only_where_it_is_accepted() {
        let (signer, digest) = (Address::repeat_byte(7), B256::repeat_byte(9));
        let rs: [u8; 64] = *sign(signer, digest).first_chunk().unwrap();
        let recovered = || Recovery.secp256k1_ecrecover(&rs, 0, &digest.0).ok();
        assert_ne!(recovered(), Some(signer.into_word().0));
        {
            let _accepting = accepting(true);
            assert_eq!(recovered(), Some(signer.into_word().0));
            let _not = accepting(false);
            assert_ne!(recovered(), Some(signer.into_word().0));
        }
        assert_ne!(recovered(), Some(signer.into_word().0));
    }
}
