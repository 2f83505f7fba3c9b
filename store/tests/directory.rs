//! Directories that are in use, of another version, foreign, or damaged: each is told by name, none panics.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{batch, collect, fake_times, range_all};
use weir_kernel::log::{Record, Table};
use weir_store::{EventLog, LogError, SegmentLog, SegmentOptions, limits};

fn options() -> SegmentOptions {
    SegmentOptions {
        segment_bytes: limits::SEGMENT_BYTES_MINIMUM,
        layer_rows: 7,
        times: fake_times,
        ..SegmentOptions::default()
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn a_directory_in_use_is_refused_until_log_and_readers_are_gone() {
    let directory = directory();
    let log = SegmentLog::open(directory.path(), options()).expect("opens");
    let error = SegmentLog::open(directory.path(), options()).expect_err("in use");
    assert_eq!(error, LogError::InUse { directory: directory.path().to_owned() });
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
    assert!(error.to_string().contains("stop that process"), "{error}");
    let reader = log.reader();
    drop(log);
    SegmentLog::open(directory.path(), options()).expect_err("a reader holds it");
    drop(reader);
    SegmentLog::open(directory.path(), options()).expect("free again");
}

#[test]
fn another_version_is_refused_and_left_as_it_is() {
    let directory = directory();
    drop(SegmentLog::open(directory.path(), options()).expect("opens"));
    let format = directory.path().join("FORMAT");
    assert_eq!(fs::read_to_string(&format).expect("readable"), "weir-store 2\n", "the format is pinned");
    for text in ["weir-store 1\n", "weir-store 2.5\n", "weir-store 2"] {
        fs::write(&format, text).expect("writable");
        let error = SegmentLog::open(directory.path(), options()).expect_err("another version");
        assert!(matches!(&error, LogError::Version { supported: 2, .. }), "{error}");
        assert!(error.to_string().contains(text.trim_end()), "{error}");
        assert_eq!(fs::read_to_string(&format).expect("readable"), text);
    }
    fs::write(&format, "other program").expect("writable");
    let error = SegmentLog::open(directory.path(), options()).expect_err("foreign");
    assert!(matches!(&error, LogError::Foreign { .. }), "{error}");
}

#[test]
fn a_foreign_directory_is_refused_untouched() {
    let directory = directory();
    fs::write(directory.path().join("thesis.tex"), "mine").expect("writable");
    let error = SegmentLog::open(directory.path(), options()).expect_err("foreign");
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    let left: Vec<_> = fs::read_dir(directory.path()).expect("listed").collect();
    assert_eq!(left.len(), 1, "nothing was written there");
    let file = directory.path().join("thesis.tex");
    assert!(matches!(SegmentLog::open(&file, options()), Err(LogError::Io { .. })));
}

#[test]
fn an_interrupted_making_is_made_again() {
    let directory = directory();
    fs::create_dir_all(directory.path()).expect("made");
    fs::write(directory.path().join("LOCK"), "").expect("writable");
    fs::write(directory.path().join("FORMAT.new"), "weir-").expect("writable");
    drop(SegmentLog::open(directory.path(), options()).expect("opens"));
    fs::remove_dir_all(directory.path().join("index")).expect("removed");
    fs::create_dir_all(directory.path().join("index.new/keyspaces/nonsense")).expect("made");
    let mut log = SegmentLog::open(directory.path(), options()).expect("opens");
    log.write(1, &[Record::Batch(batch(1, 1, 0, &[1], 10))]).expect("written");
    assert_eq!(log.sync(), Ok(1));
}

#[test]
fn a_database_with_other_files_is_an_error_and_no_panic() {
    let broken: [fn(&Path); 4] = [
        |db| fs::write(db.join("version"), "FJX").expect("writable"),
        |db| fs::remove_dir_all(db.join("keyspaces")).expect("removed"),
        |db| fs::create_dir_all(db.join("keyspaces/nonsense")).expect("made"),
        |db| {
            for file in files(&db.join("keyspaces")) {
                fs::write(file, "nonsense").expect("writable");
            }
        },
    ];
    for (case, damage) in broken.into_iter().enumerate() {
        let directory = directory();
        let mut log = SegmentLog::open(directory.path(), options()).expect("opens");
        log.write(1, &[Record::Batch(batch(1, 1, 0, &[1], 10))]).expect("written");
        log.sync().expect("synced");
        drop(log);
        damage(&directory.path().join("index"));
        let error = SegmentLog::open(directory.path(), options()).err();
        let error = error.unwrap_or_else(|| panic!("case {case} opens"));
        let known = matches!(&error, LogError::Damaged { .. } | LogError::Io { .. });
        assert!(known, "case {case}: {error}");
        let name = directory.path().display().to_string();
        assert!(error.to_string().contains(&name), "case {case}: {error}");
    }
}

/// Every file below a directory, ordered.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("listed") {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Opens with room for everything in one segment, indexed at once.
fn open_large(directory: &Path) -> SegmentLog {
    let options = SegmentOptions { layer_rows: 1, times: fake_times, ..SegmentOptions::default() };
    SegmentLog::open(directory, options).expect("opens")
}

/// Writes forty batches and waits until the index has them.
fn forty(directory: &Path) {
    let mut log = open_large(directory);
    for index in 1..=40 {
        log.write(index, &[Record::Batch(batch(index, 1, index, &[index], 10_000))]).expect("written");
        log.sync().expect("synced");
    }
}

#[test]
fn a_flipped_bit_in_an_indexed_batch_is_found_by_the_read() {
    let directory = directory();
    forty(directory.path());
    // A start indexes what is left, so the next one reads no batch again.
    drop(open_large(directory.path()));
    let segment = files(&directory.path().join("segments")).remove(0);
    let mut bytes = fs::read(&segment).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&segment, bytes).expect("writable");

    let log = open_large(directory.path());
    let mut damaged = 0;
    for index in 1..=40 {
        let query = weir_kernel::log::Query::Lane { lane: common::lane(1), from: index };
        match log.read(&query, 0) {
            Ok(chunk) => assert_eq!(*chunk.batches[0], *batch(index, 1, index, &[index], 10_000).bytes),
            Err(LogError::Damaged { place, cause }) => {
                assert!(place.contains("segment at byte") && cause.contains("checksum"), "{place}: {cause}");
                damaged += 1;
            }
            Err(error) => panic!("another error: {error}"),
        }
    }
    assert_eq!(damaged, 1, "the flipped bit is in one batch, and only that one is refused");
    assert!(log.read(&range_all(), usize::MAX).is_err());
}

#[test]
fn segments_that_are_lost_cut_or_strange_are_named() {
    let broken: [(&str, fn(&[PathBuf])); 4] = [
        ("the segments end at", |files| {
            files.iter().for_each(|file| fs::remove_file(file).expect("removed"))
        }),
        ("the next one begins", |files| fs::remove_file(&files[1]).expect("removed")),
        ("the next one begins", |files| fs::write(&files[1], "").expect("writable")),
        ("which is no segment", |files| fs::write(files[0].with_extension("old"), "").expect("writable")),
    ];
    for (wanted, damage) in broken {
        let directory = directory();
        let mut log = SegmentLog::open(directory.path(), options()).expect("opens");
        for index in 1..=40 {
            log.write(index, &[Record::Batch(batch(index, 1, index, &[index], 1_000))]).expect("written");
            log.sync().expect("synced");
        }
        drop(log);
        damage(&files(&directory.path().join("segments")));
        let error = SegmentLog::open(directory.path(), options()).expect_err(wanted);
        assert!(matches!(&error, LogError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

/// Names of the files that hold the log.
fn names(directory: &Path) -> Vec<String> {
    let files = files(&directory.join("segments")).into_iter();
    files.map(|file| file.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}

/// Writes batches 1 to 30 of lane 1 and, after the tenth and twentieth, one of lane 2 and 3; small segments.
fn three_lanes(directory: &Path) -> SegmentLog {
    let mut log = SegmentLog::open(directory, options()).expect("opens");
    let mut index = 0;
    for n in 1..=30 {
        let mut records = vec![Record::Batch(batch(index + 1, 1, n, &[n], 1_000))];
        if n % 10 == 0 {
            records.push(Record::Batch(batch(index + 2, (n / 10) as u8 + 1, 0, &[n], 1_000)));
        }
        index += records.len() as u64;
        log.write(n, &records).expect("written");
        log.sync().expect("synced");
    }
    log
}

fn truncate(number: u8) -> [Record; 1] {
    [Record::Truncate { partition: weir_kernel::ids::PartitionId(1), lane: common::lane(number), from: 0 }]
}

/// Writes rows until the log has freed what it can.
fn settle(log: &mut SegmentLog, write: &mut u64, done: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < patience, "the indexer frees segments");
        *write += 1;
        let row = |key: u8| Record::Put { table: Table::Mark, key: vec![key], value: vec![key] };
        log.write(*write, &(0..8).map(row).collect::<Vec<_>>()).expect("written");
        log.sync().expect("synced");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn segments_without_a_batch_are_freed_and_the_others_stay() {
    let directory = directory();
    let path = directory.path();
    let mut log = three_lanes(path);
    let before = names(path);
    assert!(before.len() >= 8, "{before:?}");
    let mut write = 31;
    log.write(write, &truncate(1)).expect("written");
    // The segments of lanes 2, 3 and 4 stay; those before the first of them go, and those between become holes.
    let segments = || names(path).iter().filter(|name| name.ends_with(".segment")).count();
    settle(&mut log, &mut write, || segments() <= 5);
    let held = |log: &SegmentLog| collect(|query, budget| log.read(query, budget), &range_all(), 3_000);
    assert_eq!(held(&log).expect("whole").events.len(), 3);
    let names_then = names(path);
    assert!(names_then.iter().any(|name| name.ends_with(".hole")), "{names_then:?}");
    assert!(!names_then.contains(&before[0]), "what is before all that is held goes");
    drop(log);
    // What an interrupted freeing leaves does no harm.
    let first = names_then.iter().find(|name| name.ends_with(".segment")).expect("one stays");
    fs::write(path.join("segments").join(first.replace("segment", "hole")), "").expect("writable");
    let mut log = SegmentLog::open(path, options()).expect("holes are no damage");
    assert_eq!(held(&log).expect("whole").events.len(), 3);
    let mut write = 1;
    log.write(write, &truncate(2)).expect("written");
    settle(&mut log, &mut write, || !names(path).contains(first));
    assert_eq!(held(&log).expect("whole").events.len(), 2);
    drop(log);
    let log = SegmentLog::open(path, options()).expect("opens");
    assert_eq!(held(&log).expect("whole").events.len(), 2);
    drop(log);
    // A segment that holds a batch is missed, even where a hole stands in its place.
    let held: Vec<String> = names(path).into_iter().filter(|name| name.ends_with(".segment")).collect();
    let segments = path.join("segments");
    fs::rename(segments.join(&held[0]), segments.join(held[0].replace("segment", "hole"))).expect("renamed");
    let error = SegmentLog::open(path, options()).expect_err("a batch is lost");
    assert!(error.to_string().contains("which is missing"), "{error}");
}
