//! Readers beside the writer: every chunk is one moment, whatever is written, indexed, truncated and freed meanwhile;
//! and devices that fail under the writer.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{batch, collect, fake_times, lane, slot};
use weir_kernel::ids::PartitionId;
use weir_kernel::log::{Query, Record};
use weir_store::{EventLog, LogError, LogReader, SegmentLog, SegmentOptions, limits};

fn open(directory: &Path) -> SegmentLog {
    let options = SegmentOptions {
        segment_bytes: limits::SEGMENT_BYTES_MINIMUM,
        layer_rows: 50,
        times: fake_times,
        ..SegmentOptions::default()
    };
    SegmentLog::open(directory, options).expect("the log opens")
}

const WRITES: u64 = 3_000;

/// The n-th write: lane 1 and 2 grow by an event each at time n; every tenth write drops what lane 3 has and gives it
/// one event anew.
fn nth(n: u64) -> Vec<Record> {
    let mut records =
        vec![Record::Batch(batch(n * 3, 1, n, &[n], 100)), Record::Batch(batch(n * 3 + 1, 2, n, &[n], 900))];
    if n % 10 == 0 {
        records.push(Record::Truncate { partition: PartitionId(1), lane: lane(3), from: 0 });
    }
    if n % 5 == 0 {
        records.push(Record::Batch(batch(n * 3 + 2, 3, n, &[n], 50)));
    }
    records
}

/// What a moment may look like: lanes 1 and 2 have the events 1 to n, and lane 3 what it was given last.
fn check_moment(events: &[weir_kernel::log::Position], at_least: u64) -> u64 {
    let of = |number: u8| events.iter().filter(move |event| event.lane == lane(number));
    let n = of(1).count() as u64;
    assert!(n >= at_least, "{n} writes are seen and {at_least} were there before");
    for number in [1, 2] {
        assert!(of(number).map(|event| event.sequence).eq(1..=n), "lane {number} has no hole");
    }
    let third: Vec<u64> = of(3).map(|event| event.sequence).collect();
    let wanted: Vec<u64> = (1..=n).filter(|n| n % 5 == 0).collect();
    let kept = wanted.iter().rposition(|n| n % 10 == 0).unwrap_or(0);
    assert_eq!(third, wanted[kept..], "lane 3 at write {n}");
    n
}

fn range() -> Query {
    common::range_all()
}

fn read_moments(reader: &dyn LogReader, written: &AtomicU64, done: &AtomicBool) -> u64 {
    let mut moments = 0;
    while !done.load(Ordering::Acquire) {
        let before = written.load(Ordering::Acquire);
        // One chunk is one moment.
        let query = range();
        let once = |query: &Query, _: usize| reader.read(query, usize::MAX);
        let found = collect(once, &query, usize::MAX).expect("nothing is damaged");
        assert_eq!(found.chunks, 1);
        let n = check_moment(&found.events, before);
        let last = Query::Last { partition: PartitionId(1), slot: slot(0), count: 7, up_to_index: n * 3 + 2 };
        let chunk = reader.read(&last, usize::MAX).expect("nothing is damaged");
        assert_eq!(chunk.total, 7.min(found.events.len() as u64));
        let of_lane = Query::Lane { lane: lane(2), from: n / 2 + 1 };
        let found = collect(once, &of_lane, usize::MAX).expect("nothing is damaged");
        assert!(found.events.len() as u64 >= n - n / 2, "a lane only grows");
        let tail = Query::Append { partition: PartitionId(1), slot: slot(0), after_index: n };
        collect(|query, budget| reader.read(query, budget), &tail, 20_000).expect("nothing is damaged");
        moments += 1;
    }
    moments
}

#[test]
fn readers_beside_the_writer_see_moments() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut log = open(directory.path());
    let (written, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let moments = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (reader, written, done) = (log.reader(), &written, &done);
                scope.spawn(move || read_moments(&*reader, written, done))
            })
            .collect();
        for n in 1..=WRITES {
            log.write(n, &nth(n)).expect("written");
            written.store(n, Ordering::Release);
            if n % 7 == 0 {
                log.sync().expect("synced");
            }
        }
        done.store(true, Ordering::Release);
        readers.into_iter().map(|reader| reader.join().expect("the reader saw moments")).sum::<u64>()
    });
    assert!(moments > 0, "somebody looked");
    drop(log);
    let log = open(directory.path());
    let found = collect(|query, budget| log.read(query, budget), &range(), 50_000).expect("whole");
    assert_eq!(check_moment(&found.events, WRITES), WRITES);
}

const LIMITED: &str = "WEIR_STORE_LIMITED_DIRECTORY";

/// Runs in a child process whose files may not grow beyond a limit: writes until that is met.
#[test]
#[ignore = "the child of a_file_that_cannot_grow_poisons_and_a_restart_heals"]
fn child_writes_until_a_file_cannot_grow() {
    let directory = PathBuf::from(std::env::var_os(LIMITED).expect("the parent test names a directory"));
    let options = SegmentOptions { segment_bytes: 1 << 30, times: fake_times, ..SegmentOptions::default() };
    let mut log = SegmentLog::open(&directory, options).expect("opens");
    let mut durable = 0;
    let error = loop {
        let n = durable + 1;
        let written = log.write(n, &[Record::Batch(batch(n, 1, n, &[n], 300_000))]);
        match written.and_then(|()| log.sync()) {
            Ok(synced) => durable = synced,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Io { .. }), "{error}");
    assert!(error.to_string().contains(".segment"), "{error} should name the file");
    assert!(
        matches!(log.write(durable + 2, &[]), Err(LogError::Poisoned { .. })),
        "nothing is written after it"
    );
    assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })), "nothing is synced after it");
    let query = Query::Lane { lane: lane(1), from: 0 };
    let found = collect(|query, budget| log.read(query, budget), &query, 1 << 20).expect("reads go on");
    assert!(found.events.len() as u64 >= durable, "what was durable is read");
    println!("\ndurable {durable}");
}

#[test]
fn a_file_that_cannot_grow_poisons_and_a_restart_heals() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // The index makes its journal of 64 MiB at once: the limit is above that. In units of 512 or 1024 bytes.
    let limited = "trap '' XFSZ; ulimit -f 150000; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().expect("this test has a path"))
        .args(["--ignored", "--exact", "child_writes_until_a_file_cannot_grow", "--nocapture"])
        .env(LIMITED, directory.path())
        .output()
        .expect("the child starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let durable = text.lines().find_map(|line| line.strip_prefix("durable ")).expect("the child says so");
    let durable: u64 = durable.parse().expect("a number");
    assert!(durable > 100, "the limit is met after many writes: {durable}");
    let mut log = open(directory.path());
    let query = Query::Lane { lane: lane(1), from: 0 };
    let found = collect(|query, budget| log.read(query, budget), &query, 1 << 20).expect("whole");
    let held = found.events.len() as u64;
    assert!((durable..=durable + 1).contains(&held), "{held} are there and {durable} were durable");
    log.write(1, &[Record::Batch(batch(held + 1, 1, held + 1, &[held + 1], 10))])
        .expect("the restart healed it");
    assert_eq!(log.sync(), Ok(1));
}
