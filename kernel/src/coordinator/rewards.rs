//! Rewards: what a seal pays (WP 2.4.7, 3).
//!
//! The emission of an epoch is fixed for the whole network. Each sealed (partition, epoch) pays the P-th part
//! of it, split equally among its signers, *whatever its volume*: publishing to oneself mints nothing, and
//! there is nothing to mint, because rewards come from a prefunded reserve, the coordinator's tokens beyond
//! stakes, pool and unpaid rewards. A short reserve pays what is there; what an integer division leaves stays
//! in the reserve.

use super::params::Params;

/// Each signer's reward of one seal, in the token's smallest unit.
pub fn share(params: &Params, reserve: u128, signers: usize) -> u128 {
    assert!(signers > 0, "a certificate has signers");
    let emission = params.epoch_reward / u128::from(params.partitions);
    emission.min(reserve) / signers as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emission_is_split_among_partitions_and_signers() {
        let params = Params { epoch_reward: 1_000, partitions: 10, ..Params::default() };
        assert_eq!(share(&params, 5_000, 3), 33);
        assert_eq!(share(&params, 99, 3), 33);
        assert_eq!(share(&params, 10, 3), 3);
        assert_eq!(share(&params, 2, 3), 0);
    }
}
