//! Karma (WP 3): how much somebody exchanged lately, the twin of the Karma contract.
//!
//! Contracts that move DATA for data, the *creditors*, credit both sides with what was exchanged; it fades by
//! [`decay`] and moves to nobody. An account's karma is computed when it is read and is never more than what
//! it exchanged. Since each exchange burns a share, karma costs; it buys no seats, rewards or credit.
//!
//! The *founder*, who deployed the contract, names the creditors and can close the founding for good.

pub mod decay;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::tree::Map;
use super::{Fact as AnyFact, Refusal as AnyRefusal, State as AnyState};
use crate::ids::Address;
use decay::Buckets;

/// The largest credit: the supply of the token is far below.
pub const MAXIMUM_CREDIT: u128 = (1 << 96) - 1;

/// What Karma was deployed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Params {
    /// Seconds in which karma halves, at least 1.
    pub halving_s: u64,
    /// After so many halvings karma has expired: 1 to 32.
    pub halvings: u8,
}

impl Default for Params {
    /// Thirty days; gone after a year of twelve such months.
    fn default() -> Self {
        Self { halving_s: 30 * 24 * 60 * 60, halvings: 12 }
    }
}

/// A call of Karma. Amounts are in the token's smallest unit.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `authorise`: the founder names a creditor.
    Authorise { creditor: Address },
    /// `closeFounding`: there will be no further creditor.
    CloseFounding,
    /// `credit`: by creditors.
    Credit { account: Address, amount: u128 },
}

/// An event of Karma. Fields are those of the Solidity event of the same name.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fact {
    /// The contract exists.
    KarmaFounded { founder: Address, params: Params },
    /// A contract may credit from now on.
    CreditorAuthorised { creditor: Address },
    /// No further creditor can be named.
    FoundingClosed,
    /// An account exchanged this much.
    KarmaCredited { account: Address, creditor: Address, amount: u128 },
}

super::refusal::refusals! {
    nested {}
    NotFounder { caller: Address } => "{caller} did not found this contract; only its founder names creditors";
    FoundingIsClosed {} => "the founding is closed; the creditors are fixed";
    AlreadyCreditor { creditor: Address } => "{creditor} may credit already";
    NotCreditor { caller: Address } => "{caller} is no creditor; only creditors credit karma";
    CreditOutOfRange { amount: u128, maximum: u128 } => "a credit of {amount} is more than {maximum}";
}

/// What Karma holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What it was deployed with.
    pub params: Params,
    /// Who names creditors until the founding is closed.
    pub founder: Address,
    /// Whether the founding is closed.
    pub is_closed: bool,
    /// Who may credit.
    pub creditors: BTreeSet<Address>,
    /// What each account was credited.
    pub accounts: Map<Address, Account>,
}

/// An account's credits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Those that may count still.
    pub buckets: Buckets,
    /// All of them ever, unfaded.
    pub exchanged: u128,
}

impl State {
    /// An account's karma at a time, which is not before the newest credit.
    pub fn karma_of(&self, account: Address, time_s: u64) -> u128 {
        let period = decay::period_of(&self.params, time_s);
        self.accounts.get(&account).map_or(0, |account| decay::worth(&self.params, &account.buckets, period))
    }
}

/// What a call does.
pub(super) fn decide(state: &AnyState, caller: Address, call: Call) -> Result<Vec<AnyFact>, AnyRefusal> {
    let karma = &state.karma;
    let fact = match call {
        Call::Authorise { creditor } => {
            check_founder(karma, caller)?;
            if karma.creditors.contains(&creditor) {
                return Err(Refusal::AlreadyCreditor { creditor }.into());
            }
            Fact::CreditorAuthorised { creditor }
        }
        Call::CloseFounding => {
            check_founder(karma, caller)?;
            Fact::FoundingClosed
        }
        Call::Credit { account, amount } => credited(karma, caller, account, amount)?,
    };
    Ok(vec![AnyFact::Karma(fact)])
}

/// `credit`.
pub(super) fn credited(
    karma: &State,
    creditor: Address,
    account: Address,
    amount: u128,
) -> Result<Fact, Refusal> {
    if !karma.creditors.contains(&creditor) {
        return Err(Refusal::NotCreditor { caller: creditor });
    }
    if amount > MAXIMUM_CREDIT {
        return Err(Refusal::CreditOutOfRange { amount, maximum: MAXIMUM_CREDIT });
    }
    Ok(Fact::KarmaCredited { account, creditor, amount })
}

fn check_founder(karma: &State, caller: Address) -> Result<(), Refusal> {
    if caller != karma.founder {
        return Err(Refusal::NotFounder { caller });
    }
    if karma.is_closed { Err(Refusal::FoundingIsClosed {}) } else { Ok(()) }
}

/// Applies an event.
pub(super) fn evolve(state: &mut AnyState, fact: &Fact) {
    let time_s = state.timestamp_s;
    let karma = Arc::make_mut(&mut state.karma);
    match fact {
        Fact::KarmaFounded { founder, params } => {
            assert!(params.halving_s > 0 && (1..=32).contains(&params.halvings), "parameters are usable");
            *karma = State { params: *params, founder: *founder, ..State::default() };
        }
        Fact::CreditorAuthorised { creditor } => {
            assert!(karma.creditors.insert(*creditor), "a creditor is named once");
        }
        Fact::FoundingClosed => karma.is_closed = true,
        Fact::KarmaCredited { account, amount, .. } => {
            let period = decay::period_of(&karma.params, time_s);
            let account = karma.accounts.or_default(*account);
            decay::credit(&karma.params, &mut account.buckets, period, *amount);
            account.exchanged = account.exchanged.checked_add(*amount).expect("2^32 largest credits fit");
        }
    }
}
