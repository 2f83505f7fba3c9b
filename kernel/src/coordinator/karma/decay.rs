//! How karma fades (WP 3): it halves with every period and is gone after a number of halvings.
//!
//! Time is cut into periods of `halving_s` seconds since 1970 UTC. What was credited in period `p` counts in
//! period `n` as `amount >> (n - p)` while `n - p` is below `halvings`, and not at all afterwards: integer
//! arithmetic without a division, equal here and in the EVM. A credit late in its period halves early; that is
//! at most one period, and the price of one addition a credit instead of a list of credits.
//!
//! Credits of one period share a bucket. The buckets are a ring of `halvings` places: the period that would
//! take another one's place comes when that one has expired.

use alloc::collections::BTreeMap;

use super::Params;

/// What was credited to an account in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// The period.
    pub period: u64,
    /// The sum of its credits, in the token's smallest unit.
    pub amount: u128,
}

/// An account's buckets by their place in the ring.
pub type Buckets = BTreeMap<u8, Bucket>;

/// The period of a time.
pub fn period_of(params: &Params, time_s: u64) -> u64 {
    assert!(params.halving_s > 0, "a period takes time");
    time_s / params.halving_s
}

/// What the buckets are worth in `period`, which is not before any of theirs.
pub fn worth(params: &Params, buckets: &Buckets, period: u64) -> u128 {
    buckets
        .values()
        .map(|bucket| (period - bucket.period, bucket.amount))
        .filter(|(halvings, _)| *halvings < u64::from(params.halvings))
        .map(|(halvings, amount)| amount >> halvings)
        .sum()
}

/// Adds a credit.
pub(super) fn credit(params: &Params, buckets: &mut Buckets, period: u64, amount: u128) {
    let place = (period % u64::from(params.halvings)) as u8;
    let bucket = buckets.entry(place).or_default();
    assert!(bucket.period <= period, "time does not go back");
    if bucket.period != period {
        *bucket = Bucket { period, amount: 0 };
    }
    bucket.amount = bucket.amount.checked_add(amount).expect("2^32 credits of the largest amount fit");
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: Params = Params { halving_s: 10, halvings: 3 };

    #[test]
    fn a_credit_halves_with_every_period_and_expires() {
        let mut buckets = Buckets::new();
        credit(&PARAMS, &mut buckets, 7, 1001);
        assert_eq!([7, 8, 9, 10, 11].map(|period| worth(&PARAMS, &buckets, period)), [1001, 500, 250, 0, 0]);
    }

    #[test]
    fn credits_of_one_period_add_up_and_the_ring_takes_a_new_period_in() {
        let mut buckets = Buckets::new();
        credit(&PARAMS, &mut buckets, 7, 100);
        credit(&PARAMS, &mut buckets, 7, 60);
        credit(&PARAMS, &mut buckets, 8, 10);
        assert_eq!(worth(&PARAMS, &buckets, 9), 40 + 5);
        credit(&PARAMS, &mut buckets, 10, 1);
        assert_eq!(worth(&PARAMS, &buckets, 10), 2 + 1);
        assert_eq!(buckets.len(), 2);
    }
}
