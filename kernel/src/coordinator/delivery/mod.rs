//! Contracts as subscribers (WP 2.4.3, 2.4.7): the twin of the EventDelivery contract.
//!
//! ```text
//!   subscriber ──subscribe, top up──► budget ──bounty──► whoever first delivers an event
//!                                                         with its signed header and Merkle path
//! ```
//!
//! What the subscriber's own code does is no rule of ours: its outcome is an input of the decision. While it runs,
//! nothing of the delivery contract can be called, so it changes nothing here.
//!
//! | rule | module |
//! | --- | --- |
//! | subscribing, budgets | [`subscriptions`] |
//! | what proves an event | [`events`] |
//!
//! The contract's balance is the sum of the budgets.

pub mod events;
pub mod subscriptions;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::tree::{Map, Set};
use super::{Fact as AnyFact, Refusal as AnyRefusal, State as AnyState};
use crate::ids::{Address, Hash, LaneId, StreamId};

pub use events::Delivery;
pub use subscriptions::{Callee, Terms};

/// A call of EventDelivery. Amounts are in the token's smallest unit.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `subscribe`: by the subscriber or its owner.
    Subscribe { terms: Terms, budget: u128, callee: Callee },
    /// `topUp`: by anybody.
    TopUp { subscription: u64, amount: u128 },
    /// The token's `transferAndCall` for a subscription.
    Pay { subscription: u64, amount: u128 },
    /// `withdraw`: by the controller.
    Withdraw { subscription: u64, amount: u128 },
    /// `deliver`: by anybody. `accepted` is what the subscriber's code does: whether it returns.
    Deliver { subscription: u64, delivery: Box<Delivery>, accepted: bool },
}

/// An event of EventDelivery. Fields are those of the Solidity event of the same name.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fact {
    /// A contract subscribes.
    Subscribed { subscription: u64, controller: Address, terms: Terms },
    /// A budget grew.
    BudgetAdded { subscription: u64, from: Address, amount: u128, by_allowance: bool },
    /// A controller took budget back.
    BudgetWithdrawn { subscription: u64, amount: u128 },
    /// An event was delivered and paid for.
    EventDelivered {
        subscription: u64,
        lane: LaneId,
        sequence: u64,
        deliverer: Address,
        bounty: u128,
        accepted: bool,
    },
}

