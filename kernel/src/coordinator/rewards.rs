//! Rewards: what a signed seal pays (WP 2.4.7, 3).
//!
//! The emission of an epoch is fixed for the whole network. Each seal of a partition pays each of its R seats that
//! signed the P·R-th part of it, *whatever the volume*: publishing to oneself mints nothing, and there is nothing to
//! mint, because rewards come from a prefunded reserve, the coordinator's tokens beyond stakes, pool and unpaid
//! rewards. Signers beyond the quorum are paid like the others, so that whoever submits loses nothing by waiting for
//! all of them. What silent and vacant seats would have got, and what integer division leaves, stays in the reserve. A
//! reserve that falls short pays what is there, in the order of seats.

use super::params::Params;
use super::seats::Counts;

/// The reward of one signed seal, in the token's smallest unit, while there are so many partitions.
pub fn share(params: &Params, partitions: u32) -> u128 {
    assert!(partitions > 0, "a network has at least one partition");
    params.epoch_reward / u128::from(partitions) / params.seats() as u128
}

/// What all seats together get for the seals that they signed, out of the reserve.
pub fn total(share: u128, signed: &Counts, reserve: u128) -> u128 {
    let seals = signed.iter().map(|count| u128::from(*count)).sum();
    share.saturating_mul(seals).min(reserve)
}

/// What each seat gets of a total.
pub fn shares(share: u128, signed: &Counts, total: u128) -> [u128; super::seats::SEATS] {
    let mut left = total;
    signed.map(|count| {
        let pay = share.saturating_mul(count.into()).min(left);
        left -= pay;
        pay
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_emission_is_split_among_partitions_and_seats() {
        let params = Params { epoch_reward: 1_000, replicas: 3, ..Params::default() };
        assert_eq!([1, 10, 400].map(|partitions| share(&params, partitions)), [333, 33, 0]);
    }

    #[test]
    fn a_short_reserve_pays_the_lower_seats() {
        let signed = [2, 0, 1, 2, 0, 0, 0, 0];
        assert_eq!(total(10, &signed, 1_000), 50);
        assert_eq!(total(10, &signed, 34), 34);
        assert_eq!(shares(10, &signed, 34)[..4], [20, 0, 10, 4]);
        assert_eq!(total(u128::MAX, &signed, u128::MAX), u128::MAX);
    }

    proptest! {
        #[test]
        fn seats_get_the_total_and_no_more_than_they_signed(share: u128, signed: Counts, reserve: u128) {
            let total = total(share, &signed, reserve);
            let shares = shares(share, &signed, total);
            prop_assert_eq!(shares.iter().sum::<u128>(), total);
            prop_assert!(total <= reserve);
            prop_assert!(shares.iter().zip(signed).all(|(pay, n)| *pay <= share.saturating_mul(n.into())));
        }
    }
}
