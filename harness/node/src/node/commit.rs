//! Group commit: whatever was written while the last sync ran goes to disk with one sync.
//!
//! There is no linger timer: an idle disk syncs a single batch at once, a busy one takes what has queued up.

use std::sync::Arc;

use weir_kernel::log::Record;
use weir_queue::{Group, GroupQueue};
use weir_store::{EventLog, LogError};

/// Bytes of records that may be on their way to the disk, taken up by it or not, before the engine takes in no more.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;

/// Bytes of records that are handed to the log in one write: large enough that what a write costs in itself is
/// nothing, small enough that a log need not hold two whole groups.
const WRITE_BYTES: usize = 4 << 20;

/// What a record costs in memory beside its bytes.
const RECORD_COST_BYTES: usize = 256;

/// Records of one write of the kernel, under its index.
type Write = (u64, Vec<Record>);

/// The queue to the committer thread.
#[derive(Clone)]
pub struct Committer {
    queue: Arc<GroupQueue<Write>>,
}

impl Default for Committer {
    fn default() -> Self {
        Self::with_budget(MAX_QUEUED_BYTES)
    }
}

impl Committer {
    /// A queue with another bound than [`MAX_QUEUED_BYTES`].
    pub fn with_budget(bytes: usize) -> Self {
        Self { queue: Arc::new(GroupQueue::new(bytes)) }
    }

    /// Queues a write. On a closed queue it is dropped: the broker has stopped, and nothing is acknowledged any more.
    pub fn write(&self, index: u64, records: Vec<Record>) {
        let bytes = records.iter().map(weight).sum();
        let _ = self.queue.push((index, records), bytes);
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
            while let Some(Group { items, cost }) = queue.take() {
                let durable = commit(&mut log, items);
                let failed = durable.is_err();
                // Room first: whoever hears that it is on disk may look for it.
                queue.release(cost);
                done(durable);
                if failed {
                    queue.close();
                    return;
                }
            }
        })
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

    use weir_kernel::log::Table;
    use weir_store::{Fault, FaultLog, FaultPlan, MemoryLog};

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
