//! One suite over every implementation of the port.

mod common;

use common::{LAST, Model, batch, collect, fake_times, lane, range_all, slot};
use tempfile::TempDir;
use weir_kernel::ids::{Address, PartitionId};
use weir_kernel::log::{Checkpoint, Expiry, Position, Query, Record, StoredBatch, Table};
use weir_store::{EventLog, FaultLog, FaultPlan, LogError, MemoryDisk, SegmentLog, SegmentOptions};

/// A log and how to stop and start it. What was synced survives.
trait Rig {
    fn open(&self) -> Box<dyn EventLog>;
}

struct Memory(MemoryDisk);

impl Rig for Memory {
    fn open(&self) -> Box<dyn EventLog> {
        self.0.crash();
        Box::new(self.0.open())
    }
}

struct Faultless(MemoryDisk);

impl Rig for Faultless {
    fn open(&self) -> Box<dyn EventLog> {
        self.0.crash();
        Box::new(FaultLog::new(self.0.open(), FaultPlan::default()))
    }
}

/// How many rows are held in memory before they are indexed.
struct OnDisk {
    directory: TempDir,
    layer_rows: usize,
}

impl OnDisk {
    fn new(layer_rows: usize) -> Self {
        Self { directory: TempDir::new().expect("a directory"), layer_rows }
    }
}

impl Rig for OnDisk {
    fn open(&self) -> Box<dyn EventLog> {
        let options =
            SegmentOptions { times: fake_times, layer_rows: self.layer_rows, ..SegmentOptions::default() };
        Box::new(SegmentLog::open(self.directory.path(), options).expect("the log opens"))
    }
}

