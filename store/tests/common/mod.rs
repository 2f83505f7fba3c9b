//! What the suites share: a small batch format, a naive model, and ways to ask.
#![allow(dead_code, reason = "each suite uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_kernel::ids::{Address, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::{Chunk, Position, Query, Record, StoredBatch, Table};
use weir_store::LogError;

/// Lane [32], sequence u64, count u32, count times u64, padding.
pub fn fake_bytes(lane: LaneId, sequence: u64, times: &[u64], padding: usize) -> Arc<[u8]> {
    let mut bytes = lane.0.to_vec();
    bytes.extend(sequence.to_be_bytes());
    bytes.extend((times.len() as u32).to_be_bytes());
    bytes.extend(times.iter().flat_map(|time| time.to_be_bytes()));
    // Noise that does not compress, so that files grow by what is written.
    let mut state = sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    bytes.extend((0..padding).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    }));
    bytes.into()
}

/// Lane, first sequence and times of a fake batch.
pub fn parse(bytes: &[u8]) -> (LaneId, u64, Vec<u64>) {
    let lane = LaneId(bytes[..32].try_into().expect("32 bytes"));
    let sequence = u64::from_be_bytes(bytes[32..40].try_into().expect("8 bytes"));
    let count = u32::from_be_bytes(bytes[40..44].try_into().expect("4 bytes")) as usize;
    let times = bytes[44..].chunks_exact(8).take(count);
    (lane, sequence, times.map(|time| u64::from_be_bytes(time.try_into().expect("8 bytes"))).collect())
}

pub fn fake_times(bytes: &Arc<[u8]>) -> Result<Vec<u64>, String> {
    Ok(parse(bytes).2)
}

pub fn lane(number: u8) -> LaneId {
    LaneId([number; 32])
}

pub fn slot(number: u8) -> StreamPartition {
    StreamPartition { stream: StreamId([9; 20]), partition: u32::from(number) }
}

/// A batch of lane `number` in partition 1, slot 0.
pub fn batch(index: u64, number: u8, sequence: u64, times: &[u64], padding: usize) -> StoredBatch {
    StoredBatch {
        partition: PartitionId(1),
        index,
        slot: slot(0),
        lane: lane(number),
        origin: Address([number; 20]),
        sequence,
        count: times.len() as u32,
        first_time_ms: times[0],
        last_time_ms: times[times.len() - 1],
        bytes: fake_bytes(lane(number), sequence, times, padding),
    }
}

pub fn range_all() -> Query {
    Query::Range {
        partition: PartitionId(1),
        slot: slot(0),
        from: Position::default(),
        to: LAST,
        up_to_index: u64::MAX,
        origin: None,
    }
}

pub const LAST: Position = Position { timestamp_ms: u64::MAX, lane: LaneId([0xff; 32]), sequence: u64::MAX };

/// Everything that a query leads to.
#[derive(Debug, Default, PartialEq)]
pub struct Collected {
    pub events: Vec<Position>,
    pub values: Vec<Vec<u8>>,
    pub last_index: u64,
    pub chunks: usize,
}

/// Asks until the end, checking every chunk on its own.
pub fn collect(
    read: impl Fn(&Query, usize) -> Result<Chunk, LogError>,
    query: &Query,
    budget: usize,
) -> Result<Collected, LogError> {
    let mut collected = Collected::default();
    let mut next = Some(query.clone());
    while let Some(query) = next {
        let chunk = read(&query, budget)?;
        check(&chunk, &query, budget);
        for slice in &chunk.order {
            let (lane, sequence, times) = parse(&chunk.batches[slice.batch as usize]);
            for offset in slice.first..slice.first + slice.count {
                let timestamp_ms = times[offset as usize];
                collected.events.push(Position {
                    timestamp_ms,
                    lane,
                    sequence: sequence + u64::from(offset),
                });
            }
        }
        if matches!(query, Query::Rows { .. }) {
            collected.values.extend(chunk.batches.iter().map(|value| value.to_vec()));
        }
        collected.last_index = chunk.last_index;
        collected.chunks += 1;
        assert!(collected.chunks < 100_000, "the answer to {query:?} never ends");
        next = chunk.next;
    }
    Ok(collected)
}

