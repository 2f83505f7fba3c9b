//! Random writes against the naive model, with every kind of query resumed under small budgets.

mod common;

use std::collections::BTreeMap;

use common::{Collected, LAST, Model, collect, fake_bytes, fake_times, lane, slot};
use proptest::prelude::*;
use weir_kernel::ids::{Address, LaneId, PartitionId};
use weir_kernel::log::{Checkpoint, Position, Query, Record, StoredBatch, Table};
use weir_store::{EventLog, MemoryDisk, SegmentLog, SegmentOptions, limits};

const LANES: u8 = 5;

/// One random step; numbers are reduced to what the state allows.
#[derive(Clone, Debug)]
enum Step {
    Append { lane: u8, gaps_ms: Vec<u8>, skip_index: u8, skip_sequence: bool, moves: bool },
    Truncate { lane: u8, keep: u8 },
    Put { table: u8, key: Vec<u8> },
    Remove { table: u8, key: Vec<u8> },
    Expire { partition: u8, number: u8, age_ms: u8 },
    EndWrite,
    Sync,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || proptest::collection::vec(0..3u8, 1..4);
    prop_oneof![
        12 => (0..LANES, proptest::collection::vec(0..4u8, 1..6), 0..3u8, any::<u8>(), any::<u8>()).prop_map(
            |(lane, gaps_ms, skip_index, skip, moves)| Step::Append {
                lane,
                gaps_ms,
                skip_index,
                skip_sequence: skip < 16,
                moves: moves < 16,
            }
        ),
        1 => (0..LANES, 0..6u8).prop_map(|(lane, keep)| Step::Truncate { lane, keep }),
        2 => (0..6u8, key()).prop_map(|(table, key)| Step::Put { table, key }),
        1 => (0..6u8, key()).prop_map(|(table, key)| Step::Remove { table, key }),
        1 => (0..2u8, 0..2u8, 0..20u8).prop_map(|(partition, number, age_ms)| Step::Expire {
            partition,
            number,
            age_ms,
        }),
        4 => Just(Step::EndWrite),
        2 => Just(Step::Sync),
        1 => Just(Step::Restart),
    ]
}

/// Two partitions, two slots; lane n begins in partition n % 2 and slot n / 2 % 2.
#[derive(Clone, Default)]
struct Lane {
    moved: u32,
    next_sequence: u64,
    time_ms: u64,
}

/// Turns steps into records that obey the contract.
#[derive(Clone, Default)]
struct Writer {
    model: Model,
    lanes: BTreeMap<u8, Lane>,
}

impl Writer {
    fn record(&mut self, step: &Step) -> Option<Record> {
        let record = match step {
            Step::Append { lane, gaps_ms, skip_index, skip_sequence, moves } => {
                Record::Batch(self.batch(*lane, gaps_ms, *skip_index, *skip_sequence, *moves))
            }
            Step::Truncate { lane: number, keep } => {
                let of_lane: Vec<&StoredBatch> =
                    self.model.batches.iter().filter(|batch| batch.lane == lane(*number)).collect();
                let from = of_lane.get(usize::from(*keep)).map(|batch| (batch.partition, batch.sequence));
                let (partition, from) = from.unwrap_or((PartitionId(0), 1_000_000));
                Record::Truncate { partition, lane: lane(*number), from }
            }
            Step::Put { table, key } => {
                let value = vec![*table; usize::from(key[0]) * 40];
                Record::Put { table: Table::ALL[usize::from(*table)], key: key.clone(), value }
            }
            Step::Remove { table, key } => {
                Record::Remove { table: Table::ALL[usize::from(*table)], key: key.clone() }
            }
            Step::Expire { .. } | Step::EndWrite | Step::Sync | Step::Restart => return None,
        };
        self.model.apply(&record);
        Some(record)
    }

