//! Random streams split off one seed.
//!
//! `stream = SHA-256(root seed, purpose, ids)`: each use has a stream of its own, so taking one fault or one node out
//! of a scenario leaves every other stream as it was. The generator is xoshiro256++ (Blackman, Vigna 2019).

use weir_kernel::hash::sha256;

/// A million: what rates are counted in.
pub const MILLION: u32 = 1_000_000;

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of a purpose, told apart further by `ids`.
    pub fn stream(root: u64, purpose: &str, ids: &[u64]) -> Self {
        let ids: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
        let length = (purpose.len() as u64).to_be_bytes();
        let hash = sha256(&[&root.to_be_bytes(), &length, purpose.as_bytes(), &ids]).0;
        let mut state = [0; 4];
        for (word, bytes) in state.iter_mut().zip(hash.chunks_exact(8)) {
            *word = u64::from_be_bytes(bytes.try_into().expect("chunks of 8"));
        }
        Self { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
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

    #[test]
    fn streams_differ_by_every_part_of_their_name() {
        let first = |root, purpose, ids: &[u64]| Random::stream(root, purpose, ids).next_u64();
        let base = first(1, "link", &[1, 2]);
        assert_eq!(base, first(1, "link", &[1, 2]));
        for other in [first(2, "link", &[1, 2]), first(1, "lin", &[1, 2]), first(1, "link", &[2, 1])] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_reach_them() {
        let mut random = Random::stream(1, "test", &[]);
        let drawn: std::collections::BTreeSet<u64> = (0..1000).map(|_| random.between((3, 9))).collect();
        assert_eq!(drawn, (3..=9).collect());
        let hits = (0..100_000).filter(|_| random.chance(100_000)).count();
        assert!((9_000..11_000).contains(&hits), "{hits} of 100000 at one in ten");
        assert!(!random.chance(0) && random.chance(MILLION));
    }
}
