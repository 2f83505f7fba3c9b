//! Orders: buying a licence, and letting one run on. Every stream is told the buyer's key and when access ends; one
//! that refuses undoes the order (WP 2.5.4).

use alloc::vec;
use alloc::vec::Vec;

use super::{Fact, License, MAXIMUM_SECONDS, Order, Refusal, known, licence};
use crate::coordinator::{Fact as AnyFact, Refusal as AnyRefusal, State, grants, token};
use crate::ids::Address;

/// `purchase` or `renew`, paid by allowance.
pub(super) fn order(
    state: &State,
    buyer: Address,
    address: Address,
    order: &Order,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let price = known(state, address)?.product.price_of(order.duration);
    let mut facts = ordered(state, buyer, address, order, price, true)?;
    facts.push(token::transfer_from(state, address, buyer, price)?);
    Ok(facts)
}

/// `transferAndCall`: the tokens come first.
pub(super) fn pay(
    state: &State,
    buyer: Address,
    address: Address,
    amount: u128,
    order: &Order,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    known(state, address)?;
    let mut facts = vec![token::transfer(state, buyer, address, amount)?];
    facts.extend(ordered(state, buyer, address, order, amount, false)?);
    Ok(facts)
}

fn ordered(
    state: &State,
    buyer: Address,
    address: Address,
    order: &Order,
    sent: u128,
    by_allowance: bool,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let license = known(state, address)?;
    let now = state.timestamp_s;
    let (fact, end) = if order.licence == 0 {
        check(license, order.duration, MAXIMUM_SECONDS, sent)?;
        if order.public_key.is_empty() {
            return Err(Refusal::PublicKeyMissing {}.into());
        }
        let number = license.licences.len() as u64 + 1;
        let end = now + order.duration;
        let fact = Fact::LicencePurchased {
            license: address,
            licence: number,
            buyer,
            start: now,
            end,
            price: sent,
            by_allowance,
        };
        (fact, end)
    } else {
        let number = order.licence;
        let present = licence(license, number)?;
        if present.buyer != buyer {
            return Err(Refusal::NotBuyer { licence: number, caller: buyer }.into());
        }
        if now >= present.end {
            return Err(Refusal::LicenceExpired { licence: number, end: present.end }.into());
        }
        check(license, order.duration, MAXIMUM_SECONDS - (present.end - now), sent)?;
        let end = present.end + order.duration;
        (Fact::LicenceRenewed { license: address, licence: number, end, price: sent, by_allowance }, end)
    };
    let mut facts = vec![AnyFact::from(fact)];
    for stream in &license.product.streams {
        facts.extend(grants::grant_reader(state, address, *stream, buyer, end, order.public_key.clone())?);
    }
    Ok(facts)
}

fn check(license: &License, duration: u64, maximum: u64, sent: u128) -> Result<(), Refusal> {
    if !license.for_sale {
        return Err(Refusal::NotForSale {});
    }
    let minimum = license.product.minimum_seconds;
    if !(minimum..=maximum).contains(&duration) {
        return Err(Refusal::DurationOutOfRange { duration, minimum, maximum });
    }
    let price = license.product.price_of(duration);
    if sent == price { Ok(()) } else { Err(Refusal::WrongPayment { amount: sent, price }) }
}
