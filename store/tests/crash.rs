//! Processes that are killed, power that fails, segments that are torn: what was durable is there, and writes are
//! whole.
//!
//! `WEIR_STORE_CRASH_ROUNDS=100 cargo test -p weir-store --test crash` goes round a hundred times.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{batch, collect, fake_times, lane};
use weir_kernel::log::{Query, Record, Table};
use weir_store::{
    EventLog, Fault, FaultLog, FaultPlan, LogError, MemoryDisk, SegmentLog, SegmentOptions, limits,
};

const CHILD: &str = "WEIR_STORE_CRASH_TEST_DIRECTORY";

fn options() -> SegmentOptions {
    SegmentOptions {
        segment_bytes: limits::SEGMENT_BYTES_MINIMUM,
        layer_rows: 7,
        times: fake_times,
        ..SegmentOptions::default()
    }
}

fn open(directory: &Path) -> SegmentLog {
    SegmentLog::open(directory, options()).expect("the log opens")
}

/// The n-th write: a batch of two lanes each and a row, which are there together or not at all.
fn nth(n: u64) -> Vec<Record> {
    vec![
        Record::Batch(batch(n * 2, 1, n * 2, &[n, n + 1], 700)),
        Record::Put { table: Table::Mark, key: n.to_be_bytes().to_vec(), value: vec![n as u8; 30] },
        Record::Batch(batch(n * 2 + 1, 2, n, &[n], 3_000)),
    ]
}

/// How many of the writes 1, 2, 3, … a log holds, each whole and none after a missing one.
fn whole_writes(log: &dyn EventLog) -> u64 {
    let rows = log.load().expect("loaded").rows;
    let held = rows.len() as u64;
    let wanted = (1..=held).map(|n| n.to_be_bytes().to_vec());
    assert!(rows.into_iter().map(|(_, key, _)| key).eq(wanted), "rows of a prefix of the writes");
    for (number, events) in [(1, held * 2), (2, held)] {
        let query = Query::Lane { lane: lane(number), from: 0 };
        let found = collect(|query, budget| log.read(query, budget), &query, 100_000).expect("whole");
        assert_eq!(found.events.len() as u64, events, "lane {number} goes with the rows");
    }
    let found =
        collect(|query, budget| log.read(query, budget), &common::range_all(), 50_000).expect("whole");
    assert_eq!(found.events.len() as u64, held * 3);
    assert_eq!(log.statistics().events, held * 3);
    held
}

/// Runs in a child process: writes until it is killed.
#[test]
#[ignore = "the child of a_killed_process_keeps_what_it_called_durable"]
fn child_writes_until_killed() {
    let directory = PathBuf::from(std::env::var_os(CHILD).expect("the parent test names a directory"));
    let mut log = open(&directory);
    let before = whole_writes(&log);
    let mut out = std::io::stdout();
    for written in 1.. {
        log.write(written, &nth(before + written)).expect("written");
        if written % 5 == 0 {
            let durable = log.sync().expect("synced");
            writeln!(out, "\ndurable {}", before + durable).expect("the parent listens");
            out.flush().expect("the parent listens");
        }
    }
}

/// How often the crash tests go round: five times, or as often as the variable says.
fn rounds() -> u64 {
    let rounds = std::env::var("WEIR_STORE_CRASH_ROUNDS").ok();
    rounds.map_or(5, |rounds| rounds.parse().expect("WEIR_STORE_CRASH_ROUNDS is a number"))
}

