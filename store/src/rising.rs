//! A map by number for what comes in rising order and goes from either end: one piece of memory, and no search where
//! the newest is wanted.

use std::collections::VecDeque;

/// Values by rising numbers.
#[derive(Debug)]
pub(crate) struct Rising<V>(VecDeque<(u64, V)>);

impl<V> Default for Rising<V> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<V> Rising<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many stand below a number.
    fn below(&self, number: u64) -> usize {
        match self.0.back() {
            Some((last, _)) if *last < number => self.0.len(),
            Some((last, _)) if *last == number => self.0.len() - 1,
            _ => self.search(number),
        }
    }

    /// The same, looked for from the end: what is wanted is one of the newest as a rule, and each look at an old one is
    /// a look at memory that nobody used for long.
    fn search(&self, number: u64) -> usize {
        let is_below = |at: usize| self.0[at].0 < number;
        let (mut low, mut high, mut step) = (self.0.len().saturating_sub(1), self.0.len(), 1);
        while low < high && !is_below(low) {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_below(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(crate) fn get(&self, number: u64) -> Option<&V> {
        self.0.get(self.below(number)).filter(|(at, _)| *at == number).map(|(_, value)| value)
    }

    /// Sets a value; returns the one that it replaces.
    pub(crate) fn insert(&mut self, number: u64, value: V) -> Option<V> {
        let at = self.below(number);
        match self.0.get_mut(at) {
            Some((here, old)) if *here == number => Some(std::mem::replace(old, value)),
            _ => {
                self.0.insert(at, (number, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<V> {
        let at = self.below(number);
        self.0.get(at).filter(|(here, _)| *here == number)?;
        self.0.remove(at).map(|(_, value)| value)
    }

    /// The last at or below a number.
    pub(crate) fn at_or_before(&self, number: u64) -> Option<&V> {
        let above = number.checked_add(1).map_or(self.0.len(), |next| self.below(next));
        above.checked_sub(1).map(|at| &self.0[at].1)
    }

    /// The first at or above a number, and all that follow.
    pub(crate) fn from(&self, number: u64) -> impl Iterator<Item = &V> {
        self.0.range(self.below(number)..).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_is_a_map_in_order() {
        let (mut rising, mut map) = (Rising::default(), BTreeMap::new());
        let mut random = 7_u64;
        for step in 0..5_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) % 64;
            match (random >> 60) % 4 {
                0 => assert_eq!(rising.remove(number), map.remove(&number)),
                1 => assert_eq!(rising.insert(step + 64, step), map.insert(step + 64, step)),
                2 => assert_eq!(rising.remove(step + 63), map.remove(&(step + 63))),
                _ => assert_eq!(rising.insert(number, step), map.insert(number, step)),
            }
            for number in [number, step, step + 63, u64::MAX] {
                assert_eq!(rising.get(number), map.get(&number));
                let before = map.range(..=number).next_back().map(|(_, value)| value);
                assert_eq!(rising.at_or_before(number), before);
                assert!(rising.from(number).eq(map.range(number..).map(|(_, value)| value)));
            }
            assert_eq!(rising.is_empty(), map.is_empty());
        }
    }
}
