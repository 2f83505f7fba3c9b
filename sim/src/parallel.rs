//! Seeds in parallel: each thread runs whole seeds, and they share nothing but the number of the next one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread;

/// How far a thread may run ahead of the last seed whose result was handed over, for each thread: results that wait for
/// their turn are bounded by this.
const AHEAD: u64 = 16;

/// What threads agree on.
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    next: u64,
    handed_over: u64,
    stopped: bool,
}

impl Shared {
    /// The next seed to run; waits while results of earlier ones are too far behind.
    fn claim(&self, seeds: &Range<u64>, ahead: u64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.stopped || state.next >= seeds.end {
                return None;
            }
            if state.next < state.handed_over.saturating_add(ahead) {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }
}

/// Stops the others when its thread ends by a panic: nobody waits for a seed that never comes.
struct Guard<'a>(&'a Shared);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.change(|state| state.stopped = true);
        }
    }
}

/// Runs `work` for every seed on `jobs` threads, and hands the results to `each` on this one, in the order of seeds:
/// what comes out does not depend on how many threads there are. After a break no seed is begun any more.
pub fn over_seeds<T: Send>(
    seeds: Range<u64>,
    jobs: NonZeroUsize,
    work: impl Fn(u64) -> T + Sync,
    mut each: impl FnMut(u64, T) -> ControlFlow<()>,
) {
    let state = State { next: seeds.start, handed_over: seeds.start, stopped: false };
    let shared = Shared { state: Mutex::new(state), moved: Condvar::new() };
    let ahead = AHEAD * jobs.get() as u64;
    let (sender, receiver) = mpsc::sync_channel(jobs.get());
    thread::scope(|scope| {
        // However this ends, threads that wait to hand something over or to claim something end too.
        let (receiver, _guard) = (receiver, Guard(&shared));
        for _ in 0..jobs.get() {
            let (sender, shared, work, seeds) = (sender.clone(), &shared, &work, &seeds);
            scope.spawn(move || {
                let _guard = Guard(shared);
                while let Some(seed) = shared.claim(seeds, ahead) {
                    if sender.send((seed, work(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut expected = seeds.start;
        while let Ok((seed, result)) = receiver.recv() {
            waiting.insert(seed, result);
            while let Some(result) = waiting.remove(&expected) {
                let flow = each(expected, result);
                expected += 1;
                shared.change(|state| {
                    state.handed_over = expected;
                    state.stopped |= flow.is_break();
                });
                if flow.is_break() {
                    return;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(jobs: usize, last: u64) -> Vec<(u64, u64)> {
        let mut seen = Vec::new();
        // Later seeds are done sooner.
        let work = |seed: u64| {
            thread::sleep(std::time::Duration::from_micros((7 - seed % 7) * 300));
            seed * seed
        };
        over_seeds(3..100, NonZeroUsize::new(jobs).unwrap(), work, |seed, square| {
            seen.push((seed, square));
            if seed == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        seen
    }

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        let all: Vec<(u64, u64)> = (3..100).map(|seed| (seed, seed * seed)).collect();
        assert_eq!(seen(1, 200), all);
        assert_eq!(seen(4, 200), all);
        assert_eq!(seen(4, 20), all[..18]);
    }

    #[test]
    fn who_panics_over_a_result_ends_all_threads() {
        let panicked = std::panic::catch_unwind(|| {
            over_seeds(
                0..1_000_000,
                NonZeroUsize::MIN.saturating_add(2),
                |seed| seed,
                |seed, _| {
                    assert_ne!(seed, 5, "this result panics");
                    ControlFlow::Continue(())
                },
            );
        });
        assert!(panicked.is_err());
    }

    #[test]
    fn a_thread_that_panics_ends_all_of_them() {
        let panicked = std::panic::catch_unwind(|| {
            let work = |seed| assert_ne!(seed, 5, "this seed panics");
            over_seeds(0..1_000_000, NonZeroUsize::MIN.saturating_add(2), work, |_, ()| {
                ControlFlow::Continue(())
            });
        });
        assert!(panicked.is_err());
    }
}
