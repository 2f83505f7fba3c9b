//! Reads beside the writer, on a thread of their own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use weir_kernel::broker::Token;
use weir_kernel::log::Query;
use weir_store::LogReader;

use super::inbox::Inbox;
use crate::engine::Completion;

/// The queue to the reader thread. Each client and each peer has a bounded number of reads on the way, and so has
/// this queue.
#[derive(Clone, Default)]
pub struct Reader {
    queue: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    reads: VecDeque<(Token, Query, u32)>,
    closed: bool,
}

impl Reader {
    /// Queues a read.
    pub fn read(&self, token: Token, query: Query, budget_bytes: u32) {
        self.queue.0.lock().expect("no holder of the read queue panics").reads.push_back((
            token,
            query,
            budget_bytes,
        ));
        self.queue.1.notify_one();
    }

    /// Ends the thread; reads that wait are dropped.
    pub fn close(&self) {
        self.queue.0.lock().expect("no holder of the read queue panics").closed = true;
        self.queue.1.notify_one();
    }

    fn next(&self) -> Option<(Token, Query, u32)> {
        let state = self.queue.0.lock().expect("no holder of the read queue panics");
        let mut state = self
            .queue
            .1
            .wait_while(state, |state| state.reads.is_empty() && !state.closed)
            .expect("no holder of the read queue panics");
        if state.closed { None } else { state.reads.pop_front() }
    }

    /// The thread's work.
    pub fn run(&self, log: Arc<dyn LogReader>, inbox: Arc<Inbox>) -> Box<dyn FnOnce() + Send> {
        let queue = self.clone();
        Box::new(move || {
            while let Some((token, query, budget_bytes)) = queue.next() {
                inbox.push(match log.read(&query, budget_bytes as usize) {
                    Ok(chunk) => Completion::Loaded(token, chunk),
                    Err(error) => Completion::LoadFailed(token, error.to_string()),
                });
            }
        })
    }
}
