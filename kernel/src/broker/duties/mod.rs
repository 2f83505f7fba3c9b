//! Duties: what a broker asks of the chain of its own accord (WP 2.4.6, 2.4.7), as pure rules.
//!
//! A rule looks at the confirmed chain, and at what the broker holds, and says what there is to do; it keeps nothing.
//! Whether it was done is seen on the chain as well. So a duty that was interrupted, lost or done by somebody else
//! needs no bookkeeping: the next view wants it again or does not. Only [`pacing`] remembers when something was last
//! sent.
//!
//! | duty | rule | who does it |
//! | --- | --- | --- |
//! | record draws | [`draws`] | each its own; others' in turn |
//! | move targets to the best seats, found, evict | [`seating`] | in turn |
//! | have tallies settled, claim rewards and bounties | [`tallies`], [`claims`] | each its own |
//! | join again after a suspension | [`rejoining`] | each its own |
//! | have partitions added | [`growth`] | in turn |
//! | attest a seal that was missed | [`lateness`] | each its own |
//! | have two conflicting reports punished | [`misconduct`] | whoever has both |
//! | declare a quorum lost | [`quorums`] | in turn |
//! | settle lanes with LaneFees | [`settlement`], [`cut_proofs`] | a member in turn |
//! | prove forks to LaneFees | [`fork_proofs`] | a member in turn |
//! | stop when the network has a successor | [`succession`] | everybody |
//!
//! Whose turn it is is in [`turns`]; what a refused transaction means, in [`refusals`].

pub mod claims;
pub mod cut_proofs;
pub mod draws;
#[cfg(test)]
pub(super) mod fixture;
pub mod fork_proofs;
pub mod growth;
pub mod lateness;
pub mod misconduct;
pub mod pacing;
pub mod quorums;
pub mod refusals;
pub mod rejoining;
pub mod seating;
pub mod settlement;
pub mod succession;
pub mod tallies;
pub mod turns;

use crate::coordinator::Intent;
use crate::coordinator::conduct::Conflict;
use crate::ids::{BrokerIndex, Epoch, LaneId, PartitionId};

/// What is to be done, as far as two transactions for it would be one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// A broker's draw.
    Draw(BrokerIndex),
    /// Changes of targets, by the first of them.
    Rebalance(PartitionId, BrokerIndex),
    /// A founding.
    Found(PartitionId),
    /// An eviction from a target seat.
    Evict(PartitionId, u8),
    /// The tallies of the broker's partitions, by the first of them.
    SettleTallies(PartitionId),
    /// The broker's rewards.
    Claim,
    /// The bounties of its account.
    ClaimBounty,
    /// What the coordinator may take of the broker's tokens.
    Approve,
    /// The end of the broker's suspension.
    Rejoin,
    /// More partitions than this many.
    Grow(u32),
    /// A late report for a sealed epoch.
    Late(PartitionId, Epoch),
    /// The punishment of a conflict.
    Slash(Conflict),
    /// The declaration that a quorum is lost.
    QuorumLost(PartitionId),
    /// A lane's settlement.
    Settle(LaneId),
    /// The proof of a lane's fork.
    Fork(LaneId),
}

/// A duty with the transaction that does it.
pub type Wanted = (Duty, Intent);