/// Lets the child write until it has said that often what is durable, then kills it; returns the last it said.
fn killed_after(directory: &Path, lines: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test has a path"))
        .args(["--ignored", "--exact", "child_writes_until_killed", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let durable = output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("durable ").and_then(|number| number.parse::<u64>().ok()));
    let durable = durable.take(lines).last().expect("the child says what is durable");
    let refused = SegmentLog::open(directory, options()).expect_err("the child holds the directory");
    assert!(matches!(refused, LogError::InUse { .. }), "{refused}");
    child.kill().expect("killed");
    child.wait().expect("ended");
    durable
}

#[test]
fn a_killed_process_keeps_what_it_called_durable() {
    let mut directory = tempfile::tempdir().expect("a temporary directory");
    let mut last_held = 0;
    for round in 0..rounds() {
        if round % 10 == 9 {
            // Whole histories are read each time: begin anew before that takes long.
            (directory, last_held) = (tempfile::tempdir().expect("a temporary directory"), 0);
        }
        let lines = 1 + (round * 17 % 40) as usize;
        let durable = killed_after(directory.path(), lines);
        let held = whole_writes(&open(directory.path()));
        assert!(held >= durable, "round {round}: {held} writes are there and {durable} were durable");
        assert!(durable >= last_held + 5 * lines as u64, "round {round}: the child went on from {last_held}");
        last_held = held;
    }
}

#[test]
fn a_power_failure_keeps_what_was_synced() {
    let mut outcomes = BTreeSet::new();
    for round in 0..rounds() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut held = 0;
        for failure in 0..8 {
            let seed = round * 8 + failure;
            let mut log = FaultLog::new(open(directory.path()), FaultPlan::default());
            assert_eq!(whole_writes(&log), held, "round {round}, failure {failure}");
            let (synced, unsynced) = (1 + seed % 3, seed * 7 % 11);
            for n in 1..=synced + unsynced {
                log.write(n, &nth(held + n)).expect("written");
                if n == synced {
                    log.sync().expect("synced");
                }
            }
            log.lose_power(seed).expect("staged");
            let log = open(directory.path());
            let after = whole_writes(&log);
            let wanted = held + synced..=held + synced + unsynced;
            assert!(wanted.contains(&after), "round {round}, failure {failure}: {after} not in {wanted:?}");
            outcomes.insert(if after == *wanted.end() { "all" } else { "some lost" });
            held = after;
        }
    }
    assert!(outcomes.into_iter().eq(["all", "some lost"]), "the failure does take something away");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("listed").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

/// The last segment and its length.
fn last_segment(directory: &Path) -> (PathBuf, u64) {
    let entries = fs::read_dir(directory.join("segments")).expect("listed");
    let path = entries.map(|entry| entry.expect("listed").path()).max().expect("there is a segment");
    let length = path.metadata().expect("it is there").len();
    (path, length)
}

fn open_large(directory: &Path) -> SegmentLog {
    let options = SegmentOptions { times: fake_times, ..SegmentOptions::default() };
    SegmentLog::open(directory, options).expect("the log opens")
}

/// A directory of six writes, synced or not, that nothing holds; and how long its segment was at the sync.
fn six_writes(directory: &Path, synced: u64) -> u64 {
    let mut log = open_large(directory);
    let mut length = 0;
    for n in 1..=6 {
        log.write(n, &nth(n)).expect("written");
        if n == synced {
            assert_eq!(log.sync(), Ok(n));
            length = last_segment(directory).1;
        }
    }
    length
}

#[test]
fn a_segment_torn_after_the_sync_loses_only_whole_writes() {
    let (live, torn) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let synced = six_writes(live.path(), 3);
    let (_, end) = last_segment(live.path());
    assert!(end > synced + 10_000, "three writes came after the sync");
    let mut seen = BTreeSet::new();
    let cuts = (synced..end).step_by(777).chain([end - 1, end]);
    for (case, cut) in cuts.enumerate() {
        let copied = torn.path().join(case.to_string());
        copy(live.path(), &copied);
        let file = fs::OpenOptions::new().write(true).open(last_segment(&copied).0).expect("opened");
        file.set_len(cut).expect("cut");
        if case % 2 == 0 {
            // A file whose length was durable before its content.
            file.set_len(1024 * 1024).expect("grown");
        }
        drop(file);
        let mut log = open(&copied);
        let held = whole_writes(&log);
        assert!((3..=6).contains(&held), "{held} writes with the segment cut at {cut}");
        seen.insert(held);
        log.write(1, &nth(held + 1)).expect("a torn tail does not stand in the way");
        log.sync().expect("synced");
        drop(log);
        assert_eq!(whole_writes(&open(&copied)), held + 1);
        fs::remove_dir_all(&copied).expect("removed");
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
}

/// What comes of a segment of six writes with 1 KiB of zeros at each place in turn.
fn holes(synced: u64) -> BTreeSet<&'static str> {
    let (live, torn) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    six_writes(live.path(), synced);
    let (_, end) = last_segment(live.path());
    let mut outcomes = BTreeSet::new();
    for hole in (0..end).step_by(1_024) {
        let copied = torn.path().join(hole.to_string());
        copy(live.path(), &copied);
        let path = last_segment(&copied).0;
        let mut bytes = fs::read(&path).expect("read");
        bytes[hole as usize..(hole as usize + 1_024).min(end as usize)].fill(0);
        fs::write(&path, &bytes).expect("written");
        outcomes.insert(match SegmentLog::open(&copied, options()) {
            Ok(log) => {
                assert!(whole_writes(&log) < 6, "the hole is in one of the writes");
                "a prefix"
            }
            Err(error @ LogError::Damaged { .. }) => {
                assert!(error.to_string().contains("segment at byte"), "{error}");
                assert_eq!(fs::read(&path).expect("read"), bytes, "nothing is cut off damaged data");
                "damage"
            }
            Err(error) => panic!("another error: {error}"),
        });
        fs::remove_dir_all(&copied).expect("removed");
    }
    outcomes
}

#[test]
fn a_hole_in_the_unsynced_tail_never_gives_half_a_write() {
    // Power may fail when a later page of the segment is on the device and an earlier one is not.
    assert!(holes(0).into_iter().eq(["a prefix"]));
}

#[test]
fn a_hole_before_the_sync_is_never_taken_for_a_crash() {
    assert!(holes(6).into_iter().eq(["damage"]));
}

#[test]
fn an_index_that_is_behind_or_lost_is_made_from_the_segments() {
    let (live, early) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let index = live.path().join("index");
    let mut log = open(live.path());
    for n in 1..=40 {
        if n == 20 {
            drop(log);
            copy(&index, early.path());
            log = open(live.path());
        }
        log.write(n, &nth(n)).expect("written");
        log.sync().expect("synced");
    }
    drop(log);
    fs::remove_dir_all(&index).expect("removed");
    copy(early.path(), &index);
    assert_eq!(whole_writes(&open(live.path())), 40, "an older index catches up");
    fs::remove_dir_all(&index).expect("removed");
    assert_eq!(whole_writes(&open(live.path())), 40, "a lost index is made again");
    let segments = live.path().join("segments");
    let mut files: Vec<_> =
        fs::read_dir(&segments).expect("listed").map(|entry| entry.expect("listed").path()).collect();
    files.sort();
    assert!(files.len() > 10, "small segments are many");
    fs::remove_dir_all(&index).expect("removed");
    fs::remove_file(&files[0]).expect("removed");
    let error = SegmentLog::open(live.path(), options()).expect_err("neither index nor segments reach back");
    assert!(error.to_string().contains("the segments begin at"), "{error}");
}

#[test]
fn a_memory_log_loses_exactly_what_was_not_synced() {
    let disk = MemoryDisk::with_times(fake_times);
    let mut log = disk.open();
    for n in 1..=4 {
        log.write(n, &nth(n)).expect("written");
    }
    assert_eq!(log.sync(), Ok(4));
    for n in 5..=6 {
        log.write(n, &nth(n)).expect("written");
    }
    let truncate = |number| Record::Truncate {
        partition: weir_kernel::ids::PartitionId(1),
        lane: lane(number),
        from: 0,
    };
    log.write(7, &[truncate(1), truncate(2)]).expect("written");
    assert_eq!(log.statistics().batches, 0);
    disk.crash();
    assert_eq!(whole_writes(&log), 4);
    let late = log.write(8, &nth(8)).expect_err("the crash ended this log");
    assert!(late.to_string().contains("crashed"), "{late}");
    let mut log = disk.open();
    log.write(1, &nth(5)).expect("written");
    log.crash();
    assert_eq!(whole_writes(&log), 4);
}

#[test]
fn planned_faults_come_when_planned_and_poison_writers_only() {
    let disk = MemoryDisk::with_times(fake_times);
    let plan = FaultPlan { write: Some((3, Fault::Full)), ..FaultPlan::default() };
    let mut log = FaultLog::new(disk.open(), plan);
    log.write(1, &nth(1)).expect("written");
    log.write(2, &nth(2)).expect("written");
    let full = log.write(3, &nth(3)).expect_err("planned");
    assert!(matches!(full, LogError::Full { .. }), "{full}");
    let after = log.sync().expect_err("poisoned");
    assert_eq!(after, LogError::Poisoned { cause: full.to_string() });
    assert_eq!(whole_writes(&log), 2, "reads go on and the failed write left nothing");
    disk.crash();
    assert_eq!(whole_writes(&log), 0, "nothing was synced");

    let plan =
        FaultPlan { sync: Some((2, Fault::Device)), read: Some((2, Fault::Damage)), ..FaultPlan::default() };
    let mut log = FaultLog::new(disk.open(), plan);
    log.write(1, &nth(1)).expect("written");
    assert_eq!(log.sync(), Ok(1));
    log.write(2, &nth(2)).expect("written");
    assert!(matches!(log.sync(), Err(LogError::Io { .. })));
    assert!(matches!(log.write(3, &nth(3)), Err(LogError::Poisoned { .. })));
    let reader = log.reader();
    log.load().expect("the first read");
    assert!(matches!(reader.read(&common::range_all(), 10), Err(LogError::Damaged { .. })));
    reader.read(&common::range_all(), 10).expect("only the planned read fails");
    disk.crash();
    let mut log = log.into_inner();
    assert_eq!(whole_writes(&log), 1, "the failed sync made nothing durable");
    log.crash();
    assert_eq!(whole_writes(&log), 1);
}
