//! Group commit: whatever was written while the last sync ran goes to disk with one sync.
//!
//! There is no linger timer: an idle disk syncs a single batch at once, a busy one takes what has queued up.
//!
//! What is too old, or of a partition that was left, goes between two groups, a bounded number of batches at a time and
//! not more often than every [`EXPIRY_PAUSE`], so that whoever waits for an acknowledgement hardly notices it
//! (WP 2.4.8).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_kernel::ids::{PartitionId, StreamPartition};
use weir_kernel::log::{Expiry, Record};
use weir_queue::{Group, GroupQueue};
use weir_store::{EventLog, LogError};

/// Bytes of records that may be on their way to the disk, taken up by it or not, before the engine takes in no more.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;

/// Bytes of records that are handed to the log in one write: large enough that what a write costs in itself is
/// nothing, small enough that a log need not hold two whole groups.
const WRITE_BYTES: usize = 4 << 20;

/// What a record costs in memory beside its bytes.
const RECORD_COST_BYTES: usize = 256;

/// Time between two steps of letting old batches go: a step takes a few milliseconds.
const EXPIRY_PAUSE: Duration = Duration::from_millis(200);

/// Records of one write of the kernel, under its index.
type Write = (u64, Vec<Record>);

/// What the thread is asked to do.
enum Work {
    Write(Write),
    Expire(Expiry),
}

/// The queue to the committer thread.
#[derive(Clone)]
pub struct Committer {
    queue: Arc<GroupQueue<Work>>,
}

impl Default for Committer {
    fn default() -> Self {
        Self { queue: Arc::new(GroupQueue::new(MAX_QUEUED_BYTES)) }
    }
}

impl Committer {
    /// Queues a write. On a closed queue it is dropped: the broker has stopped, and nothing is acknowledged any more.
    pub fn write(&self, index: u64, records: Vec<Record>) {
        let bytes = records.iter().map(weight).sum();
        let _ = self.queue.push(Work::Write((index, records)), bytes);
    }

    /// Queues what is to be let go.
    pub fn expire(&self, expiry: Expiry) {
        let _ = self.queue.push(Work::Expire(expiry), 0);
    }

    /// Whether the disk keeps up.
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Bytes on their way to the disk.
    pub fn queued_bytes(&self) -> usize {
        self.queue.queued()
    }

    /// Ends the thread once everything queued is on disk.
    pub fn close(&self) {
        self.queue.close();
    }

    /// The thread's work: `done` is told how far the log is durable, or that it failed, which is the end: what follows
    /// a hole must not be acknowledged.
    pub fn run(
        &self,
        mut log: impl EventLog + 'static,
        done: impl Fn(Result<u64, LogError>) + Send + 'static,
    ) -> Box<dyn FnOnce() + Send> {
        let queue = Arc::clone(&self.queue);
        Box::new(move || {
            let mut old = Old::default();
            while let Some(Group { items, cost }) = queue.take_within(old.patience()) {
                let mut writes = Vec::with_capacity(items.len());
                for work in items {
                    match work {
                        Work::Write(write) => writes.push(write),
                        Work::Expire(expiry) => old.add(expiry),
                    }
                }
                let mut failed = false;
                if !writes.is_empty() {
                    let durable = commit(&mut log, writes);
                    failed = durable.is_err();
                    // Room first: whoever hears that it is on disk may look for it.
                    queue.release(cost);
                    done(durable);
                }
                if !failed && let Err(error) = old.step(&mut log) {
                    failed = true;
                    done(Err(error));
                }
                if failed {
                    queue.close();
                    return;
                }
            }
        })
    }
}

/// What is still to be let go, and when the last step was taken.
#[derive(Default)]
struct Old {
    /// The newest word about a stream partition holds for the older ones. Beside it, how far the log has come with it.
    waiting: BTreeMap<(PartitionId, Option<StreamPartition>), (Expiry, Option<StreamPartition>)>,
    stepped: Option<Instant>,
}

impl Old {
    fn add(&mut self, expiry: Expiry) {
        self.waiting.insert((expiry.partition, expiry.slot), (expiry, None));
    }

    /// How long until the next step; `None` if there is nothing to do.
    fn patience(&self) -> Option<Duration> {
        let since = self.stepped.map_or(EXPIRY_PAUSE, |stepped| stepped.elapsed());
        (!self.waiting.is_empty()).then(|| EXPIRY_PAUSE.saturating_sub(since))
    }

    /// Lets batches go, if it is time: as many as the log drops at once.
    fn step(&mut self, log: &mut impl EventLog) -> Result<(), LogError> {
        if self.patience().is_none_or(|patience| !patience.is_zero()) {
            return Ok(());
        }
        while let Some(mut first) = self.waiting.first_entry() {
            let (expiry, done) = first.get_mut();
            if log.let_go(expiry, done)? > 0 {
                // Its space is given back once it is durable.
                self.stepped = Some(Instant::now());
                return log.sync().map(drop);
            }
            first.remove();
        }
        Ok(())
    }
}

/// Writes a group in few large writes, each under the index of its last part, and syncs it once.
fn commit(log: &mut impl EventLog, writes: Vec<Write>) -> Result<u64, LogError> {
    let mut together: Vec<Record> = Vec::new();
    let mut bytes = 0;
    let mut parts = writes.into_iter().peekable();
    while let Some((index, mut records)) = parts.next() {
        bytes += records.iter().map(weight).sum::<usize>();
        together.append(&mut records);
        if bytes >= WRITE_BYTES || parts.peek().is_none() {
            log.write(index, &together)?;
            together.clear();
            bytes = 0;
        }
    }
    log.sync()
}

