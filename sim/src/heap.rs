//! The event heap: what happens next, in virtual time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Things that will happen, the earliest first; at the same time, in the order in which they were scheduled.
#[derive(Debug)]
pub struct EventHeap<E> {
    entries: BinaryHeap<Entry<E>>,
    scheduled: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at_us: u64,
    order: u64,
    event: E,
}

impl<E> Default for EventHeap<E> {
    fn default() -> Self {
        Self { entries: BinaryHeap::new(), scheduled: 0 }
    }
}

impl<E> EventHeap<E> {
    /// Has something happen at a time, in virtual microseconds.
    pub fn schedule(&mut self, at_us: u64, event: E) {
        self.scheduled += 1;
        self.entries.push(Entry { at_us, order: self.scheduled, event });
    }

    /// What happens next, and when.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        self.entries.pop().map(|entry| (entry.at_us, entry.event))
    }

    /// How many things are still to happen.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing will ever happen again.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The standard heap gives the greatest first, so earlier is greater.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.order).cmp(&(self.at_us, self.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_order_of_scheduling() {
        let mut heap = EventHeap::default();
        for (at_us, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            heap.schedule(at_us, event);
        }
        assert_eq!(heap.len(), 4);
        let order: Vec<char> = std::iter::from_fn(|| heap.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
        assert!(heap.is_empty());
    }
}
