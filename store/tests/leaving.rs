//! A broker with its log on disk leaves a partition: its rows, its events and their space go, whenever it is
//! interrupted, and another partition keeps all that it has.

mod common;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{batch, collect, fake_times, lane, slot};
use weir_kernel::agreement::{Cut, LaneHead};
use weir_kernel::broker::rows::{self, LaneRow, PartitionRow};
use weir_kernel::broker::{Input, Output, Shard, Trace};
use weir_kernel::coordinator::{BlockRef, Contracts, Fact, Params, Seats, State, evolve};
use weir_kernel::ids::{Address, BrokerIndex, Epoch, Hash, LaneId, PartitionId};
use weir_kernel::limits::{FORMER_EPOCHS, FORMER_LANES};
use weir_kernel::log::{Query, Record, StoredBatch, Table};
use weir_kernel::time::Now;
use weir_store::{EventLog, SegmentLog, SegmentOptions, limits};

const ME: Address = Address([5; 20]);
const KEPT: PartitionId = PartitionId(0);
const LEFT: PartitionId = PartitionId(1);
const EPOCH: Epoch = 20;

/// More than go with one block.
const LANES: usize = FORMER_LANES + 10;

const BATCHES: u64 = 300;

/// Five brokers: this one sits in one partition, and was replaced in the other by who signs there since.
fn view(blocks: u64) -> Arc<State> {
    let params = Params { partitions: 2, ..Params::default() };
    let mut view = State::new(1, Contracts::default(), params);
    view.height = view.first_block_of(EPOCH);
    let block = BlockRef { number: view.height, timestamp_s: 0 };
    for number in 1..=5u8 {
        let registered = Fact::BrokerRegistered {
            index: BrokerIndex(number.into()),
            broker: Address([number; 20]),
            stake: 1_000,
            tickets: 1,
            endpoint: "127.0.0.1:1".into(),
            tls_key_hash: Hash::ZERO,
            draw_block: 0,
        };
        evolve(&mut view, block, &registered);
    }
    let seats = |last: u32| Seats::of_brokers([1, 2, 3, last].map(BrokerIndex));
    for (partition, last) in Arc::make_mut(&mut view.partitions).iter_mut().zip([5, 4]) {
        (partition.members, partition.target, partition.founded) = (seats(last), seats(last), true);
        partition.previous_members = seats(5);
        (partition.since_epoch, partition.sealed_epoch) = (EPOCH - FORMER_EPOCHS, EPOCH - 1);
        partition.checksum = Hash([7; 32]);
    }
    view.height += blocks;
    Arc::new(view)
}

fn many(number: usize) -> LaneId {
    let mut id = [0xee; 32];
    id[..8].copy_from_slice(&(number as u64).to_be_bytes());
    LaneId(id)
}

/// What the broker remembers of a partition: its own row, lanes, cuts, and events.
fn held(partition: PartitionId, batches: u64) -> Vec<Record> {
    let row = PartitionRow {
        sealed_epoch: EPOCH - 1,
        checksum: Hash([7; 32]),
        cut_epoch: EPOCH - 1,
        open_epoch: EPOCH,
        quarantine: None,
        leaving: false,
        left_index: 0,
    };
    let mut records = vec![rows::put(Table::Marker, rows::partition_key(partition), &row)];
    for number in 0..LANES {
        let head = LaneHead { next_sequence: 1, ..LaneHead::empty(many(number)) };
        let row = LaneRow {
            slot: slot(0),
            origin: ME,
            opening_block: 1,
            sealed: head,
            sealed_epoch: 3,
            sealed_header: None,
            closed: false,
        };
        let key = [&rows::partition_key(partition)[..], &head.lane.0].concat();
        records.push(rows::put(Table::Lane, key, &row));
    }
    for epoch in 1..EPOCH {
        let cut = Cut { partition, epoch, previous: Hash::ZERO, heads: Vec::new(), forks: Vec::new() };
        records.push(rows::put(Table::Cut, rows::cut_key(partition, epoch), &cut));
    }
    let number = 1 + partition.0 as u8;
    records.extend((0..batches).map(|at| {
        let of = batch(at + 1, number, at, &[at], 3_000);
        Record::Batch(StoredBatch { partition, slot: slot((at % 3) as u8), ..of })
    }));
    records
}

fn open(directory: &Path) -> SegmentLog {
    let segment_bytes = limits::SEGMENT_BYTES_MINIMUM;
    let options = SegmentOptions { segment_bytes, times: fake_times, ..SegmentOptions::default() };
    SegmentLog::open(directory, options).expect("the log opens")
}

/// A process of the broker, which ends after so many things that it wants done.
struct Process {
    log: SegmentLog,
    shard: Shard,
    left: usize,
    /// Partitions that it said it left.
    told: Vec<PartitionId>,
}

impl Process {
    fn start(directory: &Path, left: usize) -> Self {
        let log = open(directory);
        let checkpoint = log.load().expect("its rows load");
        let shard = Shard::open(ME, view(0), &checkpoint).expect("its rows are taken up");
        Self { log, shard, left, told: Vec::new() }
    }

