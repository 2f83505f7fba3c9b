//! The node's verifier: signatures of type 1 checked with libsecp256k1, which is written in C (WP 2.4.9).
//!
//! The kernel has a verifier in Rust, [`Secp256k1Verifier`](weir_kernel::signature::Secp256k1Verifier), which a
//! program without a C compiler uses: clients, the simulator, tests. A broker checks a signature for every batch of
//! every publisher, so it takes the faster one:
//!
//! | one check, recovery of the signer and its address included | µs |
//! | --- | --- |
//! | k256 0.13, the kernel's | 224–296 |
//! | libsecp256k1 (secp256k1 0.31), this one | 60–73 |
//!
//! as `cargo run -p weir-node --example signatures` printed on a busy machine of two cores.
//!
//! A session certificate comes with every batch of its session (WP 2.4.9). Those that were good are remembered, in
//! bounded memory, so that a batch of a session costs one check like any other.
//!
//! Both must say the same of every input: a broker that accepts what others refuse leaves its replica set. The
//! tests hold them equal on the Wycheproof vectors, on altered signatures and on random bytes.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::{Mutex, PoisonError};

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SECP256K1 as CURVE};

use weir_kernel::hash::{keccak256, sha256};
use weir_kernel::ids::{Address, Hash};
use weir_kernel::signature::SECP256K1;
use weir_kernel::verify::Verifier;

/// Certificates that are remembered at least: more than the publishers that a node serves in a while. Twice as many
/// at most, of 32 bytes each.
const MAX_CERTIFICATES: usize = 1 << 14;

/// Good certificates of this process. What is remembered is a pure function's result, the same for all who ask.
static CERTIFICATES: Mutex<Certificates> =
    Mutex::new(Certificates { young: BTreeSet::new(), old: BTreeSet::new() });

/// Half the order of the curve, rounded down: the greatest s of a canonical signature (EIP-2).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Accepts type 1 and nothing else, exactly as the kernel's verifier does.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeVerifier;

impl Verifier for NativeVerifier {
    fn verify(&self, signature_type: u8, signer: &Address, signing_hash: &Hash, signature: &[u8]) -> bool {
        signature_type == SECP256K1 && recover(signing_hash, signature).as_ref() == Some(signer)
    }

    fn verify_certificate(
        &self,
        signature_type: u8,
        wallet: &Address,
        signing_hash: &Hash,
        signature: &[u8],
    ) -> bool {
        // Whoever panicked with the lock held left a set of good certificates behind.
        let certificates = || CERTIFICATES.lock().unwrap_or_else(PoisonError::into_inner);
        let name = sha256(&[&[signature_type], &wallet.0, &signing_hash.0, signature]);
        if certificates().knows(name) {
            return true;
        }
        let is_good = self.verify(signature_type, wallet, signing_hash, signature);
        if is_good {
            certificates().remember(name);
        }
        is_good
    }
}

/// The names of good certificates in two generations: when the young one is full, the old one is forgotten.
#[derive(Debug, Default)]
struct Certificates {
    young: BTreeSet<Hash>,
    old: BTreeSet<Hash>,
}

impl Certificates {
    /// One of the old that is still used becomes young again.
    fn knows(&mut self, name: Hash) -> bool {
        if self.young.contains(&name) {
            return true;
        }
        let is_old = self.old.remove(&name);
        if is_old {
            self.remember(name);
        }
        is_old
    }

    fn remember(&mut self, name: Hash) {
        if self.young.len() >= MAX_CERTIFICATES {
            self.old = take(&mut self.young);
        }
        self.young.insert(name);
    }
}

/// The account whose key made a signature (r, s, v) over a hash: what `ecrecover` returns, with the rule of
/// EIP-2 that s is in the lower half. `None` if the signature is not canonical or nobody's.
pub fn recover(hash: &Hash, signature: &[u8]) -> Option<Address> {
    let signature: &[u8; 65] = signature.try_into().ok()?;
    let id = match signature[64] {
        27 => RecoveryId::Zero,
        28 => RecoveryId::One,
        _ => return None,
    };
    if signature[32..64] > HALF_ORDER[..] {
        return None;
    }
    // r at or above the order is refused here, r and s of zero by the recovery.
    let signature = RecoverableSignature::from_compact(&signature[..64], id).ok()?;
    let key = CURVE.recover_ecdsa(Message::from_digest(hash.0), &signature).ok()?;
    let hash = keccak256(&[&key.serialize_uncompressed()[1..]]);
    Some(Address(*hash.0.last_chunk::<20>().expect("a hash has 32 bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> Hash {
        sha256(&[&n.to_be_bytes()])
    }

    #[test]
    fn what_is_used_is_remembered_and_the_rest_forgotten_in_time() {
        let mut certificates = Certificates::default();
        certificates.remember(name(0));
        for n in 1..5 * MAX_CERTIFICATES {
            certificates.remember(name(n));
            if n % 1_000 == 0 {
                assert!(certificates.knows(name(0)), "it is used all the time");
            }
            assert!(
                certificates.young.len() <= MAX_CERTIFICATES && certificates.old.len() <= MAX_CERTIFICATES
            );
        }
        assert!(certificates.knows(name(4 * MAX_CERTIFICATES + 5)));
        assert!(!certificates.knows(name(1)));
    }

    #[test]
    fn a_good_certificate_is_remembered_and_a_bad_one_never() {
        let key = weir_kernel::signature::SecretKey::from_bytes(&[7; 32]).expect("a valid key");
        let hash = name(77);
        let signature = key.sign_hash(&hash);
        let verify = |kind, wallet: &Address, hash: &Hash, signature: &[u8]| {
            NativeVerifier.verify_certificate(kind, wallet, hash, signature)
        };
        for _ in 0..2 {
            assert!(verify(SECP256K1, &key.address(), &hash, &signature));
            assert!(!verify(SECP256K1, &Address([1; 20]), &hash, &signature));
            assert!(!verify(SECP256K1, &key.address(), &name(78), &signature));
            assert!(!verify(SECP256K1, &key.address(), &hash, &signature[..64]));
            assert!(!verify(0xF0, &key.address(), &hash, &signature));
        }
        let named = sha256(&[&[SECP256K1], &key.address().0, &hash.0, &signature]);
        assert!(CERTIFICATES.lock().expect("nobody panicked").knows(named));
    }
}
