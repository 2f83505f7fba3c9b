//! Signatures in a simulation: both types are accepted, and a verdict once reached is remembered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use weir_kernel::ids::{Address, Hash};
use weir_kernel::signature::{KEYED_HASH, KeyedHashVerifier, SECP256K1, Secp256k1Verifier};
use weir_kernel::verify::Verifier;

/// Verifies for all nodes of a run. Recovering a key costs more than everything else that a broker does with a batch,
/// and every replica would do it again.
#[derive(Clone, Debug, Default)]
pub struct SimulationVerifier {
    verdicts: Rc<RefCell<BTreeMap<Verdict, bool>>>,
}

type Verdict = (Address, Hash, [u8; 65]);

/// Verdicts that are remembered; then all are forgotten at once, which costs time and changes nothing.
const MAX_VERDICTS: usize = 1 << 16;

impl SimulationVerifier {
    /// Remembers that this signature was just made with the signer's key.
    pub fn signed(&self, signer: Address, hash: Hash, signature: [u8; 65]) {
        self.remember((signer, hash, signature), true);
    }

    fn remember(&self, key: Verdict, verdict: bool) {
        let mut verdicts = self.verdicts.borrow_mut();
        if verdicts.len() >= MAX_VERDICTS {
            verdicts.clear();
        }
        verdicts.insert(key, verdict);
    }
}

impl Verifier for SimulationVerifier {
    fn verify(&self, signature_type: u8, signer: &Address, signing_hash: &Hash, signature: &[u8]) -> bool {
        match signature_type {
            KEYED_HASH => KeyedHashVerifier.verify(signature_type, signer, signing_hash, signature),
            SECP256K1 => {
                let Ok(bytes) = <[u8; 65]>::try_from(signature) else { return false };
                let key = (*signer, *signing_hash, bytes);
                let known = self.verdicts.borrow().get(&key).copied();
                known.unwrap_or_else(|| {
                    let verdict = Secp256k1Verifier.verify(signature_type, signer, signing_hash, signature);
                    self.remember(key, verdict);
                    verdict
                })
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::signature::SecretKey;

    #[test]
    fn a_remembered_verdict_is_the_real_one() {
        let verifier = SimulationVerifier::default();
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let (hash, other) = (Hash([1; 32]), Hash([2; 32]));
        let signature = key.sign_hash(&hash);
        for _ in 0..2 {
            assert!(verifier.verify(SECP256K1, &key.address(), &hash, &signature));
            assert!(!verifier.verify(SECP256K1, &key.address(), &other, &signature));
            assert!(!verifier.verify(SECP256K1, &Address([9; 20]), &hash, &signature));
        }
    }
}