    fn batch(&mut self, number: u8, gaps_ms: &[u8], skip_index: u8, skip: bool, moves: bool) -> StoredBatch {
        let state = self.lanes.entry(number).or_default();
        state.moved += u32::from(moves);
        state.next_sequence += if skip { 3 } else { 0 };
        let partition = PartitionId((u32::from(number) + state.moved) % 2);
        let mut times = Vec::new();
        for gap in gaps_ms {
            state.time_ms += u64::from(*gap);
            times.push(state.time_ms);
        }
        let sequence = state.next_sequence;
        state.next_sequence += times.len() as u64;
        let index = self.model.last_index.get(&partition).copied().unwrap_or(0) + 1 + u64::from(skip_index);
        StoredBatch {
            partition,
            index,
            slot: slot(number / 2 % 2),
            lane: lane(number),
            origin: Address([number % 3; 20]),
            sequence,
            count: times.len() as u32,
            first_time_ms: times[0],
            last_time_ms: times[times.len() - 1],
            bytes: fake_bytes(lane(number), sequence, &times, usize::from(skip_index) * 30),
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        let rows = self.model.rows.iter().filter(|((table, _), _)| *table != Table::Cut);
        Checkpoint {
            rows: rows.map(|((table, key), value)| (*table, key.clone(), value.clone())).collect(),
            last_index: self.model.last_index.iter().map(|(partition, index)| (*partition, *index)).collect(),
        }
    }
}

fn position() -> impl Strategy<Value = Position> {
    let any = (0..60u64, 0..LANES + 1, 0..30u64).prop_map(|(timestamp_ms, number, sequence)| Position {
        timestamp_ms,
        lane: lane(number),
        sequence,
    });
    prop_oneof![4 => any, 1 => Just(Position::default()), 1 => Just(LAST)]
}

fn query() -> impl Strategy<Value = Query> {
    let place = || (0..2u32, 0..2u8).prop_map(|(partition, number)| (PartitionId(partition), slot(number)));
    let bound = || prop_oneof![2 => Just(u64::MAX), 1 => 0..40u64];
    let origin = prop_oneof![2 => Just(None), 1 => (0..4u8).prop_map(|number| Some(Address([number; 20])))];
    let range = (place(), position(), position(), bound(), origin).prop_map(
        |((partition, slot), from, to, up_to_index, origin)| Query::Range {
            partition,
            slot,
            from,
            to,
            up_to_index,
            origin,
        },
    );
    let last = (place(), prop_oneof![4 => 0..60u64, 1 => Just(u64::MAX)], bound()).prop_map(
        |((partition, slot), count, up_to_index)| Query::Last { partition, slot, count, up_to_index },
    );
    let append = (place(), bound()).prop_map(|((partition, slot), after_index)| Query::Append {
        partition,
        slot,
        after_index,
    });
    let of_lane =
        (0..LANES + 1, 0..60u64).prop_map(|(number, from)| Query::Lane { lane: lane(number), from });
    let key = || proptest::collection::vec(0..3u8, 0..3);
    let rows = (0..6usize, key(), key()).prop_map(|(table, prefix, after)| Query::Rows {
        table: Table::ALL[table],
        prefix,
        after,
    });
    prop_oneof![4 => range, 3 => last, 2 => append, 2 => of_lane, 1 => rows]
}

fn budget() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 60..1000usize, Just(usize::MAX)]
}

/// A log that can be stopped and started; `restart` says whether unsynced writes are lost.
trait Rig {
    const LOSES_UNSYNCED: bool;
    fn restart(&mut self, log: Box<dyn EventLog>) -> Box<dyn EventLog>;
}

struct Memory(MemoryDisk);

impl Rig for Memory {
    const LOSES_UNSYNCED: bool = true;

    fn restart(&mut self, log: Box<dyn EventLog>) -> Box<dyn EventLog> {
        drop(log);
        self.0.crash();
        Box::new(self.0.open())
    }
}

struct OnDisk(tempfile::TempDir);

impl OnDisk {
    fn open(&self) -> Box<dyn EventLog> {
        let options = SegmentOptions {
            segment_bytes: limits::SEGMENT_BYTES_MINIMUM,
            layer_rows: 7,
            times: fake_times,
            ..SegmentOptions::default()
        };
        Box::new(SegmentLog::open(self.0.path(), options).expect("the log opens"))
    }
}

impl Rig for OnDisk {
    const LOSES_UNSYNCED: bool = false;

    fn restart(&mut self, log: Box<dyn EventLog>) -> Box<dyn EventLog> {
        drop(log);
        self.open()
    }
}

