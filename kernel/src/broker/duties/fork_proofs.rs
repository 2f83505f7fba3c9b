//! Forks: the proof goes to LaneFees when the reporter's share of what it costs is worth a transaction (WP 2.4.7).
//!
//! Every member holds the proof. They take turns by epoch, so that one of them is paid and none pays for being second.

use alloc::boxed::Box;

use super::{Duty, Wanted, settlement, turns};
use crate::agreement::Fork;
use crate::coordinator::fees::price::share;
use crate::coordinator::{Intent, Partition, State};
use crate::ids::BrokerIndex;
use crate::limits::FORK_REWARD_MINIMUM;
use crate::signature::SECP256K1;

/// The transaction that has a fork punished, if it is this broker's to send now.
pub fn wanted(view: &State, partition: &Partition, me: BrokerIndex, fork: &Fork) -> Option<Wanted> {
    let lane = fork.lane();
    let header = &fork.first.header;
    if view.contracts.fees.is_zero()
        || view.fees.lane(&lane).is_slashed
        || [&fork.first, &fork.second].iter().any(|signed| signed.header.signature_type != SECP256K1)
    {
        return None;
    }
    let params = &view.fees.params;
    let slashed = share(view.fees.allotment(header.origin, header.slot()).amount, params.slash_share);
    let mine = turns::among_members(&partition.members, settlement::number(&lane), view.epoch(), me);
    let pays = share(slashed, params.reporter_share) >= FORK_REWARD_MINIMUM;
    (mine && pays).then(|| (Duty::Fork(lane), Intent::ProveFork(Box::new(fork.clone()))))
}
