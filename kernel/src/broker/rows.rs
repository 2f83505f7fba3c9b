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
    /// This broker left the partition and gives back what it holds: other rows of it may be there, and count for
    /// nothing.
    pub leaving: bool,
    /// Batches with an append index up to this were given back, whether the log has dropped them yet or not; 0 for
    /// none.
    pub left_index: u64,
}

impl PartitionRow {
    /// Reads the row; `None` if it is none. A broker that was last run by a program under which nobody left a partition
    /// wrote it without the last two fields, and goes on with all that it has.
    pub fn read(value: &[u8]) -> Option<Self> {
        wire::decode_row(value).or_else(|| wire::decode_row(&[value, &NOTHING_LEFT].concat()))
    }
}

/// What [`PartitionRow`] ends with where nothing was ever left.
const NOTHING_LEFT: [u8; 2] = [0; 2];

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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(leaving: bool, left_index: u64) -> PartitionRow {
        PartitionRow {
            sealed_epoch: 5,
            checksum: Hash([7; 32]),
            cut_epoch: 4,
            open_epoch: 6,
            quarantine: Some(300),
            leaving,
            left_index,
        }
    }

    #[test]
    fn a_partitions_row_is_read_as_it_was_written() {
        for row in [row(false, 0), row(true, 0), row(false, 1 << 60), row(true, u64::MAX)] {
            let bytes = wire::encode_row(&row);
            assert_eq!(PartitionRow::read(&bytes), Some(row));
            assert_eq!(PartitionRow::read(&[&bytes[..], &[0]].concat()), None);
        }
    }

    #[test]
    fn a_row_from_before_anybody_left_is_read_as_of_one_who_did_not() {
        let bytes = wire::encode_row(&row(false, 0));
        let earlier = &bytes[..bytes.len() - NOTHING_LEFT.len()];
        // Epochs 5, 4 and 6, a checksum, and a quarantine up to epoch 300.
        assert_eq!(earlier, [&[5][..], &[7; 32], &[4, 6, 1, 251, 44, 1]].concat());
        assert_eq!(PartitionRow::read(earlier), Some(row(false, 0)));
        for cut in 0..earlier.len() {
            assert_eq!(PartitionRow::read(&earlier[..cut]), None, "{cut} bytes");
        }
        assert_eq!(PartitionRow::read(&bytes[..bytes.len() - 1]), None, "it is torn");
    }
}
