//! Brokers as the coordinator keeps them.

use alloc::string::String;

use super::reliability;
use super::score;
use crate::ids::{Address, Epoch, Hash};

/// A registered broker. Amounts are in the token's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its account.
    pub address: Address,
    /// Where it is reached.
    pub endpoint: String,
    /// The hash of its TLS key.
    pub tls_key_hash: Hash,
    /// Its stake; 0 once withdrawn.
    pub stake: u128,
    /// What is left, in the pool, of the join fees that it paid.
    pub fee: u128,
    /// The tickets of its stake; 0 once it left.
    pub tickets: u8,
    /// Its draw, once recorded: without one it takes no seat.
    pub draw: Option<Hash>,
    /// The block whose hash makes the draw.
    pub draw_block: u64,
    /// Set when it left: the stake can be withdrawn after this epoch.
    pub left: Option<Epoch>,
    /// How reliably it reports, in basis points: 10 000 at the start.
    pub reliability: u16,
    /// The same before the epoch in which it last moved.
    pub settled_reliability: u16,
    /// The epoch in which it last moved.
    pub rated_epoch: Epoch,
    /// Rewards earned and not yet claimed; what unsettled tallies will pay is not among them.
    pub accrued: u128,
    /// Rewards claimed so far.
    pub claimed: u128,
    /// Entries that it signed and that were sealed.
    pub reports: u64,
    /// In how many partitions it is a member now.
    pub seats: u32,
}

impl Broker {
    /// The tickets that it can sit with in `epoch`, which has begun and not ended: those of its stake times the
    /// reliability that it had when the epoch began. So they do not change within an epoch.
    pub fn tickets_in(&self, epoch: Epoch) -> u8 {
        let settled = self.rated_epoch == epoch;
        let reliability = if settled { self.settled_reliability } else { self.reliability };
        reliability::tickets(self.tickets, reliability)
    }

    /// Whether its reliability is so low that it has no tickets from the next epoch on, until it rejoins or signs
    /// where it still sits.
    pub fn is_suspended(&self) -> bool {
        self.reliability < reliability::MINIMUM
    }

    /// Moves its reliability in `epoch`.
    pub(super) fn rate(&mut self, epoch: Epoch, step: impl Fn(u16) -> u16) {
        let next = step(self.reliability);
        assert!(next <= reliability::FULL, "reliability is at most {} basis points", reliability::FULL);
        if next == self.reliability {
            return;
        }
        if self.rated_epoch != epoch {
            (self.rated_epoch, self.settled_reliability) = (epoch, self.reliability);
        }
        self.reliability = next;
    }

    /// Its key in scores, if it may hold the seat of this ticket in `epoch`: it has a draw, has not left, and
    /// the ticket is its.
    pub fn ticket_key(&self, ticket: u8, epoch: Epoch) -> Option<u64> {
        let active = self.left.is_none() && ticket < self.tickets_in(epoch);
        self.draw.filter(|_| active).map(|draw| score::broker_key(&draw))
    }
}
