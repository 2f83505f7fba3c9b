//! The event path of one broker without its sockets: how fast the engine verifies, appends and acknowledges signed
//! batches, and how fast the disk takes them. For profiling: `perf record` shows two threads, `engine` and `store`.
//!
//! ```text
//! cargo run --release --package weir-node --example ingest -- [batches] [events a batch] [directory]
//! ```
//!
//! Batches of 100-byte events are signed beforehand. The engine gets them as an edge's frames, a few hundred KiB a
//! turn, as long as the committer has room, and the run is over when the last one is acknowledged.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use support::{CHAIN_ID, Listed, domain, publishers, views, wall_ms};
use weir_kernel::broker::Message;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, LaneId};
use weir_kernel::log::Record;
use weir_kernel::signature::SecretKey;
use weir_kernel::time::Now;
use weir_kernel::wire;
use weir_node::engine::{Completion, Engine, Operation};
use weir_node::node::commit::Committer;
use weir_node::verifier::NativeVerifier;
use weir_store::{EventLog, SegmentLog, SegmentOptions};

const LANES: u32 = 8;
const TURN_BYTES: usize = 512 << 10;

/// Frames of signed batches, lanes in turn.
fn load(view: &State, batches: usize, count: usize) -> Vec<Bytes> {
    let mut lanes = publishers(view, LANES);
    let frame = |number: usize| {
        let lane = &mut lanes[number % LANES as usize];
        let (partition, batch) = (lane.home, lane.next(CHAIN_ID, count));
        wire::encode(&Message::Append { partition }, &[batch.bytes().clone()]).into()
    };
    (0..batches).map(frame).collect()
}

/// CPU time of this process's threads, in milliseconds.
fn cpu_ms() -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_task = |path: PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some((name.to_owned(), ticks * 10))
    };
    tasks.filter_map(|task| of_task(task.path())).filter(|(_, ms)| *ms > 0).collect()
}

struct Run {
    engine: Engine<NativeVerifier>,
    committer: Committer,
    durable: mpsc::Receiver<u64>,
    started: Instant,
    operations: Vec<Operation>,
    me: Address,
    acknowledged: BTreeMap<LaneId, u64>,
    frames: u64,
    batches_written: u64,
}

impl Run {
    fn turn(&mut self, completions: Vec<Completion>) {
        let monotonic_us = self.started.elapsed().as_micros() as u64;
        let now = Now { monotonic_us, wall_ms: wall_ms() };
        self.engine.turn(now, completions, &mut self.operations);
        for operation in std::mem::take(&mut self.operations) {
            match operation {
                Operation::Write { index, records } => {
                    let batches = records.iter().filter(|record| matches!(record, Record::Batch(_)));
                    self.batches_written += batches.count() as u64;
                    self.committer.write(index, records);
                }
                Operation::Send { frame, .. } => self.hear(&frame),
                Operation::Refused(from, error) => panic!("{from}: {error}"),
                _ => {}
            }
        }
    }

    fn hear(&mut self, frame: &Bytes) {
        let received = wire::decode(frame, self.me, domain(), &NativeVerifier).expect("its own frame");
        match received.message() {
            Message::Acknowledge { heads, .. } => {
                self.frames += 1;
                for head in heads {
                    self.acknowledged.insert(head.lane, head.next_sequence);
                }
            }
            Message::Refuse { reason, .. } => panic!("refused: {reason}"),
            _ => {}
        }
    }

    fn drain(&mut self, wait: Duration) {
        let mut durable: Vec<_> = self.durable.try_iter().map(Completion::Durable).collect();
        if durable.is_empty() && !wait.is_zero() {
            durable.extend(self.durable.recv_timeout(wait).ok().map(Completion::Durable));
        }
        self.turn(durable);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        arguments.next().map_or(default, |text| text.parse().expect("a number of batches, then of events"))
    };
    let (batches, count) = (number(8_000), number(256));
    let under = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(under).expect("a directory for the log");

    let (me, edge) = (SecretKey::from_bytes(&[1; 32]).expect("a valid key").address(), Address([0xED; 20]));
    let [before, view] = views(Listed::unreachable(me), Listed::unreachable(edge));
    let begin = Instant::now();
    let frames = load(&view, batches, count);
    let bytes: usize = frames.iter().map(Bytes::len).sum();
    println!(
        "{batches} batches of {count} events, {} MB, signed in {:?}",
        bytes / 1_000_000,
        begin.elapsed()
    );

    let log = SegmentLog::open(directory.path(), SegmentOptions::default()).expect("the log opens");
    let checkpoint = log.load().expect("an empty log");
    let engine =
        Engine::open(me, before.clone(), &checkpoint, NativeVerifier).expect("an empty log is nobody's");
    let committer = Committer::default();
    let (told, durable) = mpsc::channel();
    let groups = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&groups);
    let work = committer.run(log, move |index| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = told.send(index.expect("the disk works"));
    });
    let store = std::thread::Builder::new().name("store".into()).spawn(work).expect("a thread");
    let run = Run {
        engine,
        committer: committer.clone(),
        durable,
        started: Instant::now(),
        operations: Vec::new(),
        me,
        acknowledged: Default::default(),
        frames: 0,
        batches_written: 0,
    };
    let total = (batches * count) as u64;
    let engine = std::thread::Builder::new().name("engine".into());
    let engine = engine.spawn(move || drive(run, [before, view], edge, frames, total)).expect("a thread");
    let took = engine.join().expect("the engine's thread does not panic");
    committer.close();
    println!(
        "{:.0} events/s, {:.0} MB/s; {} groups; cpu {:?}",
        total as f64 / took.as_secs_f64(),
        bytes as f64 / took.as_secs_f64() / 1e6,
        groups.load(Ordering::Relaxed),
        cpu_ms()
    );
    store.join().expect("the store's thread does not panic");
}

/// Feeds the frames and waits for the last acknowledgement; returns how long it took.
fn drive(mut run: Run, views: [Arc<State>; 2], edge: Address, frames: Vec<Bytes>, total: u64) -> Duration {
    for view in views {
        run.turn(vec![Completion::Chain(view)]);
        run.drain(Duration::from_secs(5));
    }
    let (begin, before) = (Instant::now(), cpu_ms());
    let mut frames = frames.into_iter().peekable();
    loop {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while run.committer.has_room() && bytes < TURN_BYTES {
            let Some(frame) = frames.next() else { break };
            bytes += frame.len();
            taken.push(Completion::Frame(edge, frame));
        }
        let idle = taken.is_empty();
        run.turn(taken);
        run.drain(if idle { Duration::from_millis(100) } else { Duration::ZERO });
        if run.acknowledged.values().sum::<u64>() >= total {
            break;
        }
    }
    let took = begin.elapsed();
    println!("before the run: cpu {before:?}");
    println!("{} frames of acknowledgements for {} batches in {took:?}", run.frames, run.batches_written);
    let mine = cpu_ms();
    println!("cpu at the end, in ms: {mine:?}");
    took
}
