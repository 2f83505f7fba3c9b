//! Prints what one signature check costs with each of the two verifiers: the node's and the kernel's.
//!
//! ```text
//! cargo run -p weir-node --example signatures
//! ```
//!
//! The libraries are compiled with optimisation in the development profile too.

use std::time::Instant;

use weir_kernel::hash::sha256;
use weir_kernel::ids::Hash;
use weir_kernel::signature::{SECP256K1, Secp256k1Verifier, SecretKey};
use weir_kernel::verify::Verifier;
use weir_node::verifier::NativeVerifier;

/// Checks a round.
const SIGNATURES: u32 = 2_000;

/// Rounds of each verifier, taken in turns.
const ROUNDS: usize = 7;

fn main() {
    let key = SecretKey::from_bytes(&[7; 32]).expect("a valid key");
    let signed: Vec<(Hash, [u8; 65])> = (0..SIGNATURES)
        .map(|number| sha256(&[&number.to_be_bytes()]))
        .map(|hash| (hash, key.sign_hash(&hash)))
        .collect();
    let round = |verifier: &dyn Verifier| {
        let start = Instant::now();
        for (hash, signature) in &signed {
            assert!(verifier.verify(SECP256K1, &key.address(), hash, signature), "every signature is good");
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(SIGNATURES)
    };
    round(&Secp256k1Verifier);
    round(&NativeVerifier);
    let mut costs: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        costs[0].push(round(&Secp256k1Verifier));
        costs[1].push(round(&NativeVerifier));
    }
    for (name, mut cost) in ["k256", "libsecp256k1"].into_iter().zip(costs) {
        cost.sort_by(f64::total_cmp);
        let (least, median, most) = (cost[0], cost[ROUNDS / 2], cost[ROUNDS - 1]);
        println!("{name:>12}  min {least:.1} median {median:.1} max {most:.1} µs a check");
    }
}
