//! Entries: what the replicas of a partition agreed on for an epoch, and the hashes that they sign (WP 2.4.6).
//!
//! An *entry* rolls a partition's checksum on, over the cut. A *report* is a replica's signature over the Merkle root
//! of one or more entries, of which it is a replica in each; of one entry the root is the entry's own leaf. In calls
//! and events an entry is two words:
//!
//! | word | bytes |
//! | --- | --- |
//! | summary | partition u32, epoch u32, round u32, events u64, volume u64, hint \[4\]: the first bytes of the checksum that it rolls on from |
//! | checksum | \[24\], and 8 zero bytes ([`cut::kept`](crate::agreement::cut::kept)) |
//!
//! ```text
//! leaf   = keccak256(summary with a zero hint, previous checksum, checksum, 32 zero bytes)
//! node   = keccak256(smaller child, larger child); the last of an odd number rises unchanged
//! report = EIP-712 Report(bytes32 root), domain {name "weir", version "1", chainId, coordinator}
//! ```
//!
//! The contract takes the previous checksum from its storage: giving it again would cost as much as the rest of the
//! entry. The hint is there so that an entry on top of another checksum is refused by name, and not because its
//! signatures recover to strangers; it is not signed. A leaf is a hash of 128 bytes and a node one of 64, so that
//! neither passes for the other. The fourth word of a leaf is reserved for a root over what its signer holds.

use alloc::vec::Vec;

use bincode::{Decode, Encode};

use crate::agreement::{Cut, LaneHead, cut};
use crate::hash::keccak256;
use crate::ids::{Address, Epoch, Hash, PartitionId};
use crate::typed_data::{WordHasher, domain_separator, signing_hash};

/// What is sealed: one epoch of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch; everything since the last sealed one is sealed with it. Has 32 bits on chain.
    pub epoch: Epoch,
    /// The round of agreement in which it was proposed.
    pub round: u32,
    /// The checksum that this one rolls on from: the one the chain has.
    pub previous: Hash,
    /// The rolling checksum over the cut.
    pub checksum: Hash,
    /// Events since the last seal.
    pub events: u64,
    /// Content bytes since the last seal.
    pub volume: u64,
}

/// An entry as calls and events carry it, in two words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct SealedEntry {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch; everything since the last sealed one is sealed with it.
    pub epoch: Epoch,
    /// The round of agreement in which it was proposed.
    pub round: u32,
    /// Events since the last seal.
    pub events: u64,
    /// Content bytes since the last seal.
    pub volume: u64,
    /// The first bytes of the checksum that this one rolls on from.
    pub hint: [u8; 4],
    /// The rolling checksum over the cut.
    pub checksum: Hash,
}

impl Entry {
    /// The entry under a cut as proposed in a round; `sealed` is what a lane had at the last seal, as events and
    /// content bytes.
    pub fn of_cut(cut: &Cut, round: u32, sealed: impl Fn(&LaneHead) -> (u64, u64)) -> Self {
        let since = |(events, volume): (u64, u64), head: &LaneHead| {
            let (sealed_events, sealed_volume) = sealed(head);
            (events + (head.next_sequence - sealed_events), volume + (head.volume - sealed_volume))
        };
        let (events, volume) = cut.heads.iter().fold((0, 0), since);
        Self {
            partition: cut.partition,
            epoch: cut.epoch,
            round,
            previous: cut.previous,
            checksum: cut.checksum(),
            events,
            volume,
        }
    }

    /// Whether it fits into its two words: an epoch of 32 bits and checksums as the chain keeps them.
    pub fn fits(&self) -> bool {
        let is_kept = |hash: Hash| cut::kept(hash) == hash;
        u32::try_from(self.epoch).is_ok() && is_kept(self.previous) && is_kept(self.checksum)
    }

    /// The entry as calls and events carry it.
    pub fn sealed(&self) -> SealedEntry {
        let Self { partition, epoch, round, previous, checksum, events, volume } = *self;
        SealedEntry { partition, epoch, round, events, volume, hint: hint(&previous), checksum }
    }

    /// The hash of the entry; of a single entry it is the root that a report signs. Of an entry that does not
    /// [fit](Self::fits) it means nothing, and the chain takes none.
    pub fn hash(&self) -> Hash {
        let signed = SealedEntry { hint: [0; 4], ..self.sealed() };
        WordHasher::new()
            .word(&signed.summary())
            .word(&self.previous.0)
            .word(&self.checksum.0)
            .word(&[0; 32])
            .finish()
    }
}

impl SealedEntry {
    /// The first word.
    pub fn summary(&self) -> [u8; 32] {
        let mut word = [0; 32];
        word[..4].copy_from_slice(&self.partition.0.to_be_bytes());
        word[4..8].copy_from_slice(&self.epoch.to_be_bytes()[4..]);
        word[8..12].copy_from_slice(&self.round.to_be_bytes());
        word[12..20].copy_from_slice(&self.events.to_be_bytes());
        word[20..28].copy_from_slice(&self.volume.to_be_bytes());
        word[28..].copy_from_slice(&self.hint);
        word
    }

