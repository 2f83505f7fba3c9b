//! Which seconds of a stream are delivered: those of windows in which enough of its events were proved.

use alloc::vec::Vec;

/// When a stream was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// The delivered windows, rising.
    delivered: Vec<u64>,
    /// The newest window in which something was proved.
    newest: u64,
    /// How many events were proved in it.
    events: u128,
}

impl Windows {
    /// `events` more were proved in `window`, which is not before the newest.
    pub(super) fn count(&mut self, window: u64, events: u64, minimum_events: u64) {
        assert!(window >= self.newest, "time does not go back");
        let before = if window == self.newest { self.events } else { 0 };
        self.newest = window;
        self.events = before + u128::from(events);
        let minimum = u128::from(minimum_events);
        if before < minimum && self.events >= minimum {
            self.delivered.push(window);
        }
    }

    /// How many seconds of [from, to) are delivered, so far.
    pub fn delivered_within(&self, from: u64, to: u64, window_seconds: u64) -> u64 {
        assert!(from <= to && window_seconds > 0, "a span of time, in windows of some length");
        self.delivered_before(to, window_seconds) - self.delivered_before(from, window_seconds)
    }

    fn delivered_before(&self, time: u64, window_seconds: u64) -> u64 {
        let window = time / window_seconds;
        let whole = self.delivered.partition_point(|delivered| *delivered < window);
        let started = self.delivered.get(whole) == Some(&window);
        whole as u64 * window_seconds + if started { time % window_seconds } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_once_it_has_enough_events() {
        let mut windows = Windows::default();
        windows.count(0, 2, 3);
        assert_eq!(windows.delivered_within(0, 100, 10), 0);
        windows.count(0, 1, 3);
        windows.count(0, 9, 3);
        assert_eq!(windows.delivered_within(0, 100, 10), 10);
        windows.count(4, 3, 3);
        assert_eq!(windows.delivered_within(0, 100, 10), 20);
    }

    #[test]
    fn parts_of_windows_count_by_the_second() {
        let mut windows = Windows::default();
        windows.count(1, 1, 1);
        windows.count(3, 1, 1);
        let within = |from, to| windows.delivered_within(from, to, 10);
        assert_eq!([within(0, 10), within(0, 13), within(12, 20), within(15, 35)], [0, 3, 8, 10]);
        for cut in 0..40 {
            assert_eq!(within(0, cut) + within(cut, 40), within(0, 40), "cut at {cut}");
        }
    }
}