fn run<R: Rig>(mut rig: R, mut log: Box<dyn EventLog>, steps: &[Step], queries: &[(Query, usize)]) {
    let (mut writer, mut synced) = (Writer::default(), Writer::default());
    let (mut pending, mut written) = (Vec::new(), 0);
    for step in steps.iter().chain([&Step::EndWrite]) {
        if let Some(record) = writer.record(step) {
            pending.push(record);
            continue;
        }
        written += 1;
        log.write(written, &std::mem::take(&mut pending)).expect("records obey the contract");
        match step {
            Step::Sync => {
                assert_eq!(log.sync(), Ok(written));
                synced = writer.clone();
            }
            Step::Expire { partition, number, age_ms } => {
                let (partition, slot) = (PartitionId(u32::from(*partition)), slot(*number));
                let newest = writer.lanes.values().map(|lane| lane.time_ms).max().unwrap_or(0);
                let before_ms = newest.saturating_sub(u64::from(*age_ms));
                let wanted = writer.model.expire(partition, slot, before_ms);
                assert_eq!(log.expire(partition, slot, before_ms, u64::MAX), Ok(wanted));
                assert_eq!(log.expire(partition, slot, before_ms, u64::MAX), Ok(0), "that was all");
            }
            Step::Restart => {
                log = rig.restart(log);
                written = 0;
                if R::LOSES_UNSYNCED {
                    writer = synced.clone();
                } else {
                    synced = writer.clone();
                }
            }
            _ => {}
        }
    }
    assert_eq!(log.load(), Ok(writer.checkpoint()));
    let statistics = log.statistics();
    let batches = &writer.model.batches;
    assert_eq!(statistics.batches, batches.len() as u64);
    assert_eq!(statistics.events, batches.iter().map(|batch| u64::from(batch.count)).sum::<u64>());
    assert_eq!(statistics.bytes, batches.iter().map(|batch| batch.bytes.len() as u64).sum::<u64>());
    for (query, budget) in queries {
        let found = collect(|query, budget| log.read(query, budget), query, *budget).expect("answered");
        let wanted = Collected { chunks: found.chunks, ..writer.model.answer(query) };
        assert_eq!(found, wanted, "{query:?} with a budget of {budget}");
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..most)
}

fn queries() -> impl Strategy<Value = Vec<(Query, usize)>> {
    proptest::collection::vec((query(), budget()), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_answers_as_the_model(steps in steps(80), queries in queries()) {
        let disk = MemoryDisk::with_times(fake_times);
        let log = Box::new(disk.open());
        run(Memory(disk), log, &steps, &queries);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn segments_answer_as_the_model(steps in steps(80), queries in queries()) {
        let rig = OnDisk(tempfile::tempdir().expect("a directory"));
        let log = rig.open();
        run(rig, log, &steps, &queries);
    }
}

#[test]
fn two_lanes_that_alternate_resume_event_by_event() {
    let disk = MemoryDisk::with_times(fake_times);
    let mut log = disk.open();
    let mut model = Model::default();
    let even: Vec<u64> = (0..100).map(|event| event * 2).collect();
    let odd: Vec<u64> = even.iter().map(|time| time + 1).collect();
    for (index, times) in [(1, &even), (2, &odd)] {
        let record = Record::Batch(common::batch(index, index as u8, 0, times, 0));
        log.write(index, std::slice::from_ref(&record)).expect("written");
        model.apply(&record);
    }
    let query = common::range_all();
    let found = collect(|query, budget| log.read(query, budget), &query, 0).expect("answered");
    assert_eq!(found.events, model.answer(&query).events);
    assert_eq!(found.chunks, 200, "with room for one batch a chunk ends where the other lane comes in");
    let found = collect(|query, budget| log.read(query, budget), &query, usize::MAX).expect("answered");
    assert_eq!((found.events.len(), found.chunks), (200, 1));
}

#[test]
fn lanes_that_do_not_overlap_are_not_decoded() {
    // Lanes that do not overlap are taken whole: the reader of times must not be asked.
    let disk = MemoryDisk::with_times(|_| Err("a batch was decoded".into()));
    let mut log = disk.open();
    for number in 1..50u8 {
        let start = u64::from(number) * 100;
        let mut batch = common::batch(u64::from(number), 1, 0, &[start, start + 50], 10);
        batch.lane = LaneId([number; 32]);
        batch.bytes = fake_bytes(batch.lane, 0, &[start, start + 50], 10);
        log.write(u64::from(number), &[Record::Batch(batch)]).expect("written");
    }
    let query = common::range_all();
    let found = collect(|query, budget| log.read(query, budget), &query, 200).expect("answered");
    assert_eq!(found.events.len(), 98);
    let last = |count| Query::Last { partition: PartitionId(1), slot: slot(0), count, up_to_index: u64::MAX };
    let found = collect(|query, budget| log.read(query, budget), &last(20), 200).expect("answered");
    assert_eq!(found.events.len(), 20);
    assert!(log.read(&last(19), 200).is_err(), "a start inside a batch needs its times");
}
