//! Random numbers, split so that no use of them disturbs another.
//!
//! Each decision has a stream of its own, `hash(root seed, actor, purpose, ordinal)`: what one decision draws depends
//! on nothing but its name. So taking a fault, a node or a client out of a run leaves every other decision as it was,
//! which is what lets a failure shrink. The generator is a multiply-and-fold one over a counter (the wyrand
//! construction), cheap enough to begin anew for every frame.

use crate::tape::{Actor, Purpose};

/// A million: what rates are counted in.
pub const MILLION: u32 = 1_000_000;

/// Odd constants with evenly spread bits.
const SALTS: [u64; 3] = [0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB, 0x8EBC_6AF0_9C88_C6E3];

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

/// Both halves of a product, folded: every bit of both factors reaches every bit of the result.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Random {
    /// The stream of one decision of a run with this root seed.
    pub fn of(root: u64, actor: Actor, purpose: Purpose, ordinal: u64) -> Self {
        let mut state = fold(root ^ SALTS[0], SALTS[1]);
        for part in [actor.packed(), purpose as u64, ordinal] {
            state = fold(state ^ SALTS[2], part ^ SALTS[0]).wrapping_add(part.wrapping_mul(SALTS[1]));
        }
        Self { state: fold(state ^ SALTS[1], SALTS[2]) }
    }

    /// A stream that a number of its own begins.
    pub fn from_number(number: u64) -> Self {
        Self { state: fold(number ^ SALTS[2], SALTS[0]) ^ number }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(SALTS[0]);
        fold(self.state, self.state ^ SALTS[1])
    }

    /// A number below `bound`, which is at least 1. The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of a range, both ends included.
    pub fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        assert!(low <= high, "a range goes up");
        low + self.below(high - low + 1)
    }

    /// True so many times in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(u64::from(MILLION)) < u64::from(per_million)
    }

    /// A waiting time with this mean: between a quarter and seven quarters of it.
    pub fn around(&mut self, mean: u64) -> u64 {
        mean / 4 + self.below(mean.max(1) * 3 / 2 + 1)
    }

    /// One of so many things.
    pub fn index(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes
            .chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&self.next_u64().to_be_bytes()[..chunk.len()]));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Role;
    use std::collections::BTreeSet;

    #[test]
    fn streams_differ_by_every_part_of_their_name() {
        let first = |root, actor, purpose, ordinal| Random::of(root, actor, purpose, ordinal).next_u64();
        let (one, two) = (Actor::Link(1, 2), Actor::Link(2, 1));
        let base = first(1, one, Purpose::Delay, 0);
        assert_eq!(base, first(1, one, Purpose::Delay, 0));
        let others = [
            first(2, one, Purpose::Delay, 0),
            first(1, two, Purpose::Delay, 0),
            first(1, one, Purpose::Loss, 0),
            first(1, one, Purpose::Delay, 1),
            first(1, Actor::Client(Role::Publisher, 1), Purpose::Delay, 0),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn first_numbers_of_neighbouring_streams_are_evenly_spread() {
        let mut buckets = [0_u32; 16];
        let mut seen = BTreeSet::new();
        for root in 0..4 {
            for node in 0..100 {
                for ordinal in 0..40 {
                    let number = Random::of(root, Actor::Node(node), Purpose::Sync, ordinal).next_u64();
                    buckets[(number >> 60) as usize] += 1;
                    seen.insert(number);
                }
            }
        }
        assert_eq!(seen.len(), 16_000);
        assert!(buckets.iter().all(|count| (850..1_150).contains(count)), "{buckets:?}");
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_reach_them() {
        let mut random = Random::from_number(1);
        let drawn: BTreeSet<u64> = (0..1000).map(|_| random.between((3, 9))).collect();
        assert_eq!(drawn, (3..=9).collect());
        let hits = (0..100_000).filter(|_| random.chance(100_000)).count();
        assert!((9_000..11_000).contains(&hits), "{hits} of 100000 at one in ten");
        assert!(!random.chance(0) && random.chance(MILLION));
    }
}
