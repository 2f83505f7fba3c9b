//! Whether a broker goes on: its threads end together, and the first failure is the one that is told.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::inbox::Inbox;

/// What all threads of a broker look at.
#[derive(Default)]
pub struct Life {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stopping: bool,
    failure: Option<String>,
    sleepers: Vec<Weak<Inbox>>,
}

impl Life {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of a broker's life panics")
    }

    /// An inbox for another thread, which is woken when the broker is to end.
    pub fn inbox(self: &Arc<Self>) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new(Arc::clone(self)));
        self.lock().sleepers.push(Arc::downgrade(&inbox));
        inbox
    }

    /// Asks every thread of the broker to end.
    pub fn stop(&self) {
        self.end(None);
    }

    /// Ends the broker for a reason; the first one stays.
    pub fn fail(&self, reason: String) {
        self.end(Some(reason));
    }

    fn end(&self, reason: Option<String>) {
        let sleepers: Vec<_> = {
            let mut state = self.lock();
            state.stopping = true;
            if let Some(reason) = reason {
                state.failure.get_or_insert(reason);
            }
            state.sleepers.iter().filter_map(Weak::upgrade).collect()
        };
        sleepers.iter().for_each(|inbox| inbox.wake());
    }

    /// Why the broker ended, if it failed.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Whether the broker is to end.
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }
}
