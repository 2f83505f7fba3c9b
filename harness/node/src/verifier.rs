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
//! Both must say the same of every input: a broker that accepts what others refuse leaves its replica set. The
//! tests hold them equal on the Wycheproof vectors, on altered signatures and on random bytes.

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SECP256K1 as CURVE};

use weir_kernel::hash::keccak256;
use weir_kernel::ids::{Address, Hash};
use weir_kernel::signature::SECP256K1;
use weir_kernel::verify::Verifier;

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
