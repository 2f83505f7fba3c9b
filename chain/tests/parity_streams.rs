//! Streams and their registry against the kernel's twin: random calls by many senders; the chain must do what
//! `decide` foresees, and the views must say what the twin's state says: those of somebody after each call,
//! all of the stream's after every eighth, the registry's lists after every 250th.
//!
//! `WEIR_PARITY_CALLS` and `WEIR_PARITY_SEED` run another length and seed than the committed ones.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256};
use common::foresee::{Dice, Tally, rounds, variant};
use common::{Network, kernel_address, params, wallet};
use weir_chain::bindings::{Stream as S, StreamRegistry as R};
use weir_chain::calldata;
use weir_kernel::coordinator::{Call, Delegation, Fact, FeeTerms, Permission, Retention, Stream};
use weir_kernel::ids::{self, Hash, StreamId};

const CALLS: u64 = 20_000;
const SEED: u64 = 2_017;
const SENDERS: u64 = 7;
/// Streams that exist at once, so that each meets many calls.
const STREAMS: usize = 10;

/// Every call must succeed somewhere, and every refusal must be met.
const MET: [&str; 27] = [
    "AcceptOwnership",
    "CreateStream",
    "Delegate",
    "Grant",
    "GrantReader",
    "RemoveStream",
    "SetFeeTerms",
    "SetPermission",
    "SetPublicKey",
    "SetRetention",
    "SetSearchKeys",
    "TransferOwnership",
    "UpdateStream",
    "AlreadyRemoved",
    "DescriptionTooLong",
    "DuplicateSearchKey",
    "EverybodyNotAllowed",
    "GrantBeyondDelegation",
    "KeyLengthOutOfRange",
    "NameLengthOutOfRange",
    "NameTaken",
    "NotPendingOwner",
    "NotPermitted",
    "NothingGranted",
    "OwnerPermissionsProtected",
    "PartitionsOutOfRange",
    "TooManySearchKeys",
];

struct Run {
    network: Network,
    dice: Dice,
    /// The newest streams, removed ones too.
    recent: Vec<StreamId>,
    met: Tally,
}

fn key_of(address: ids::Address) -> Option<u8> {
    (0..SENDERS as u8).find(|n| kernel_address(wallet(*n).address()) == address)
}

impl Run {
    fn user(&mut self) -> Address {
        wallet(self.dice.roll(SENDERS) as u8).address()
    }

    /// Somebody, or sometimes everybody.
    fn user_or_everybody(&mut self) -> Address {
        if self.dice.roll(8) == 0 { Address::ZERO } else { self.user() }
    }

    /// A time at an edge: none, just over, about to be, later, never.
    fn until(&mut self) -> u64 {
        let now = self.network.mirror.head().header.timestamp;
        self.dice.pick(&[0, 0, now, now + 1, now + 2, now + 20, now + 200, now + 500, u64::MAX])
    }

