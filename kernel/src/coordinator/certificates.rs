//! Certificates: how a partition's epoch is sealed (WP 2.4.6, 2.4.7).
//!
//! An *entry* says what the replicas of a partition agreed on for an epoch: the rolling checksum over the
//! cut, on top of the checksum that the chain has. A *report* is a replica's signature over the Merkle root
//! of one or more entries; of one entry the root is the entry's own hash. A *certificate* is an entry with a
//! quorum of reports:
//!
//! ```text
//! entry hash = keccak256(abi.encode(uint32 partition, uint64 epoch, uint32 round, bytes32 previous,
//!                                   bytes32 checksum, uint64 events, uint64 volume, bytes32 custody))
//! report     = EIP-712 Report(bytes32 root), domain {name "weir", version "1", chainId, coordinator}
//! ```
//!
//! *Who must sign.* Members act from `since_epoch` on and the previous members before it. A seal covers all
//! epochs since the last sealed one, and what was `stored` in an epoch is known only to that epoch's set. So
//! a quorum of the previous members is needed if an epoch of theirs is not sealed yet (`sealed_epoch + 1 <
//! since_epoch`), and one of the members if the entry reaches an epoch of theirs (`epoch >= since_epoch`).
//! Since the chain installs no further set before an epoch of the present one is sealed, there are never more
//! than these two.

use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::fact::Fact;
use super::refusal::Refusal;
use super::seats::{SEATS, Seats};
use super::state::{Partition, State};
use crate::ids::{Address, BrokerIndex, Epoch, Hash, PartitionId};
use crate::typed_data::{WordHasher, domain_separator, signing_hash};

/// What is sealed: one epoch of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch; everything since the last sealed one is sealed with it.
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
    /// Reserved, zero.
    pub custody: Hash,
}

/// An entry with its reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Certificate {
    /// What is sealed.
    pub entry: Entry,
    /// The reports: signatures as r, s, v of 32, 32 and 1 bytes, of distinct members.
    pub signatures: Vec<[u8; 65]>,
}

impl Entry {
    /// The hash of the entry; of a single entry it is the root that a report signs.
    pub fn hash(&self) -> Hash {
        WordHasher::new()
            .uint(self.partition.0)
            .uint(self.epoch)
            .uint(self.round)
            .word(&self.previous.0)
            .word(&self.checksum.0)
            .uint(self.events)
            .uint(self.volume)
            .word(&self.custody.0)
            .finish()
    }
}

/// What a replica signs to report `root`: the EIP-712 signing hash of `Report(bytes32 root)` under the
/// coordinator's domain.
pub fn report_signing_hash(chain_id: u64, coordinator: &Address, root: &Hash) -> Hash {
    let report = WordHasher::of_type(b"Report(bytes32 root)").word(&root.0).finish();
    signing_hash(&domain_separator(chain_id, coordinator), &report)
}

/// The sets that must each give a quorum to seal `epoch`, oldest first; none if the epoch is sealed already
/// or the partition is not founded.
pub fn needed_sets(partition: &Partition, epoch: Epoch) -> Vec<Seats> {
    if !partition.founded || epoch <= partition.sealed_epoch {
        return Vec::new();
    }
    let previous = (partition.sealed_epoch + 1 < partition.since_epoch).then_some(partition.previous_members);
    let current = (epoch >= partition.since_epoch).then_some(partition.members);
    previous.into_iter().chain(current).collect()
}

/// The epoch of an entry is over, within the window, and its checksum rolls on from the stored one.
pub(super) fn check_entry(state: &State, entry: &Entry) -> Result<(), Refusal> {
    let Entry { partition: id, epoch, previous, custody, .. } = *entry;
    let partition = state.known_partition(id)?;
    if !partition.founded {
        return Err(Refusal::NotFounded { partition: id });
    }
    if epoch <= partition.sealed_epoch {
        return Err(Refusal::AlreadySealed { partition: id, epoch, sealed_epoch: partition.sealed_epoch });
    }
    super::succession::check(state, epoch)?;
    let (current_epoch, window_epochs) = (state.epoch(), state.params.window_epochs);
    if epoch >= current_epoch {
        return Err(Refusal::EpochNotOver { partition: id, epoch, current_epoch });
    }
    if current_epoch - epoch > window_epochs {
        return Err(Refusal::WindowClosed { partition: id, epoch, current_epoch, window_epochs });
    }
    if previous != partition.checksum {
        let stored = partition.checksum;
        return Err(Refusal::PreviousMismatch { partition: id, given: previous, stored });
    }
    if !custody.is_zero() {
        return Err(Refusal::CustodyNotZero { partition: id, custody });
    }
    Ok(())
}

/// The signers of an entry that passed [`check_entry`], ascending: distinct brokers of the needed sets, a
/// quorum of each.
pub(super) fn check_signers(
    state: &State,
    entry: &Entry,
    signers: &[Option<Address>],
) -> Result<Vec<BrokerIndex>, Refusal> {
    let Entry { partition, epoch, .. } = *entry;
    if signers.len() > SEATS {
        return Err(Refusal::TooManySignatures { partition, given: signers.len(), maximum: SEATS });
    }
    let needed = state.needed_sets(partition, epoch);
    let mut brokers: Vec<BrokerIndex> = Vec::with_capacity(signers.len());
    for (position, signer) in signers.iter().enumerate() {
        let signer = signer.ok_or(Refusal::InvalidSignature { partition, position })?;
        let member = |index: &BrokerIndex| needed.iter().any(|set| set.contains(*index));
        let stranger = Refusal::SignerNotMember { partition, epoch, signer };
        let index = state.broker_index(signer).filter(member).ok_or(stranger)?;
        match brokers.binary_search(&index) {
            Ok(_) => return Err(Refusal::DuplicateSigner { partition, index }),
            Err(place) => brokers.insert(place, index),
        }
    }
    for members in needed {
        let (signers, quorum) =
            (brokers.iter().filter(|index| members.contains(**index)).count(), state.quorum());
        if signers < quorum {
            return Err(Refusal::QuorumNotReached { partition, epoch, members, signers, quorum });
        }
    }
    assert!(brokers.len() >= state.quorum(), "an entry that is not sealed yet needs a set");
    Ok(brokers)
}

/// The fact of an accepted entry.
pub(super) fn sealed(entry: &Entry, signers: Vec<BrokerIndex>, reward: u128) -> Fact {
    let Entry { partition, epoch, round, checksum, events, volume, .. } = *entry;
    let signers = Seats::of_brokers(signers);
    Fact::PartitionSealed { partition, epoch, round, checksum, events, volume, signers, reward }
}
