//! A stream, small: there may be millions, and most have a name, a description and the permissions of one or two.
//! Everything else is in a box that only those have who need it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use super::permissions::{self, Delegation, History, Permission};
use super::registry::{FeeTerms, MAXIMUM_NAME_BYTES, Retention};
use super::tree::{Map, Set};
use crate::hash::keccak256;
use crate::ids::{Address, Hash, StreamId};

/// A stream; removed ones stay, for the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Who owns it: its creator, until it is handed over.
    pub owner: Address,
    /// How many stream partitions it has.
    pub partitions: u32,
    /// The block in which it was created.
    pub created_block: u64,
    /// What each address may do; the zero address is everybody.
    pub permissions: Map<Address, History>,
    /// Its name, and after it what it carries.
    text: Box<str>,
    name_bytes: u8,
    /// None if all of it is its default.
    arrangements: Option<Box<Arrangements>>,
}

const _: () = assert!(MAXIMUM_NAME_BYTES <= u8::MAX as usize);
/// Eight bytes more a stream are as many megabytes in a broker that knows a million.
const _: () = assert!(size_of::<Stream>() <= 80 && size_of::<(Address, History)>() <= 56);

/// What few streams have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrangements {
    /// To whom the stream is offered.
    pub pending_owner: Option<Address>,
    /// The block in which it was removed.
    pub removed_block: Option<u64>,
    /// What each delegate may pass on; no entry is none.
    pub delegations: Map<Address, Delegation>,
    /// The readers' public keys (WP 2.4.10); no entry is empty. A key alone is no right.
    pub public_keys: Map<Address, Arc<[u8]>>,
    /// The keys under which the stream is found, in the order given; none once it is removed.
    pub search_keys: Box<[Hash]>,
    /// How long brokers keep what it carries.
    pub retention: Retention,
    /// What a subscriber is asked to pay.
    pub fee_terms: FeeTerms,
}

impl Stream {
    /// A stream that was created in a block.
    pub(super) fn new(
        owner: Address,
        name: &str,
        description: &str,
        partitions: u32,
        created_block: u64,
    ) -> Self {
        let (text, name_bytes) = text_of(name, description);
        let permissions = Map::default();
        Self { owner, partitions, created_block, permissions, text, name_bytes, arrangements: None }
    }

    /// Its name, unique among its owner's.
    pub fn name(&self) -> &str {
        &self.text[..usize::from(self.name_bytes)]
    }

    /// What it carries.
    pub fn description(&self) -> &str {
        &self.text[usize::from(self.name_bytes)..]
    }

    /// It has another name and description.
    pub(super) fn describe(&mut self, name: &str, description: &str) {
        (self.text, self.name_bytes) = text_of(name, description);
    }

    /// To whom it is offered.
    pub fn pending_owner(&self) -> Option<Address> {
        self.arrangements.as_ref()?.pending_owner
    }

    /// The block in which it was removed.
    pub fn removed_block(&self) -> Option<u64> {
        self.arrangements.as_ref()?.removed_block
    }

    /// What each delegate may pass on; no entry is none.
    pub fn delegations(&self) -> Map<Address, Delegation> {
        self.arrangements.as_ref().map_or_else(Map::default, |it| it.delegations.clone())
    }

    /// The readers' public keys; no entry is empty.
    pub fn public_keys(&self) -> Map<Address, Arc<[u8]>> {
        self.arrangements.as_ref().map_or_else(Map::default, |it| it.public_keys.clone())
    }

    /// The keys under which it is found, in the order given; none once it is removed.
    pub fn search_keys(&self) -> &[Hash] {
        self.arrangements.as_ref().map_or(&[], |it| &it.search_keys)
    }

    /// How long brokers keep what it carries.
    pub fn retention(&self) -> Retention {
        self.arrangements.as_ref().map_or_else(Retention::default, |it| it.retention)
    }

    /// What a subscriber is asked to pay.
    pub fn fee_terms(&self) -> FeeTerms {
        self.arrangements.as_ref().map_or_else(FeeTerms::default, |it| it.fee_terms)
    }

    /// Changes what few streams have, and keeps it only if there is something.
    pub(super) fn arrange<T>(&mut self, change: impl FnOnce(&mut Arrangements) -> T) -> T {
        let mut arrangements = self.arrangements.take().unwrap_or_default();
        let answer = change(&mut arrangements);
        self.arrangements = Some(arrangements).filter(|it| **it != Arrangements::default());
        answer
    }

    /// An address has another permission from a block on; what no block from `oldest` on can see is forgotten.
    pub(super) fn permit(&mut self, user: Address, permission: Permission, block: u64, oldest: u64) {
        match self.permissions.get_mut(&user) {
            Some(history) => history.set(block, permission, oldest),
            None => drop(self.permissions.insert(user, History::new(block, permission))),
        }
    }

    /// Whether it existed after `block`.
    pub fn exists_at(&self, block: u64) -> bool {
        self.created_block <= block && self.removed_block().is_none_or(|removed| block < removed)
    }

