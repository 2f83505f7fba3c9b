//! The inbox: what waits for the engine thread, and how it is woken.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use weir_kernel::coordinator::State;

use crate::engine::Completion;

/// Completions from the broker's own threads, and the signals that anything can give. Completions are answers to
/// operations, so the engine's own bounds bound this queue.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<Waiting>,
    signal: Condvar,
}

#[derive(Default)]
struct Waiting {
    completions: Vec<Completion>,
    view: Option<Arc<State>>,
    woken: bool,
    stopping: bool,
    failure: Option<String>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().expect("no holder of the inbox panics")
    }

    /// Adds a completion.
    pub fn push(&self, completion: Completion) {
        self.lock().completions.push(completion);
        self.wake();
    }

    /// Shows a newer view; only the newest one matters.
    pub fn set_view(&self, view: Arc<State>) {
        self.lock().view = Some(view);
        self.wake();
    }

    /// Wakes the engine thread.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.signal.notify_one();
    }

    /// Asks every thread of the broker to end.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.wake();
    }

    /// Ends the broker for a reason; the first one stays.
    pub fn fail(&self, reason: String) {
        let mut state = self.lock();
        state.stopping = true;
        state.failure.get_or_insert(reason);
        drop(state);
        self.wake();
    }

    /// Why the broker ended, if it failed.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Whether the broker is to end.
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits until something is there or `at_most` has passed, and takes it.
    pub fn take(&self, at_most: Duration) -> Vec<Completion> {
        let state = self.lock();
        let (mut state, _) = self
            .signal
            .wait_timeout_while(state, at_most, |state| !state.woken)
            .expect("no holder of the inbox panics");
        state.woken = false;
        let mut taken = std::mem::take(&mut state.completions);
        taken.extend(state.view.take().map(Completion::Chain));
        taken
    }
}
