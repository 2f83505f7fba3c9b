//! Signed batches for the tests of the kernel: lanes of one publisher in one stream partition.

use alloc::vec;
use alloc::vec::Vec;

use super::{Batch, LaneWriter, NewEvent, UnsignedBatch, content_type};
use crate::ids::{Address, Hash, StreamId, StreamPartition};
use crate::signature::{KEYED_HASH, keyed_hash};

/// The publisher.
pub const ORIGIN: Address = Address([5; 20]);

/// The stream partition.
pub const SLOT: StreamPartition = StreamPartition { stream: StreamId([1; 20]), partition: 2 };

/// The block at which the lanes open.
pub const OPENING_BLOCK: u64 = 3;

/// The writer of a lane that `nonce` tells from the others.
pub fn writer(nonce: u8) -> LaneWriter {
    LaneWriter::new(SLOT, ORIGIN, OPENING_BLOCK, [nonce; 16], Hash::ZERO, KEYED_HASH)
}

/// A lane's next batch, with an event at each of these times.
pub fn next(writer: &mut LaneWriter, times_ms: &[u64]) -> Batch {
    let event = |time_ms: &u64| NewEvent::new(*time_ms, content_type::TEXT, b"x");
    signed(writer.next_batch(times_ms.iter().map(event).collect()).expect("small events fit"))
}

/// The same with one event of this content.
pub fn next_saying(writer: &mut LaneWriter, time_ms: u64, content: &str) -> Batch {
    let event = NewEvent::new(time_ms, content_type::TEXT, content.as_bytes());
    signed(writer.next_batch(vec![event]).expect("one small event fits"))
}

/// The first batches of a lane, with one event each, a millisecond apart from 10 ms on.
pub fn lane(count: u64) -> Vec<Batch> {
    let mut writer = writer(0);
    (10..10 + count).map(|time_ms| next(&mut writer, &[time_ms])).collect()
}

fn signed(unsigned: UnsignedBatch) -> Batch {
    let signature = keyed_hash(&ORIGIN, &unsigned.signing_hash(1));
    unsigned.sign(signature).expect("the lane is signed with this type")
}
