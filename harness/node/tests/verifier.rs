//! The node's verifier (libsecp256k1) and the kernel's (k256) say the same of everything: the Wycheproof vectors,
//! altered signatures, random bytes.

use proptest::prelude::*;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey};
use sha2::{Digest, Sha512};
use weir_kernel::hash::{keccak256, sha256};
use weir_kernel::ids::{Address, Hash};
use weir_kernel::signature::{self, KEYED_HASH, SECP256K1, Secp256k1Verifier, SecretKey};
use weir_kernel::verify::Verifier;
use weir_node::verifier::{NativeVerifier, recover};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

/// The order of the curve.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// Half of it, rounded down.
const HALF: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// What both recover; fails when they differ.
fn both(hash: &Hash, signature: &[u8]) -> Option<Address> {
    let native = recover(hash, signature);
    let kernel = signature::recover(hash, signature);
    assert_eq!(native, kernel, "hash {hash}, signature 0x{}", hex::encode(signature));
    native
}

/// Big-endian difference, modulo 2^256.
fn minus(from: &[u8; 32], less: &[u8]) -> [u8; 32] {
    let mut borrow = 0;
    let mut out = [0; 32];
    for at in (0..32).rev() {
        let difference = i16::from(from[at]) - i16::from(less[at]) - borrow;
        borrow = i16::from(difference < 0);
        out[at] = difference.rem_euclid(256) as u8;
    }
    out
}

fn with_v(r_and_s: &[u8], v: u8) -> Vec<u8> {
    [r_and_s, &[v]].concat()
}

/// The address of a public key as the vectors give it, uncompressed.
fn address_of(key: &[u8]) -> Address {
    let hash = keccak256(&[&key[1..]]);
    Address(*hash.0.last_chunk().expect("20 of 32 bytes"))
}

/// Whether a signature's point has an x at or above the order, so that r wraps: valid elsewhere, and such that no v
/// of 27 or 28 says it. It happens by chance once in 2^127 signatures.
fn wraps(hash: &Hash, r_and_s: &[u8], key: &[u8]) -> bool {
    let key = PublicKey::from_slice(key).expect("the vectors' keys are points");
    [RecoveryId::Two, RecoveryId::Three].into_iter().any(|id| {
        let signature = RecoverableSignature::from_compact(r_and_s, id);
        signature.and_then(|signature| signature.recover(Message::from_digest(hash.0))) == Ok(key)
    })
}

/// How often each way through the vectors was gone.
#[derive(Debug, Default)]
struct Ways {
    accepted: u32,
    high_s: u32,
    wrapped: u32,
    refused: u32,
}

fn check_vector(hash: &Hash, r_and_s: &[u8], key: &[u8], valid: bool, comment: &str, ways: &mut Ways) {
    let owner = address_of(key);
    let accepts =
        |r_and_s: &[u8]| [27, 28].into_iter().any(|v| both(hash, &with_v(r_and_s, v)) == Some(owner));
    for v in [0, 1, 2, 3, 26, 29, 30] {
        assert_eq!(both(hash, &with_v(r_and_s, v)), None, "{comment}: v = {v}");
    }
    if !valid {
        assert!(!accepts(r_and_s), "{comment}");
        ways.refused += 1;
        return;
    }
    let high = r_and_s[32..] > HALF[..];
    let mut low = r_and_s.to_vec();
    if high {
        assert!(!accepts(r_and_s), "{comment}: s is in the upper half");
        low[32..].copy_from_slice(&minus(&ORDER, &r_and_s[32..]));
        ways.high_s += 1;
    }
    if wraps(hash, &low, key) {
        assert!(!accepts(&low), "{comment}: r wraps");
        ways.wrapped += 1;
    } else {
        assert!(accepts(&low), "{comment}");
        ways.accepted += 1;
    }
}

#[test]
fn both_verifiers_are_right_about_the_wycheproof_vectors() {
    let mut ways = Ways::default();
    for name in [TestName::EcdsaSecp256k1Sha256P1363, TestName::EcdsaSecp256k1Sha512P1363] {
        let set = TestSet::load(name).expect("the vectors are in the crate");
        for group in set.test_groups {
            for test in group.tests {
                let hash = match name {
                    TestName::EcdsaSecp256k1Sha256P1363 => sha256(&[&test.msg]),
                    // A longer hash is cut to the order's length: FIPS 186-5, section 6.4.
                    _ => Hash(*Sha512::digest(&test.msg[..]).first_chunk().expect("32 of 64 bytes")),
                };
                let valid = test.result == TestResult::Valid;
                let comment = format!("{name:?} {}: {}", test.tc_id, test.comment);
                check_vector(&hash, &test.sig, &group.key.key, valid, &comment, &mut ways);
            }
        }
    }
    let set = TestSet::load(TestName::EcdsaSecp256k1Sha256Bitcoin).expect("the vectors are in the crate");
    for group in set.test_groups {
        for test in group.tests {
            // What is no strict DER never becomes r and s.
            let Ok(parsed) = secp256k1::ecdsa::Signature::from_der(&test.sig) else {
                assert_ne!(test.result, TestResult::Valid, "{}: {}", test.tc_id, test.comment);
                continue;
            };
            let hash = sha256(&[&test.msg]);
            let valid = test.result == TestResult::Valid;
            let comment = format!("bitcoin {}: {}", test.tc_id, test.comment);
            check_vector(&hash, &parsed.serialize_compact(), &group.key.key, valid, &comment, &mut ways);
        }
    }
    assert!(ways.accepted > 200 && ways.refused > 200 && ways.high_s > 10 && ways.wrapped > 0, "{ways:?}");
}

