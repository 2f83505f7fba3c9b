//! Streams: creating, describing, sharing and removing them (WP 2.4.2, 2.5.1, 2.5.2).
//!
//! Whoever creates a stream owns it and has every permission for ever. Everything else is by permission,
//! one's own or everybody's; but only the owner changes the owner's own. A name is unique among its owner's
//! existing streams.
//!
//! Who may edit also sets the keys under which the registry finds the stream, how long brokers keep what it
//! carries, and what its subscribers are asked to pay. Handing a stream over takes two: its owner offers it,
//! the other accepts, so that none is lost to an address that nobody answers for.
//!
//! The registry creates each stream's contract with `CREATE`, so a stream's id is
//! `keccak256(rlp([registry, nonce]))[12..]`. A contract's nonce starts at 1 (EIP-161); that one made the
//! implementation that all streams share, so the first stream is made with 2.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::fact::Fact;
use super::permissions::Permission;
use super::refusal::Refusal;
use super::state::State;
use super::stream::Stream;
use crate::hash::keccak256;
use crate::ids::{Address, Hash, StreamId};

/// The most partitions of a stream.
pub const MAXIMUM_PARTITIONS: u32 = 1024;
/// The longest name of a stream, in bytes.
pub const MAXIMUM_NAME_BYTES: usize = 128;
/// The longest description of a stream, in bytes.
pub const MAXIMUM_DESCRIPTION_BYTES: usize = 4096;

/// The most search keys of a stream.
pub const MAXIMUM_SEARCH_KEYS: usize = 8;

/// How long brokers keep what a stream carries (WP 2.4.8); 0 leaves a bound to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Retention {
    /// Events not older than this, in seconds.
    pub age_s: u64,
    /// Of those, the newest that have this many bytes of content.
    pub size_bytes: u64,
}

/// What a subscriber is asked to pay, in the token's smallest unit. Information: nothing collects it by this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct FeeTerms {
    /// For an event.
    pub event_price: u128,
    /// For a byte of content.
    pub byte_price: u128,
    /// The hash or the content address of a text, or zero.
    pub terms: Hash,
}

/// The registry's nonce when it creates its first stream.
const FIRST_NONCE: u64 = 2;

/// What creating a stream asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewStream {
    pub name: String,
    pub description: String,
    pub partitions: u32,
    pub public_subscribe: bool,
    pub public_publish: bool,
}

/// `createStream`.
pub(super) fn create(state: &State, caller: Address, new: NewStream) -> Result<Vec<Fact>, Refusal> {
    let NewStream { name, description, partitions, public_subscribe, public_publish } = new;
    if !(1..=MAXIMUM_PARTITIONS).contains(&partitions) {
        return Err(Refusal::PartitionsOutOfRange { partitions, maximum: MAXIMUM_PARTITIONS });
    }
    check_metadata(&name, &description)?;
    check_name(state, caller, &name, None)?;
    let stream = created_address(state.contracts.registry, FIRST_NONCE + state.streams.len() as u64);
    let mut facts = vec![
        Fact::StreamCreated { stream, owner: caller, name, description, partitions },
        Fact::PermissionSet { stream, user: caller, permission: Permission::ALL },
    ];
    if public_subscribe || public_publish {
        let permission = Permission {
            subscribe_until: if public_subscribe { u64::MAX } else { 0 },
            publish_until: if public_publish { u64::MAX } else { 0 },
            ..Permission::default()
        };
        facts.push(Fact::PermissionSet { stream, user: Address::ZERO, permission });
    }
    Ok(facts)
}

/// `update`.
pub(super) fn update(
    state: &State,
    caller: Address,
    id: StreamId,
    name: String,
    description: String,
) -> Result<Fact, Refusal> {
    let stream = editable(state, caller, id)?;
    check_metadata(&name, &description)?;
    check_name(state, stream.owner, &name, Some(id))?;
    Ok(Fact::MetadataUpdated { stream: id, name, description })
}

/// `setSearchKeys`.
pub(super) fn set_search_keys(
    state: &State,
    caller: Address,
    id: StreamId,
    keys: Vec<Hash>,
) -> Result<Fact, Refusal> {
    editable(state, caller, id)?;
    let (count, maximum) = (keys.len(), MAXIMUM_SEARCH_KEYS);
    if count > maximum {
        return Err(Refusal::TooManySearchKeys { count, maximum });
    }
    match (1..count).find(|&at| keys[..at].contains(&keys[at])) {
        Some(at) => Err(Refusal::DuplicateSearchKey { key: keys[at] }),
        None => Ok(Fact::SearchKeysSet { stream: id, keys }),
    }
}

/// `setRetention`.
pub(super) fn set_retention(
    state: &State,
    caller: Address,
    id: StreamId,
    retention: Retention,
) -> Result<Fact, Refusal> {
    editable(state, caller, id)?;
    Ok(Fact::RetentionSet { stream: id, retention })
}

/// `setFeeTerms`.
pub(super) fn set_fee_terms(
    state: &State,
    caller: Address,
    id: StreamId,
    fee_terms: FeeTerms,
) -> Result<Fact, Refusal> {
    editable(state, caller, id)?;
    Ok(Fact::FeeTermsSet { stream: id, fee_terms })
}

