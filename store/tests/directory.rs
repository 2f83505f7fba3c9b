//! Directories that are in use, of another version, foreign, or damaged: each is told by name, none panics.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{batch, fake_times, range_all};
use weir_kernel::log::Record;
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
