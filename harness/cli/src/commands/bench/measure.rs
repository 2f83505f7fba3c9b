//! How something is timed: once to warm caches up, then as often as was asked for.

use std::hint::black_box;
use std::time::Instant;

/// How a group is to measure.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Counted runs of each timed row, at least 1.
    pub runs: u32,
    /// Brokers of a simulated network at most; each group has its own bound otherwise.
    pub max_brokers: Option<u32>,
    /// Shards of each measured broker; as many as it would have by itself otherwise.
    pub shards: Option<u16>,
    /// Events a second that one real broker keeps, as measured; a constant otherwise.
    pub capacity: Option<u32>,
}

impl Settings {
    /// Runs `work` once and then `runs` times; gives the seconds that each of those took.
    pub fn seconds<T>(&self, mut work: impl FnMut() -> T) -> Vec<f64> {
        self.seconds_after(|| (), |()| work())
    }

    /// The same with something made before each run that is not timed. What `work` gives is not dropped within the
    /// time either.
    pub fn seconds_after<A, T>(
        &self,
        mut before: impl FnMut() -> A,
        mut work: impl FnMut(A) -> T,
    ) -> Vec<f64> {
        let mut once = || {
            let made = black_box(before());
            let started = Instant::now();
            let result = black_box(work(made));
            let seconds = started.elapsed().as_secs_f64();
            drop(result);
            seconds
        };
        once();
        (0..self.runs).map(|_| once()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn one_run_is_not_counted() {
        let (made, done) = (Cell::new(0), Cell::new(0));
        let before = || made.set(made.get() + 1);
        let seconds = Settings { runs: 3, max_brokers: None, shards: None, capacity: None }
            .seconds_after(before, |()| done.set(done.get() + 1));
        assert_eq!((seconds.len(), made.get(), done.get()), (3, 4, 4));
        assert!(seconds.iter().all(|seconds| *seconds >= 0.0));
    }
}