    fn name(&mut self) -> String {
        let long = "n".repeat(129);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "", &long];
        String::from(self.dice.pick(&names))
    }

    fn description(&mut self) -> String {
        "d".repeat(if self.dice.roll(30) == 0 { 4_097 } else { self.dice.roll(40) as usize })
    }

    fn key(&mut self) -> Vec<u8> {
        let length = self.dice.pick(&[0, 0, 32, 33, 65, 65, 1_216, 2_048, 31, 2_049]);
        vec![self.dice.roll(256) as u8; length]
    }

    fn search_keys(&mut self) -> Vec<Hash> {
        let count = self.dice.pick(&[0, 1, 2, 3, 8, 9]);
        let first = self.dice.roll(12);
        let spread = if self.dice.roll(4) == 0 { 2 } else { 12 };
        (first..first + count).map(|key| Hash([(key % spread) as u8; 32])).collect()
    }

    /// Who calls: often somebody who may, so that not all is refused.
    fn sender(&mut self, stream: Option<StreamId>) -> u8 {
        let anybody = self.dice.roll(SENDERS) as u8;
        let Some(stream) = stream.and_then(|id| self.network.twin.stream(id)) else { return anybody };
        let delegates: Vec<_> = stream.delegations().keys().copied().collect();
        let (owner, offered) = (Some(stream.owner), stream.pending_owner());
        let who = match self.dice.roll(10) {
            0..=3 => owner,
            4 => offered,
            5 | 6 if !delegates.is_empty() => Some(self.dice.pick(&delegates)),
            _ => None,
        };
        who.and_then(key_of).unwrap_or(anybody)
    }

    fn existing(&self) -> usize {
        self.network.twin.stream_names.len()
    }

    /// What somebody asks for, of whom, with the stream it is about.
    fn call(&mut self) -> (Call, Address, Bytes, Option<StreamId>) {
        let create = self.existing() < STREAMS && self.dice.roll(8) == 0;
        if create || self.recent.is_empty() || self.dice.roll(60) == 0 {
            return self.create();
        }
        let stream = self.dice.pick(&self.recent);
        let (call, data) = match self.dice.roll(14) {
            0 => self.update(stream),
            1 if self.dice.roll(6) == 0 => (Call::RemoveStream { stream }, calldata::remove_stream()),
            2 | 3 => self.set_permission(stream),
            4 | 5 => self.grant(stream),
            6 => self.grant_reader(stream),
            7 | 8 => self.delegate(stream),
            9 => {
                let key = self.key();
                let data = calldata::set_public_key(&key);
                (Call::SetPublicKey { stream, key }, data)
            }
            10 => self.say(stream),
            11 => {
                let keys = self.search_keys();
                let raw: Vec<B256> = keys.iter().map(|key| key.0.into()).collect();
                (Call::SetSearchKeys { stream, keys }, calldata::set_search_keys(&raw))
            }
            12 => {
                let new_owner = self.user_or_everybody();
                let data = calldata::transfer_ownership(new_owner);
                (Call::TransferOwnership { stream, new_owner: kernel_address(new_owner) }, data)
            }
            _ => (Call::AcceptOwnership { stream }, calldata::accept_ownership()),
        };
        (call, Address::from(stream.0), data, Some(stream))
    }

    fn create(&mut self) -> (Call, Address, Bytes, Option<StreamId>) {
        let (name, description) = (self.name(), self.description());
        let partitions = self.dice.pick(&[1, 2, 1_024, 0, 1_025]);
        let (public_subscribe, public_publish) = (self.dice.coin(), self.dice.roll(4) == 0);
        let data = calldata::create_stream(&name, &description, partitions, public_subscribe, public_publish);
        let call = Call::CreateStream { name, description, partitions, public_subscribe, public_publish };
        (call, self.network.addresses.registry, data, None)
    }

    fn update(&mut self, stream: StreamId) -> (Call, Bytes) {
        let (name, description) = (self.name(), self.description());
        let data = calldata::update_stream(&name, &description);
        (Call::UpdateStream { stream, name, description }, data)
    }

    fn set_permission(&mut self, stream: StreamId) -> (Call, Bytes) {
        let user = self.user_or_everybody();
        // Rights for everybody that open all doors would leave nothing to refuse: they are rare.
        let rare = if user.is_zero() { 12 } else { 3 };
        let permission = Permission {
            subscribe_until: self.until(),
            publish_until: self.until(),
            can_grant: self.dice.roll(rare) == 0,
            can_edit: self.dice.roll(rare) == 0,
            can_delete: self.dice.roll(rare) == 0,
        };
        let data = calldata::set_permission(user, &permission);
        (Call::SetPermission { stream, user: kernel_address(user), permission }, data)
    }

    fn grant(&mut self, stream: StreamId) -> (Call, Bytes) {
        let (user, subscribe_until, publish_until) = (self.user_or_everybody(), self.until(), self.until());
        let data = calldata::grant(user, subscribe_until, publish_until);
        (Call::Grant { stream, user: kernel_address(user), subscribe_until, publish_until }, data)
    }

    fn grant_reader(&mut self, stream: StreamId) -> (Call, Bytes) {
        let (user, subscribe_until, public_key) = (self.user_or_everybody(), self.until(), self.key());
        let data = calldata::grant_reader(user, subscribe_until, &public_key);
        (Call::GrantReader { stream, user: kernel_address(user), subscribe_until, public_key }, data)
    }

    fn delegate(&mut self, stream: StreamId) -> (Call, Bytes) {
        let (to, subscribe_until, publish_until) = (self.user_or_everybody(), self.until(), self.until());
        let data = calldata::delegate(to, subscribe_until, publish_until);
        (Call::Delegate { stream, to: kernel_address(to), subscribe_until, publish_until }, data)
    }

    fn say(&mut self, stream: StreamId) -> (Call, Bytes) {
        if self.dice.coin() {
            let retention = Retention { age_s: self.until(), size_bytes: self.dice.roll(9) };
            (Call::SetRetention { stream, retention }, calldata::set_retention(&retention))
        } else {
            let event_price = self.dice.pick(&[0, 1, u128::MAX]);
            let terms = Hash([self.dice.roll(9) as u8; 32]);
            let fee_terms = FeeTerms { event_price, byte_price: u128::from(self.dice.roll(9)), terms };
            (Call::SetFeeTerms { stream, fee_terms }, calldata::set_fee_terms(&fee_terms))
        }
    }

    fn step(&mut self, number: u64) {
        if self.dice.roll(40) == 0 {
            let blocks = self.dice.roll(30);
            self.network.blocks(blocks);
        }
        let (call, to, data, stream) = self.call();
        let sender = self.sender(stream);
        let name = variant(&format!("{call:?}"));
        let outcome = self.network.foreseen((sender, to, data, call));
        let outcome = outcome.unwrap_or_else(|difference| panic!("call {number} by {difference}"));
        let created = outcome.iter().flatten().filter_map(|fact| match fact {
            Fact::StreamCreated { stream, .. } => Some(*stream),
            _ => None,
        });
        self.recent.extend(created);
        let excess = self.recent.len().saturating_sub(STREAMS + 3);
        self.forget(excess);
        self.met.count(outcome.map_or_else(String::from, |_| name));
        let about = stream.or_else(|| self.recent.last().copied());
        if let Some(stream) = about {
            self.check(stream, number.is_multiple_of(8));
        }
    }

    /// Leaves streams out of further calls, removed ones first.
    fn forget(&mut self, count: usize) {
        for _ in 0..count {
            let removed = |id: &StreamId| self.network.twin.stream(*id).unwrap().removed_block().is_some();
            let at = self.recent.iter().position(removed).unwrap_or(0);
            self.recent.remove(at);
        }
    }

    /// The views of a stream about somebody say what the twin says; if thorough, all views of it, and of the
    /// registry about it.
    fn check(&mut self, id: StreamId, thorough: bool) {
        let (user, key) = (self.user_or_everybody(), Hash([self.dice.roll(12) as u8; 32]));
        let (network, at) = (&self.network, Address::from(id.0));
        let stream = network.twin.stream(id).expect("the stream");
        check_user(network, id, stream, user);
        if !thorough {
            return;
        }
        assert_eq!(kernel_address(network.view(at, S::ownerCall {})), stream.owner);
        let pending = kernel_address(network.view(at, S::pendingOwnerCall {}));
        assert_eq!(pending, stream.pending_owner().unwrap_or_default());
        assert_eq!(network.view(at, S::nameCall {}), stream.name());
        assert_eq!(network.view(at, S::descriptionCall {}), stream.description());
        let retention = network.view(at, S::retentionCall {});
        assert_eq!(
            (retention.ageSeconds, retention.sizeBytes),
            (stream.retention().age_s, stream.retention().size_bytes)
        );
        let asked = network.view(at, S::feeTermsCall {});
        let fee_terms = FeeTerms {
            event_price: asked.eventPrice,
            byte_price: asked.bytePrice,
            terms: Hash(asked.terms.0),
        };
        assert_eq!(fee_terms, stream.fee_terms());
        let registry = network.addresses.registry;
        let exists = stream.removed_block().is_none();
        assert_eq!(network.view(registry, R::existsCall { stream: at }), exists);
        let keys = network.view(registry, R::searchKeysOfCall { stream: at });
        assert_eq!(keys.into_iter().map(|key| Hash(key.0)).collect::<Vec<_>>(), *stream.search_keys());
        assert!(exists || stream.search_keys().is_empty());
        let call = R::streamsByKeyCall { key: key.0.into(), offset: U256::ZERO, limit: U256::from(256) };
        assert_eq!(ids(network.view(registry, call)), network.twin.streams_by_key(key).collect());
        let call =
            R::streamByNameCall { owner: Address::from(stream.owner.0), name: stream.name().to_owned() };
        let named = StreamId(network.view(registry, call).into_array());
        let twin = network.twin.stream_named(stream.owner, stream.name());
        assert_eq!(named, twin.unwrap_or_default());
        assert!(!exists || named == id, "a stream is found by its name");
    }

    /// The lists of the registry say what the twin says, and its indices agree with each other.
    fn check_lists(&self) {
        let (network, registry) = (&self.network, self.network.addresses.registry);
        let twin = &network.twin;
        let living = twin.streams.iter().filter(|(_, stream)| stream.removed_block().is_none());
        let living: BTreeMap<StreamId, &Stream> = living.map(|(id, stream)| (*id, stream.as_ref())).collect();
        assert_eq!(network.view(registry, R::streamCountCall {}), U256::from(living.len()));
        let at = |index| network.view(registry, R::streamAtCall { index: U256::from(index) });
        assert_eq!(ids((0..living.len()).map(at)), living.keys().copied().collect());
        for owner in (0..SENDERS as u8).map(|n| wallet(n).address()) {
            let call = R::streamsOfCall { owner, offset: U256::ZERO, limit: U256::from(256) };
            let owned = living.iter().filter(|(_, stream)| stream.owner == kernel_address(owner));
            assert_eq!(ids(network.view(registry, call)), owned.map(|(id, _)| *id).collect());
        }
        let named = |stream: &Stream| twin.stream_named(stream.owner, stream.name());
        assert!(living.iter().all(|(id, stream)| named(stream) == Some(*id)));
        assert_eq!(twin.stream_names.len(), living.len());
        let keys = living.iter().flat_map(|(id, stream)| stream.search_keys().iter().map(|key| (*key, *id)));
        assert_eq!(twin.stream_by_key, keys.collect());
    }
}

