//! Partitions as the coordinator keeps them.

use super::score;
use super::seats::{Counts, Seats};
use super::tallies::Tally;
use crate::ids::{Epoch, Hash, PartitionId};

/// A partition: who should sit there, who does, and what is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its key in scores.
    pub key: u64,
    /// The seats that useful changes lead to.
    pub target: Seats,
    /// For each seat of the target, the broker whose account proposed who sits there; nobody if it was no broker's.
    pub sponsors: Seats,
    /// The epoch in which the target last changed; 0 while all brokers of the target are members, so that a seal need
    /// not look at it.
    pub target_changed_epoch: Epoch,
    /// The members from `since_epoch` on, with ticket 0.
    pub members: Seats,
    /// The members before that.
    pub previous_members: Seats,
    /// The first epoch of `members`.
    pub since_epoch: Epoch,
    /// The last sealed epoch.
    pub sealed_epoch: Epoch,
    /// The rolling checksum at that epoch.
    pub checksum: Hash,
    /// Events sealed so far. The contract keeps no such total: it is in the logs.
    pub events: u128,
    /// Content bytes sealed so far; as `events`.
    pub volume: u128,
    /// Who of the members signed how many seals since the last settlement.
    pub tally: Tally,
    /// A bit for each seat that did not sign the last seal, of the set that was rated for it.
    pub absent: u8,
    /// For each seat, how many seals its member may still miss before it signed one; 0 once it did.
    pub probation: Counts,
    /// Whether it ever had members.
    pub founded: bool,
    /// The first epoch of its first members; 0 before that.
    pub founded_epoch: Epoch,
}

impl Partition {
    pub(super) fn vacant(id: PartitionId) -> Self {
        Self {
            key: score::partition_key(id),
            target: Seats::VACANT,
            sponsors: Seats::VACANT,
            target_changed_epoch: 0,
            members: Seats::VACANT,
            previous_members: Seats::VACANT,
            since_epoch: 0,
            sealed_epoch: 0,
            checksum: Hash::ZERO,
            events: 0,
            volume: 0,
            tally: Tally::default(),
            absent: 0,
            probation: Counts::default(),
            founded: false,
            founded_epoch: 0,
        }
    }

    /// The set that the last seal was rated by: that of the sealed epoch.
    pub fn rated_set(&self) -> Seats {
        if self.sealed_epoch >= self.since_epoch { self.members } else { self.previous_members }
    }

    /// Whether every broker of the target is a member, so that nobody waits to be installed.
    pub fn is_settled(&self) -> bool {
        self.target.brokers().all(|broker| self.members.contains(broker))
    }
}
