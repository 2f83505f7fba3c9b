//! A shard as others see it: what it holds, for status and tests, and what decides its next step.

use alloc::vec::Vec;
use core::fmt;

use super::Shard;
use crate::hash::sha256;
use crate::ids::{Epoch, Hash, LaneId, PartitionId};

/// One partition as a broker holds it, for status and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The partition.
    pub partition: PartitionId,
    /// Epoch of the last cut adopted here.
    pub sealed_epoch: Epoch,
    /// Its checksum.
    pub checksum: Hash,
    /// Whether it answers readers.
    pub serves: bool,
    /// Heads on disk, sealed or not, of lanes that may still grow: lane and events.
    pub lanes: Vec<(LaneId, u64)>,
    /// Events on disk that are not sealed yet.
    pub unsealed_events: u64,
}

impl Shard {
    /// Every partition that this broker holds, in order.
    pub fn summaries(&self) -> impl Iterator<Item = Summary> + '_ {
        let held = self.machines.partitions.iter().filter(|(_, (replica, _))| !replica.has_left());
        held.map(|(id, (replica, _))| Summary {
            partition: id,
            sealed_epoch: replica.sealed_epoch,
            checksum: replica.checksum,
            serves: replica.may_serve(&self.view),
            lanes: replica.lanes.iter().map(|(lane, l)| (*lane, l.durable_head().next_sequence)).collect(),
            unsealed_events: replica
                .lanes
                .values()
                .map(|lane| lane.durable_head().next_sequence - lane.sealed.next_sequence)
                .sum(),
        })
    }

    /// A hash over what this broker holds: equal states have equal digests.
    pub fn digest(&self) -> Hash {
        self.summaries().fold(sha256(&[&self.me.0, &self.view.height.to_be_bytes()]), |digest, s| {
            let lanes = s
                .lanes
                .iter()
                .fold(digest, |digest, (lane, next)| sha256(&[&digest.0, &lane.0, &next.to_be_bytes()]));
            sha256(&[&lanes.0, &s.partition.0.to_be_bytes(), &s.sealed_epoch.to_be_bytes(), &s.checksum.0])
        })
    }
}

impl fmt::Debug for Shard {
    /// Everything that decides what it does next under its rules. The chain is named by its height: all of it would
    /// bury the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { me, view, ledger, machines, my_index: _, rules: _, share: _, marks: _ } = self;
        f.debug_tuple("Shard").field(me).field(&view.height).field(ledger).field(machines).finish()
    }
}
