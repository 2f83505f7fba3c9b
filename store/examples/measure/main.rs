//! Measures the event log as a broker's committer drives it, on the disk of the directory that it is given.
//!
//! ```text
//! cargo run --release -p weir-store --example measure -- all DIRECTORY
//! cargo run --release -p weir-store --example measure -- write DIRECTORY [EVENTS [BATCH [GROUP_BYTES]]]
//! ```
//!
//! The directory must not exist or be empty; what is written there is removed.

mod load;
mod machine;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use load::{Load, Shape};
use machine::{Meter, resident_bytes, resident_peak_bytes};
use weir_kernel::ids::PartitionId;
use weir_kernel::log::{Position, Query};
use weir_store::{EventLog, SegmentLog, SegmentOptions};

const GROUP_BYTES: u64 = 1024 * 1024;
const CHUNK_BYTES: usize = 1024 * 1024;

fn open(directory: &Path) -> impl EventLog + use<> {
    let options = SegmentOptions { times: load::times, ..SegmentOptions::default() };
    SegmentLog::open(directory, options).expect("the log opens")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<u64>().expect("a number"));
    let (Some(what), Some(directory)) = (arguments.first(), arguments.get(1).map(PathBuf::from)) else {
        eprintln!("usage: measure all|write|scan|restart|expire|streams DIRECTORY [NUMBERS]");
        std::process::exit(2);
    };
    match what.as_str() {
        "write" => {
            let (events, batch) = (number(2).unwrap_or(10_000_000), number(3).unwrap_or(256));
            write(&directory, events, batch as u32, number(4).unwrap_or(GROUP_BYTES));
        }
        "scan" => scan(&directory, number(2).unwrap_or(256) as u32),
        "restart" => restart(&directory, number(2).unwrap_or(10_000_000), number(3).unwrap_or(256) as u32),
        "expire" => expire(&directory, number(2).unwrap_or(10_000_000), number(3).unwrap_or(256) as u32),
        "streams" => streams(&directory, number(2).unwrap_or(1_000_000) as u32),
        "child" => child(&directory, number(2).expect("events"), number(3).expect("a batch") as u32),
        "all" => all(&directory),
        other => panic!("nothing is called {other}"),
    }
}

/// Each in a process of its own, so that its memory is its own.
fn all(directory: &Path) {
    let run = |what: &str, numbers: &[u64]| {
        let program = std::env::current_exe().expect("this program has a path");
        let numbers = numbers.iter().map(u64::to_string);
        let status = Command::new(program).arg(what).arg(directory).args(numbers).status();
        assert!(status.expect("the measurement starts").success(), "{what} failed");
    };
    for (batch, events) in [(1, 400_000), (16, 3_000_000), (256, 12_000_000), (1024, 12_000_000)] {
        run("write", &[events, batch, GROUP_BYTES]);
        run("write", &[events / 2, batch, GROUP_BYTES / 8]);
    }
    for batch in [1, 16, 256, 1024] {
        run("scan", &[batch]);
    }
    run("restart", &[10_000_000, 256]);
    run("restart", &[1_000_000, 1]);
    run("expire", &[10_000_000, 256]);
    run("streams", &[1_000_000]);
}

/// Writes groups of about `group_bytes`, each with one sync, as fast as the log takes them.
fn fill(
    log: &mut impl EventLog,
    load: &mut Load,
    events: u64,
    group_bytes: u64,
) -> (u64, u64, Vec<Duration>) {
    let (mut index, mut written, mut bytes, mut group, mut syncs) = (0, 0, 0, 0, Vec::new());
    while written < events {
        let (records, count) = load.next_write();
        index += 1;
        log.write(index, &records).expect("written");
        written += count;
        bytes += load.batch_bytes() as u64;
        group += load.batch_bytes() as u64;
        if group >= group_bytes || written >= events {
            group = 0;
            let began = Instant::now();
            assert_eq!(log.sync().expect("synced"), index);
            syncs.push(began.elapsed());
        }
    }
    (written, bytes, syncs)
}

