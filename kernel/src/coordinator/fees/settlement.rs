//! Settling a lane (WP 2.4.7): its signed head in a sealed cut pays for all of the lane so far.
//!
//! The price of what is new on the meter is taken from the publisher's allotment for the stream partition, as
//! far as it goes. A share is burned; the rest goes to the coordinator, whose reserve is the network's one
//! pool, from which every sealed partition is paid alike. So a broker that publishes to itself only loses. The
//! publisher's karma grows by what it paid.

use alloc::vec;
use alloc::vec::Vec;

use super::allotments::pay;
use super::price::{charge, share};
use super::{BURNED, CutProof, Fact, Meter, RecoveredHeader, Refusal, cut_proof};
use crate::agreement::LaneHead;
use crate::coordinator::session::is_certified;
use crate::coordinator::{Fact as AnyFact, Refusal as AnyRefusal, State as AnyState, karma};
use crate::ids::{Address, Hash};
use crate::signature::SECP256K1;

/// `settle`.
pub(super) fn settle(
    state: &AnyState,
    signed: &RecoveredHeader,
    proof: &CutProof,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let header = &signed.header;
    let digest = check_header(signed)?;
    let lane = header.lane();
    let settled = state.fees.lane(&lane).settled;
    let (events, volume) = (header.next_sequence(), header.volume);
    if events <= settled.events {
        return Err(Refusal::AlreadySettled { lane, events, settled: settled.events }.into());
    }
    if volume < settled.volume {
        return Err(Refusal::MeterFalls { lane, volume, settled: settled.volume }.into());
    }
    check_signer(signed, digest)?;
    cut_proof::check(state, &LaneHead { lane, next_sequence: events, volume, digest }, proof)?;
    let params = &state.fees.params;
    let price = params.lane_price(Meter { events, volume }) - params.lane_price(settled);
    let (publisher, slot) = (header.origin, header.slot());
    let (charged, shortfall) = charge(state.fees.allotments.get(&(publisher, slot)), price);
    let (stream, stream_partition) = (slot.stream, slot.partition);
    let mut facts = vec![AnyFact::Fees(Fact::LaneSettled {
        lane,
        publisher,
        stream,
        stream_partition,
        events,
        volume,
        charged,
        shortfall,
    })];
    credit(state, &mut facts, publisher, charged)?;
    let burned = share(charged, params.burn_share);
    pay(state, facts, &[(BURNED, burned), (state.contracts.coordinator, charged - burned)])
}

/// The header is one that brokers accept on a real chain; its digest.
pub(super) fn check_header(signed: &RecoveredHeader) -> Result<Hash, Refusal> {
    let RecoveredHeader { header, .. } = signed;
    let digest = header.digest();
    let is_valid = header.check().is_ok() && header.signature_type == SECP256K1;
    if is_valid { Ok(digest) } else { Err(Refusal::InvalidHeader { digest }) }
}

/// The header is its origin's: signed by itself, or by a session key that it certified.
pub(super) fn check_signer(signed: &RecoveredHeader, digest: Hash) -> Result<(), Refusal> {
    let RecoveredHeader { header, signer, session } = signed;
    if !is_certified(header, session.as_ref()) {
        return Err(Refusal::InvalidSession { digest, certificate: header.certificate });
    }
    let is_signers = *signer == Some(header.signer);
    if is_signers { Ok(()) } else { Err(Refusal::InvalidHeaderSignature { digest }) }
}

/// Adds the karma of an exchange; what is free earns none.
pub(super) fn credit(
    state: &AnyState,
    facts: &mut Vec<AnyFact>,
    account: Address,
    amount: u128,
) -> Result<(), AnyRefusal> {
    if amount > 0 {
        let credited = karma::credited(&state.karma, state.contracts.fees, account, amount)?;
        facts.push(AnyFact::Karma(credited));
    }
    Ok(())
}
