//! The chain's clock: a thread that makes a block each period, follows the chain, and hands each view on.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use weir_chain::port::SharedMirror;
use weir_kernel::coordinator::State;

use super::error::NetworkError;
use super::founding::now_s;
use crate::follower::Follower;

/// The thread and what steers it. Dropping it ends the thread.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    views: watch::Receiver<Arc<State>>,
    failure: watch::Receiver<Option<String>>,
}

struct Shared {
    pace: Mutex<Pace>,
    changed: Condvar,
}

struct Pace {
    period: Duration,
    stop: bool,
}

impl Ticker {
    /// Makes a block each `period` from now on. Each new view is first put into the watch, then given to `on_view`.
    pub fn start(
        chain: SharedMirror,
        follower: Follower<SharedMirror>,
        period: Duration,
        on_view: impl Fn(&Arc<State>) + Send + 'static,
    ) -> Result<Self, NetworkError> {
        let shared =
            Arc::new(Shared { pace: Mutex::new(Pace { period, stop: false }), changed: Condvar::new() });
        let (view_sender, views) = watch::channel(follower.view());
        let (failure_sender, failure) = watch::channel(None);
        let pace = Arc::clone(&shared);
        let run = move || {
            if let Err(error) = tick(&pace, &chain, follower, &view_sender, on_view) {
                tracing::error!(%error, "the chain stops");
                let _ = failure_sender.send(Some(error.to_string()));
            }
        };
        let thread = std::thread::Builder::new().name("chain".into()).spawn(run);
        let thread =
            thread.map_err(|error| NetworkError::ChainStopped(format!(": no thread for it: {error}")))?;
        Ok(Self { shared, thread: Some(thread), views, failure })
    }

    /// Changes the time between blocks, at once.
    pub fn set_period(&self, period: Duration) {
        self.shared.pace.lock().expect("no holder panics").period = period;
        self.shared.changed.notify_all();
    }

    /// The views, as they come.
    pub fn views(&self) -> watch::Receiver<Arc<State>> {
        self.views.clone()
    }

    /// Done when the thread has ended by itself, with the reason.
    pub async fn failed(&self) -> NetworkError {
        let mut failure = self.failure.clone();
        let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        NetworkError::ChainStopped(reason.map_or(String::new(), |reason| format!(": {reason}")))
    }

    fn halt(&mut self) {
        self.shared.pace.lock().expect("no holder panics").stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the chain's thread panicked: please report this as a bug");
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.halt();
    }
}

fn tick(
    shared: &Shared,
    chain: &SharedMirror,
    mut follower: Follower<SharedMirror>,
    views: &watch::Sender<Arc<State>>,
    on_view: impl Fn(&Arc<State>),
) -> Result<(), NetworkError> {
    let mut last = Instant::now();
    while shared.wait(&mut last) {
        chain.lock().produce_block(now_s())?;
        if let Some(view) = follower.advance()? {
            let _ = views.send(Arc::clone(&view));
            on_view(&view);
        }
    }
    Ok(())
}

impl Shared {
    /// Waits until the next block is due; false when none is wanted any more. A late block delays those after it: a
    /// machine that slept does not make up for the time.
    fn wait(&self, last: &mut Instant) -> bool {
        let mut pace = self.pace.lock().expect("no holder panics");
        loop {
            let now = Instant::now();
            let due = *last + pace.period;
            if pace.stop {
                return false;
            }
            if now >= due {
                *last = if now - due < pace.period { due } else { now };
                return true;
            }
            pace = self.changed.wait_timeout(pace, due - now).expect("no holder panics").0;
        }
    }
}