fn check(chunk: &Chunk, query: &Query, budget: usize) {
    let bytes: usize = chunk.batches.iter().map(|batch| batch.len()).sum();
    assert!(bytes <= budget || chunk.batches.len() == 1, "{bytes} bytes for a budget of {budget}");
    assert!(chunk.next.is_none() || !chunk.batches.is_empty(), "a chunk makes progress: {query:?}");
    if matches!(query, Query::Rows { .. }) {
        assert!(chunk.order.is_empty(), "rows have no slices");
        return;
    }
    let distinct: BTreeSet<&[u8]> = chunk.batches.iter().map(|batch| &**batch).collect();
    assert_eq!(distinct.len(), chunk.batches.len(), "each batch is in a chunk once");
    let used: BTreeSet<u32> = chunk.order.iter().map(|slice| slice.batch).collect();
    assert!(
        used.into_iter().eq(0..chunk.batches.len() as u32),
        "every batch is used and every slice has one"
    );
    for pair in chunk.order.windows(2) {
        assert!(
            pair[0].batch != pair[1].batch || pair[0].first + pair[0].count != pair[1].first,
            "slices that continue each other are one"
        );
    }
}

/// The naive model: a list of batches and a map of rows.
#[derive(Clone, Default)]
pub struct Model {
    pub batches: Vec<StoredBatch>,
    pub rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    pub last_index: BTreeMap<PartitionId, u64>,
}

impl Model {
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Batch(batch) => {
                self.last_index.insert(batch.partition, batch.index);
                self.batches.push(batch.clone());
            }
            Record::Truncate { partition, lane, from } => self.batches.retain(|batch| {
                batch.partition != *partition || batch.lane != *lane || batch.sequence < *from
            }),
            Record::Put { table, key, value } => {
                self.rows.insert((*table, key.clone()), value.clone());
            }
            Record::Remove { table, key } => {
                self.rows.remove(&(*table, key.clone()));
            }
        }
    }

    /// Drops what is older than a time; returns how many batches that were.
    pub fn expire(&mut self, partition: PartitionId, slot: StreamPartition, before_ms: u64) -> u64 {
        let before = self.batches.len();
        self.batches.retain(|batch| {
            batch.partition != partition || batch.slot != slot || batch.last_time_ms >= before_ms
        });
        (before - self.batches.len()) as u64
    }

    /// What [`collect`] must give, but for the number of chunks.
    pub fn answer(&self, query: &Query) -> Collected {
        let mut answer = Collected::default();
        match query {
            Query::Range { partition, slot, from, to, up_to_index, origin } => {
                answer.events = self.events(*partition, *slot, *up_to_index, *origin);
                answer.events.retain(|event| event >= from && event <= to);
            }
            Query::Last { partition, slot, count, up_to_index } => {
                let events = self.events(*partition, *slot, *up_to_index, None);
                let skip = events.len().saturating_sub(usize::try_from(*count).unwrap_or(usize::MAX));
                answer.events = events[skip..].to_vec();
            }
            Query::Append { partition, slot, after_index } => {
                answer.last_index = *after_index;
                for batch in self.of(*partition, *slot).filter(|batch| batch.index > *after_index) {
                    answer.events.extend(events_of(batch));
                    answer.last_index = batch.index;
                }
            }
            Query::Lane { lane, from } => {
                let mut batches: Vec<_> = self.batches.iter().filter(|batch| batch.lane == *lane).collect();
                batches.retain(|batch| batch.sequence + u64::from(batch.count) > *from);
                batches.sort_by_key(|batch| batch.sequence);
                answer.events = batches.into_iter().flat_map(events_of).collect();
            }
            Query::Rows { table, prefix, after } => {
                let rows = self.rows.iter().filter(|((of, key), _)| of == table && key.starts_with(prefix));
                let rows = rows.filter(|((_, key), _)| key > after);
                answer.values = rows.map(|(_, value)| value.clone()).collect();
            }
        }
        answer
    }

    fn of(&self, partition: PartitionId, slot: StreamPartition) -> impl Iterator<Item = &StoredBatch> {
        self.batches.iter().filter(move |batch| batch.partition == partition && batch.slot == slot)
    }

    fn events(
        &self,
        partition: PartitionId,
        slot: StreamPartition,
        up_to_index: u64,
        origin: Option<Address>,
    ) -> Vec<Position> {
        let batches = self.of(partition, slot).filter(|batch| batch.index <= up_to_index);
        let batches = batches.filter(|batch| origin.is_none_or(|origin| batch.origin == origin));
        let mut events: Vec<Position> = batches.flat_map(events_of).collect();
        events.sort();
        events
    }
}

fn events_of(batch: &StoredBatch) -> Vec<Position> {
    let (lane, sequence, times) = parse(&batch.bytes);
    let places = (sequence..).zip(times);
    places.map(|(sequence, timestamp_ms)| Position { timestamp_ms, lane, sequence }).collect()
}