    /// Sees some blocks; whether it came to the end of what is to be done.
    fn runs(&mut self) -> bool {
        let mut inputs: VecDeque<Input> = (0..8).map(|blocks| Input::Chain(view(blocks))).collect();
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            self.shard.step(Now::default(), input, &mut outputs);
            for output in outputs {
                let Some(left) = self.left.checked_sub(1) else { return false };
                match output {
                    Output::Write(index, records) => {
                        self.log.write(index, &records).expect("written");
                        assert_eq!(self.log.sync(), Ok(index));
                        inputs.push_front(Input::Durable(index));
                    }
                    Output::Read(token, query, budget) => {
                        let chunk = self.log.read(&query, budget as usize).expect("read");
                        inputs.push_front(Input::Loaded(token, chunk));
                    }
                    Output::Expire(expiry) => {
                        assert_eq!((expiry.partition, expiry.slot), (LEFT, None));
                        let mut done = None;
                        while self.log.let_go(&expiry, &mut done).expect("dropped") > 0 {
                            self.log.sync().expect("synced");
                        }
                    }
                    Output::Event(Trace::PartitionLeft(partition)) => {
                        self.told.push(partition);
                        continue;
                    }
                    // What it says to others and to the chain goes nowhere.
                    _ => continue,
                }
                self.left = left;
            }
        }
        true
    }
}

/// How many rows a partition has in a table.
fn rows_of(log: &SegmentLog, table: Table, partition: PartitionId) -> usize {
    let query = Query::Rows { table, prefix: rows::partition_key(partition), after: Vec::new() };
    collect(|query, budget| log.read(query, budget), &query, 1 << 20).expect("rows read").values.len()
}

/// What is left of a partition: rows of lanes and of cuts, and events.
fn held_by(log: &SegmentLog, partition: PartitionId) -> (usize, usize, usize) {
    let query = Query::Lane { lane: lane(1 + partition.0 as u8), from: 0 };
    let events = collect(|query, budget| log.read(query, budget), &query, 1 << 20).expect("events read");
    let rows = |table| rows_of(log, table, partition);
    (rows(Table::Lane), rows(Table::Cut), events.events.len())
}

fn filled(directory: &Path) {
    let mut log = open(directory);
    let owner = rows::put(Table::Marker, b"owner".to_vec(), &ME);
    // A write is never cut: small ones make small segments.
    for (index, records) in (1..).zip([vec![owner], held(LEFT, BATCHES), held(KEPT, 30)]) {
        for (part, records) in records.chunks(20).enumerate() {
            log.write(index * 1_000 + part as u64, records).expect("written");
            log.sync().expect("synced");
        }
    }
}

#[test]
fn rows_events_and_space_of_a_partition_that_was_left_go() {
    let directory = tempfile::tempdir().expect("a directory");
    filled(directory.path());
    let mut process = Process::start(directory.path(), usize::MAX);
    let full = process.log.statistics();
    assert!(process.runs());
    assert_eq!(process.told, [LEFT]);
    assert_eq!(held_by(&process.log, LEFT), (0, 0, 0));
    assert_eq!(held_by(&process.log, KEPT), (LANES, EPOCH as usize - 1, 30));
    let held: Vec<PartitionId> = process.shard.summaries().map(|summary| summary.partition).collect();
    assert_eq!(held, [KEPT]);
    let begin = Instant::now();
    while process.log.statistics().disk_bytes + BATCHES * 2_000 > full.disk_bytes {
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?} of {full:?}", process.log.statistics());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(process);
    // It has nothing more to give back after a restart, and says nothing more of it.
    let mut again = Process::start(directory.path(), usize::MAX);
    assert!(again.runs());
    assert_eq!((again.told.len(), held_by(&again.log, LEFT)), (0, (0, 0, 0)));
    assert_eq!(held_by(&again.log, KEPT), (LANES, EPOCH as usize - 1, 30));
}

#[test]
fn whenever_it_is_interrupted_it_goes_on_after_a_restart() {
    let mut interrupted = 0;
    for left in 0.. {
        let directory = tempfile::tempdir().expect("a directory");
        filled(directory.path());
        let came_to_the_end = Process::start(directory.path(), left).runs();
        let mut process = Process::start(directory.path(), usize::MAX);
        assert!(process.runs());
        assert_eq!(held_by(&process.log, LEFT), (0, 0, 0), "after {left} steps");
        assert_eq!(held_by(&process.log, KEPT), (LANES, EPOCH as usize - 1, 30));
        interrupted += 1;
        if came_to_the_end {
            break;
        }
    }
    assert!(interrupted > 5, "it takes some steps: {interrupted}");
}

#[test]
fn a_broker_keeps_what_it_has_while_a_member_lacks_a_signature() {
    let directory = tempfile::tempdir().expect("a directory");
    filled(directory.path());
    let log = open(directory.path());
    let mut silent = State::clone(&view(0));
    Arc::make_mut(&mut silent.partitions)[1].absent = 2;
    let checkpoint = log.load().expect("its rows load");
    let silent = Arc::new(silent);
    let mut shard = Shard::open(ME, Arc::clone(&silent), &checkpoint).expect("its rows are taken up");
    let mut outputs = Vec::new();
    shard.step(Now::default(), Input::Chain(silent), &mut outputs);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Event(Trace::PartitionLeft(_)))));
    assert_eq!(shard.summaries().count(), 2);
}
