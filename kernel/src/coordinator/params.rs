//! The figures a coordinator is deployed with, and what follows from them.
//!
//! A partition has R seats. Of R replicas at most f = ⌊(R−1)/3⌋ may lie, and q = ⌊(R+f)/2⌋+1 reports make a
//! certificate: any two quorums then share more than f replicas, so at least one that is honest (WP 2.4.6
//! asks for coherent checksums; this is how many must cohere).

use bincode::{Decode, Encode};

use super::seats::SEATS;
use crate::ids::Address;

/// What a coordinator is deployed with; fixed for its life. Token amounts are in the token's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Params {
    /// R, the seats a partition has: 1 to 8.
    pub replicas: u8,
    /// The number of partitions that the network begins with, at least 1 (WP 2.4.5).
    pub partitions: u32,
    /// How many partitions the network grows to for each active broker; 0 if it never grows (WP 2.4.5).
    pub partitions_per_broker: u16,
    /// Blocks an epoch, at least 1.
    pub epoch_blocks: u64,
    /// The least stake a broker may register with.
    pub minimum_stake: u128,
    /// Stake that earns one ticket, at least 1.
    pub ticket_stake: u128,
    /// The most tickets a broker can hold.
    pub maximum_tickets: u8,
    /// What joining costs on top of the stake, and rejoining; not refunded.
    pub join_fee: u128,
    /// Blocks between a registration and the block whose hash is the broker's draw.
    pub draw_delay: u64,
    /// Emission for the whole network an epoch; each seat of each partition gets an equal part of it for a signed seal.
    pub epoch_reward: u128,
    /// Epochs between leaving and withdrawing the stake.
    pub notice_epochs: u64,
    /// How many epochs back an epoch can still be sealed.
    pub window_epochs: u64,
    /// What signing two checksums costs of the stake, in basis points.
    pub slash_share: u16,
    /// What of that goes to the reporter, in basis points.
    pub reporter_share: u16,
    /// After how many windows without a seal a partition's quorum is lost, at least 1.
    pub quorum_lost_windows: u64,
    /// Who may propose a successor; nobody if zero.
    pub governor: Address,
    /// Epochs between the acceptance of a successor and the switch, at least 1.
    pub successor_notice: u64,
    /// What a seat that was installed earns its sponsor, out of fees that were paid; at most the join fee.
    pub seat_bounty: u128,
}

/// One whole DATA in its smallest unit.
pub const DATA: u128 = 1_000_000_000_000_000_000;

impl Default for Params {
    /// The figures of a development network.
    fn default() -> Self {
        Self {
            replicas: 4,
            partitions: 10,
            partitions_per_broker: 0,
            epoch_blocks: 8,
            minimum_stake: 1_000 * DATA,
            ticket_stake: 1_000 * DATA,
            maximum_tickets: 4,
            join_fee: 10 * DATA,
            draw_delay: 1,
            epoch_reward: 100 * DATA,
            notice_epochs: 4,
            window_epochs: 64,
            slash_share: 5_000,
            reporter_share: 1_000,
            quorum_lost_windows: 2,
            governor: Address::ZERO,
            successor_notice: 64,
            seat_bounty: DATA,
        }
    }
}

impl Params {
    /// R, as a count of seats.
    pub fn seats(&self) -> usize {
        assert!((1..=SEATS).contains(&usize::from(self.replicas)), "a partition has 1 to {SEATS} seats");
        usize::from(self.replicas)
    }

    /// f, the number of lying replicas that a partition tolerates.
    pub fn liars(&self) -> usize {
        (self.seats() - 1) / 3
    }

    /// q, the number of reports that make a certificate.
    pub fn quorum(&self) -> usize {
        (self.seats() + self.liars()) / 2 + 1
    }

    /// The most newcomers that one certificate seats: as many as may be silent, and at least one.
    pub fn newcomers(&self) -> usize {
        (self.seats() - self.quorum()).max(1)
    }

    /// The epoch of a block.
    pub fn epoch_of(&self, block: u64) -> u64 {
        assert!(self.epoch_blocks > 0, "an epoch has at least one block");
        block / self.epoch_blocks
    }

    /// The tickets that a stake earns (WP 2.4.6: stake makes assignment more likely).
    pub fn tickets(&self, stake: u128) -> u8 {
        assert!(self.ticket_stake > 0, "a ticket costs something");
        let earned = stake / self.ticket_stake;
        u8::try_from(earned).unwrap_or(u8::MAX).min(self.maximum_tickets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_replicas(replicas: u8) -> Params {
        Params { replicas, ..Params::default() }
    }

    #[test]
    fn quorums_are_those_of_the_specification() {
        let quorums: [usize; 8] = core::array::from_fn(|i| with_replicas(i as u8 + 1).quorum());
        assert_eq!(quorums, [1, 2, 2, 3, 4, 4, 5, 6]);
        let liars: [usize; 8] = core::array::from_fn(|i| with_replicas(i as u8 + 1).liars());
        assert_eq!(liars, [0, 0, 0, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn two_quorums_share_an_honest_replica() {
        for replicas in 1..=8 {
            let params = with_replicas(replicas);
            assert!(2 * params.quorum() > params.seats() + params.liars(), "R = {replicas}");
        }
    }

    #[test]
    fn tickets_follow_the_stake_up_to_the_maximum() {
        let params = Params { ticket_stake: 10, maximum_tickets: 3, ..Params::default() };
        assert_eq!([9, 10, 29, 30, 1_000_000].map(|stake| params.tickets(stake)), [0, 1, 2, 3, 3]);
        assert_eq!(params.tickets(u128::MAX), 3);
    }

    #[test]
    fn epochs_are_spans_of_blocks() {
        let params = Params { epoch_blocks: 8, ..Params::default() };
        assert_eq!([0, 7, 8, 17].map(|block| params.epoch_of(block)), [0, 0, 1, 2]);
    }
}
