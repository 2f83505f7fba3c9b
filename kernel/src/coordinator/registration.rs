//! Brokers: joining with a stake, drawing, leaving and being paid (WP 2.4.6, 2.4.7, 2.5.3).
//!
//! A broker registers once, with a stake that earns tickets and a fee that is not refunded. Its *draw* is
//! made of the hash of a block a few blocks later, which nobody knows yet, so that a partition cannot be
//! ground for; anybody may record it. The EVM knows the hashes of 256 blocks: if nobody came in time, a later
//! block takes the missed one's place. A broker that leaves loses its tickets at once, and gets its stake
//! back after a notice and once it is a member nowhere, so that it answers for what it signed as a member. One that
//! lost its tickets to unreliability may pay the fee again and start over from half of full reliability.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::Broker;
use super::call::Block;
use super::fact::Fact;
use super::refusal::Refusal;
use super::reliability;
use super::score;
use super::seats::MAX_BROKER;
use super::state::State;
use super::token;
use crate::ids::{Address, BrokerIndex, Hash};

/// The longest endpoint, in bytes.
pub const MAXIMUM_ENDPOINT_BYTES: usize = 256;

/// `register`.
pub(super) fn register(
    state: &State,
    caller: Address,
    stake: u128,
    endpoint: String,
    tls_key_hash: Hash,
) -> Result<Vec<Fact>, Refusal> {
    let params = &state.params;
    super::succession::check(state, state.epoch())?;
    if let Some(index) = state.broker_index(caller) {
        return Err(Refusal::AlreadyRegistered { account: caller, index });
    }
    if stake < params.minimum_stake {
        return Err(Refusal::StakeOutOfRange { stake, minimum: params.minimum_stake, maximum: u128::MAX });
    }
    check_endpoint(&endpoint)?;
    let registered = state.brokers.len() as u32;
    if registered == MAX_BROKER {
        return Err(Refusal::TooManyBrokers { maximum: MAX_BROKER });
    }
    let payment = token::transfer_from(
        state,
        state.contracts.coordinator,
        caller,
        stake.saturating_add(params.join_fee),
    )?;
    let joined = Fact::BrokerRegistered {
        index: BrokerIndex(registered + 1),
        broker: caller,
        stake,
        tickets: params.tickets(stake),
        endpoint,
        tls_key_hash,
        draw_block: state.height + params.draw_delay,
    };
    Ok(vec![joined, payment])
}

/// `updateEndpoint`.
pub(super) fn update_endpoint(
    state: &State,
    caller: Address,
    endpoint: String,
    tls_key_hash: Hash,
) -> Result<Fact, Refusal> {
    let (index, _) = registered(state, caller)?;
    check_endpoint(&endpoint)?;
    Ok(Fact::BrokerUpdated { index, endpoint, tls_key_hash })
}

/// `recordDraw`.
pub(super) fn record_draw(state: &State, block: Block<'_>, index: BrokerIndex) -> Result<Fact, Refusal> {
    let broker = state.broker(index).ok_or(Refusal::UnknownBroker { index })?;
    if broker.draw.is_some() {
        return Err(Refusal::DrawAlreadyRecorded { index });
    }
    let draw_block = broker.draw_block;
    if block.number <= draw_block {
        return Err(Refusal::DrawNotReady { index, draw_block, current_block: block.number });
    }
    Ok(match block.blockhash(draw_block) {
        Some(hash) => Fact::DrawRecorded { index, draw: score::draw(&hash, index) },
        None => Fact::DrawMissed { index, draw_block: block.number + state.params.draw_delay },
    })
}

/// `leave`.
pub(super) fn leave(state: &State, caller: Address) -> Result<Fact, Refusal> {
    let (index, broker) = registered(state, caller)?;
    match broker.left {
        Some(_) => Err(Refusal::AlreadyLeft { index }),
        None => Ok(left(state, index)),
    }
}

/// `rejoin`.
pub(super) fn rejoin(state: &State, caller: Address) -> Result<Vec<Fact>, Refusal> {
    let (index, broker) = registered(state, caller)?;
    if broker.left.is_some() {
        return Err(Refusal::AlreadyLeft { index });
    }
    if !broker.is_suspended() {
        let reliability = broker.reliability;
        return Err(Refusal::NotSuspended { index, reliability, minimum: reliability::MINIMUM });
    }
    let fee = state.params.join_fee;
    let payment = token::transfer_from(state, state.contracts.coordinator, caller, fee)?;
    Ok(vec![Fact::BrokerRejoined { index, fee }, payment])
}

/// A broker leaves in the newest block, or is made to.
pub(super) fn left(state: &State, index: BrokerIndex) -> Fact {
    Fact::BrokerLeft { index, withdrawable_epoch: state.epoch() + state.params.notice_epochs }
}

/// `claimBounty`.
pub(super) fn claim_bounty(state: &State, account: Address) -> Result<Vec<Fact>, Refusal> {
    let amount = state.bounty(account);
    if amount == 0 {
        return Err(Refusal::NoBounty { account });
    }
    let payment = token::transfer(state, state.contracts.coordinator, account, amount)?;
    Ok(vec![Fact::BountyClaimed { account, amount }, payment])
}

/// `withdrawStake`.
pub(super) fn withdraw_stake(state: &State, caller: Address) -> Result<Vec<Fact>, Refusal> {
    let (index, broker) = registered(state, caller)?;
    let withdrawable_epoch = broker.left.ok_or(Refusal::NotLeft { index })?;
    let current_epoch = state.epoch();
    if current_epoch <= withdrawable_epoch {
        return Err(Refusal::StakeLocked { index, withdrawable_epoch, current_epoch });
    }
    if broker.seats != 0 && super::succession::check(state, current_epoch).is_ok() {
        return Err(Refusal::StillSeated { index, seats: broker.seats });
    }
    let amount = broker.stake;
    if amount == 0 {
        return Err(Refusal::NothingStaked { index });
    }
    let payment = token::transfer(state, state.contracts.coordinator, caller, amount)?;
    Ok(vec![Fact::StakeWithdrawn { index, amount }, payment])
}

/// `claim`.
pub(super) fn claim(state: &State, caller: Address) -> Result<Vec<Fact>, Refusal> {
    let (index, broker) = registered(state, caller)?;
    let amount = broker.accrued;
    if amount == 0 {
        return Err(Refusal::NothingToClaim { index });
    }
    let payment = token::transfer(state, state.contracts.coordinator, caller, amount)?;
    Ok(vec![Fact::RewardClaimed { index, amount }, payment])
}

fn registered(state: &State, caller: Address) -> Result<(BrokerIndex, &Broker), Refusal> {
    let index = state.broker_index(caller).ok_or(Refusal::NotRegistered { account: caller })?;
    Ok((index, state.broker(index).expect("an account's index is a broker's")))
}

fn check_endpoint(endpoint: &str) -> Result<(), Refusal> {
    let (length, maximum) = (endpoint.len(), MAXIMUM_ENDPOINT_BYTES);
    if (1..=maximum).contains(&length) {
        Ok(())
    } else {
        Err(Refusal::EndpointLengthOutOfRange { length, maximum })
    }
}