macro_rules! suite {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $test() { super::$test(&super::Memory(super::MemoryDisk::with_times(super::fake_times))); })*
        }
        mod fault_without_faults {
            $(#[test] fn $test() { super::$test(&super::Faultless(super::MemoryDisk::with_times(super::fake_times))); })*
        }
        mod segments {
            $(#[test] fn $test() { super::$test(&super::OnDisk::new(super::SegmentOptions::default().layer_rows)); })*
        }
        mod segments_indexed_at_once {
            $(#[test] fn $test() { super::$test(&super::OnDisk::new(1)); })*
        }
    };
}

suite![
    an_empty_log_has_nothing,
    range_merges_lanes_in_canonical_order,
    ranges_are_inclusive_and_resume,
    origin_and_append_index_filter,
    last_counts_back_over_lanes,
    append_follows_one_slot,
    lane_begins_with_the_batch_that_holds_the_sequence,
    truncation_removes_everywhere,
    rows_are_loaded_and_paged,
    a_write_sees_its_own_records,
    synced_writes_survive_a_restart,
    statistics_count_what_is_held,
    broken_contracts_poison,
    readers_see_unsynced_writes,
    what_is_too_old_expires,
    all_of_a_partition_is_let_go,
    what_expired_stays_away_after_a_restart,
];

fn record(batch: StoredBatch) -> Record {
    Record::Batch(batch)
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Record {
    Record::Put { table, key: key.to_vec(), value: value.to_vec() }
}

/// Three lanes of two batches that interleave, with ties of time.
fn interleaved() -> Vec<Record> {
    vec![
        record(batch(1, 1, 0, &[10, 20, 30], 50)),
        record(batch(2, 2, 0, &[20, 20, 40], 50)),
        record(batch(4, 3, 0, &[5], 50)),
        record(batch(5, 1, 3, &[30, 60], 50)),
        record(batch(7, 2, 3, &[41, 41], 50)),
        record(batch(8, 3, 1, &[100, 101, 102], 50)),
    ]
}

fn filled(rig: &impl Rig) -> (Box<dyn EventLog>, Model) {
    let mut log = rig.open();
    let records = interleaved();
    log.write(1, &records).expect("written");
    let mut model = Model::default();
    records.iter().for_each(|record| model.apply(record));
    (log, model)
}

/// The log answers as the model does, whatever the budget.
fn agree(log: &dyn EventLog, model: &Model, query: &Query) {
    let wanted = model.answer(query);
    for budget in [0, 1, 130, 300, usize::MAX] {
        let found = collect(|query, budget| log.read(query, budget), query, budget).expect("answered");
        assert_eq!(found.events, wanted.events, "{query:?} with a budget of {budget}");
        assert_eq!(found.values, wanted.values, "{query:?} with a budget of {budget}");
        assert_eq!(found.last_index, wanted.last_index, "{query:?} with a budget of {budget}");
    }
}

fn range(from: Position, to: Position, up_to_index: u64, origin: Option<Address>) -> Query {
    Query::Range { partition: PartitionId(1), slot: slot(0), from, to, up_to_index, origin }
}

fn last(count: u64, up_to_index: u64) -> Query {
    Query::Last { partition: PartitionId(1), slot: slot(0), count, up_to_index }
}

fn append(number: u8, after_index: u64) -> Query {
    Query::Append { partition: PartitionId(1), slot: slot(number), after_index }
}

fn an_empty_log_has_nothing(rig: &impl Rig) {
    let mut log = rig.open();
    assert_eq!(log.load(), Ok(Checkpoint::default()));
    assert_eq!(log.sync(), Ok(0));
    assert_eq!(log.statistics().batches, 0);
    for query in [range_all(), last(5, u64::MAX), append(0, 9), Query::Lane { lane: lane(1), from: 0 }] {
        agree(&*log, &Model::default(), &query);
    }
}

fn range_merges_lanes_in_canonical_order(rig: &impl Rig) {
    let (log, model) = filled(rig);
    let chunk = log.read(&range_all(), usize::MAX).expect("answered");
    assert_eq!(chunk.next, None);
    let found = collect(|query, budget| log.read(query, budget), &range_all(), usize::MAX).expect("answered");
    let times: Vec<u64> = found.events.iter().map(|event| event.timestamp_ms).collect();
    assert_eq!(times, [5, 10, 20, 20, 20, 30, 30, 40, 41, 41, 60, 100, 101, 102]);
    agree(&*log, &model, &range_all());
}

fn ranges_are_inclusive_and_resume(rig: &impl Rig) {
    let (log, model) = filled(rig);
    let events = model.answer(&range_all()).events;
    for (at, from) in events.iter().enumerate() {
        for to in &events[at..] {
            agree(&*log, &model, &range(*from, *to, u64::MAX, None));
        }
    }
    agree(&*log, &model, &range(Position::at(20), Position::at(20), u64::MAX, None));
    agree(&*log, &model, &range(Position::at(50), Position::at(40), u64::MAX, None));
    agree(&*log, &model, &range(LAST, LAST, u64::MAX, None));
}

fn origin_and_append_index_filter(rig: &impl Rig) {
    let (log, model) = filled(rig);
    for up_to_index in 0..10 {
        agree(&*log, &model, &range(Position::default(), LAST, up_to_index, None));
        agree(&*log, &model, &range(Position::at(30), LAST, up_to_index, Some(Address([1; 20]))));
    }
    agree(&*log, &model, &range(Position::default(), LAST, u64::MAX, Some(Address([77; 20]))));
}

fn last_counts_back_over_lanes(rig: &impl Rig) {
    let (log, model) = filled(rig);
    for count in (0..16).chain([u64::MAX]) {
        for up_to_index in [0, 1, 2, 4, 5, 6, 7, u64::MAX] {
            agree(&*log, &model, &last(count, up_to_index));
        }
    }
}

fn append_follows_one_slot(rig: &impl Rig) {
    let (mut log, mut model) = filled(rig);
    let other = record(StoredBatch { slot: slot(1), ..batch(9, 8, 0, &[1], 50) });
    log.write(2, std::slice::from_ref(&other)).expect("written");
    model.apply(&other);
    for after in (0..12).chain([u64::MAX]) {
        agree(&*log, &model, &append(0, after));
        agree(&*log, &model, &append(1, after));
    }
}

fn lane_begins_with_the_batch_that_holds_the_sequence(rig: &impl Rig) {
    let (log, model) = filled(rig);
    for number in 0..4 {
        for from in (0..8).chain([u64::MAX]) {
            agree(&*log, &model, &Query::Lane { lane: lane(number), from });
        }
    }
}

fn truncation_removes_everywhere(rig: &impl Rig) {
    let (mut log, mut model) = filled(rig);
    for (write, (number, from)) in [(1, 3), (2, 3), (2, 0), (7, 0)].into_iter().enumerate() {
        let record = Record::Truncate { partition: PartitionId(1), lane: lane(number), from };
        log.write(write as u64 + 2, std::slice::from_ref(&record)).expect("written");
        model.apply(&record);
        agree(&*log, &model, &range_all());
        agree(&*log, &model, &last(3, u64::MAX));
        agree(&*log, &model, &append(0, 0));
        agree(&*log, &model, &Query::Lane { lane: lane(number), from: 0 });
    }
    assert_eq!(log.load().expect("loaded").last_index, [(PartitionId(1), 8)], "indexes are never used again");
    // Another partition's truncation leaves this one alone, and a lane may begin again.
    let other = Record::Truncate { partition: PartitionId(5), lane: lane(3), from: 0 };
    let again = record(batch(9, 2, 0, &[70], 50));
    log.write(9, &[other, again.clone()]).expect("written");
    model.apply(&again);
    agree(&*log, &model, &range_all());
}

fn rows_are_loaded_and_paged(rig: &impl Rig) {
    let mut log = rig.open();
    let mut records = vec![put(Table::Marker, b"", b"mine"), put(Table::Lane, &[0xff, 0xff], b"high")];
    for epoch in 0..20u8 {
        records.push(put(Table::Cut, &[epoch % 2, epoch], &[epoch; 40]));
    }
    records.push(put(Table::Lane, b"b", b"1"));
    records.push(put(Table::Lane, b"a", b"2"));
    records.push(put(Table::Lane, b"b", b"3"));
    records.push(put(Table::Evidence, b"x", b""));
    records.push(Record::Remove { table: Table::Evidence, key: b"x".to_vec() });
    records.push(Record::Remove { table: Table::Evidence, key: b"absent".to_vec() });
    log.write(1, &records).expect("written");
    let mut model = Model::default();
    records.iter().for_each(|record| model.apply(record));

    let rows = log.load().expect("loaded").rows;
    let wanted = [
        (Table::Marker, b"".to_vec(), b"mine".to_vec()),
        (Table::Lane, b"a".to_vec(), b"2".to_vec()),
        (Table::Lane, b"b".to_vec(), b"3".to_vec()),
        (Table::Lane, vec![0xff, 0xff], b"high".to_vec()),
    ];
    assert_eq!(rows, wanted, "every table but the cuts, in order");
    for (prefix, after) in
        [(vec![], vec![]), (vec![0], vec![]), (vec![1], vec![1, 7]), (vec![2], vec![]), (vec![0], vec![3])]
    {
        agree(&*log, &model, &Query::Rows { table: Table::Cut, prefix, after });
    }
    agree(&*log, &model, &Query::Rows { table: Table::Lane, prefix: vec![0xff], after: vec![] });
}

fn a_write_sees_its_own_records(rig: &impl Rig) {
    let mut log = rig.open();
    let truncate = |from| Record::Truncate { partition: PartitionId(1), lane: lane(1), from };
    let records = [
        record(batch(1, 1, 0, &[10, 11], 50)),
        record(batch(2, 1, 2, &[12, 13], 50)),
        truncate(2),
        record(batch(3, 1, 2, &[14], 50)),
        put(Table::Mark, b"k", b"1"),
        Record::Remove { table: Table::Mark, key: b"k".to_vec() },
        record(batch(4, 2, 0, &[1], 50)),
        Record::Truncate { partition: PartitionId(1), lane: lane(2), from: 0 },
    ];
    log.write(1, &records).expect("written");
    let mut model = Model::default();
    records.iter().for_each(|record| model.apply(record));
    assert_eq!(model.batches.len(), 2);
    agree(&*log, &model, &range_all());
    agree(&*log, &model, &append(0, 0));
    assert_eq!(log.load().expect("loaded").rows, []);
    assert_eq!(log.statistics().batches, 2);
    assert_eq!(log.statistics().events, 3);
}

fn synced_writes_survive_a_restart(rig: &impl Rig) {
    let (mut log, mut model) = filled(rig);
    let row = put(Table::Marker, b"owner", b"me");
    log.write(7, std::slice::from_ref(&row)).expect("written");
    assert_eq!(log.sync(), Ok(7));
    let before = (log.load(), log.statistics().events);
    drop(log);
    let mut log = rig.open();
    assert_eq!((log.load(), log.statistics().events), before);
    agree(&*log, &model, &range_all());
    let more = record(batch(9, 1, 5, &[60], 50));
    log.write(1, std::slice::from_ref(&more)).expect("write indexes begin anew with each opening");
    assert_eq!(log.sync(), Ok(1));
    model.apply(&more);
    agree(&*log, &model, &range_all());
    agree(&*log, &model, &Query::Lane { lane: lane(1), from: 4 });
}

fn statistics_count_what_is_held(rig: &impl Rig) {
    let (mut log, model) = filled(rig);
    let bytes = |model: &Model| model.batches.iter().map(|batch| batch.bytes.len() as u64).sum::<u64>();
    let statistics = log.statistics();
    assert_eq!((statistics.events, statistics.batches, statistics.partitions), (14, 6, 1));
    assert_eq!(statistics.bytes, bytes(&model));
    let truncate = Record::Truncate { partition: PartitionId(1), lane: lane(1), from: 0 };
    let elsewhere = record(StoredBatch { partition: PartitionId(2), ..batch(1, 9, 0, &[1, 2], 5) });
    log.write(2, &[truncate, elsewhere]).expect("written");
    let statistics = log.reader().statistics();
    assert_eq!((statistics.events, statistics.batches, statistics.partitions), (11, 5, 2));
}

fn broken_contracts_poison(rig: &impl Rig) {
    let wrong: [(&str, Record); 7] = [
        ("append indexes of partition 1 rise", record(batch(8, 4, 0, &[1], 5))),
        ("sequences of lane", record(batch(9, 1, 4, &[99], 5))),
        ("times of lane", record(batch(9, 1, 5, &[59], 5))),
        ("at least one event", record(StoredBatch { count: 0, ..batch(9, 4, 0, &[1], 5) })),
        ("event times never go back", record(batch(9, 4, 0, &[2, 1], 5))),
        ("between batches", Record::Truncate { partition: PartitionId(1), lane: lane(1), from: 1 }),
        ("a row's key", put(Table::Mark, &[0; 5000], b"")),
    ];
    let (mut log, model) = filled(rig);
    log.sync().expect("synced");
    drop(log);
    for (rule, wrong) in wrong {
        log = rig.open();
        log.write(1, &[]).expect("a restart heals");
        let fine = put(Table::Mark, b"with it", b"");
        let error = log.write(2, &[fine, wrong]).expect_err(rule);
        assert!(matches!(error, LogError::Contract { .. }), "{error}");
        assert!(error.to_string().contains(rule), "{error} should say {rule}");
        let again = log.write(3, &[]).expect_err("poisoned");
        assert!(again.to_string().contains(rule), "{again} should repeat {rule}");
        assert_eq!(log.sync(), Err(again));
        assert_eq!(log.load().expect("reads go on").rows, [], "a refused write leaves nothing");
        agree(&*log, &model, &range_all());
        drop(log);
    }
    log = rig.open();
    log.write(5, &[]).expect("written");
    assert!(matches!(log.write(5, &[]), Err(LogError::Contract { .. })), "write indexes rise");
}

fn readers_see_unsynced_writes(rig: &impl Rig) {
    let (mut log, mut model) = filled(rig);
    let reader = log.reader();
    let more = record(batch(9, 1, 5, &[200], 50));
    log.write(2, std::slice::from_ref(&more)).expect("written");
    model.apply(&more);
    let answer = std::thread::spawn(move || {
        collect(|query, budget| reader.read(query, budget), &range_all(), 200).expect("answered")
    });
    assert_eq!(answer.join().expect("the reader ends").events, model.answer(&range_all()).events);
}

fn what_is_too_old_expires(rig: &impl Rig) {
    let (mut log, mut model) = filled(rig);
    let other = record(StoredBatch { slot: slot(1), ..batch(9, 8, 0, &[1], 50) });
    log.write(2, std::slice::from_ref(&other)).expect("written");
    model.apply(&other);
    for before_ms in [0, 5, 6, 30, 31, 41, 61, 103, u64::MAX] {
        let wanted = model.expire(PartitionId(1), slot(0), before_ms);
        assert_eq!(
            log.expire(PartitionId(1), slot(0), before_ms, u64::MAX),
            Ok(wanted),
            "before {before_ms}"
        );
        assert_eq!(log.statistics().batches, model.batches.len() as u64);
        agree(&*log, &model, &range_all());
        for up_to_index in [3, 4, 7, u64::MAX] {
            agree(&*log, &model, &range(Position::at(20), LAST, up_to_index, None));
            agree(&*log, &model, &last(3, up_to_index));
            agree(&*log, &model, &last(100, up_to_index));
        }
        agree(&*log, &model, &append(0, 0));
        agree(&*log, &model, &append(1, 0));
        for number in 1..4 {
            agree(&*log, &model, &Query::Lane { lane: lane(number), from: 0 });
        }
    }
    assert_eq!(model.batches.len(), 1, "the other stream partition keeps what it has");
    assert_eq!(log.expire(PartitionId(1), slot(1), u64::MAX, 8), Ok(0), "it came later");
    assert_eq!(log.expire(PartitionId(1), slot(1), u64::MAX, 9), Ok(1));
}

fn all_of_a_partition_is_let_go(rig: &impl Rig) {
    let (mut log, mut model) = filled(rig);
    let more = [
        record(StoredBatch { slot: slot(1), ..batch(9, 8, 0, &[1], 50) }),
        record(StoredBatch { slot: slot(2), ..batch(10, 9, 0, &[1], 50) }),
        record(StoredBatch { partition: PartitionId(2), ..batch(1, 10, 0, &[1], 50) }),
    ];
    log.write(2, &more).expect("written");
    more.iter().for_each(|record| model.apply(record));
    let all =
        |slot, up_to_index| Expiry { partition: PartitionId(1), slot, before_ms: u64::MAX, up_to_index };
    assert_eq!(log.let_go(&all(Some(slot(2)), 9), &mut None), Ok(0), "it came later");
    assert_eq!(log.held_slot(PartitionId(1), None), Ok(Some(slot(0))));
    assert_eq!(log.held_slot(PartitionId(1), Some(slot(0))), Ok(Some(slot(1))));
    assert_eq!(log.held_slot(PartitionId(1), Some(slot(2))), Ok(None));
    assert_eq!(log.held_slot(PartitionId(3), None), Ok(None));
    let (one, other) =
        (model.expire(PartitionId(1), slot(0), u64::MAX), model.expire(PartitionId(1), slot(1), u64::MAX));
    let mut done = None;
    assert_eq!(log.let_go(&all(None, 9), &mut done), Ok(one));
    assert_eq!(log.let_go(&all(None, 9), &mut done), Ok(other));
    assert_eq!((log.let_go(&all(None, 9), &mut done), done), (Ok(0), Some(slot(2))));
    assert_eq!(log.let_go(&all(None, 9), &mut None), Ok(0));
    assert_eq!(log.sync(), Ok(2));
    drop(log);
    let mut log = rig.open();
    assert_eq!(log.held_slot(PartitionId(1), None), Ok(Some(slot(2))));
    // A lane that was let go, or is not yet, makes way for itself.
    let anew = [
        Record::Truncate { partition: PartitionId(1), lane: lane(1), from: 0 },
        record(batch(11, 1, 0, &[5, 6], 50)),
        Record::Truncate { partition: PartitionId(1), lane: lane(9), from: 0 },
        record(batch(12, 9, 0, &[7], 50)),
    ];
    log.write(1, &anew).expect("written");
    anew.iter().for_each(|record| model.apply(record));
    assert_eq!(log.let_go(&all(None, 10), &mut None), Ok(0), "what came anew stays");
    agree(&*log, &model, &range_all());
    agree(&*log, &model, &Query::Lane { lane: lane(9), from: 0 });
    agree(&*log, &model, &Query::Lane { lane: lane(10), from: 0 });
    assert_eq!(log.statistics().batches, model.batches.len() as u64);
}

fn what_expired_stays_away_after_a_restart(rig: &impl Rig) {
    let (mut log, mut model) = filled(rig);
    assert_eq!(
        log.expire(PartitionId(1), slot(0), 35, u64::MAX),
        Ok(model.expire(PartitionId(1), slot(0), 35))
    );
    assert_eq!(log.sync(), Ok(1));
    drop(log);
    let mut log = rig.open();
    agree(&*log, &model, &range_all());
    // A lane whose first part expired is cut at its end, and grows there.
    let records = [
        record(batch(9, 1, 5, &[70], 50)),
        Record::Truncate { partition: PartitionId(1), lane: lane(1), from: 3 },
        record(batch(10, 2, 5, &[80], 50)),
    ];
    log.write(1, &records).expect("written");
    records.iter().for_each(|record| model.apply(record));
    agree(&*log, &model, &range_all());
    agree(&*log, &model, &last(2, u64::MAX));
    agree(&*log, &model, &Query::Lane { lane: lane(1), from: 0 });
    assert_eq!(log.expire(PartitionId(7), slot(0), u64::MAX, u64::MAX), Ok(0));
}
