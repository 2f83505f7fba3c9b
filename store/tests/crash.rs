//! Processes that are killed and journals that are torn: what was durable is there, and writes are whole.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{batch, collect, fake_times, lane};
use weir_kernel::log::{Query, Record, Table};
use weir_store::{
    EventLog, Fault, FaultLog, FaultPlan, SegmentLog, SegmentOptions, LogError, MemoryDisk, limits,
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

#[test]
fn a_killed_process_keeps_what_it_called_durable() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut last_held = 0;
    for lines in [3, 40, 11] {
        let mut child = Command::new(std::env::current_exe().expect("this test has a path"))
            .args(["--ignored", "--exact", "child_writes_until_killed", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let durable = output
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("durable ").and_then(|number| number.parse::<u64>().ok()));
        let durable = durable.take(lines).last().expect("the child says what is durable");
        let refused = SegmentLog::open(directory.path(), options()).expect_err("the child holds the directory");
        assert!(matches!(refused, LogError::InUse { .. }), "{refused}");
        child.kill().expect("killed");
        child.wait().expect("ended");
        let held = whole_writes(&open(directory.path()));
        assert!(held >= durable, "{held} writes are there and {durable} were durable");
        assert!(durable >= last_held + 5 * lines as u64, "the child went on from {last_held}");
        last_held = held;
    }
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

/// The journal and the number of its bytes before the zeros that it was made with.
fn journal(directory: &Path) -> (PathBuf, u64) {
    let path = directory.join("db/0.jnl");
    let bytes = fs::read(&path).expect("the journal is there");
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    (path, used as u64)
}

#[test]
fn a_journal_torn_after_the_sync_loses_only_whole_writes() {
    let (live, torn) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut log = SegmentLog::open(live.path(), SegmentOptions { times: fake_times, ..SegmentOptions::default() })
        .expect("the log opens");
    for n in 1..=6 {
        log.write(n, &nth(n)).expect("written");
    }
    assert_eq!(log.sync(), Ok(6));
    let (_, synced) = journal(live.path());
    for n in 7..=9 {
        log.write(n, &nth(n)).expect("written");
    }
    let (_, end) = journal(live.path());
    assert!(end > synced + 10_000, "writes are in the journal before their sync");
    let mut seen = std::collections::BTreeSet::new();
    let cuts = (synced..end).step_by(1_777).chain([end - 1, end]);
    for (case, cut) in cuts.enumerate() {
        let copied = torn.path().join(case.to_string());
        copy(live.path(), &copied);
        let file = fs::OpenOptions::new().write(true).open(journal(&copied).0).expect("opened");
        file.set_len(cut).expect("cut");
        if case % 2 == 0 {
            // A file whose length was durable before its content.
            file.set_len(64 * 1024 * 1024).expect("grown");
        }
        drop(file);
        let mut log = open(&copied);
        let held = whole_writes(&log);
        assert!((6..=9).contains(&held), "{held} writes with the journal cut at {cut}");
        seen.insert(held);
        log.write(1, &nth(held + 1)).expect("a torn tail does not stand in the way");
        log.sync().expect("synced");
        drop(log);
        assert_eq!(whole_writes(&open(&copied)), held + 1);
        fs::remove_dir_all(&copied).expect("removed");
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [6, 7, 8, 9]);
}

/// What comes of a journal of six writes with 1 KiB of zeros at each place in turn.
fn holes(synced: bool) -> std::collections::BTreeSet<&'static str> {
    let (live, torn) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut log = SegmentLog::open(live.path(), SegmentOptions { times: fake_times, ..SegmentOptions::default() })
        .expect("the log opens");
    for n in 1..=6 {
        log.write(n, &nth(n)).expect("written");
    }
    if synced {
        log.sync().expect("synced");
    }
    let (_, end) = journal(live.path());
    let mut outcomes = std::collections::BTreeSet::new();
    for hole in (0..end).step_by(1_024) {
        let copied = torn.path().join(hole.to_string());
        copy(live.path(), &copied);
        let path = journal(&copied).0;
        let mut bytes = fs::read(&path).expect("read");
        bytes[hole as usize..(hole as usize + 1_024).min(end as usize)].fill(0);
        fs::write(&path, bytes).expect("written");
        outcomes.insert(match SegmentLog::open(&copied, options()) {
            Ok(log) => {
                assert!(whole_writes(&log) < 6, "the hole is in one of the writes");
                "a prefix"
            }
            Err(LogError::Damaged { .. }) => "damage",
            Err(error) => panic!("another error: {error}"),
        });
        fs::remove_dir_all(&copied).expect("removed");
    }
    outcomes
}

#[test]
fn a_hole_in_the_unsynced_journal_never_gives_half_a_write() {
    // Power may fail when a later page of the journal is on the device and an earlier one is not.
    assert!(holes(false).contains("a prefix"));
}

#[test]
fn a_hole_in_the_synced_journal_is_never_taken_for_a_crash() {
    assert!(holes(true).into_iter().eq(["damage"]));
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
