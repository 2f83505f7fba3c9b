//! Rows of the small tables: what a broker remembers across a restart, beside its batches.
//!
//! | table | key (integers big-endian) | value |
//! | --- | --- | --- |
//! | `Marker` | partition u32 | [`PartitionRow`] |
//! | `Lane` | partition u32, lane \[32\] | [`LaneRow`] |
//! | `Mark` | partition u32, lane \[32\], next sequence u64 | [`Mark`](super::lane::Mark) |
//! | `Report` | partition u32, epoch u64, round u32, previous \[32\] | [`ReportRow`] |
//! | `Cut` | partition u32, epoch u64 | [`Cut`] |
//! | `Evidence` | partition u32, lane \[32\] | [`Fork`](crate::agreement::Fork) |
//! | `Evidence` | partition u32, broker \[20\], epoch u64, round u32, previous \[32\] | [`Misconduct`](super::duties::misconduct::Misconduct) |
//!
//! Values are in the frame codec ([`crate::wire`]).

use alloc::vec::Vec;

use bincode::{Decode, Encode};

use crate::agreement::{Cut, LaneHead};
use crate::batch::SignedHeader;
use crate::coordinator::Entry;
use crate::ids::{Address, Epoch, Hash, LaneId, PartitionId, StreamPartition};
use crate::log::{Record, Table};
use crate::wire;

/// What a replica remembers of a partition as a whole. Its presence is the continuity marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PartitionRow {
    /// The last epoch that is sealed as far as this replica has followed the chain.
    pub sealed_epoch: Epoch,
    /// The checksum of the last sealed cut adopted here.
    pub checksum: Hash,
    /// The epoch of that cut itself: lower than `sealed_epoch` if the quorum was lost since.
    pub cut_epoch: Epoch,
    /// The lowest epoch in which this replica may still acknowledge: closing heads of all earlier ones are fixed.
    pub open_epoch: Epoch,
    /// Nothing is signed until the chain has sealed this epoch or a later one: the store lost its memory.
    pub quarantine: Option<Epoch>,
    /// This broker left the partition and gives back what it holds: other rows may be left of it, and count for nothing.
    pub leaving: bool,
    /// Batches with an append index up to this were given back, whether the log has dropped them yet or not; 0 for none.
    pub left_index: u64,
}

/// What a replica remembers of a lane that was sealed at least once, or closed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaneRow {
    /// Where it lives.
    pub slot: StreamPartition,
    /// Who publishes it.
    pub origin: Address,
    /// The block that its validity is judged at.
    pub opening_block: u64,
    /// Its sealed head.
    pub sealed: LaneHead,
    /// The epoch of the cut that names it.
    pub sealed_epoch: Epoch,
    /// The header that the sealed head names.
    pub sealed_header: Option<SignedHeader>,
    /// A sealed cut names its fork.
    pub closed: bool,
}

/// A report that was signed, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReportRow {
    /// What was reported.
    pub entry: Entry,
    /// The cut under it.
    pub cut: Cut,
}

/// The identity under which at most one report is ever signed.
pub type ReportKey = (Epoch, u32, Hash);

/// A row to set.
pub fn put(table: Table, key: Vec<u8>, value: &impl Encode) -> Record {
    Record::Put { table, key, value: wire::encode_row(value) }
}

/// Key of a partition's own row.
pub fn partition_key(partition: PartitionId) -> Vec<u8> {
    partition.0.to_be_bytes().to_vec()
}

/// Key of a mark.
pub fn mark_key(partition: PartitionId, lane: &LaneId, next_sequence: u64) -> Vec<u8> {
    [&partition.0.to_be_bytes()[..], &lane.0, &next_sequence.to_be_bytes()].concat()
}

/// Key of a signed report.
pub fn report_key(partition: PartitionId, (epoch, round, previous): &ReportKey) -> Vec<u8> {
    [&partition.0.to_be_bytes()[..], &epoch.to_be_bytes(), &round.to_be_bytes(), &previous.0].concat()
}

/// Key of a sealed cut.
pub fn cut_key(partition: PartitionId, epoch: Epoch) -> Vec<u8> {
    [&partition.0.to_be_bytes()[..], &epoch.to_be_bytes()].concat()
}

/// The partition and the lane that a key starts with.
pub fn split_lane_key(key: &[u8]) -> Option<(PartitionId, LaneId)> {
    let partition = PartitionId(u32::from_be_bytes(key.get(..4)?.try_into().ok()?));
    Some((partition, LaneId(key.get(4..36)?.try_into().ok()?)))
}

/// The partition that a key starts with.
pub fn split_partition_key(key: &[u8]) -> Option<PartitionId> {
    Some(PartitionId(u32::from_be_bytes(key.get(..4)?.try_into().ok()?)))
}