fn weight(record: &Record) -> usize {
    RECORD_COST_BYTES
        + match record {
            Record::Batch(batch) => batch.bytes.len(),
            Record::Put { key, value, .. } => key.len() + value.len(),
            Record::Truncate { .. } | Record::Remove { .. } => 0,
        }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use weir_kernel::ids::{Address, LaneId, StreamId};
    use weir_kernel::log::{Query, StoredBatch, Table};
    use weir_store::{Fault, FaultLog, FaultPlan, MemoryLog, SegmentLog, SegmentOptions};

    use super::*;

    fn row(number: u8, bytes: usize) -> Record {
        Record::Put { table: Table::Marker, key: vec![number], value: vec![number; bytes] }
    }

    /// Runs the committer over a log until it has taken what is queued.
    fn run(committer: &Committer, log: impl EventLog + 'static) -> Vec<Result<u64, LogError>> {
        let (told, heard) = mpsc::channel();
        committer.close();
        committer.run(log, move |durable| drop(told.send(durable)))();
        heard.try_iter().collect()
    }

    #[test]
    fn what_has_queued_up_is_synced_once_and_acknowledged_together() {
        let committer = Committer::default();
        let disk = MemoryLog::new();
        let reader = disk.reader();
        (1..=5).for_each(|number| committer.write(u64::from(number), vec![row(number, WRITE_BYTES / 2)]));
        committer.write(6, Vec::new());
        assert!(committer.queued_bytes() > 5 * WRITE_BYTES / 2);
        assert_eq!(run(&committer, disk), [Ok(6)]);
        assert_eq!(committer.queued_bytes(), 0);
        let rows = weir_kernel::log::Query::Rows { table: Table::Marker, prefix: vec![], after: vec![] };
        assert_eq!(reader.read(&rows, usize::MAX).unwrap().batches.len(), 5);
    }

    const SLOT: StreamPartition = StreamPartition { stream: StreamId([1; 20]), partition: 0 };

    /// The batch with this append index, as many seconds old as there are more.
    fn batch(index: u64) -> Record {
        Record::Batch(StoredBatch {
            partition: PartitionId(0),
            index,
            slot: SLOT,
            lane: LaneId([7; 32]),
            origin: Address([2; 20]),
            sequence: index - 1,
            count: 1,
            first_time_ms: index * 1_000,
            last_time_ms: index * 1_000,
            bytes: vec![index as u8; 10_000].into(),
        })
    }

    fn everything() -> Query {
        Query::Append { partition: PartitionId(0), slot: SLOT, after_index: 0 }
    }

    #[test]
    fn what_is_too_old_gives_its_space_back_beside_what_comes() {
        let directory = tempfile::tempdir().expect("a directory");
        // The smallest segments, so that a few of them hold nothing but what is old.
        let segment_bytes = weir_store::limits::SEGMENT_BYTES_MINIMUM;
        let options = SegmentOptions { segment_bytes, ..SegmentOptions::default() };
        let batches = 1_000;
        let log = SegmentLog::open(directory.path(), options).expect("an empty directory");
        let reader = log.reader();
        let committer = Committer::default();
        let (told, heard) = mpsc::channel();
        let thread = std::thread::spawn(committer.run(log, move |durable| drop(told.send(durable))));
        let write = |index: u64| committer.write(index, vec![batch(index)]);
        // A write is never cut, so large groups would make large segments.
        for index in 1..=batches {
            write(index);
            let durable = || heard.recv().expect("the thread runs").expect("it is durable");
            while index % 50 == 0 && durable() < index {}
        }
        let full = reader.statistics();
        assert_eq!(full.batches, batches);
        // All but the newest hundred are too old; what comes afterwards is not looked at.
        let (partition, before_ms) = (PartitionId(0), (batches - 99) * 1_000);
        committer.expire(Expiry { partition, slot: Some(SLOT), before_ms, up_to_index: batches });
        (batches + 1..=batches + 50).for_each(write);
        let begin = Instant::now();
        let left = loop {
            let left = reader.statistics();
            if left.batches == 150 && left.disk_bytes + 6_000_000 < full.disk_bytes {
                break left;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{left:?} of {full:?}");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(left.events, 150);
        let kept = reader.read(&everything(), usize::MAX).expect("what is kept reads");
        assert_eq!((kept.batches.len(), kept.batches[0][0]), (150, (batches - 99) as u8));
        // It stays away after a restart.
        committer.close();
        thread.join().expect("it ends");
        drop(reader);
        let again = SegmentLog::open(directory.path(), options).expect("it is whole");
        assert_eq!(again.statistics().batches, 150);
    }

    #[test]
    fn a_log_that_cannot_drop_anything_ends_it() {
        let committer = Committer::default();
        committer.write(1, vec![batch(1)]);
        let (partition, before_ms) = (PartitionId(0), u64::MAX);
        committer.expire(Expiry { partition, slot: None, before_ms, up_to_index: 1 });
        let plan = FaultPlan { write: Some((2, Fault::Device)), ..FaultPlan::default() };
        let told = run(&committer, FaultLog::new(MemoryLog::new(), plan));
        assert!(matches!(told.as_slice(), [Ok(1), Err(LogError::Io { .. })]), "{told:?}");
    }

    #[test]
    fn a_failed_sync_acknowledges_nothing_and_ends_it() {
        let committer = Committer::default();
        committer.write(1, vec![row(1, 10)]);
        let plan = FaultPlan { sync: Some((1, Fault::Device)), ..FaultPlan::default() };
        let told = run(&committer, FaultLog::new(MemoryLog::new(), plan));
        assert!(matches!(told.as_slice(), [Err(LogError::Io { .. })]), "{told:?}");
        committer.write(2, vec![row(2, 10)]);
        assert_eq!(committer.queued_bytes(), 0, "nothing is kept for a disk that is gone");
    }
}
