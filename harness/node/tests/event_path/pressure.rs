//! A publisher that is ten times faster than the disk and more: what waits is bounded at every stage, and nothing is
//! lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_chain::mirror::{Genesis, Mirror};
use weir_chain::port::SharedMirror;
use weir_kernel::broker::Message;
use weir_kernel::ids::{Address, PartitionId, StreamPartition};
use weir_kernel::log::{Checkpoint, Chunk, Query, Record};
use weir_kernel::signature::SecretKey;
use weir_kernel::wire;
use weir_net::TlsIdentity;
use weir_node::node::commit::MAX_QUEUED_BYTES;
use weir_node::node::layout::ShardCount;
use weir_node::node::{Node, NodeConfig, Queued};
use weir_store::{EventLog, LogError, LogReader, LogStatistics};

use super::alone;
use super::link::{Link, PATIENCE};
use super::support::{CHAIN_ID, Listed, domain, publishers, views};

/// What is offered: several times what may wait anywhere.
const BATCHES: usize = 8_000;
const EVENTS: usize = 256;

/// What the disk takes at first, in bytes a second.
const SLOW: u64 = 2_000_000;

/// What may wait of frames: one peer's queue and what its stream brings at once, and what each costs beside its length.
const FRAMES_BYTES: usize =
    weir_net::limits::PEER_IN_BYTES + weir_net::limits::STREAM_WINDOW_BYTES as usize + (1 << 20);

/// What the engine may add to a queue in the turn in which it finds it full.
const TURN_BYTES: usize = 1 << 20;

/// What the process may grow by: records, frames, QUIC's windows at both ends, and half as much again for the
/// allocator.
const GROWTH_BYTES: usize =
    (MAX_QUEUED_BYTES + FRAMES_BYTES + 2 * weir_net::limits::CONNECTION_WINDOW_BYTES as usize) / 2 * 3;

/// A disk that forgets, at a pace.
struct Paced {
    /// Bytes a second; 0 for no limit.
    pace: Arc<AtomicU64>,
    events: Arc<AtomicU64>,
    unsynced: u64,
    index: u64,
}

