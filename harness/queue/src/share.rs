//! Work that one thread has and several do: it waits for the results, which come in the order of the work.

use std::collections::VecDeque;

use crate::sync::{Condvar, Mutex, lock};

/// Hands items to helpers and takes a hand itself. One thread at a time calls [`Share::run`]; any number call
/// [`Share::help`].
#[derive(Debug)]
pub struct Share<I, O> {
    state: Mutex<State<I, O>>,
    work: Condvar,
    done: Condvar,
}

#[derive(Debug)]
struct State<I, O> {
    items: VecDeque<(usize, I)>,
    results: Vec<Option<O>>,
    /// Items without a result.
    left: usize,
    closed: bool,
    /// A helper panicked: its result will not come.
    broken: bool,
}

/// Tells of a panic while an item is worked on.
struct Guard<'a, I, O>(&'a Share<I, O>);

impl<I, O> Drop for Guard<'_, I, O> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.state).broken = true;
            self.0.done.notify_all();
        }
    }
}

impl<I, O> Default for Share<I, O> {
    fn default() -> Self {
        let items = VecDeque::new();
        let state = State { items, results: Vec::new(), left: 0, closed: false, broken: false };
        Self { state: Mutex::new(state), work: Condvar::new(), done: Condvar::new() }
    }
}

impl<I, O> Share<I, O> {
    /// Works on all of these, on this thread and on those that help; returns the results in their order.
    ///
    /// # Panics
    ///
    /// If `work` panics, here or in a helper.
    pub fn run(&self, items: Vec<I>, work: impl Fn(I) -> O) -> Vec<O> {
        let count = items.len();
        {
            let mut state = lock(&self.state);
            assert!(state.left == 0 && state.items.is_empty(), "one thread at a time shares its work");
            state.results.clear();
            state.results.resize_with(count, || None);
            state.left = count;
            state.items.extend(items.into_iter().enumerate());
        }
        // This thread takes one itself.
        if count > 1 {
            self.work.notify_all();
        }
        while let Some((place, item)) = self.next() {
            let result = work(item);
            self.put(place, result);
        }
        let mut state = lock(&self.state);
        while state.left > 0 {
            assert!(!state.broken, "a helper panicked: its part of the work is lost");
            state = self.done.wait(state).expect("no holder of a queue's lock panics");
        }
        state.results.drain(..).map(|result| result.expect("nothing is left")).collect()
    }

    /// Helps until the share is closed.
    pub fn help(&self, work: impl Fn(I) -> O) {
        let guard = Guard(self);
        loop {
            let (place, item) = {
                let mut state = lock(&guard.0.state);
                loop {
                    if let Some(item) = state.items.pop_front() {
                        break item;
                    }
                    if state.closed {
                        return;
                    }
                    state = guard.0.work.wait(state).expect("no holder of a queue's lock panics");
                }
            };
            let result = work(item);
            self.put(place, result);
        }
    }

    /// Lets the helpers go once nothing is left to do.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.work.notify_all();
    }

    fn next(&self) -> Option<(usize, I)> {
        lock(&self.state).items.pop_front()
    }

    fn put(&self, place: usize, result: O) {
        let is_last = {
            let mut state = lock(&self.state);
            state.results[place] = Some(result);
            state.left -= 1;
            state.left == 0
        };
        if is_last {
            self.done.notify_all();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_work_whoever_did_it() {
        let share = Arc::new(Share::<u64, u64>::default());
        let helpers: Vec<_> = (0..3)
            .map(|_| {
                let share = Arc::clone(&share);
                std::thread::spawn(move || share.help(|item| item * item))
            })
            .collect();
        for count in [0, 1, 2, 100] {
            let squares: Vec<u64> = (0..count).map(|item| item * item).collect();
            assert_eq!(share.run((0..count).collect(), |item| item * item), squares);
        }
        share.close();
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
    }

    #[test]
    #[should_panic(expected = "a helper panicked")]
    fn a_helper_that_panics_is_noticed() {
        let share = Arc::new(Share::<u32, ()>::default());
        let helper = {
            let share = Arc::clone(&share);
            std::thread::spawn(move || share.help(|_| panic!("on purpose")))
        };
        share.run(vec![1, 2], |_| while !helper.is_finished() {});
    }
}
