//! The proofs that lanes' heads are in sealed cuts, gathered in one pass over a partition's cuts on disk.
//!
//! A cut is read, its root computed, and it is forgotten: what stays is a Merkle path for each lane that is settled
//! and the roots of the cuts after it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::agreement::{Cut, LaneHead, cut};
use crate::coordinator::fees::CutProof;
use crate::coordinator::fees::cut_proof::MAXIMUM_LATER_SEALS;
use crate::ids::{Hash, LaneId};
use crate::merkle;

/// A pass under way.
#[derive(Clone, Debug)]
pub struct Gathering {
    wanted: BTreeSet<LaneId>,
    found: BTreeMap<LaneId, (LaneHead, CutProof)>,
    /// The checksum after the last cut taken.
    checksum: Option<Hash>,
}

impl Gathering {
    /// For these lanes.
    pub fn new(wanted: impl IntoIterator<Item = LaneId>) -> Self {
        Self { wanted: wanted.into_iter().collect(), found: BTreeMap::new(), checksum: None }
    }

    /// Takes the next cut, which must roll on from the one before it; false if it does not.
    pub fn take(&mut self, cut: &Cut) -> bool {
        if self.checksum.is_some_and(|checksum| checksum != cut.previous) {
            return false;
        }
        let leaves = cut.leaves();
        let root = if leaves.is_empty() { Hash::ZERO } else { merkle::root(&leaves) };
        self.checksum = Some(cut::rolled(&cut.previous, cut.partition, cut.epoch, &root));
        self.found.values_mut().for_each(|(_, proof)| proof.later.push((cut.epoch, root)));
        for (position, head) in cut.heads.iter().enumerate() {
            let index = u32::try_from(position).expect("leaves are counted with 32 bits");
            let path = self.wanted.contains(&head.lane).then(|| merkle::proof(&leaves, index)).flatten();
            if let Some(path) = path {
                let Cut { partition, epoch, previous, .. } = *cut;
                let proof = CutProof { partition, epoch, previous, path, later: Vec::new() };
                self.found.insert(head.lane, (*head, proof));
            }
        }
        true
    }

    /// The proofs that lead to the checksum on chain, and are short enough for it.
    pub fn finish(self, on_chain: Hash) -> impl Iterator<Item = (LaneHead, CutProof)> {
        let leads = self.checksum == Some(on_chain);
        self.found.into_values().filter(move |(_, proof)| leads && proof.later.len() <= MAXIMUM_LATER_SEALS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PartitionId;
    use alloc::vec;

    fn head(lane: u8, next_sequence: u64) -> LaneHead {
        LaneHead { lane: LaneId([lane; 32]), next_sequence, volume: 10, digest: Hash([lane; 32]) }
    }

    fn cuts(heads: &[Vec<LaneHead>]) -> Vec<Cut> {
        let mut previous = Hash([9; 32]);
        let mut cuts = Vec::new();
        for (epoch, heads) in (5..).zip(heads) {
            let cut =
                Cut { partition: PartitionId(3), epoch, previous, heads: heads.clone(), forks: Vec::new() };
            previous = cut.checksum();
            cuts.push(cut);
        }
        cuts
    }

    /// What the contract computes.
    fn leads_to(head: &LaneHead, proof: &CutProof) -> Hash {
        let root = proof.path.root(head.leaf()).expect("a path to a root");
        let first = cut::rolled(&proof.previous, proof.partition, proof.epoch, &root);
        proof
            .later
            .iter()
            .fold(first, |checksum, (epoch, root)| cut::rolled(&checksum, proof.partition, *epoch, root))
    }

    #[test]
    fn each_lane_is_proven_by_its_newest_cut_and_the_roots_after_it() {
        let cuts =
            cuts(&[vec![head(1, 5), head(2, 6), head(3, 7)], vec![], vec![head(1, 8)], vec![head(3, 9)]]);
        let mut gathering = Gathering::new([LaneId([1; 32]), LaneId([2; 32]), LaneId([4; 32])]);
        assert!(cuts.iter().all(|cut| gathering.take(cut)));
        let on_chain = cuts[3].checksum();
        let proven: Vec<_> = gathering.finish(on_chain).collect();
        let shown: Vec<_> =
            proven.iter().map(|(head, proof)| (head.next_sequence, proof.epoch, proof.later.len())).collect();
        assert_eq!(shown, [(8, 7, 1), (6, 5, 3)]);
        assert!(proven.iter().all(|(head, proof)| leads_to(head, proof) == on_chain));
    }

    #[test]
    fn a_gap_or_a_cut_that_is_missing_at_the_end_proves_nothing() {
        let cuts = cuts(&[vec![head(1, 5)], vec![], vec![]]);
        let mut gathering = Gathering::new([LaneId([1; 32])]);
        assert!(gathering.take(&cuts[0]) && !gathering.take(&cuts[2]));
        let mut gathering = Gathering::new([LaneId([1; 32])]);
        assert!(gathering.take(&cuts[0]) && gathering.take(&cuts[1]));
        assert_eq!(gathering.finish(cuts[2].checksum()).count(), 0);
    }
}
