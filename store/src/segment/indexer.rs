//! The thread that takes closed layers into the index, the oldest first, once the log under them is durable: the
//! index never names a record that a crash can take away.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::Shared;
use super::layers::Layer;
use crate::error::LogError;
use crate::layout::Place;

/// Starts the thread. It ends when the log closes or a layer cannot be taken in.
pub(super) fn start(shared: Arc<Shared>) -> Result<JoinHandle<()>, LogError> {
    let name = "weir-store-index".to_owned();
    let doing = format!("starting the indexer of {}", shared.path.display());
    let thread = std::thread::Builder::new().name(name).spawn(move || run(&shared));
    thread.map_err(|error| LogError::io(doing, &error))
}

fn run(shared: &Shared) {
    while let Some((layer, end)) = next(shared) {
        let taken = shared.take(&layer, end);
        let mut state = shared.state();
        match taken {
            Ok(()) => drop(state.layers.remove(0)),
            Err(error) => {
                tracing::error!(%error, "the index takes no more");
                state.failed = Some(error);
            }
        }
        let failed = state.failed.is_some();
        drop(state);
        shared.changed.notify_all();
        if failed {
            return;
        }
    }
}

/// Waits for the oldest layer to be closed and durable; `None` when the log closes.
fn next(shared: &Shared) -> Option<(Arc<Layer>, Place)> {
    let mut state = shared.state();
    loop {
        if state.closing {
            return None;
        }
        let oldest = state.layers.first().expect("one layer takes what is written");
        if let Some(end) = oldest.end().filter(|end| end.position <= state.durable) {
            return Some((oldest.clone(), end));
        }
        state = shared.changed.wait(state).expect("no holder of the layers panics");
    }
}