fn check_user(network: &Network, id: StreamId, stream: &Stream, user: Address) {
    let at = Address::from(id.0);
    let who = kernel_address(user);
    let (block, time_s) = (network.mirror.height(), network.mirror.head().header.timestamp);
    let subscribes = network.view(at, S::canSubscribeCall { user });
    assert_eq!(subscribes, network.twin.can_subscribe_at(id, who, block, time_s));
    let publishes = network.view(at, S::canPublishCall { user });
    assert_eq!(publishes, network.twin.can_publish_at(id, who, block, time_s));
    assert!(stream.removed_block().is_none() || !(subscribes || publishes));
    let found = network.view(at, S::permissionOfCall { user });
    let permission = Permission {
        subscribe_until: found.subscribeUntil,
        publish_until: found.publishUntil,
        can_grant: found.canGrant,
        can_edit: found.canEdit,
        can_delete: found.canDelete,
    };
    assert_eq!(permission, stream.permission(who));
    let found = network.view(at, S::delegationOfCall { user });
    let delegation = Delegation { subscribe_until: found.subscribeUntil, publish_until: found.publishUntil };
    assert_eq!(delegation, stream.delegation(who));
    assert_eq!(network.view(at, S::publicKeyOfCall { user }).as_ref(), stream.public_key(who));
}

fn ids(addresses: impl IntoIterator<Item = Address>) -> BTreeSet<StreamId> {
    addresses.into_iter().map(|address| StreamId(address.into_array())).collect()
}

#[test]
fn streams_do_what_the_twin_foresees() {
    let new = |seed| {
        let network = Network::new(params());
        Run { network, dice: Dice(seed), recent: Vec::new(), met: Tally::default() }
    };
    let step = |run: &mut Run, number: u64| {
        run.step(number);
        if number.is_multiple_of(250) {
            run.check_lists();
        }
        true
    };
    let met = rounds(SEED..SEED + 1, CALLS, new, step, |run| {
        run.check_lists();
        run.network.check();
        run.met
    });
    met.complete(MET);
}
