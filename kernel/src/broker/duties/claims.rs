//! Claims: rewards and bounties are taken when they are worth a transaction (WP 2.4.7), and to the last unit when
//! no more will come.

use super::{Duty, Wanted, succession};
use crate::coordinator::{Intent, State};
use crate::ids::BrokerIndex;
use crate::limits::CLAIM_MINIMUM;

/// What this broker claims now.
pub fn wanted(view: &State, me: BrokerIndex) -> impl Iterator<Item = Wanted> {
    let broker = view.broker(me);
    let least = least(view, me);
    let accrued = broker.map_or(0, |broker| broker.accrued);
    let bounty = broker.map_or(0, |broker| view.bounty(broker.address));
    let reward = (accrued >= least).then_some((Duty::Claim, Intent::Claim));
    let bounty = (bounty >= least).then_some((Duty::ClaimBounty, Intent::ClaimBounty));
    reward.into_iter().chain(bounty)
}

/// The least that is claimed: what is left when no more will come, and what a suspended broker lacks of the fee to
/// join again.
pub(super) fn least(view: &State, me: BrokerIndex) -> u128 {
    if is_last(view, me) {
        return 1;
    }
    let suspended = view.broker(me).filter(|broker| broker.is_suspended());
    let lacks = suspended.map(|broker| view.params.join_fee.saturating_sub(view.balance(broker.address)));
    lacks.filter(|lacking| *lacking > 0).map_or(CLAIM_MINIMUM, |lacking| lacking.min(CLAIM_MINIMUM))
}

/// Whether nothing more will accrue: the broker left and sits nowhere, or the network is a successor's.
fn is_last(view: &State, me: BrokerIndex) -> bool {
    let gone = view.broker(me).is_some_and(|broker| broker.left.is_some() && broker.seats == 0);
    gone || succession::successor(view, view.epoch()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;
    use crate::ids::Address;
    use alloc::vec::Vec;

    fn claimed(view: &State) -> Vec<Duty> {
        wanted(view, BrokerIndex(1)).map(|(duty, _)| duty).collect()
    }

    #[test]
    fn rewards_and_bounties_are_claimed_when_they_are_worth_it() {
        let mut view = fixture::view(4, 10);
        fixture::broker(&mut view, 1).accrued = CLAIM_MINIMUM - 1;
        view.bounties.insert(fixture::account(1), CLAIM_MINIMUM);
        assert_eq!(claimed(&view), [Duty::ClaimBounty]);
        fixture::broker(&mut view, 1).accrued = CLAIM_MINIMUM;
        assert_eq!(claimed(&view), [Duty::Claim, Duty::ClaimBounty]);
    }

    #[test]
    fn the_last_of_it_is_claimed_whatever_it_is() {
        let mut view = fixture::view(4, 10);
        fixture::broker(&mut view, 1).accrued = 1;
        assert!(claimed(&view).is_empty());
        let mut gone = view.clone();
        (fixture::broker(&mut gone, 1).left, fixture::broker(&mut gone, 1).seats) = (Some(9), 1);
        assert!(claimed(&gone).is_empty(), "its seat may earn more");
        fixture::broker(&mut gone, 1).seats = 0;
        assert_eq!(claimed(&gone), [Duty::Claim]);
        view.succession.accepted = Some((Address([9; 20]), 10));
        assert_eq!(claimed(&view), [Duty::Claim]);
    }

    #[test]
    fn a_suspended_broker_claims_what_it_needs_to_join_again() {
        let mut view = fixture::view(4, 10);
        let fee = view.params.join_fee;
        fixture::broker(&mut view, 1).accrued = fee - 1;
        fixture::broker(&mut view, 1).reliability = 0;
        assert!(claimed(&view).is_empty());
        view.balances.insert(fixture::account(1), 1);
        assert_eq!(claimed(&view), [Duty::Claim]);
        view.balances.insert(fixture::account(1), fee);
        assert!(claimed(&view).is_empty());
    }
}
