//! What waits for one peer on one channel: a queue with a byte budget between `send` and the stream's writer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::limits::{self, FRAME_COST_BYTES};

pub(super) struct Outbox {
    budget: usize,
    state: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    /// Cost of the frames that wait and of those that the writer holds.
    bytes: usize,
}

/// Frames taken by the writer, still charged to the budget until released.
pub(super) struct Batch {
    pub(super) frames: Vec<Bytes>,
    pub(super) cost: usize,
}

/// The queue has no room; this many bytes wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full(pub(super) usize);

impl Outbox {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::default(), arrived: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn offer(&self, frame: Bytes) -> Result<(), Full> {
        let cost = frame.len() + FRAME_COST_BYTES;
        {
            let mut state = self.lock();
            if state.bytes + cost > self.budget {
                return Err(Full(state.bytes));
            }
            state.bytes += cost;
            state.frames.push_back(frame);
        }
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for frames and takes about [`limits::WRITE_BATCH_BYTES`] of them, at least one.
    pub(super) async fn take(&self) -> Batch {
        loop {
            {
                let mut state = self.lock();
                let mut batch = Batch { frames: Vec::new(), cost: 0 };
                while batch.cost < limits::WRITE_BATCH_BYTES {
                    let Some(frame) = state.frames.pop_front() else { break };
                    batch.cost += frame.len() + FRAME_COST_BYTES;
                    batch.frames.push(frame);
                }
                if !batch.frames.is_empty() {
                    return batch;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Gives a written batch's budget back.
    pub(super) fn release(&self, cost: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.checked_sub(cost).expect("a batch is released once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_budget_covers_what_the_writer_holds() {
        let outbox = Outbox::new(2 * (100 + FRAME_COST_BYTES));
        let frame = Bytes::from(vec![7; 100]);
        assert_eq!(outbox.offer(frame.clone()), Ok(()));
        assert_eq!(outbox.offer(frame.clone()), Ok(()));
        assert_eq!(outbox.offer(frame.clone()), Err(Full(328)));
        let batch = outbox.take().await;
        assert_eq!((batch.frames.len(), batch.cost), (2, 328));
        assert_eq!(outbox.offer(frame.clone()), Err(Full(328)), "not written yet");
        outbox.release(batch.cost);
        assert_eq!(outbox.offer(frame), Ok(()));
    }

    #[tokio::test]
    async fn batches_are_bounded() {
        let outbox = Outbox::new(usize::MAX);
        for _ in 0..10 {
            outbox.offer(Bytes::from(vec![0; limits::WRITE_BATCH_BYTES / 2])).expect("room");
        }
        assert_eq!(outbox.take().await.frames.len(), 2);
    }
}
