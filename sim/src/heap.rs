//! The event heap: what happens next, in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things that will happen, the earliest first; at the same time, in the order in which they were scheduled. What is
/// ordered are small keys: the things themselves stay where they are put.
#[derive(Debug)]
pub struct EventHeap<E> {
    /// Time in virtual microseconds, order of scheduling, place.
    keys: BinaryHeap<Reverse<(u64, u64, u32)>>,
    places: Vec<Option<E>>,
    vacant: Vec<u32>,
    scheduled: u64,
}

impl<E> Default for EventHeap<E> {
    fn default() -> Self {
        Self { keys: BinaryHeap::new(), places: Vec::new(), vacant: Vec::new(), scheduled: 0 }
    }
}

impl<E> EventHeap<E> {
    /// Has something happen at a time, in virtual microseconds.
    pub fn schedule(&mut self, at_us: u64, event: E) {
        self.scheduled += 1;
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 things wait at once")
        });
        self.places[place as usize] = Some(event);
        self.keys.push(Reverse((at_us, self.scheduled, place)));
    }

    /// What happens next, and when.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        let Reverse((at_us, _, place)) = self.keys.pop()?;
        let event = self.places[place as usize].take().expect("each key has its thing");
        self.vacant.push(place);
        Some((at_us, event))
    }

    /// How many things are still to happen.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing will ever happen again.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
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
