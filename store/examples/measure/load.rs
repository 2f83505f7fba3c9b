//! The load: what a broker's committer is given, with several partitions and many lanes interleaved.
//!
//! Each write holds one batch and the row of its mark, as a replica writes them. Every so often an epoch
//! ends: the marks go, each lane's row is set, and a cut is added for each partition.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use weir_kernel::ids::{Address, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::{Record, StoredBatch, Table};

/// Content of an event with what its batch adds to it, in bytes.
pub const EVENT_BYTES: usize = 100;
/// A header and its signature, in bytes.
const HEADER_BYTES: usize = 300;
/// Time from the first to the last event of a batch.
const SPAN_MS: u64 = 50;
/// Batches in an epoch.
const EPOCH_BATCHES: u64 = 8_192;

/// What is written.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Network partitions.
    pub partitions: u32,
    /// Streams a partition, with one stream partition each.
    pub streams: u32,
    /// Lanes a stream.
    pub lanes: u32,
    /// Events a batch.
    pub events: u32,
}

impl Shape {
    /// Hundreds of lanes over a few partitions.
    pub fn interleaved(events: u32) -> Self {
        Self { partitions: 4, streams: 8, lanes: 8, events }
    }

    fn lanes_in_all(self) -> u64 {
        u64::from(self.partitions) * u64::from(self.streams) * u64::from(self.lanes)
    }

    /// The stream partition that the first lane of a partition writes to.
    pub fn slot(stream: u32) -> StreamPartition {
        let mut id = [7; 20];
        id[..4].copy_from_slice(&stream.to_be_bytes());
        StreamPartition { stream: StreamId(id), partition: 0 }
    }
}

/// Makes the writes of a shape, one after another.
pub struct Load {
    shape: Shape,
    template: Vec<u8>,
    next: u64,
    marks: VecDeque<Vec<u8>>,
    run: u8,
}

/// Start of the first event, in milliseconds since 1970.
const START_MS: u64 = 1_800_000_000_000;

impl Load {
    /// The load from its first write on. `run` tells lanes of one opening from those of the next.
    pub fn new(shape: Shape, run: u8) -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let length = HEADER_BYTES + shape.events as usize * EVENT_BYTES;
        let noise = (0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        Self { shape, template: noise.collect(), next: 0, marks: VecDeque::new(), run }
    }

    /// Bytes of one batch.
    pub fn batch_bytes(&self) -> usize {
        self.template.len()
    }

    /// The records of the next write, and the events in it.
    pub fn next_write(&mut self) -> (Vec<Record>, u64) {
        let number = self.next;
        self.next += 1;
        let (lane, round) = (number % self.shape.lanes_in_all(), number / self.shape.lanes_in_all());
        let partition = (lane % u64::from(self.shape.partitions)) as u32;
        let stream = (lane / u64::from(self.shape.partitions) % u64::from(self.shape.streams)) as u32;
        let id = self.lane(lane).0;
        let (sequence, count) = (round * u64::from(self.shape.events), self.shape.events);
        // A round of all lanes takes 100 ms, and a batch spans half of it, so that lanes overlap.
        let first_time_ms = Self::start_ms(self.run) + round * 100 + lane % 50;
        let key = [&partition.to_be_bytes()[..], &id, &(sequence + u64::from(count)).to_be_bytes()].concat();
        self.template[..8].copy_from_slice(&first_time_ms.to_be_bytes());
        self.template[8..12].copy_from_slice(&count.to_be_bytes());
        let batch = Record::Batch(StoredBatch {
            partition: PartitionId(partition),
            index: u64::from(self.run) << 40 | (number + 1),
            slot: Shape::slot(stream * self.shape.partitions + partition),
            lane: LaneId(id),
            origin: Address([id[0]; 20]),
            sequence,
            count,
            first_time_ms,
            last_time_ms: first_time_ms + if count > 1 { SPAN_MS } else { 0 },
            bytes: self.template.as_slice().into(),
        });
        let mark = Record::Put { table: Table::Mark, key: key.clone(), value: vec![number as u8; 300] };
        let mut records = vec![batch, mark];
        self.marks.push_back(key);
        if number % EPOCH_BATCHES == EPOCH_BATCHES - 1 {
            self.seal(&mut records);
        }
        (records, u64::from(count))
    }

    /// Before every event of a run and after all of the run before it, in milliseconds since 1970.
    pub fn start_ms(run: u8) -> u64 {
        START_MS + u64::from(run) * 1_000_000_000
    }

    /// Lane ids are spread as hashes are.
    fn lane(&self, number: u64) -> LaneId {
        let mut id = [self.run; 32];
        id[..8].copy_from_slice(&(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        LaneId(id)
    }

    fn seal(&mut self, records: &mut Vec<Record>) {
        let epoch = self.next / EPOCH_BATCHES;
        let lanes: BTreeSet<Vec<u8>> = self.marks.iter().map(|key| key[..36].to_vec()).collect();
        // A cut names the lanes that grew.
        let cut_bytes = 100 * lanes.len() / self.shape.partitions as usize;
        let rows = lanes.into_iter().map(|key| Record::Put { table: Table::Lane, key, value: vec![3; 350] });
        records.extend(rows);
        records.extend(self.marks.drain(..).map(|key| Record::Remove { table: Table::Mark, key }));
        for partition in 0..self.shape.partitions {
            let key = [&partition.to_be_bytes()[..], &epoch.to_be_bytes()].concat();
            let value = vec![4; cut_bytes];
            records.push(Record::Put { table: Table::Cut, key, value });
        }
    }
}

/// Times of the events of a batch of the load, spread evenly over its span.
pub fn times(bytes: &Arc<[u8]>) -> Result<Vec<u64>, String> {
    let (first, rest) = bytes.split_first_chunk().ok_or("a batch begins with its time")?;
    let count = rest.first_chunk().ok_or("a batch says how many events it has")?;
    let (first, count) = (u64::from_be_bytes(*first), u64::from(u32::from_be_bytes(*count)));
    Ok((0..count).map(|event| first + event * SPAN_MS / (count - 1).max(1)).collect())
}
