//! Cuts: for one partition, the head of every lane that moved since the last sealed cut.
//!
//! # Format
//!
//! All integers big-endian. Leaves are ordered by lane, heads before forks.
//!
//! | part | bytes |
//! | --- | --- |
//! | head leaf | SHA-256 of `0x02`, lane \[32\], next sequence u64, volume u64, header digest \[32\] |
//! | fork leaf | SHA-256 of `0x03`, lane \[32\], smaller header digest \[32\], larger header digest \[32\] |
//! | root | the Merkle root over the leaves ([`crate::merkle`]); 32 zero bytes for an empty cut |
//! | checksum | SHA-256 of `0x04`, previous checksum \[32\], partition u32, epoch u64, root \[32\]; its last 8 bytes zero |
//!
//! The chain keeps a checksum beside its epoch in one word, because writing a second one for each seal would cost more
//! than all the rest of it. So a checksum has 24 bytes, and 8 zero ones after them wherever 32 are asked for. Finding
//! two cuts with equal ones takes about 2^96 hashes.
//!
//! The round is not hashed: proposals of two rounds that name the same heads have the same checksum.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::fork::Fork;
use crate::hash::sha256;
use crate::ids::{Epoch, Hash, LaneId, PartitionId};
use crate::merkle;

/// The bytes of a checksum that are not zero by definition.
pub const CHECKSUM_BYTES: usize = 24;

/// The head of a lane: everything before it is fixed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct LaneHead {
    /// The lane.
    pub lane: LaneId,
    /// Sequence that the next event will have: the number of events so far.
    pub next_sequence: u64,
    /// Content bytes so far.
    pub volume: u64,
    /// Digest of the last header.
    pub digest: Hash,
}

impl LaneHead {
    /// A lane with nothing in it.
    pub fn empty(lane: LaneId) -> Self {
        Self { lane, next_sequence: 0, volume: 0, digest: Hash::ZERO }
    }

    /// The leaf of this head.
    pub fn leaf(&self) -> Hash {
        sha256(&[
            &[0x02],
            &self.lane.0,
            &self.next_sequence.to_be_bytes(),
            &self.volume.to_be_bytes(),
            &self.digest.0,
        ])
    }
}

/// A proposed or sealed cut of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cut {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch that it seals, with every epoch since the last sealed one.
    pub epoch: Epoch,
    /// Checksum of the last sealed cut, which this one extends.
    pub previous: Hash,
    /// Heads that moved, rising by lane.
    pub heads: Vec<LaneHead>,
    /// Lanes that their publisher forked, rising by lane: each ends at its last sealed head.
    pub forks: Vec<Fork>,
}

impl Cut {
    /// Whether heads and forks are each strictly rising by lane, and no lane is in both.
    pub fn is_canonical(&self) -> bool {
        let heads_rise = self.heads.windows(2).all(|pair| pair[0].lane < pair[1].lane);
        let forks_rise = self.forks.windows(2).all(|pair| pair[0].lane() < pair[1].lane());
        heads_rise
            && forks_rise
            && self.forks.iter().all(|fork| self.head(&fork.lane()).is_none() && fork.is_proof())
    }

    /// The head that this cut names for a lane.
    pub fn head(&self, lane: &LaneId) -> Option<&LaneHead> {
        self.heads.binary_search_by(|head| head.lane.cmp(lane)).ok().map(|found| &self.heads[found])
    }

    /// The leaves of heads, then of forks, in their order.
    pub fn leaves(&self) -> Vec<Hash> {
        self.heads.iter().map(LaneHead::leaf).chain(self.forks.iter().map(Fork::leaf)).collect()
    }

    /// Merkle root over heads and forks.
    pub fn root(&self) -> Hash {
        let leaves = self.leaves();
        if leaves.is_empty() { Hash::ZERO } else { merkle::root(&leaves) }
    }

    /// The rolling checksum (WP 2.4.6): commits to this cut and every cut before it.
    pub fn checksum(&self) -> Hash {
        rolled(&self.previous, self.partition, self.epoch, &self.root())
    }
}

/// The checksum `previous` rolled on by the cut with this root.
pub fn rolled(previous: &Hash, partition: PartitionId, epoch: Epoch, root: &Hash) -> Hash {
    kept(sha256(&[&[0x04], &previous.0, &partition.0.to_be_bytes(), &epoch.to_be_bytes(), &root.0]))
}

/// What the chain keeps of a hash as a checksum: [`CHECKSUM_BYTES`], and zeros after them. Every checksum anywhere is
/// made by this, so that what is compared with the chain's is equal or is not, and never cut off by whoever compares.
pub fn kept(mut hash: Hash) -> Hash {
    hash.0[CHECKSUM_BYTES..].fill(0);
    hash
}

/// The join of lane heads: for each lane the longest. Heads of one lane must lie on one branch.
pub fn join<'a>(heads: impl IntoIterator<Item = &'a LaneHead>) -> BTreeMap<LaneId, LaneHead> {
    heads.into_iter().fold(BTreeMap::new(), |mut joined, head| {
        let best = joined.entry(head.lane).or_insert(*head);
        if head.next_sequence > best.next_sequence {
            *best = *head;
        }
        joined
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lane: u8, next_sequence: u64) -> LaneHead {
        LaneHead { lane: LaneId([lane; 32]), next_sequence, volume: 10, digest: Hash([lane; 32]) }
    }

    fn cut(heads: Vec<LaneHead>) -> Cut {
        Cut { partition: PartitionId(3), epoch: 7, previous: Hash([9; 32]), heads, forks: Vec::new() }
    }

    #[test]
    fn the_checksum_binds_every_field() {
        let base = cut(alloc::vec![head(1, 5), head(2, 6)]);
        let variants = [
            Cut { epoch: 8, ..base.clone() },
            Cut { partition: PartitionId(4), ..base.clone() },
            Cut { previous: Hash([8; 32]), ..base.clone() },
            cut(alloc::vec![head(1, 6), head(2, 6)]),
            cut(alloc::vec![head(1, 5)]),
            cut(alloc::vec![]),
        ];
        for variant in variants {
            assert_ne!(variant.checksum(), base.checksum(), "{variant:?}");
        }
    }

    #[test]
    fn a_checksum_is_24_bytes_of_the_hash_and_zeros() {
        let checksum = cut(alloc::vec![head(1, 5)]).checksum();
        let root = cut(alloc::vec![head(1, 5)]).root();
        let hash = sha256(&[&[0x04], &[9; 32], &3u32.to_be_bytes(), &7u64.to_be_bytes(), &root.0]);
        assert_eq!(checksum.0[..CHECKSUM_BYTES], hash.0[..CHECKSUM_BYTES]);
        assert_eq!(checksum.0[CHECKSUM_BYTES..], [0; 8]);
        assert_ne!(hash.0[CHECKSUM_BYTES..], [0; 8]);
        assert_eq!(kept(checksum), checksum);
    }

    #[test]
    fn the_join_takes_the_longest_head_of_each_lane() {
        let joined = join(&[head(1, 5), head(2, 1), head(1, 9), head(2, 0)]);
        assert_eq!(joined.values().copied().collect::<Vec<_>>(), [head(1, 9), head(2, 1)]);
    }

    #[test]
    fn unordered_or_repeated_lanes_are_not_canonical() {
        assert!(cut(alloc::vec![head(1, 5), head(2, 6)]).is_canonical());
        assert!(!cut(alloc::vec![head(2, 5), head(1, 6)]).is_canonical());
        assert!(!cut(alloc::vec![head(1, 5), head(1, 6)]).is_canonical());
    }
}