impl EventLog for Paced {
    fn write(&mut self, index: u64, records: &[Record]) -> Result<(), LogError> {
        self.index = index;
        for record in records {
            if let Record::Batch(batch) = record {
                self.unsynced += batch.bytes.len() as u64;
                self.events.fetch_add(u64::from(batch.count), Ordering::SeqCst);
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<u64, LogError> {
        let begin = Instant::now();
        let taken = |pace: u64| begin.elapsed().as_secs_f64() * pace as f64;
        loop {
            let pace = self.pace.load(Ordering::SeqCst);
            if pace == 0 || taken(pace) >= self.unsynced as f64 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.unsynced = 0;
        Ok(self.index)
    }

    fn expire(&mut self, _: PartitionId, _: StreamPartition, _: u64, _: u64) -> Result<u64, LogError> {
        Ok(0)
    }

    fn held_slot(
        &self,
        _: PartitionId,
        _: Option<StreamPartition>,
    ) -> Result<Option<StreamPartition>, LogError> {
        Ok(None)
    }

    fn load(&self) -> Result<Checkpoint, LogError> {
        Ok(Checkpoint::default())
    }

    fn read(&self, _: &Query, _: usize) -> Result<Chunk, LogError> {
        Ok(Chunk::default())
    }

    fn statistics(&self) -> LogStatistics {
        LogStatistics::default()
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(Forgotten)
    }
}

struct Forgotten;

impl LogReader for Forgotten {
    fn read(&self, _: &Query, _: usize) -> Result<Chunk, LogError> {
        Ok(Chunk::default())
    }

    fn statistics(&self) -> LogStatistics {
        LogStatistics::default()
    }
}

/// Resident memory of this process, in bytes; `None` where the system does not say.
fn resident_bytes() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? << 10)
}

/// The most that was seen.
#[derive(Debug, Default)]
struct Most {
    queued: Queued,
    resident: usize,
}

impl Most {
    fn look(&mut self, node: &Node) {
        let Queued { frames, records } = node.queued();
        self.queued.frames = self.queued.frames.max(frames);
        self.queued.records = self.queued.records.max(records);
        self.resident = self.resident.max(resident_bytes().unwrap_or(0));
    }
}

#[test]
fn a_fast_publisher_fills_nothing_but_its_own_queue() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let any = "127.0.0.1:0".parse().unwrap();
    let key = SecretKey::from_bytes(&[1; 32]).unwrap();
    let (tls, edge_tls) = (TlsIdentity::generate().unwrap(), TlsIdentity::generate().unwrap());
    let (tls_hash, edge) = (tls.key_hash(), Address([1; 20]));
    assert!(edge < key.address(), "the edge dials");
    let listed = Listed { tls_key_hash: edge_tls.key_hash(), ..Listed::unreachable(edge) };
    let [before, view] = views(Listed::unreachable(key.address()), listed);
    let (pace, events) = (Arc::new(AtomicU64::new(SLOW)), Arc::new(AtomicU64::new(0)));
    let disk = Paced { pace: pace.clone(), events: events.clone(), unsynced: 0, index: 0 };
    let genesis = Genesis { chain_id: CHAIN_ID, timestamp_s: 0, alloc: BTreeMap::new() };
    let config = NodeConfig {
        name: String::from("keeper"),
        key: key.clone(),
        directory: std::env::temp_dir(),
        shards: ShardCount::a_core(1),
        disk_limit_bytes: None,
        listen: any,
        tls,
        chain: SharedMirror::new(Mirror::in_memory(&genesis)),
        view: before,
    };
    let node = Node::start_over(config, disk).unwrap();
    node.set_view(view.clone());

    let mut lanes = publishers(&view, 8);
    let mut ends = BTreeMap::new();
    let mut frames: std::collections::VecDeque<Bytes> = (0..BATCHES)
        .map(|number| {
            let lane = &mut lanes[number % 8];
            let (partition, batch) = (lane.home, lane.next(CHAIN_ID, EVENTS));
            ends.insert(batch.lane(), batch.header().next_sequence());
            wire::encode(&Message::Append { partition }, &[batch.bytes().clone()]).into()
        })
        .collect();
    let offered: usize = frames.iter().map(Bytes::len).sum();
    assert!(offered > 2 * MAX_QUEUED_BYTES, "{offered} bytes are more than may wait");
    while node.handle().view().height < view.height {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut link = Link::new(edge, any, edge_tls, domain());
    link.meet(key.address(), node.local_addr(), tls_hash);

    let base = resident_bytes().unwrap_or(0);
    let (mut most, begin, mut full_since) = (Most::default(), Instant::now(), None);
    // Slow, until the publisher has found its own queue full for a while.
    while full_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_secs(1)) {
        let mut sent = false;
        while frames.front().is_some_and(|frame| link.send_frame(frame.clone())) {
            frames.pop_front();
            sent = true;
        }
        full_since = if sent { None } else { full_since.or(Some(Instant::now())) };
        most.look(&node);
        link.hear();
        assert!(begin.elapsed() < PATIENCE, "the publisher never feels the disk: {most:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    let taken = offered - frames.iter().map(Bytes::len).sum::<usize>();
    let rate = taken as f64 / begin.elapsed().as_secs_f64();
    println!("taken {taken} of {offered} bytes at {rate:.0} B/s, {most:?}, {base} bytes resident before");
    assert!(!frames.is_empty(), "the credit ended before the batches");
    assert!(most.queued.records > MAX_QUEUED_BYTES / 2, "the disk was behind: {most:?}");
    assert!(most.queued.records <= MAX_QUEUED_BYTES + TURN_BYTES, "{most:?}");
    assert!(most.queued.frames <= FRAMES_BYTES, "{most:?}");
    assert!(most.resident.saturating_sub(base) <= GROWTH_BYTES, "grew from {base}: {most:?}");

    // Then as fast as it goes: all of it arrives.
    pace.store(0, Ordering::SeqCst);
    while let Some(frame) = frames.front() {
        if link.send_frame(frame.clone()) {
            frames.pop_front();
        } else {
            link.hear();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(begin.elapsed() < 2 * PATIENCE, "{} frames are left", frames.len());
    }
    link.until("the last acknowledgement", |link| {
        ends.iter().all(|(lane, end)| link.acknowledged_to(lane) == *end)
    });
    assert_eq!(events.load(Ordering::SeqCst), (BATCHES * EVENTS) as u64);
    assert_eq!(node.queued(), Queued::default());
    node.stop().unwrap();
}