/// `transferOwnership`.
pub(super) fn offer(
    state: &State,
    caller: Address,
    id: StreamId,
    new_owner: Address,
) -> Result<Fact, Refusal> {
    let stream = existing(state, id)?;
    if caller != stream.owner {
        return Err(Refusal::NotPermitted { caller });
    }
    Ok(Fact::OwnershipTransferStarted { stream: id, previous_owner: caller, new_owner })
}

/// `acceptOwnership`.
pub(super) fn accept(state: &State, caller: Address, id: StreamId) -> Result<Vec<Fact>, Refusal> {
    let stream = existing(state, id)?;
    let previous_owner = stream.owner;
    if stream.pending_owner() != Some(caller) {
        let pending_owner = stream.pending_owner().unwrap_or_default();
        return Err(Refusal::NotPendingOwner { caller, pending_owner });
    }
    check_name(state, caller, stream.name(), Some(id))?;
    Ok(vec![
        Fact::OwnershipTransferred { stream: id, previous_owner, new_owner: caller },
        Fact::PermissionSet { stream: id, user: previous_owner, permission: Permission::default() },
        Fact::PermissionSet { stream: id, user: caller, permission: Permission::ALL },
    ])
}

/// `setPermission`.
pub(super) fn set_permission(
    state: &State,
    caller: Address,
    id: StreamId,
    user: Address,
    permission: Permission,
) -> Result<Fact, Refusal> {
    let stream = existing(state, id)?;
    permitted(stream, caller, |permission| permission.can_grant)?;
    protect_owner(stream, caller, user)?;
    Ok(Fact::PermissionSet { stream: id, user, permission })
}

/// `remove`.
pub(super) fn remove(state: &State, caller: Address, id: StreamId) -> Result<Fact, Refusal> {
    permitted(existing(state, id)?, caller, |permission| permission.can_delete)?;
    Ok(Fact::StreamRemoved { stream: id })
}

/// Only the owner changes what the owner may do.
pub(super) fn protect_owner(stream: &Stream, caller: Address, user: Address) -> Result<(), Refusal> {
    let owner = stream.owner;
    let protected = caller != owner && user == owner;
    if protected { Err(Refusal::OwnerPermissionsProtected { owner, caller }) } else { Ok(()) }
}

pub(super) fn existing(state: &State, id: StreamId) -> Result<&Stream, Refusal> {
    let stream = state.stream(id).ok_or(Refusal::NotAStream { caller: id })?;
    if stream.removed_block().is_some() { Err(Refusal::AlreadyRemoved {}) } else { Ok(stream) }
}

fn editable(state: &State, caller: Address, id: StreamId) -> Result<&Stream, Refusal> {
    let stream = existing(state, id)?;
    permitted(stream, caller, |permission| permission.can_edit)?;
    Ok(stream)
}

pub(super) fn permitted(
    stream: &Stream,
    caller: Address,
    may: impl Fn(Permission) -> bool,
) -> Result<(), Refusal> {
    let by_permission = || may(stream.permission(caller)) || may(stream.permission(Address::ZERO));
    if caller == stream.owner || by_permission() { Ok(()) } else { Err(Refusal::NotPermitted { caller }) }
}

fn check_metadata(name: &str, description: &str) -> Result<(), Refusal> {
    if !(1..=MAXIMUM_NAME_BYTES).contains(&name.len()) {
        return Err(Refusal::NameLengthOutOfRange { length: name.len(), maximum: MAXIMUM_NAME_BYTES });
    }
    if description.len() > MAXIMUM_DESCRIPTION_BYTES {
        let maximum = MAXIMUM_DESCRIPTION_BYTES;
        return Err(Refusal::DescriptionTooLong { length: description.len(), maximum });
    }
    Ok(())
}

/// A name is free if nobody has it but `holder` itself.
fn check_name(state: &State, owner: Address, name: &str, holder: Option<StreamId>) -> Result<(), Refusal> {
    match state.stream_named(owner, name) {
        Some(stream) if holder != Some(stream) => {
            Err(Refusal::NameTaken { owner, name: String::from(name), stream })
        }
        _ => Ok(()),
    }
}

/// The address of the contract that `creator` makes with `CREATE` at a nonce above 0.
pub(super) fn created_address(creator: Address, nonce: u64) -> StreamId {
    let digits = nonce.to_be_bytes();
    let digits = &digits[nonce.leading_zeros() as usize / 8..];
    let mut number = Vec::with_capacity(9);
    if nonce >= 0x80 {
        number.push(0x80 + digits.len() as u8);
    }
    number.extend_from_slice(digits);
    let list = 0xC0 + 1 + 20 + number.len() as u8;
    let hash = keccak256(&[&[list, 0x80 + 20], &creator.0, &number]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash.0[12..]);
    StreamId(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_addresses_are_those_of_ethereum() {
        // The first contracts of the well-known account in the go-ethereum test suite (crypto_test.go,
        // NewContractAddress).
        let creator: Address = "970e8128ab834e8eac17ab8e3812f010678cf791".parse().expect("an address");
        let expected =
            ["0x8bda78331c916a08481428e4b07c96d3e916d165", "0xc9ddedf451bc62ce88bf9292afb13df35b670699"];
        for (nonce, address) in (1..).zip(expected) {
            assert_eq!(created_address(creator, nonce), address.parse().expect("an address"));
        }
    }
}
