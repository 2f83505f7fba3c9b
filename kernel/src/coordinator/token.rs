//! The token, as far as stakes and rewards need it (WP 3): an ERC-20 with OpenZeppelin's rules.
//!
//! The supply is 10^9 · 10^18, which fits 128 bits. An allowance of 2^128 or more reads as [`u128::MAX`] and
//! is never used up; the token treats only 2^256 − 1 so, but no account can ever spend down to the
//! difference. The token's log does not tell when an allowance is used, so only those of
//! our contracts are followed, by what they report when they take tokens.

use super::fact::Fact;
use super::refusal::Refusal;
use super::state::State;
use crate::ids::Address;

/// `from` gives `value` to `to`.
pub(super) fn transfer(state: &State, from: Address, to: Address, value: u128) -> Result<Fact, Refusal> {
    if to.is_zero() {
        return Err(Refusal::ERC20InvalidReceiver { receiver: to });
    }
    let balance = state.balance(from);
    if balance < value {
        return Err(Refusal::ERC20InsufficientBalance { sender: from, balance, needed: value });
    }
    Ok(Fact::Transfer { from, to, value })
}

/// The contract `spender` takes `value` from `owner`, who allowed it.
pub(super) fn transfer_from(
    state: &State,
    spender: Address,
    owner: Address,
    value: u128,
) -> Result<Fact, Refusal> {
    let allowance = state.allowance(owner, spender);
    if allowance < value {
        return Err(Refusal::ERC20InsufficientAllowance { spender, allowance, needed: value });
    }
    transfer(state, owner, spender, value)
}

/// `owner` lets `spender` move `value`.
pub(super) fn approve(owner: Address, spender: Address, value: u128) -> Result<Fact, Refusal> {
    if spender.is_zero() {
        return Err(Refusal::ERC20InvalidSpender { spender });
    }
    Ok(Fact::Approval { owner, spender, value })
}
