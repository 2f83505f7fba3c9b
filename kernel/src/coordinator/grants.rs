//! Passing rights of a stream on, and the keys of those who read it (WP 2.4.10, 2.5.1).
//!
//! Who may set permissions may also grant and delegate as it likes. A *delegate* may grant others rights to
//! subscribe and to publish, and delegate further, up to the end of its own delegation and only while that has
//! not come. A delegate takes nothing away: its grants and delegations only raise what is there. So a licence
//! that sells access needs no more than a delegation for subscribing, and a forgotten delegate ends by itself.
//!
//! Ends are exclusive, as in [`permissions`](super::permissions): what is given until t does not hold at t.
//! The owner's own rights and key are only the owner's to change, and what everybody may do is set as a
//! permission, never granted.

use alloc::vec;
use alloc::vec::Vec;

use super::fact::Fact;
use super::permissions::{Delegation, Permission, holds};
use super::refusal::Refusal;
use super::registry::{existing, permitted, protect_owner};
use super::state::State;
use super::stream::Stream;
use crate::ids::{Address, StreamId};

/// The shortest public key, in bytes: no curve or lattice in use has shorter ones.
pub const MINIMUM_KEY_BYTES: usize = 32;
/// The longest public key, in bytes: room for a hybrid of curve and lattice.
pub const MAXIMUM_KEY_BYTES: usize = 2048;

/// `grant`: rights until these times at least.
pub(super) fn grant(
    state: &State,
    caller: Address,
    id: StreamId,
    user: Address,
    rights: Delegation,
) -> Result<Fact, Refusal> {
    let stream = existing(state, id)?;
    check_something(rights)?;
    if !may_grant(stream, caller) {
        check_delegation(state, stream, caller, rights)?;
    }
    raised(stream, caller, id, user, rights)
}

/// `grantReader`: a right to subscribe, and the key for which content keys are wrapped.
pub(super) fn grant_reader(
    state: &State,
    caller: Address,
    id: StreamId,
    user: Address,
    subscribe_until: u64,
    public_key: Vec<u8>,
) -> Result<Vec<Fact>, Refusal> {
    let stream = existing(state, id)?;
    if !may_grant(stream, caller) {
        check_limit(state, caller, subscribe_until, stream.delegation(caller).subscribe_until)?;
    }
    let rights = Delegation { subscribe_until, publish_until: 0 };
    let mut facts = vec![raised(stream, caller, id, user, rights)?];
    if !public_key.is_empty() {
        facts.push(key_set(id, user, public_key)?);
    }
    Ok(facts)
}

/// `delegate`.
pub(super) fn delegate(
    state: &State,
    caller: Address,
    id: StreamId,
    to: Address,
    mut delegation: Delegation,
) -> Result<Fact, Refusal> {
    let stream = existing(state, id)?;
    if to.is_zero() {
        return Err(Refusal::EverybodyNotAllowed {});
    }
    if !may_grant(stream, caller) {
        check_something(delegation)?;
        check_delegation(state, stream, caller, delegation)?;
        let before = stream.delegation(to);
        delegation.subscribe_until = delegation.subscribe_until.max(before.subscribe_until);
        delegation.publish_until = delegation.publish_until.max(before.publish_until);
    }
    Ok(Fact::DelegationSet { stream: id, delegate: to, delegation })
}

/// `setPublicKey`: by a reader for itself.
pub(super) fn set_public_key(
    state: &State,
    caller: Address,
    id: StreamId,
    key: Vec<u8>,
) -> Result<Fact, Refusal> {
    let stream = existing(state, id)?;
    if !stream.can_subscribe_at(caller, state.height, state.timestamp_s) {
        return Err(Refusal::NotPermitted { caller });
    }
    key_set(id, caller, key)
}

fn may_grant(stream: &Stream, caller: Address) -> bool {
    permitted(stream, caller, |permission| permission.can_grant).is_ok()
}

fn check_something(rights: Delegation) -> Result<(), Refusal> {
    if rights == Delegation::default() { Err(Refusal::NothingGranted {}) } else { Ok(()) }
}

/// Whether the caller's delegation reaches this far; a right that is not given needs none.
fn check_delegation(
    state: &State,
    stream: &Stream,
    caller: Address,
    rights: Delegation,
) -> Result<(), Refusal> {
    let own = stream.delegation(caller);
    let both = [(rights.subscribe_until, own.subscribe_until), (rights.publish_until, own.publish_until)];
    let mut given = both.into_iter().filter(|(until, _)| *until > 0);
    given.try_for_each(|(until, limit)| check_limit(state, caller, until, limit))
}

fn check_limit(state: &State, caller: Address, until: u64, limit: u64) -> Result<(), Refusal> {
    if !holds(limit, state.timestamp_s) {
        return Err(Refusal::NotPermitted { caller });
    }
    if until > limit { Err(Refusal::GrantBeyondDelegation { caller, until, limit }) } else { Ok(()) }
}

/// The permission of `user` with these rights in it: longer ones stay, and so do all others.
fn raised(
    stream: &Stream,
    caller: Address,
    id: StreamId,
    user: Address,
    rights: Delegation,
) -> Result<Fact, Refusal> {
    if user.is_zero() {
        return Err(Refusal::EverybodyNotAllowed {});
    }
    protect_owner(stream, caller, user)?;
    let before = stream.permission(user);
    let permission = Permission {
        subscribe_until: before.subscribe_until.max(rights.subscribe_until),
        publish_until: before.publish_until.max(rights.publish_until),
        ..before
    };
    Ok(Fact::PermissionSet { stream: id, user, permission })
}

fn key_set(stream: StreamId, user: Address, public_key: Vec<u8>) -> Result<Fact, Refusal> {
    let (minimum, maximum) = (MINIMUM_KEY_BYTES, MAXIMUM_KEY_BYTES);
    let length = public_key.len();
    if length != 0 && !(minimum..=maximum).contains(&length) {
        return Err(Refusal::KeyLengthOutOfRange { length, minimum, maximum });
    }
    Ok(Fact::PublicKeySet { stream, user, public_key })
}