#[test]
fn values_at_the_edges_of_their_ranges_are_judged_alike() {
    let one = { *[[0; 31].as_slice(), &[1]].concat().first_chunk::<32>().expect("32 bytes") };
    let key = SecretKey::from_bytes(&[9; 32]).expect("a valid key");
    let hash = Hash([3; 32]);
    let good = key.sign_hash(&hash);
    let numbers =
        [[0; 32], one, HALF, minus(&HALF, &minus(&[0; 32], &one)), minus(&ORDER, &one), ORDER, [0xff; 32]];
    for number in numbers {
        for v in [0, 1, 26, 27, 28, 29, 255] {
            let (mut r, mut s) = (good, good);
            r[..32].copy_from_slice(&number);
            s[32..64].copy_from_slice(&number);
            (r[64], s[64]) = (v, v);
            for hash in [Hash([0; 32]), hash, Hash(ORDER), Hash([0xff; 32])] {
                let somebodys = (27..=28).contains(&v) && (number == one || number == HALF);
                assert_eq!(both(&hash, &s).is_some(), somebodys, "s = {}, v = {v}", hex::encode(number));
                // Whether a point has that x: the two agree.
                both(&hash, &r);
            }
        }
    }
    for r in [[0; 32], ORDER, [0xff; 32]] {
        assert_eq!(both(&hash, &[&r[..], &good[32..]].concat()), None);
    }
    for s in [[0; 32], minus(&HALF, &minus(&[0; 32], &one)), ORDER, [0xff; 32]] {
        assert_eq!(both(&hash, &[&good[..32], &s[..], &good[64..]].concat()), None);
    }
}

#[test]
fn the_node_accepts_type_1_alone() {
    let key = SecretKey::from_bytes(&[9; 32]).expect("a valid key");
    let hash = Hash([3; 32]);
    let good = key.sign_hash(&hash);
    for kind in 0..=255 {
        let native = NativeVerifier.verify(kind, &key.address(), &hash, &good);
        assert_eq!(native, kind == SECP256K1, "type {kind}");
        assert_eq!(native, Secp256k1Verifier.verify(kind, &key.address(), &hash, &good), "type {kind}");
    }
    let simulated = signature::keyed_hash(&key.address(), &hash);
    assert!(!NativeVerifier.verify(KEYED_HASH, &key.address(), &hash, simulated.as_bytes()));
    assert!(!NativeVerifier.verify(SECP256K1, &Address([1; 20]), &hash, &good));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A good signature with a bit flipped, s mirrored, or another v.
    #[test]
    fn an_altered_signature_is_judged_alike(
        secret in prop::array::uniform32(1..=255u8),
        digest in any::<[u8; 32]>(),
        bit in 0..520usize,
        v in any::<u8>(),
    ) {
        let hash = Hash(digest);
        let key = SecretKey::from_bytes(&secret);
        prop_assume!(key.is_ok());
        let key = key.expect("assumed");
        let good = key.sign_hash(&hash);
        prop_assert_eq!(both(&hash, &good), Some(key.address()));

        let mut flipped = good;
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(both(&hash, &flipped), Some(key.address()));

        let mut mirrored = good;
        mirrored[32..64].copy_from_slice(&minus(&ORDER, &good[32..64]));
        prop_assert_eq!(both(&hash, &mirrored), None);
        mirrored[64] = 55 - good[64];
        prop_assert_eq!(both(&hash, &mirrored), None);

        let mut other_v = good;
        other_v[64] = v;
        prop_assert_eq!(both(&hash, &other_v) == Some(key.address()), v == good[64]);
        let mut swapped = good;
        swapped[64] = 55 - good[64];
        prop_assert_ne!(both(&hash, &swapped), Some(key.address()));
    }

    /// Any bytes of about the right length.
    #[test]
    fn random_bytes_are_judged_alike(
        digest in any::<[u8; 32]>(),
        mut bytes in prop::collection::vec(any::<u8>(), 60..70),
        plausible in any::<bool>(),
    ) {
        if plausible && bytes.len() == 65 {
            bytes[32] &= 0x7f;
            bytes[64] = 27 + (bytes[64] & 1);
        }
        let found = both(&Hash(digest), &bytes);
        prop_assert!(found.is_none() || bytes.len() == 65);
    }
}
