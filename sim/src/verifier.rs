//! Signatures in a simulation: what is checked once is remembered, and stand-ins are taken for what costs most.
//!
//! Lanes are signed with the keyed hash, reports and transactions with [`weir_chain::stand_in`]s, unless a scenario
//! wants real signatures. Every replica gets the same batch, so a batch that was decoded and checked once is recalled
//! by its bytes: whatever differs from it in a bit is decoded and checked as ever.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use alloy_primitives::{Address as EthereumAddress, B256};
use indexmap::IndexMap;
use weir_chain::stand_in;
use weir_kernel::batch::Batch;
use weir_kernel::ids::{Address, Hash};
use weir_kernel::signature::{KEYED_HASH, KeyedHashVerifier, SECP256K1, Secp256k1Verifier, SecretKey};
use weir_kernel::verify::{Verified, Verifier};
use xxhash_rust::xxh3::xxh3_128;

/// Verifies for all nodes of a run. Recovering a key costs more than everything else that a broker does with a batch,
/// and every replica would do it again.
#[derive(Clone, Debug)]
pub struct SimulationVerifier {
    memory: Rc<RefCell<Memory>>,
    /// Whether stand-ins are taken for signatures under reports.
    stand_ins: bool,
}

#[derive(Debug, Default)]
struct Memory {
    verdicts: BTreeMap<Verdict, bool>,
    /// Batches that passed, by the hash of their bytes: the newest, and those before.
    batches: [Batches; 2],
}

type Verdict = (Address, Hash, [u8; 65]);
type Batches = IndexMap<u128, Verified<Batch>, BuildHasherDefault<Low>>;

/// Verdicts that are remembered; then all are forgotten at once, which costs time and changes nothing.
const MAX_VERDICTS: usize = 1 << 16;

/// Batches of a generation. A batch is on its way for milliseconds, in which few others come.
const GENERATION: usize = 1 << 12;

/// Hashes are spread already: their lower half will do.
#[derive(Debug, Default)]
struct Low(u64);

impl Hasher for Low {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes of 128 bits are looked for");
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl SimulationVerifier {
    /// Verifies for the nodes of a run in which brokers sign for real, or with stand-ins.
    pub fn new(real_signatures: bool) -> Self {
        Self { memory: Rc::default(), stand_ins: !real_signatures }
    }

    /// A broker's signature under a report.
    pub fn sign(&self, key: &SecretKey, signer: Address, digest: &Hash) -> [u8; 65] {
        if self.stand_ins {
            return stand_in::sign(EthereumAddress::from(signer.0), B256::from(digest.0));
        }
        let signature = key.sign_hash(digest);
        self.signed(signer, *digest, signature);
        signature
    }

    /// Remembers that this signature was just made with the signer's key.
    pub fn signed(&self, signer: Address, hash: Hash, signature: [u8; 65]) {
        self.remember((signer, hash, signature), true);
    }

    fn remember(&self, key: Verdict, verdict: bool) {
        let verdicts = &mut self.memory.borrow_mut().verdicts;
        if verdicts.len() >= MAX_VERDICTS {
            verdicts.clear();
        }
        verdicts.insert(key, verdict);
    }

    fn is_stand_in(&self, signer: &Address, hash: &Hash, signature: &[u8; 65]) -> bool {
        let rs = signature.first_chunk().expect("65 bytes begin with 64");
        let by = || stand_in::recover(rs, B256::from(hash.0));
        self.stand_ins && by() == Some(EthereumAddress::from(signer.0)) && signature[64] == 27
    }
}

impl Verifier for SimulationVerifier {
    fn verify(&self, signature_type: u8, signer: &Address, signing_hash: &Hash, signature: &[u8]) -> bool {
        match signature_type {
            KEYED_HASH => KeyedHashVerifier.verify(signature_type, signer, signing_hash, signature),
            SECP256K1 => {
                let Ok(bytes) = <[u8; 65]>::try_from(signature) else { return false };
                if self.is_stand_in(signer, signing_hash, &bytes) {
                    return true;
                }
                let key = (*signer, *signing_hash, bytes);
                let known = self.memory.borrow().verdicts.get(&key).copied();
                known.unwrap_or_else(|| {
                    let verdict = Secp256k1Verifier.verify(signature_type, signer, signing_hash, signature);
                    self.remember(key, verdict);
                    verdict
                })
            }
            _ => false,
        }
    }

    fn recall(&self, bytes: &[u8]) -> Option<Verified<Batch>> {
        let hash = xxh3_128(bytes);
        let memory = self.memory.borrow();
        memory.batches.iter().find_map(|generation| generation.get(&hash)).cloned()
    }

    fn passed(&self, batch: &Verified<Batch>) {
        let [newest, before] = &mut self.memory.borrow_mut().batches;
        if newest.len() >= GENERATION {
            std::mem::swap(newest, before);
            newest.clear();
        }
        newest.insert(xxh3_128(batch.bytes()), batch.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::batch::{LaneWriter, NewEvent, content_type};
    use weir_kernel::ids::{StreamId, StreamPartition};
    use weir_kernel::signature::keyed_hash;
    use weir_kernel::verify::verify_bytes;

    #[test]
    fn a_remembered_verdict_is_the_real_one() {
        let verifier = SimulationVerifier::new(true);
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let (hash, other) = (Hash([1; 32]), Hash([2; 32]));
        let signature = key.sign_hash(&hash);
        for _ in 0..2 {
            assert!(verifier.verify(SECP256K1, &key.address(), &hash, &signature));
            assert!(!verifier.verify(SECP256K1, &key.address(), &other, &signature));
            assert!(!verifier.verify(SECP256K1, &Address([9; 20]), &hash, &signature));
        }
    }

    #[test]
    fn a_stand_in_is_taken_only_where_signatures_need_not_be_real() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let (signer, hash) = (key.address(), Hash([1; 32]));
        let [real, free] = [true, false].map(SimulationVerifier::new);
        let stand_in = free.sign(&key, signer, &hash);
        assert!(free.verify(SECP256K1, &signer, &hash, &stand_in));
        assert!(!free.verify(SECP256K1, &Address([9; 20]), &hash, &stand_in));
        assert!(!free.verify(SECP256K1, &signer, &Hash([2; 32]), &stand_in));
        assert!(!real.verify(SECP256K1, &signer, &hash, &stand_in));
        assert!(real.verify(SECP256K1, &signer, &hash, &real.sign(&key, signer, &hash)));
    }

    #[test]
    fn a_batch_is_recalled_by_all_of_its_bytes() {
        let (verifier, origin) = (SimulationVerifier::new(false), Address([5; 20]));
        let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
        let mut lane = LaneWriter::new(slot, origin, 3, [0; 16], Hash::ZERO, KEYED_HASH);
        let unsigned = lane.next_batch(vec![NewEvent::new(10, content_type::TEXT, "a")]).unwrap();
        let signature = keyed_hash(&origin, &unsigned.signing_hash(1));
        let bytes = unsigned.sign(signature).unwrap().bytes().clone();
        assert!(verifier.recall(&bytes).is_none());
        let first = verify_bytes(&bytes, 1, &verifier).unwrap();
        assert!(std::sync::Arc::ptr_eq(first.bytes(), verify_bytes(&bytes, 1, &verifier).unwrap().bytes()));
        for at in 0..bytes.len() {
            let mut broken = bytes.to_vec();
            broken[at] ^= 1;
            assert!(verify_bytes(&broken, 1, &verifier).is_err(), "byte {at}");
        }
    }
}
