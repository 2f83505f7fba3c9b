//! Claims: rewards and bounties are taken when they are worth a transaction (WP 2.4.7), and to the last unit when
//! no more will come.

use super::{Duty, Wanted, succession};
use crate::coordinator::{Intent, State};
use crate::ids::BrokerIndex;
use crate::limits::CLAIM_MINIMUM;

/// What this broker claims now.
pub fn wanted(view: &State, me: BrokerIndex) -> impl Iterator<Item = Wanted> {
    let broker = view.broker(me);
    let least = if is_last(view, me) { 1 } else { CLAIM_MINIMUM };
    let accrued = broker.map_or(0, |broker| broker.accrued);
    let bounty = broker.map_or(0, |broker| view.bounty(broker.address));
    let reward = (accrued >= least).then_some((Duty::Claim, Intent::Claim));
    let bounty = (bounty >= least).then_some((Duty::ClaimBounty, Intent::ClaimBounty));
    reward.into_iter().chain(bounty)
}

/// Whether nothing more will accrue: the broker left and sits nowhere, or the network is a successor's.
fn is_last(view: &State, me: BrokerIndex) -> bool {
    let gone = view.broker(me).is_some_and(|broker| broker.left.is_some() && broker.seats == 0);
    gone || succession::successor(view, view.epoch()).is_some()
}
