//! Group commit: whatever was written while the last sync ran goes to disk with one sync.
//!
//! There is no linger timer: an idle disk syncs a single batch at once, a busy one takes what has queued up.

use std::sync::{Arc, Condvar, Mutex};

use weir_kernel::log::Record;
use weir_store::EventLog;

use super::inbox::Inbox;
use crate::engine::Completion;

/// Bytes of batches that wait for the disk before the engine takes in no more.
const MAX_QUEUED_BYTES: usize = 64 << 20;

/// The queue to the committer thread.
#[derive(Clone, Default)]
pub struct Committer {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    writes: Vec<(u64, Vec<Record>)>,
    queued_bytes: usize,
    closed: bool,
}

impl Committer {
    /// Queues a write.
    pub fn write(&self, index: u64, records: Vec<Record>) {
        let bytes: usize = records.iter().map(weight).sum();
        let mut state = self.queue.state.lock().expect("no holder of the commit queue panics");
        state.queued_bytes += bytes;
        state.writes.push((index, records));
        self.queue.filled.notify_one();
    }

    /// Whether the disk keeps up.
    pub fn has_room(&self) -> bool {
        self.queue.state.lock().expect("no holder of the commit queue panics").queued_bytes < MAX_QUEUED_BYTES
    }

    /// Ends the thread once everything queued is on disk.
    pub fn close(&self) {
        self.queue.state.lock().expect("no holder of the commit queue panics").closed = true;
        self.queue.filled.notify_one();
    }

    fn next_group(&self) -> Option<Vec<(u64, Vec<Record>)>> {
        let state = self.queue.state.lock().expect("no holder of the commit queue panics");
        let mut state = self
            .queue
            .filled
            .wait_while(state, |state| state.writes.is_empty() && !state.closed)
            .expect("no holder of the commit queue panics");
        let group = std::mem::take(&mut state.writes);
        state.queued_bytes = 0;
        (!group.is_empty()).then_some(group)
    }

    /// The thread's work: a failed write or sync ends the broker, for what follows must not be acknowledged.
    pub fn run(&self, mut log: impl EventLog + 'static, inbox: Arc<Inbox>) -> Box<dyn FnOnce() + Send> {
        let queue = self.clone();
        Box::new(move || {
            while let Some(group) = queue.next_group() {
                let written = group.iter().try_for_each(|(index, records)| log.write(*index, records));
                match written.and_then(|()| log.sync()) {
                    Ok(index) => inbox.push(Completion::Durable(index)),
                    Err(error) => {
                        inbox.fail(error.to_string());
                        return;
                    }
                }
            }
        })
    }
}

fn weight(record: &Record) -> usize {
    match record {
        Record::Batch(batch) => batch.bytes.len(),
        Record::Put { key, value, .. } => key.len() + value.len(),
        Record::Truncate { .. } | Record::Remove { .. } => 64,
    }
}
