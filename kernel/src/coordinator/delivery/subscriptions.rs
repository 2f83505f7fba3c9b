//! Subscriptions: who may make one, and what it can spend.

use alloc::vec;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::{Fact, Refusal, Subscription, known};
use crate::coordinator::{Fact as AnyFact, Refusal as AnyRefusal, State, token};
use crate::ids::{Address, LaneId, StreamId};

/// The least gas that a subscriber is called with.
pub const MINIMUM_CALLBACK_GAS: u32 = 5_000;
/// The most gas that a subscriber is called with.
pub const MAXIMUM_CALLBACK_GAS: u32 = 2_000_000;

/// What a subscription asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Terms {
    /// The contract that is called.
    pub subscriber: Address,
    /// The stream.
    pub stream: StreamId,
    /// What a delivery is paid, in the token's smallest unit.
    pub bounty: u128,
    /// Gas for each call of the subscriber.
    pub callback_gas: u32,
    /// The most events in a span.
    pub rate_events: u32,
    /// The length of a span, in seconds; spans begin at multiples of it.
    pub rate_seconds: u32,
}

/// What the chain says about a subscriber, which is somebody else's code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Callee {
    /// Whether there is a contract.
    pub has_code: bool,
    /// What its `owner()` answers; `None` if it does not answer well.
    pub owner: Option<Address>,
}

/// `subscribe`.
pub(super) fn subscribe(
    state: &State,
    caller: Address,
    terms: Terms,
    budget: u128,
    callee: Callee,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let subscriber = terms.subscriber;
    if !callee.has_code {
        return Err(Refusal::SubscriberWithoutCode { subscriber }.into());
    }
    if caller != subscriber && callee.owner != Some(caller) {
        return Err(Refusal::NotSubscriberOrOwner { subscriber, caller }.into());
    }
    if state.stream(terms.stream).is_none_or(|stream| stream.removed_block().is_some()) {
        return Err(Refusal::UnknownStream { stream: terms.stream }.into());
    }
    let limits: [(&'static str, u128, u128, u128); 4] = [
        ("bounty", terms.bounty, 1, u128::MAX),
        ("callbackGas", terms.callback_gas.into(), MINIMUM_CALLBACK_GAS.into(), MAXIMUM_CALLBACK_GAS.into()),
        ("rateEvents", terms.rate_events.into(), 1, u32::MAX.into()),
        ("rateSeconds", terms.rate_seconds.into(), 1, u32::MAX.into()),
    ];
    for (parameter, given, minimum, maximum) in limits {
        if !(minimum..=maximum).contains(&given) {
            return Err(Refusal::ParameterOutOfRange { parameter, given, minimum, maximum }.into());
        }
    }
    let subscription = state.delivery.subscriptions.len() as u64 + 1;
    let mut facts = vec![Fact::Subscribed { subscription, controller: caller, terms }.into()];
    if budget != 0 {
        facts.extend(by_allowance(state, caller, subscription, budget)?);
    }
    Ok(facts)
}

/// A subscription as it begins.
pub(super) fn begun(controller: Address, terms: Terms) -> Subscription {
    Subscription { terms, controller, budget: 0, rate_span: 0, rate_used: 0, delivered: Default::default() }
}

/// `topUp`.
pub(super) fn top_up(
    state: &State,
    caller: Address,
    subscription: u64,
    amount: u128,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    known(state, subscription)?;
    by_allowance(state, caller, subscription, amount)
}

/// `transferAndCall`: the tokens come first.
pub(super) fn pay(
    state: &State,
    caller: Address,
    subscription: u64,
    amount: u128,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let payment = token::transfer(state, caller, state.contracts.event_delivery, amount)?;
    known(state, subscription)?;
    Ok(vec![payment, added(state, subscription, caller, amount, false)?])
}

/// `withdraw`.
pub(super) fn withdraw(
    state: &State,
    caller: Address,
    subscription: u64,
    amount: u128,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let present = known(state, subscription)?;
    if present.controller != caller {
        return Err(Refusal::NotController { subscription, caller }.into());
    }
    if amount == 0 {
        return Err(Refusal::AmountOutOfRange { amount }.into());
    }
    let budget = present.budget;
    if amount > budget {
        return Err(Refusal::BudgetTooSmall { subscription, budget, amount }.into());
    }
    let payment = token::transfer(state, state.contracts.event_delivery, caller, amount)?;
    Ok(vec![Fact::BudgetWithdrawn { subscription, amount }.into(), payment])
}

/// An event is taken once, within rate and budget; returns the bounty.
pub(super) fn take(
    state: &State,
    subscription: u64,
    lane: LaneId,
    sequence: u64,
) -> Result<u128, AnyRefusal> {
    let present = known(state, subscription)?;
    if present.delivered.contains(&(lane, sequence)) {
        return Err(Refusal::AlreadyDelivered { subscription, lane, sequence }.into());
    }
    let Terms { bounty, rate_events, rate_seconds, .. } = present.terms;
    let span = state.timestamp_s / u64::from(rate_seconds);
    if present.rate_span == span && present.rate_used >= rate_events {
        let next_span = (span + 1) * u64::from(rate_seconds);
        return Err(Refusal::RateExceeded { subscription, next_span }.into());
    }
    let budget = present.budget;
    if budget < bounty {
        return Err(Refusal::BudgetSpent { subscription, budget, bounty }.into());
    }
    Ok(bounty)
}

fn by_allowance(
    state: &State,
    from: Address,
    subscription: u64,
    amount: u128,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let added = added(state, subscription, from, amount, true)?;
    let payment = token::transfer_from(state, state.contracts.event_delivery, from, amount)?;
    Ok(vec![added, payment])
}

fn added(
    state: &State,
    subscription: u64,
    from: Address,
    amount: u128,
    by_allowance: bool,
) -> Result<AnyFact, Refusal> {
    if amount == 0 || amount > u128::MAX - state.delivery.budgets {
        return Err(Refusal::AmountOutOfRange { amount });
    }
    Ok(Fact::BudgetAdded { subscription, from, amount, by_allowance }.into())
}