fn write(directory: &Path, events: u64, batch: u32, group_bytes: u64) {
    let mut log = open(directory);
    let mut load = Load::new(Shape::interleaved(batch), 1);
    let meter = Meter::start();
    let (written, bytes, mut syncs) = fill(&mut log, &mut load, events, group_bytes);
    let used = meter.used();
    syncs.sort();
    let at = |part: usize| syncs[(syncs.len() - 1) * part / 100].as_secs_f64() * 1e3;
    let an_event = |cpu: Duration| cpu.as_secs_f64() * 1e6 / written as f64;
    println!(
        "write   batch {batch:4} group {:4} KiB: {:9.0} events/s  {:5.0} MB/s  cpu {:.3} us/event \
         (committer {:.3})  device bytes {:.2} a byte  sync p50 {:.2} \
         p99 {:.2} max {:.1} ms  peak {} MiB  disk {:.2}",
        group_bytes / 1024,
        written as f64 / used.wall.as_secs_f64(),
        bytes as f64 / used.wall.as_secs_f64() / 1e6,
        an_event(used.cpu),
        an_event(used.thread_cpu),
        used.written_bytes as f64 / bytes as f64,
        at(50),
        at(99),
        at(100),
        resident_peak_bytes() >> 20,
        log.statistics().disk_bytes as f64 / bytes as f64,
    );
    drop(log);
    fs::remove_dir_all(directory).expect("removed");
}

fn range(partition: u32, stream: u32) -> Query {
    Query::Range {
        partition: PartitionId(partition),
        slot: Shape::slot(stream),
        from: Position::default(),
        to: Position::at(u64::MAX - 1),
        up_to_index: u64::MAX,
        origin: None,
    }
}

/// Reads everything that a query leads to, with one chunk in memory at a time.
fn read_all(log: &impl EventLog, query: Query) -> (u64, u64) {
    let (mut events, mut bytes, mut next) = (0, 0, Some(query));
    while let Some(query) = next {
        let chunk = log.read(&query, CHUNK_BYTES).expect("read");
        events += chunk.order.iter().map(|slice| u64::from(slice.count)).sum::<u64>();
        bytes += chunk.batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        next = chunk.next;
    }
    (events, bytes)
}

/// The system forgets what it has cached of a directory, as far as it can be asked to.
fn forget_cached() {
    let _ = Command::new("sync").status();
    let _ = fs::write("/proc/sys/vm/drop_caches", "1");
}

fn scan(directory: &Path, batch: u32) {
    let shape = Shape::interleaved(batch);
    let mut log = open(directory);
    let events = 10_000_000.min(u64::from(batch) * 60_000);
    let (written, ..) = fill(&mut log, &mut Load::new(shape, 1), events, GROUP_BYTES);
    drop(log);
    forget_cached();
    let log = open(directory);
    // Batches of different lanes overlap in time: what a tail follows comes batch by batch all the same.
    for (name, after) in [("cold", 0), ("warm", 0)] {
        let (meter, mut events, mut bytes) = (Meter::start(), 0, 0);
        for partition in 0..shape.partitions {
            for stream in 0..shape.streams {
                let slot = Shape::slot(stream * shape.partitions + partition);
                let query = Query::Append { partition: PartitionId(partition), slot, after_index: after };
                let (found, read) = read_all(&log, query);
                events += found;
                bytes += read;
            }
        }
        assert_eq!(events, written, "everything is read");
        report_scan("append", name, batch, events, bytes, &meter);
    }
    let meter = Meter::start();
    let (mut events, mut bytes) = (0, 0);
    for partition in 0..shape.partitions {
        for stream in 0..shape.streams {
            let (found, read) = read_all(&log, range(partition, stream * shape.partitions + partition));
            events += found;
            bytes += read;
        }
    }
    report_scan("range", "warm", batch, events, bytes, &meter);
    let mut lasts = Vec::new();
    for turn in 0..200 {
        let (partition, stream) = (turn % shape.partitions, turn / shape.partitions % shape.streams);
        let slot = Shape::slot(stream * shape.partitions + partition);
        let query =
            Query::Last { partition: PartitionId(partition), slot, count: 100, up_to_index: u64::MAX };
        let began = Instant::now();
        let chunk = log.read(&query, CHUNK_BYTES).expect("read");
        lasts.push(began.elapsed());
        assert_eq!(chunk.total, 100);
    }
    lasts.sort();
    println!(
        "last100 batch {batch:4}: p50 {:.3} p99 {:.3} ms",
        lasts[lasts.len() / 2].as_secs_f64() * 1e3,
        lasts[lasts.len() * 99 / 100].as_secs_f64() * 1e3
    );
    drop(log);
    fs::remove_dir_all(directory).expect("removed");
}

