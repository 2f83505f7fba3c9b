//! Rows on disk: any bytes are a row or are not; a row comes back as it was written.

use std::fmt::Debug;

use weir_kernel::agreement::{Cut, Fork, LaneHead};
use weir_kernel::broker::lane::Mark;
use weir_kernel::broker::rows::{LaneRow, PartitionRow, ReportRow, split_lane_key, split_partition_key};
use weir_kernel::coordinator::{Fact, Intent};
use weir_kernel::ids::Address;
use weir_kernel::log::{Checkpoint, Chunk, Query, Record};
use weir_kernel::wire::{decode_row, encode_row};

use bincode::{Decode, Encode};

/// The first byte says what row the rest is.
pub fn row(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 14 {
        0 => round_trip::<PartitionRow>(bytes),
        1 => round_trip::<LaneRow>(bytes),
        2 => round_trip::<ReportRow>(bytes),
        3 => round_trip::<Mark>(bytes),
        4 => cut(bytes),
        5 => round_trip::<Fork>(bytes),
        6 => round_trip::<Record>(bytes),
        7 => round_trip::<Checkpoint>(bytes),
        8 => round_trip::<Chunk>(bytes),
        9 => round_trip::<Query>(bytes),
        10 => round_trip::<Fact>(bytes),
        11 => round_trip::<Intent>(bytes),
        12 => round_trip::<Address>(bytes),
        _ => keys(bytes),
    }
}

fn round_trip<T: Decode<()> + Encode + PartialEq + Debug>(bytes: &[u8]) {
    let Some(value) = decode_row::<T>(bytes) else { return };
    let written = encode_row(&value);
    assert_eq!(decode_row::<T>(&written).as_ref(), Some(&value), "a row comes back as it was written");
    assert!(written.len() <= bytes.len(), "what is written is the shortest encoding");
}

/// A cut's derived values hold for whatever decodes.
fn cut(bytes: &[u8]) {
    round_trip::<Cut>(bytes);
    let Some(cut) = decode_row::<Cut>(bytes) else { return };
    let found = |head: &LaneHead| cut.head(&head.lane) == Some(head);
    if cut.is_canonical() {
        assert!(cut.heads.iter().all(found), "a canonical cut finds its heads");
        assert!(cut.forks.iter().all(Fork::is_proof));
    }
    assert_eq!(cut.checksum(), cut.clone().checksum());
}

fn keys(bytes: &[u8]) {
    let partition = split_partition_key(bytes);
    assert_eq!(partition.is_some(), bytes.len() >= 4);
    if let Some((found, lane)) = split_lane_key(bytes) {
        assert_eq!((Some(found), &lane.0[..]), (partition, &bytes[4..36]));
    }
}
