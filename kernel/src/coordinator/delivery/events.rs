//! Events: what proves to a contract that an event is its publisher's (WP 2.4.9). As
//! [`verify_event`](crate::verify::verify_event), with the header's signature and the publisher's permission.

use alloc::vec::Vec;

use super::{Refusal, known};
use crate::batch::{Event, Header, ORIGIN_ADDRESS, VERSION, event_leaf};
use crate::coordinator::session::{RecoveredSession, is_certified};
use crate::coordinator::{Refusal as AnyRefusal, State};
use crate::ids::{Address, Hash, LaneId};
use crate::limits::MAX_BATCH_EVENTS;
use crate::merkle::MerkleProof;
use crate::signature::SECP256K1;

/// The longest event that is taken on chain, in bytes.
pub const MAXIMUM_EVENT_BYTES: usize = 65_536;

/// An event with what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The header of its batch.
    pub header: Header,
    /// Who signed the header; `None` if no account can have made the signature.
    pub recovered: Option<Address>,
    /// The header's session certificate, if it has one of the type that contracts check.
    pub session: Option<RecoveredSession>,
    /// Which event of the batch it is, from 0.
    pub index: u32,
    /// From its leaf to the header's root.
    pub path: Vec<Hash>,
    /// The event as in its batch.
    pub encoded: Vec<u8>,
}

/// The event is its publisher's, who may publish; returns its name.
pub(super) fn check(
    state: &State,
    subscription: u64,
    delivery: &Delivery,
) -> Result<(LaneId, u64), AnyRefusal> {
    let subscribed = known(state, subscription)?.terms.stream;
    let Delivery { header, recovered, session, index, path, encoded } = delivery;
    if header.stream != subscribed {
        return Err(Refusal::WrongStream { given: header.stream, subscribed }.into());
    }
    if let Some(field) = broken_field(header) {
        return Err(Refusal::HeaderMalformed { field }.into());
    }
    let (length, maximum) = (encoded.len(), MAXIMUM_EVENT_BYTES);
    if length > maximum {
        return Err(Refusal::EventTooLong { length, maximum }.into());
    }
    let sequence = header.sequence.wrapping_add(u64::from(*index));
    let event = Event::decode(sequence, encoded).map_err(|_| Refusal::EventMalformed { length })?;
    let proof = MerkleProof { index: *index, count: header.count, path: path.clone() };
    let malformed = Refusal::PathMalformed { index: *index, count: header.count, length: path.len() };
    let given = proof.root(event_leaf(sequence, encoded)).ok_or(malformed)?;
    if given != header.root {
        return Err(Refusal::NotInBatch { index: *index, given, root: header.root }.into());
    }
    let (timestamp_ms, first_ms, last_ms) = (event.timestamp_ms, header.first_time_ms, header.last_time_ms);
    if !(first_ms..=last_ms).contains(&timestamp_ms) {
        return Err(Refusal::TimeOutOfRange { timestamp_ms, first_ms, last_ms }.into());
    }
    let (publisher, signer, certificate) = (header.origin, header.signer, header.certificate);
    if !is_certified(header, session.as_ref()) {
        return Err(Refusal::SessionInvalid { certificate }.into());
    }
    let recovered = recovered.unwrap_or_default();
    if recovered != signer || recovered.is_zero() {
        return Err(Refusal::SignatureMismatch { signer, recovered }.into());
    }
    // As with the permission, what counts is now: a contract has no other way to know when an event was made.
    if let Some(session) =
        session.filter(|session| !certificate.is_zero() && state.height >= session.expiry_block)
    {
        return Err(Refusal::SessionEnded { certificate, expiry_block: session.expiry_block }.into());
    }
    if !state.can_publish_at(subscribed, publisher, state.height, state.timestamp_s) {
        return Err(Refusal::PublisherNotPermitted { stream: subscribed, publisher }.into());
    }
    Ok((header.lane(), sequence))
}

/// The first field that no header can have so, by the contract's name: [`Header::check`] for the one signature type
/// that a contract can check.
fn broken_field(header: &Header) -> Option<&'static str> {
    let rules = [
        ("version", header.version == VERSION),
        ("originType", header.origin_type == ORIGIN_ADDRESS),
        ("signer", header.signer == header.origin || !header.certificate.is_zero()),
        ("certificate", header.signer != header.origin || header.certificate.is_zero()),
        ("signatureType", header.signature_type == SECP256K1),
        ("count", (1..=MAX_BATCH_EVENTS).contains(&header.count)),
        ("sequence", header.sequence.checked_add(u64::from(header.count)).is_some()),
        ("lastTime", header.last_time_ms >= header.first_time_ms),
    ];
    rules.into_iter().find(|(_, holds)| !holds).map(|(field, _)| field)
}