    /// Reads the two words.
    pub fn of_words(summary: &[u8; 32], checksum: Hash) -> Self {
        fn part<const N: usize>(word: &[u8; 32], at: usize) -> [u8; N] {
            core::array::from_fn(|i| word[at + i])
        }
        Self {
            partition: PartitionId(u32::from_be_bytes(part(summary, 0))),
            epoch: u32::from_be_bytes(part(summary, 4)).into(),
            round: u32::from_be_bytes(part(summary, 8)),
            events: u64::from_be_bytes(part(summary, 12)),
            volume: u64::from_be_bytes(part(summary, 20)),
            hint: part(summary, 28),
            checksum,
        }
    }
}

/// What is shown of the checksum that an entry rolls on from.
pub fn hint(previous: &Hash) -> [u8; 4] {
    let [a, b, c, d, ..] = previous.0;
    [a, b, c, d]
}

/// The root over the leaves of a report's entries, of which there is at least one.
pub fn root(leaves: &[Hash]) -> Hash {
    assert!(!leaves.is_empty(), "a report has an entry");
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level[0]
}

/// The neighbours of leaf `index` on its way to the root.
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    assert!(index < leaves.len(), "a path starts at a leaf");
    let (mut level, mut position, mut path) = (leaves.to_vec(), index, Vec::new());
    while level.len() > 1 {
        path.extend(level.get(position ^ 1).copied());
        level = above(&level);
        position /= 2;
    }
    path
}

/// The root that a path leads to.
pub fn root_of_path(leaf: Hash, path: &[Hash]) -> Hash {
    path.iter().fold(leaf, |hash, neighbour| node(&hash, neighbour))
}

fn above(level: &[Hash]) -> Vec<Hash> {
    let parent = |pair: &[Hash]| if let [left, right] = pair { node(left, right) } else { pair[0] };
    level.chunks(2).map(parent).collect()
}

fn node(a: &Hash, b: &Hash) -> Hash {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    keccak256(&[&low.0, &high.0])
}

/// What a replica signs to report `root`: the EIP-712 signing hash of `Report(bytes32 root)` under the
/// coordinator's domain.
pub fn report_signing_hash(chain_id: u64, coordinator: &Address, root: &Hash) -> Hash {
    let report = WordHasher::of_type(b"Report(bytes32 root)").word(&root.0).finish();
    signing_hash(&domain_separator(chain_id, coordinator), &report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|leaf| keccak256(&[&[leaf]])).collect()
    }

    #[test]
    fn the_summary_has_its_parts_from_the_highest_bits() {
        let entry = Entry {
            partition: PartitionId(0x0102_0304),
            epoch: 0x0506_0708,
            round: 0x090A_0B0C,
            previous: Hash([0xEE; 32]),
            checksum: Hash::ZERO,
            events: 0x0D0E_0F10_1112_1314,
            volume: 0x1516_1718_191A_1B1C,
        };
        let summary = entry.sealed().summary();
        assert_eq!(summary[..28], core::array::from_fn::<u8, 28, _>(|i| i as u8 + 1));
        assert_eq!(summary[28..], [0xEE; 4]);
        assert!(!entry.fits() && Entry { previous: Hash::ZERO, ..entry }.fits());
        assert!(!Entry { previous: Hash::ZERO, epoch: 1 << 32, ..entry }.fits());
    }

    #[test]
    fn the_hash_binds_every_field_and_not_the_hint_alone() {
        let entry = Entry::default();
        let mut other = Hash::ZERO;
        other.0[23] = 1;
        let variants = [
            Entry { partition: PartitionId(1), ..entry },
            Entry { epoch: 1, ..entry },
            Entry { round: 1, ..entry },
            Entry { previous: other, ..entry },
            Entry { checksum: other, ..entry },
            Entry { events: 1, ..entry },
            Entry { volume: 1, ..entry },
        ];
        variants.iter().for_each(|variant| assert_ne!(variant.hash(), entry.hash(), "{variant:?}"));
        assert_eq!(variants[3].sealed(), entry.sealed(), "the hint shows 4 bytes only");
    }

    #[test]
    fn every_path_leads_to_the_root_and_no_other_leaf_does() {
        for count in 1..=17 {
            let leaves = leaves(count);
            for index in 0..leaves.len() {
                let path = path(&leaves, index);
                assert_eq!(root_of_path(leaves[index], &path), root(&leaves), "{index} of {count}");
                assert!(count == 1 || root_of_path(Hash::ZERO, &path) != root(&leaves));
            }
        }
        assert_eq!(root(&leaves(1)), leaves(1)[0]);
    }

    proptest! {
        #[test]
        fn words_round_trip(
            partition: u32, epoch: u32, round: u32, events: u64, volume: u64, hint: [u8; 4], checksum: [u8; 32],
        ) {
            let (partition, epoch, checksum) = (PartitionId(partition), epoch.into(), cut::kept(Hash(checksum)));
            let entry = SealedEntry { partition, epoch, round, events, volume, hint, checksum };
            prop_assert_eq!(SealedEntry::of_words(&entry.summary(), checksum), entry);
        }
    }
}
