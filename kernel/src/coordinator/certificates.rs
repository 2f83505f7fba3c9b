//! Certificates: how epochs of partitions are sealed (WP 2.4.6, 2.4.7).
//!
//! A *certificate* is a few [entries](super::entry), of distinct partitions in rising order, and reports over all of
//! them: a quorum of each. Most have one entry; whoever leads several partitions with the same members has them signed
//! and submitted together.
//!
//! *Who must sign.* Members act from `since_epoch` on and the previous members before it. A seal covers all
//! epochs since the last sealed one, and what was `stored` in an epoch is known only to that epoch's set. So
//! a quorum of the previous members is needed if an epoch of theirs is not sealed yet (`sealed_epoch + 1 <
//! since_epoch`), and one of the members if the entry reaches an epoch of theirs (`epoch >= since_epoch`).
//! Since the chain installs no further set before an epoch of the present one is sealed, there are never more
//! than these two.
//!
//! *What is refused.* The first of these that holds, in this order: the number of entries; the number of signatures;
//! each entry by itself; each signature by itself; then for each entry its signers, ascending, and the quorum of the
//! previous members, then of the members.
//!
//! *What is stale.* An entry of a sealed epoch, or on top of another checksum than the chain's, makes its certificate
//! stale: the root that was signed is over all entries, and the chain knows the checksum that an entry rolls on from
//! only while that is the present one. A stale certificate is refused when it is alone and skipped when the call has
//! more, so that two submitters do not undo each other's lists. Whoever bundles submits again what was not sealed.

use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::call::{MAXIMUM_LIST, SignedCertificate};
use super::entry::{self, Entry};
use super::fact::Fact;
use super::refusal::Refusal;
use super::seats::{SEATS, Seats};
use super::state::State;
use super::{Partition, succession};
use crate::ids::{Address, BrokerIndex, Epoch, Hash, PartitionId};

/// The most entries of a certificate.
pub const MAXIMUM_ENTRIES: usize = MAXIMUM_LIST;

/// Entries with their reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Certificate {
    /// What is sealed, rising by partition.
    pub entries: Vec<Entry>,
    /// The reports: signatures as r, s, v of 32, 32 and 1 bytes, of distinct members.
    pub signatures: Vec<[u8; 65]>,
}

impl Certificate {
    /// The root that its signatures are over.
    pub fn root(&self) -> Hash {
        root(&self.entries)
    }
}

/// The root over entries, of which there is at least one.
pub fn root(entries: &[Entry]) -> Hash {
    let leaves: Vec<Hash> = entries.iter().map(Entry::hash).collect();
    entry::root(&leaves)
}

/// The sets that must each give a quorum to seal an epoch: vacant where none is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeededSets {
    /// The previous members, if an epoch of theirs is not sealed.
    pub former: Seats,
    /// The members, if the epoch is theirs.
    pub members: Seats,
}

impl NeededSets {
    /// Those of `epoch` in a partition; none if it is sealed already or the partition is not founded.
    pub fn of(partition: &Partition, epoch: Epoch) -> Self {
        if !partition.founded || epoch <= partition.sealed_epoch {
            return Self::default();
        }
        let only_if = |needed: bool, set: Seats| if needed { set } else { Seats::VACANT };
        let is_former_open = partition.sealed_epoch + 1 < partition.since_epoch;
        Self {
            former: only_if(is_former_open, partition.previous_members),
            members: only_if(epoch >= partition.since_epoch, partition.members),
        }
    }

    /// The sets that are needed, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Seats> + use<> {
        [self.former, self.members].into_iter().filter(|set| !set.is_empty())
    }
}

/// The sets that must each give a quorum to seal `epoch`, oldest first.
pub fn needed_sets(partition: &Partition, epoch: Epoch) -> Vec<Seats> {
    NeededSets::of(partition, epoch).iter().collect()
}

/// Whether a refusal means that another certificate was there first.
pub(super) fn is_stale(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::AlreadySealed { .. } | Refusal::PreviousMismatch { .. })
}

