//! Which view of the chain a broker shows: the newest that every shard has taken in.

use std::sync::{Arc, Mutex};

use weir_kernel::coordinator::State;

/// The newest view that each shard has taken in.
pub struct Shown(Mutex<Vec<Option<Arc<State>>>>);

impl Shown {
    /// For so many shards, none of which has seen anything.
    pub fn new(shards: usize) -> Self {
        Self(Mutex::new(vec![None; shards]))
    }

    /// A shard has taken in a view: shows the oldest of all shards' newest ones, if all have one. One shard at a time
    /// shows.
    pub fn taken_in(&self, shard: u16, view: Arc<State>, show: impl FnOnce(Arc<State>)) {
        let mut seen = self.0.lock().expect("no holder of the views panics");
        seen[usize::from(shard)] = Some(view);
        let all: Option<Vec<&Arc<State>>> = seen.iter().map(Option::as_ref).collect();
        let oldest = all.and_then(|all| all.into_iter().min_by_key(|view| view.height));
        if let Some(oldest) = oldest {
            show(Arc::clone(oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_shown_once_all_have_taken_it_in() {
        let shown = Shown::new(2);
        let view = |height| Arc::new(State { height, ..State::default() });
        let heights = [(0, 3), (1, 2), (1, 5), (0, 4), (0, 6)];
        let seen = heights.map(|(shard, height)| {
            let mut now = None;
            shown.taken_in(shard, view(height), |view| now = Some(view.height));
            now
        });
        assert_eq!(seen, [None, Some(2), Some(3), Some(4), Some(5)]);
    }
}