super::refusal::refusals! {
    nested {}
    ParameterOutOfRange { parameter: &'static str, given: u128, minimum: u128, maximum: u128 } =>
        "{parameter} is {given} and must be {minimum} to {maximum}";
    SubscriberWithoutCode { subscriber: Address } => "{subscriber} is no contract and cannot be called";
    NotSubscriberOrOwner { subscriber: Address, caller: Address } =>
        "{caller} is neither {subscriber} nor its owner";
    UnknownStream { stream: StreamId } => "{stream} is no stream of the registry";
    UnknownSubscription { subscription: u64 } => "there is no subscription {subscription}";
    NotController { subscription: u64, caller: Address } => "{caller} does not control subscription {subscription}";
    BudgetTooSmall { subscription: u64, budget: u128, amount: u128 } =>
        "subscription {subscription} has a budget of {budget}; {amount} cannot be taken from it";
    AmountOutOfRange { amount: u128 } => "an amount of {amount} cannot be added or taken";
    WrongStream { given: StreamId, subscribed: StreamId } =>
        "the event is of {given}; the subscription is to {subscribed}";
    HeaderMalformed { field: &'static str } => "no header has such a {field}";
    EventTooLong { length: usize, maximum: usize } =>
        "the event has {length} bytes; at most {maximum} are taken on chain";
    EventMalformed { length: usize } => "these {length} bytes are no event";
    PathMalformed { index: u32, count: u32, length: usize } =>
        "a path of {length} hashes does not lead from leaf {index} of {count} to a root";
    NotInBatch { index: u32, given: Hash, root: Hash } =>
        "the path leads from event {index} to {given}; the header's root is {root}";
    TimeOutOfRange { timestamp_ms: u64, first_ms: u64, last_ms: u64 } =>
        "event time {timestamp_ms} ms is outside the header's range, {first_ms} to {last_ms} ms";
    SessionInvalid { certificate: Hash } =>
        "no certificate {certificate} of the publisher's lets the signer sign in this lane";
    SignatureMismatch { signer: Address, recovered: Address } =>
        "the header is signed by {recovered}, not by its signer {signer}";
    SessionEnded { certificate: Hash, expiry_block: u64 } =>
        "the session {certificate} is over since block {expiry_block}";
    PublisherNotPermitted { stream: StreamId, publisher: Address } => "{publisher} may not publish to {stream} now";
    AlreadyDelivered { subscription: u64, lane: LaneId, sequence: u64 } =>
        "event {sequence} of lane {lane} was delivered to subscription {subscription} before";
    RateExceeded { subscription: u64, next_span: u64 } =>
        "subscription {subscription} takes no more events before {next_span}, in Unix seconds";
    BudgetSpent { subscription: u64, budget: u128, bounty: u128 } =>
        "subscription {subscription} has a budget of {budget}, which does not cover the bounty of {bounty}";
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// What it asks for.
    pub terms: Terms,
    /// Who created it and takes budget back.
    pub controller: Address,
    /// What is left for bounties.
    pub budget: u128,
    /// The newest span of `rate_seconds` in which events were taken.
    pub rate_span: u64,
    /// How many were taken in it.
    pub rate_used: u32,
    /// The events that were delivered.
    pub delivered: Set<(LaneId, u64)>,
}

/// What EventDelivery holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The subscriptions, by number from 1.
    pub subscriptions: Map<u64, Arc<Subscription>>,
    /// The sum of their budgets.
    pub budgets: u128,
}

impl State {
    /// A subscription.
    pub fn subscription(&self, number: u64) -> Option<&Subscription> {
        self.subscriptions.get(&number).map(Arc::as_ref)
    }

    fn subscription_mut(&mut self, number: u64) -> &mut Subscription {
        let found = self.subscriptions.get_mut(&number);
        Arc::make_mut(found.expect("a subscription begins before its other events"))
    }
}

fn known(state: &AnyState, subscription: u64) -> Result<&Subscription, Refusal> {
    state.delivery.subscription(subscription).ok_or(Refusal::UnknownSubscription { subscription })
}

/// What a call does.
pub(super) fn decide(state: &AnyState, caller: Address, call: Call) -> Result<Vec<AnyFact>, AnyRefusal> {
    match call {
        Call::Subscribe { terms, budget, callee } => {
            subscriptions::subscribe(state, caller, terms, budget, callee)
        }
        Call::TopUp { subscription, amount } => subscriptions::top_up(state, caller, subscription, amount),
        Call::Pay { subscription, amount } => subscriptions::pay(state, caller, subscription, amount),
        Call::Withdraw { subscription, amount } => {
            subscriptions::withdraw(state, caller, subscription, amount)
        }
        Call::Deliver { subscription, delivery, accepted } => {
            let (lane, sequence) = events::check(state, subscription, &delivery)?;
            let bounty = subscriptions::take(state, subscription, lane, sequence)?;
            let payment = super::token::transfer(state, state.contracts.event_delivery, caller, bounty)?;
            let deliverer = caller;
            let delivered =
                Fact::EventDelivered { subscription, lane, sequence, deliverer, bounty, accepted };
            Ok(vec![payment, delivered.into()])
        }
    }
}

impl From<Fact> for AnyFact {
    fn from(fact: Fact) -> Self {
        Self::Delivery(fact)
    }
}

/// Applies an event.
pub(super) fn evolve(state: &mut AnyState, fact: &Fact) {
    if let Fact::BudgetAdded { from, amount, by_allowance: true, .. } = *fact {
        use_allowance(state, from, amount);
    }
    let now_s = state.timestamp_s;
    let delivery = Arc::make_mut(&mut state.delivery);
    match fact {
        Fact::Subscribed { subscription, controller, terms } => {
            let begun = subscriptions::begun(*controller, terms.clone());
            let before = delivery.subscriptions.insert(*subscription, Arc::new(begun));
            assert!(before.is_none(), "numbers are given once");
        }
        Fact::BudgetAdded { subscription, amount, .. } => {
            delivery.subscription_mut(*subscription).budget += amount;
            delivery.budgets += amount;
        }
        Fact::BudgetWithdrawn { subscription, amount } => spend(delivery, *subscription, *amount),
        Fact::EventDelivered { subscription, lane, sequence, bounty, .. } => {
            spend(delivery, *subscription, *bounty);
            let changed = delivery.subscription_mut(*subscription);
            let span = now_s / u64::from(changed.terms.rate_seconds);
            if changed.rate_span != span {
                changed.rate_used = 0;
            }
            (changed.rate_span, changed.rate_used) = (span, changed.rate_used + 1);
            assert!(changed.delivered.insert((*lane, *sequence)), "an event is delivered once");
        }
    }
}

fn spend(state: &mut State, subscription: u64, amount: u128) {
    let changed = state.subscription_mut(subscription);
    changed.budget = changed.budget.checked_sub(amount).expect("no more than the budget is spent");
    state.budgets = state.budgets.checked_sub(amount).expect("budgets add up");
}

/// The token reports no use of an allowance, so the top-up does.
fn use_allowance(state: &mut AnyState, owner: Address, amount: u128) {
    let spender = state.contracts.event_delivery;
    let allowed = state.allowance(owner, spender);
    if allowed != u128::MAX {
        super::evolve::allow(state, owner, spender, allowed.saturating_sub(amount));
    }
}

#[cfg(test)]
mod tests;
