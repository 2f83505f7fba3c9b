//! Settlement: each second of a window that is over is paid for or refunded, stream by stream.

use alloc::vec;
use alloc::vec::Vec;

use super::{Fact, Refusal, known, licence};
use crate::coordinator::{Fact as AnyFact, Refusal as AnyRefusal, State, token};
use crate::ids::Address;

/// `settle`.
pub(super) fn settle(state: &State, address: Address, number: u64) -> Result<Fact, Refusal> {
    let license = known(state, address)?;
    let present = licence(license, number)?;
    let product = &license.product;
    let now = state.timestamp_s;
    let until = present.end.min(now - now % product.window_seconds);
    if until <= present.settled {
        return Err(Refusal::NothingToSettle { licence: number, settled: present.settled });
    }
    let delivered = |stream| {
        let windows = license.windows.get(stream);
        windows.map_or(0, |w| w.delivered_within(present.settled, until, product.window_seconds))
    };
    let delivered: u64 = product.streams.iter().map(delivered).sum();
    let total = product.price_of(until - present.settled);
    // The streams weigh the same. What does not divide stays with the buyer.
    let released = product.price_of(delivered) / product.streams.len() as u128;
    assert!(released <= total, "no more is delivered than there are seconds");
    let refunded = total - released;
    Ok(Fact::LicenceSettled { license: address, licence: number, until, released, refunded })
}

/// `withdraw`.
pub(super) fn withdraw(
    state: &State,
    account: Address,
    address: Address,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let owed = known(state, address)?.owed.get(&account).copied();
    let amount = owed.ok_or(Refusal::NothingOwed { account })?;
    let payment = token::transfer(state, address, account, amount)?;
    Ok(vec![Fact::Withdrawn { license: address, account, amount }.into(), payment])
}