fn report_scan(query: &str, cache: &str, batch: u32, events: u64, bytes: u64, meter: &Meter) {
    let used = meter.used();
    println!(
        "scan    batch {batch:4} {query:6} {cache}: {:9.0} events/s  {:5.0} MB/s  cpu {:.3} us/event",
        events as f64 / used.wall.as_secs_f64(),
        bytes as f64 / used.wall.as_secs_f64() / 1e6,
        used.cpu.as_secs_f64() * 1e6 / events as f64
    );
}

/// Writes until it is killed, in a process of its own.
fn child(directory: &Path, events: u64, batch: u32) {
    let mut log = open(directory);
    let mut load = Load::new(Shape::interleaved(batch), 1);
    fill(&mut log, &mut load, events, GROUP_BYTES);
    println!("written");
    for index in events.. {
        log.write(index + 1, &load.next_write().0).expect("written");
    }
}

fn restart(directory: &Path, events: u64, batch: u32) {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["child".as_ref(), directory.as_os_str()])
        .args([events.to_string(), batch.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    lines.next().expect("the child says when").expect("text");
    child.kill().expect("killed");
    child.wait().expect("ended");
    forget_cached();
    let began = Instant::now();
    let log = open(directory);
    let opened = began.elapsed();
    let rows = log.load().expect("loaded").rows.len();
    let loaded = began.elapsed();
    let query =
        Query::Last { partition: PartitionId(0), slot: Shape::slot(0), count: 100, up_to_index: u64::MAX };
    assert_eq!(log.read(&query, CHUNK_BYTES).expect("read").total, 100);
    let statistics = log.statistics();
    assert!(statistics.events >= events, "what was synced is there");
    println!(
        "restart batch {batch:4}: kill -9 with {} events, opened in {:.0} ms, {rows} rows loaded at {:.0} ms, \
         last 100 answered at {:.0} ms",
        statistics.events,
        opened.as_secs_f64() * 1e3,
        loaded.as_secs_f64() * 1e3,
        began.elapsed().as_secs_f64() * 1e3
    );
    drop(log);
    fs::remove_dir_all(directory).expect("removed");
}

/// The older half of the lanes goes, batch by batch, while the younger half stays: what retention asks of an
/// index.
fn expire(directory: &Path, events: u64, batch: u32) {
    let shape = Shape::interleaved(batch);
    let mut log = open(directory);
    let (_, bytes, _) = fill(&mut log, &mut Load::new(shape, 1), events, GROUP_BYTES);
    drop(log);
    let mut log = open(directory);
    fill(&mut log, &mut Load::new(shape, 2), events, GROUP_BYTES);
    drop(log);
    let mut log = open(directory);
    let before = log.statistics();
    let meter = Meter::start();
    for partition in 0..shape.partitions {
        for stream in 0..shape.streams {
            let slot = Shape::slot(stream * shape.partitions + partition);
            while log.expire(PartitionId(partition), slot, Load::start_ms(2), u64::MAX).expect("expired") > 0
            {
                log.sync().expect("synced");
            }
        }
    }
    let used = meter.used();
    let dropped = before.batches - log.statistics().batches;
    std::thread::sleep(Duration::from_secs(5));
    let freed = before.disk_bytes.saturating_sub(log.statistics().disk_bytes);
    println!(
        "expire  batch {batch:4}: {dropped} batches in {:.2} s, cpu {:.2} us a batch, {:.1} MB sent to the device, \
         freed {:.2} a byte after 5 s",
        used.wall.as_secs_f64(),
        used.cpu.as_secs_f64() * 1e6 / dropped as f64,
        used.written_bytes as f64 / 1e6,
        freed as f64 / bytes as f64
    );
    drop(log);
    fs::remove_dir_all(directory).expect("removed");
}

/// Memory with many streams known: one batch of one event in each.
fn streams(directory: &Path, streams: u32) {
    let shape = Shape { partitions: 4, streams: streams / 4, lanes: 1, events: 1 };
    let mut log = open(directory);
    println!("memory  idle: {} MiB", resident_bytes() >> 20);
    let _ = std::io::stdout().flush();
    let meter = Meter::start();
    fill(&mut log, &mut Load::new(shape, 1), u64::from(streams), GROUP_BYTES);
    let wrote = meter.used().wall;
    drop(log);
    let began = Instant::now();
    let log = open(directory);
    println!(
        "memory  {streams} streams: written in {:.1} s, peak {} MiB, resident {} MiB after opening again in {:.0} ms",
        wrote.as_secs_f64(),
        resident_peak_bytes() >> 20,
        resident_bytes() >> 20,
        began.elapsed().as_secs_f64() * 1e3
    );
    drop(log);
    fs::remove_dir_all(directory).expect("removed");
}
