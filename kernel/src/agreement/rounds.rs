//! Rounds of one seal: they go by block height, and leaders take turns.

use crate::ids::{Address, Epoch};
use crate::limits::ROUND_BLOCKS;

/// The round in which the seal of the epoch that ended before block `first_block_after` is at `height`.
pub fn round_at(height: u64, first_block_after: u64) -> u32 {
    let rounds = height.saturating_sub(first_block_after) / ROUND_BLOCKS;
    u32::try_from(rounds).unwrap_or(u32::MAX - 1)
}

/// Whether at least half of the round has passed at `height`.
pub fn half_passed(height: u64, first_block_after: u64) -> bool {
    height.saturating_sub(first_block_after) % ROUND_BLOCKS >= ROUND_BLOCKS / 2
}

/// Who leads: each of the signers in turn, starting with another one each epoch. `None` when nobody may sign.
pub fn leader(signers: &[Address], epoch: Epoch, round: u32) -> Option<Address> {
    if signers.is_empty() {
        return None;
    }
    let turn = (epoch.wrapping_add(u64::from(round))) % signers.len() as u64;
    Some(signers[turn as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signer_leads_one_round_in_turn() {
        let signers = [Address([1; 20]), Address([2; 20]), Address([3; 20])];
        let leaders: alloc::vec::Vec<_> = (0..3).filter_map(|round| leader(&signers, 7, round)).collect();
        assert_eq!(leaders, [signers[1], signers[2], signers[0]]);
        assert_eq!(leader(&[], 7, 0), None);
    }

    #[test]
    fn a_round_lasts_two_blocks() {
        assert_eq!([16, 17, 18, 21].map(|height| round_at(height, 16)), [0, 0, 1, 2]);
        assert!(!half_passed(16, 16) && half_passed(17, 16) && !half_passed(18, 16));
    }
}
