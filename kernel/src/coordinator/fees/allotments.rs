//! Allotting tokens, and taking them back after a notice (WP 2.4.7).
//!
//! Brokers carry data on the strength of an allotment before it is settled, so its owner gets it back only some
//! epochs after asking. Until then it pays for settlements as before; what is left of the amount asked for is
//! what the owner gets. A new request takes the place of an older one and its notice begins anew.

use alloc::vec;
use alloc::vec::Vec;

use super::{Allotment, Fact, Refusal};
use crate::coordinator::{Fact as AnyFact, Refusal as AnyRefusal, State as AnyState, token};
use crate::ids::{Address, Epoch, StreamPartition};

/// The largest amount of one call: the supply of the token is far below.
pub const MAXIMUM_AMOUNT: u128 = (1 << 96) - 1;

type Outcome = Result<Vec<AnyFact>, AnyRefusal>;

/// `allot`.
pub(super) fn allot(state: &AnyState, publisher: Address, slot: StreamPartition, amount: u128) -> Outcome {
    check_amount(amount)?;
    let payment = token::transfer_from(state, state.contracts.fees, publisher, amount)?;
    let StreamPartition { stream, partition: stream_partition } = slot;
    Ok(vec![AnyFact::Fees(Fact::Allotted { publisher, stream, stream_partition, amount }), payment])
}

/// `allotToEdge`.
pub(super) fn allot_to_edge(state: &AnyState, subscriber: Address, edge: Address, amount: u128) -> Outcome {
    check_amount(amount)?;
    if state.broker_index(edge).is_none() {
        return Err(Refusal::NotABroker { edge }.into());
    }
    let payment = token::transfer_from(state, state.contracts.fees, subscriber, amount)?;
    Ok(vec![AnyFact::Fees(Fact::AllottedToEdge { subscriber, edge, amount }), payment])
}

/// `requestWithdrawal`.
pub(super) fn request_withdrawal(
    state: &AnyState,
    publisher: Address,
    slot: StreamPartition,
    amount: u128,
) -> Outcome {
    let withdrawable_epoch = request(state, &state.fees.allotment(publisher, slot), amount)?;
    let StreamPartition { stream, partition: stream_partition } = slot;
    let fact = Fact::WithdrawalRequested { publisher, stream, stream_partition, amount, withdrawable_epoch };
    Ok(vec![AnyFact::Fees(fact)])
}

/// `requestEdgeWithdrawal`.
pub(super) fn request_edge_withdrawal(
    state: &AnyState,
    subscriber: Address,
    edge: Address,
    amount: u128,
) -> Outcome {
    let withdrawable_epoch = request(state, &state.fees.edge_allotment(subscriber, edge), amount)?;
    let fact = Fact::EdgeWithdrawalRequested { subscriber, edge, amount, withdrawable_epoch };
    Ok(vec![AnyFact::Fees(fact)])
}

/// `withdraw`.
pub(super) fn withdraw(state: &AnyState, publisher: Address, slot: StreamPartition) -> Outcome {
    let amount = due(state, publisher, &state.fees.allotment(publisher, slot))?;
    let StreamPartition { stream, partition: stream_partition } = slot;
    let fact = AnyFact::Fees(Fact::Withdrawn { publisher, stream, stream_partition, amount });
    pay(state, vec![fact], &[(publisher, amount)])
}

/// `withdrawFromEdge`.
pub(super) fn withdraw_from_edge(state: &AnyState, subscriber: Address, edge: Address) -> Outcome {
    let amount = due(state, subscriber, &state.fees.edge_allotment(subscriber, edge))?;
    let fact = AnyFact::Fees(Fact::EdgeWithdrawn { subscriber, edge, amount });
    pay(state, vec![fact], &[(subscriber, amount)])
}

/// Adds the contract's payments to the facts; nothing is sent where nothing is due.
pub(super) fn pay(state: &AnyState, mut facts: Vec<AnyFact>, payments: &[(Address, u128)]) -> Outcome {
    for (to, value) in payments.iter().filter(|(_, value)| *value > 0) {
        facts.push(token::transfer(state, state.contracts.fees, *to, *value)?);
    }
    Ok(facts)
}

fn check_amount(amount: u128) -> Result<(), Refusal> {
    let (minimum, maximum) = (1, MAXIMUM_AMOUNT);
    let is_in_range = (minimum..=maximum).contains(&amount);
    if is_in_range { Ok(()) } else { Err(Refusal::AmountOutOfRange { amount, minimum, maximum }) }
}

/// The epoch after which a requested amount can be had.
fn request(state: &AnyState, allotment: &Allotment, amount: u128) -> Result<Epoch, Refusal> {
    let allotted = allotment.amount;
    if amount > allotted {
        return Err(Refusal::AllotmentTooSmall { amount, allotted });
    }
    Ok(state.epoch() + state.fees.params.notice_epochs)
}

/// What the owner of an allotment gets back now.
fn due(state: &AnyState, account: Address, allotment: &Allotment) -> Result<u128, Refusal> {
    if allotment.leaving == 0 {
        return Err(Refusal::NoWithdrawalRequested { account });
    }
    let (withdrawable_epoch, current_epoch) = (allotment.withdrawable_epoch, state.epoch());
    if current_epoch <= withdrawable_epoch {
        return Err(Refusal::WithdrawalLocked { withdrawable_epoch, current_epoch });
    }
    Ok(allotment.leaving.min(allotment.amount))
}
