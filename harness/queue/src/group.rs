//! A queue whose taker gets everything that waits.

use std::time::Duration;

use crate::sync::{Condvar, Mutex, lock};

/// What was taken together.
#[derive(Debug, PartialEq, Eq)]
pub struct Group<T> {
    /// In the order in which they were pushed.
    pub items: Vec<T>,
    /// Their cost: what [`GroupQueue::release`] wants back when they are done.
    pub cost: usize,
}

/// Many push, one takes groups. See the crate's text.
#[derive(Debug)]
pub struct GroupQueue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    budget: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<T>,
    waiting_cost: usize,
    /// Cost of what was taken and is not released.
    taken_cost: usize,
    closed: bool,
}

impl<T> GroupQueue<T> {
    /// A queue that has room while it costs less than `budget`, in units that its users agree on.
    pub fn new(budget: usize) -> Self {
        let state = State { waiting: Vec::new(), waiting_cost: 0, taken_cost: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), budget }
    }

    /// Adds an item, whether there is room or not: who pushes has asked [`GroupQueue::has_room`] before it took in
    /// what led to the item.
    ///
    /// # Errors
    ///
    /// The item, if the queue is closed.
    pub fn push(&self, item: T, cost: usize) -> Result<(), T> {
        let was_idle = {
            let mut state = lock(&self.state);
            if state.closed {
                return Err(item);
            }
            state.waiting_cost += cost;
            state.waiting.push(item);
            state.waiting.len() == 1
        };
        // The taker sleeps only while nothing waits.
        if was_idle {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Whether less than the budget waits or is being worked on.
    pub fn has_room(&self) -> bool {
        self.queued() < self.budget
    }

    /// Cost of what waits and of what was taken and is not released.
    pub fn queued(&self) -> usize {
        let state = lock(&self.state);
        state.waiting_cost + state.taken_cost
    }

    /// Waits until there is something and takes all of it; `None` once the queue is closed and empty. For one taker.
    pub fn take(&self) -> Option<Group<T>> {
        self.take_within(None)
    }

    /// The same, but waits no longer than this, for a taker that has other work: then the group may be empty.
    pub fn take_within(&self, patience: Option<Duration>) -> Option<Group<T>> {
        let mut state = lock(&self.state);
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            let Some(patience) = patience else {
                state = self.filled.wait(state).expect("no holder of a queue's lock panics");
                continue;
            };
            let waited = self.filled.wait_timeout(state, patience);
            state = waited.expect("no holder of a queue's lock panics").0;
            break;
        }
        let items = std::mem::take(&mut state.waiting);
        let cost = std::mem::take(&mut state.waiting_cost);
        state.taken_cost += cost;
        Some(Group { items, cost })
    }

    /// A group is done with: its cost counts no more.
    ///
    /// # Panics
    ///
    /// If more is released than was taken.
    pub fn release(&self, cost: usize) {
        let mut state = lock(&self.state);
        state.taken_cost = state.taken_cost.checked_sub(cost).expect("a group is released once");
    }

    /// Takes no more items. What waits can still be taken; then the taker is told that it is over.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.filled.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_bound_covers_what_is_being_worked_on() {
        let queue = GroupQueue::new(10);
        queue.push('a', 6).unwrap();
        assert!(queue.has_room());
        queue.push('b', 6).unwrap();
        let group = queue.take().unwrap();
        assert_eq!((group.items.as_slice(), group.cost), (['a', 'b'].as_slice(), 12));
        queue.push('c', 1).unwrap();
        assert_eq!((queue.queued(), queue.has_room()), (13, false));
        queue.release(group.cost);
        assert_eq!((queue.queued(), queue.has_room()), (1, true));
    }

    #[test]
    fn what_was_pushed_before_the_end_is_taken() {
        let queue = GroupQueue::new(10);
        queue.push(1, 1).unwrap();
        queue.close();
        assert_eq!(queue.push(2, 1), Err(2));
        assert_eq!(queue.take().map(|group| group.items), Some(vec![1]));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn who_has_other_work_waits_for_a_while() {
        let queue = GroupQueue::new(10);
        let nothing = Group { items: vec![], cost: 0 };
        assert_eq!(queue.take_within(Some(Duration::from_millis(1))), Some(nothing));
        queue.push(1, 1).unwrap();
        queue.close();
        let patience = Some(Duration::from_secs(3_600));
        assert_eq!(queue.take_within(patience).map(|group| group.items), Some(vec![1]));
        assert_eq!(queue.take_within(patience), None);
    }

    #[test]
    #[should_panic(expected = "a group is released once")]
    fn nothing_is_released_twice() {
        let queue = GroupQueue::new(10);
        queue.push((), 1).unwrap();
        let group = queue.take().unwrap();
        queue.release(group.cost);
        queue.release(group.cost);
    }
}
