//! Who may publish what, and when: *validity* and *admission* (WP 2.4.2, 2.4.3).
//!
//! Validity is a pure function of the batch and of chain state at its lane's opening block, so every replica comes
//! to the same answer whenever it asks. Admission looks at clocks and at the chain as it is now; it is applied only
//! before a replica first takes a batch from a publisher, never to a batch that a cut names.
//!
//! Where a lane lives is settled like its validity: by the chain at its opening block
//! ([`homes`](crate::coordinator::homes)).

use alloc::format;

use super::duties::succession::successor;
use super::refusal::{Refusal, RefusalCode};
use crate::batch::{Header, SignedHeader};
use crate::coordinator::State;
use crate::ids::{Epoch, PartitionId};
use crate::limits::{LANE_LIFETIME_EPOCHS, MAX_FUTURE_MS};
use crate::time::Now;

/// The partition that a batch's lane lives in, from its first event to its last.
pub fn home(view: &State, header: &Header) -> Result<PartitionId, Refusal> {
    opened(view, header)?;
    Ok(view.home_at(header.slot(), header.opening_block))
}

/// Whether this broker has confirmed the block that the batch's lane opens at: everything else is asked of it.
fn opened(view: &State, header: &Header) -> Result<(), Refusal> {
    if header.opening_block > view.height {
        return Err(Refusal::new(
            RefusalCode::Unavailable,
            format!(
                "the lane opens at block {}, this broker has confirmed block {}: send it again in a moment",
                header.opening_block, view.height
            ),
        ));
    }
    Ok(())
}

/// Whether a batch is valid by the chain at its lane's opening block.
pub fn validity(view: &State, header: &Header) -> Result<(), Refusal> {
    opened(view, header)?;
    let stream = view.stream(header.stream).ok_or_else(|| {
        Refusal::new(RefusalCode::NotFound, format!("there is no stream {}: check the id", header.stream))
    })?;
    if header.stream_partition >= stream.partitions {
        return Err(Refusal::new(
            RefusalCode::Invalid,
            format!(
                "stream {} has partitions 0 to {}, not {}",
                header.stream,
                stream.partitions - 1,
                header.stream_partition
            ),
        ));
    }
    // Expiry is a matter of admission: a permission that was there at the opening block keeps the lane valid.
    let any_time = 0;
    if !stream.can_publish_at(header.origin, header.opening_block, any_time) {
        return Err(Refusal::new(
            RefusalCode::Unauthorized,
            format!(
                "{} may not publish to stream {} at block {}: ask its owner for permission",
                header.origin, header.stream, header.opening_block
            ),
        ));
    }
    Ok(())
}

/// Whether a replica has room for new batches. What is acknowledged is never dropped to make room, for that was
/// promised: so a full disk takes nothing new. What peers bring is agreed on already, and is taken for as long as the
/// disk does.
pub fn room(full: bool) -> Result<(), Refusal> {
    if full {
        return Err(Refusal::new(
            RefusalCode::RateLimited,
            "this broker's disk holds as much as its operator allows: publish again when retention has let something go",
        ));
    }
    Ok(())
}

/// Whether a replica or an edge takes a batch from a publisher now.
pub fn admission(view: &State, now: Now, signed: &SignedHeader) -> Result<(), Refusal> {
    let header = &signed.header;
    validity(view, header)?;
    session(view, signed)?;
    if let Some((successor, from_epoch)) = successor(view, view.epoch()) {
        return Err(Refusal::new(
            RefusalCode::Unavailable,
            format!(
                "the network is the coordinator {successor} since epoch {from_epoch}: publish at its brokers"
            ),
        ));
    }
    if !may_still_grow(view.epoch_of(header.opening_block), view.epoch()) {
        return Err(Refusal::new(
            RefusalCode::Invalid,
            format!(
                "the lane opened at block {} and is past its life of {LANE_LIFETIME_EPOCHS} epochs: open a new lane",
                header.opening_block
            ),
        ));
    }
    if header.last_time_ms > now.wall_ms.saturating_add(MAX_FUTURE_MS) {
        return Err(Refusal::new(
            RefusalCode::OutOfOrder,
            format!(
                "event time {} lies more than {MAX_FUTURE_MS} ms after this broker's clock {}: correct the clock",
                header.last_time_ms, now.wall_ms
            ),
        ));
    }
    let allowed_now = view
        .stream(header.stream)
        .is_some_and(|s| s.can_publish_at(header.origin, view.height, view.timestamp_s));
    if !allowed_now {
        return Err(Refusal::new(
            RefusalCode::Unauthorized,
            format!("{} may no longer publish to stream {}", header.origin, header.stream),
        ));
    }
    Ok(())
}

/// Whether the session that signed, if one did, goes on: a key that leaks later cannot go back to an old opening block.
fn session(view: &State, signed: &SignedHeader) -> Result<(), Refusal> {
    match signed.certificate {
        Some(certificate) if view.height >= certificate.expiry_block => Err(Refusal::new(
            RefusalCode::SessionExpired,
            format!(
                "the session of {} is over since block {}: have the wallet sign another certificate",
                signed.header.origin, certificate.expiry_block
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether a lane that opened in `opening` may name new events in `epoch`. In cuts, `epoch` is the last sealed one:
/// everything admitted before a seal can be sealed, and what was forgotten can never come back.
pub fn may_still_grow(opening: Epoch, epoch: Epoch) -> bool {
    opening.saturating_add(LANE_LIFETIME_EPOCHS) >= epoch
}