    /// Whether `user` may publish at `time_s`, by the permissions as they stood after `block` (WP 2.4.2).
    pub fn can_publish_at(&self, user: Address, block: u64, time_s: u64) -> bool {
        self.may(user, block, |permission| permissions::holds(permission.publish_until, time_s))
    }

    /// Whether `user` may subscribe at `time_s`, by the permissions as they stood after `block` (WP 2.4.2).
    pub fn can_subscribe_at(&self, user: Address, block: u64, time_s: u64) -> bool {
        self.may(user, block, |permission| permissions::holds(permission.subscribe_until, time_s))
    }

    /// The permission stored for exactly this address; none once the stream is removed.
    pub fn permission(&self, user: Address) -> Permission {
        let stored = self.permissions.get(&user).filter(|_| self.removed_block().is_none());
        stored.map(History::latest).unwrap_or_default()
    }

    /// What an address may pass on; nothing once the stream is removed.
    pub fn delegation(&self, delegate: Address) -> Delegation {
        let known = self.arrangements.as_ref().filter(|it| it.removed_block.is_none());
        known.and_then(|it| it.delegations.get(&delegate)).copied().unwrap_or_default()
    }

    /// The public key of a reader, empty if it has none. Whether it may read is another question.
    pub fn public_key(&self, user: Address) -> &[u8] {
        let known = self.arrangements.as_ref();
        known.and_then(|it| it.public_keys.get(&user)).map_or(&[], |key| key)
    }

    fn may(&self, user: Address, block: u64, allows: impl Fn(Permission) -> bool) -> bool {
        let at =
            |user| self.permissions.get(&user).is_some_and(|history: &History| allows(history.at(block)));
        self.exists_at(block) && (at(user) || at(Address::ZERO))
    }
}

fn text_of(name: &str, description: &str) -> (Box<str>, u8) {
    let mut text = String::with_capacity(name.len() + description.len());
    text.push_str(name);
    text.push_str(description);
    (text.into_boxed_str(), u8::try_from(name.len()).expect("the registry bounds names"))
}

/// Existing streams by owner and name. An owner and a name are kept as eight bytes of their hash, because a million
/// names twice would be a quarter of what a broker holds: what is found here is a candidate, to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Set<(NameHash, StreamId)>);

type NameHash = [u8; 8];

impl Names {
    /// How many streams exist.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none exists.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The streams that may have this owner and name, in the order of their ids: all that have them, and rarely others.
    pub fn candidates(&self, owner: Address, name: &str) -> impl Iterator<Item = StreamId> + '_ {
        self.by_hash(hash(owner, name))
    }

    fn by_hash(&self, hash: NameHash) -> impl Iterator<Item = StreamId> + '_ {
        let from = self.0.iter_from(&(hash, StreamId::ZERO));
        from.take_while(move |(found, _)| *found == hash).map(|(_, stream)| *stream)
    }

    pub(super) fn insert(&mut self, owner: Address, name: &str, stream: StreamId) {
        assert!(self.0.insert((hash(owner, name), stream)), "a stream has one name");
    }

    pub(super) fn remove(&mut self, owner: Address, name: &str, stream: StreamId) {
        assert!(self.0.remove(&(hash(owner, name), stream)), "existing streams have their names here");
    }
}

fn hash(owner: Address, name: &str) -> NameHash {
    let hash = keccak256(&[&owner.0, name.as_bytes()]);
    *hash.0.first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_few_streams_have_leaves_nothing_behind() {
        let new = || Stream::new(Address([1; 20]), "näme", "what it carries", 3, 7);
        let mut stream = new();
        assert_eq!((stream.name(), stream.description()), ("näme", "what it carries"));
        let retention = Retention { age_s: 60, size_bytes: 0 };
        stream.arrange(|it| it.retention = retention);
        stream.arrange(|it| it.delegations.insert(Address([2; 20]), Delegation::default()));
        assert_eq!((stream.retention(), stream.delegations().len()), (retention, 1));
        assert_ne!(stream, new());
        stream.arrange(|it| it.retention = Retention::default());
        stream.arrange(|it| it.delegations.remove(&Address([2; 20])));
        assert_eq!(stream, new());
        assert!(stream.arrangements.is_none());
        stream.describe("n", "");
        assert_eq!((stream.name(), stream.description()), ("n", ""));
    }

    #[test]
    fn names_of_one_hash_are_all_candidates() {
        let mut names = Names::default();
        let (owner, name, hash) = (Address([1; 20]), "quakes", hash(Address([1; 20]), "quakes"));
        let ids = [0, 1, 0xFF].map(|byte| StreamId([byte; 20]));
        names.insert(owner, name, ids[1]);
        names.0.extend([(hash, ids[0]), (hash, ids[2]), ([hash[0]; 8], ids[0]), ([0xFF; 8], ids[2])]);
        assert!(names.candidates(owner, name).eq(ids));
        names.remove(owner, name, ids[1]);
        assert!(names.candidates(owner, name).eq([ids[0], ids[2]]));
    }
}