/// Numbers are within bounds, and each entry can be sealed by itself.
pub(super) fn check_entries(state: &State, certificate: &SignedCertificate) -> Result<(), Refusal> {
    let SignedCertificate { entries, signers } = certificate;
    let (length, maximum) = (entries.len(), MAXIMUM_ENTRIES);
    if length == 0 || length > maximum {
        return Err(Refusal::EntriesOutOfRange { length, maximum });
    }
    if signers.len() > SEATS {
        let (partition, given) = (entries[0].partition, signers.len());
        return Err(Refusal::TooManySignatures { partition, given, maximum: SEATS });
    }
    let mut before: Option<PartitionId> = None;
    for entry in entries {
        if before.is_some_and(|before| entry.partition <= before) {
            return Err(Refusal::EntriesNotAscending { partition: entry.partition });
        }
        before = Some(entry.partition);
        check_entry(state, entry)?;
    }
    Ok(())
}

/// The epoch of an entry is over, within the window, and its checksum rolls on from the stored one. The chain compares
/// only the hint; where another checksum has the same one it finds strangers instead of signers.
fn check_entry(state: &State, entry: &Entry) -> Result<(), Refusal> {
    let Entry { partition: id, epoch, previous, .. } = *entry;
    let partition = state.known_partition(id)?;
    if !partition.founded {
        return Err(Refusal::NotFounded { partition: id });
    }
    if epoch <= partition.sealed_epoch {
        return Err(Refusal::AlreadySealed { partition: id, epoch, sealed_epoch: partition.sealed_epoch });
    }
    succession::check(state, epoch)?;
    let (current_epoch, window_epochs) = (state.epoch(), state.params.window_epochs);
    if epoch >= current_epoch {
        return Err(Refusal::EpochNotOver { partition: id, epoch, current_epoch });
    }
    if current_epoch - epoch > window_epochs {
        return Err(Refusal::WindowClosed { partition: id, epoch, current_epoch, window_epochs });
    }
    if previous != partition.checksum {
        let (hint, stored) = (entry::hint(&previous), partition.checksum);
        return Err(Refusal::PreviousMismatch { partition: id, hint, stored });
    }
    Ok(())
}

/// The signers of a certificate that passed [`check_entries`], ascending: distinct brokers, each of a needed set of
/// every entry, and for each entry a quorum of every needed set.
pub(super) fn check_signers(
    state: &State,
    certificate: &SignedCertificate,
) -> Result<Vec<BrokerIndex>, Refusal> {
    let first = certificate.entries.first().expect("a certificate has an entry");
    let brokers = distinct(state, first, &certificate.signers)?;
    for Entry { partition, epoch, .. } in certificate.entries.iter().copied() {
        let needed = state.needed_sets(partition, epoch);
        let stranger = brokers.iter().find(|index| needed.iter().all(|set| !set.contains(**index)));
        if let Some(signer) = stranger.and_then(|index| state.address_of(*index)) {
            return Err(Refusal::SignerNotMember { partition, epoch, signer });
        }
        for members in needed {
            let signers = brokers.iter().filter(|index| members.contains(**index)).count();
            let quorum = state.quorum();
            if signers < quorum {
                return Err(Refusal::QuorumNotReached { partition, epoch, members, signers, quorum });
            }
        }
    }
    assert!(brokers.len() >= state.quorum(), "an entry that is not sealed yet needs a set");
    Ok(brokers)
}

/// The brokers whose accounts signed, ascending; refusals name the first entry's partition.
fn distinct(state: &State, first: &Entry, signers: &[Option<Address>]) -> Result<Vec<BrokerIndex>, Refusal> {
    let Entry { partition, epoch, .. } = *first;
    let mut brokers: Vec<BrokerIndex> = Vec::with_capacity(signers.len());
    for (position, signer) in signers.iter().enumerate() {
        let signer = signer.ok_or(Refusal::InvalidSignature { partition, position })?;
        let stranger = Refusal::SignerNotMember { partition, epoch, signer };
        let index = state.broker_index(signer).ok_or(stranger)?;
        match brokers.binary_search(&index) {
            Ok(_) => return Err(Refusal::DuplicateSigner { partition, index }),
            Err(place) => brokers.insert(place, index),
        }
    }
    Ok(brokers)
}

/// The fact of an accepted certificate.
pub(super) fn sealed(entries: &[Entry], signers: Seats) -> Fact {
    Fact::PartitionsSealed { signers, entries: entries.iter().map(Entry::sealed).collect() }
}
