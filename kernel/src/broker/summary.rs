//! What a broker shows of itself.

use alloc::vec::Vec;

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
