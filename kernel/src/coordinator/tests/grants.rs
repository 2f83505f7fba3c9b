//! Rights passed on, keys, search keys and ownership of streams: an example a rule.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::ids::StreamId;

const OWNER: Address = Address([1; 20]);
const DELEGATE: Address = Address([2; 20]);
const READER: Address = Address([3; 20]);

fn created(world: &mut World, name: &str) -> StreamId {
    let call = Call::CreateStream {
        name: String::from(name),
        description: String::new(),
        partitions: 1,
        public_subscribe: false,
        public_publish: false,
    };
    let facts = world.call(OWNER, call).expect("a stream");
    let Fact::StreamCreated { stream, .. } = facts[0] else { panic!("{facts:?}") };
    stream
}

fn reader(stream: StreamId, subscribe_until: u64, key: &[u8]) -> Call {
    Call::GrantReader { stream, user: READER, subscribe_until, public_key: key.to_vec() }
}

#[test]
fn a_delegate_grants_until_its_own_end_and_only_raises() {
    let mut world = World::new(Params::default());
    let stream = created(&mut world, "a");
    let (now, limit) = (world.state.timestamp_s, world.state.timestamp_s + 100);
    let stranger = Refusal::NotPermitted { caller: DELEGATE };
    assert_eq!(world.call(DELEGATE, reader(stream, 1, &[])), Err(stranger.clone()));
    let delegate =
        |subscribe_until| Call::Delegate { stream, to: DELEGATE, subscribe_until, publish_until: 0 };
    world.must(OWNER, delegate(limit));
    let beyond = Refusal::GrantBeyondDelegation { caller: DELEGATE, until: limit + 1, limit };
    assert_eq!(world.call(DELEGATE, reader(stream, limit + 1, &[])), Err(beyond));
    let publish = Call::Grant { stream, user: READER, subscribe_until: 0, publish_until: now + 1 };
    assert_eq!(world.call(DELEGATE, publish), Err(stranger.clone()), "it may grant subscribing only");
    world.must(DELEGATE, reader(stream, limit, &[7; 33]));
    world.must(DELEGATE, reader(stream, now + 1, &[]));
    let stored = world.state.stream(stream).expect("it");
    assert_eq!(stored.permission(READER).subscribe_until, limit, "a shorter grant changes nothing");
    assert_eq!(stored.public_key(READER), [7; 33]);
    let further = Call::Delegate { stream, to: READER, subscribe_until: limit, publish_until: 0 };
    world.must(DELEGATE, further);
    world.must(OWNER, delegate(0));
    assert_eq!(world.call(DELEGATE, reader(stream, limit, &[])), Err(stranger));
    world.must(READER, Call::Grant { stream, user: DELEGATE, subscribe_until: limit, publish_until: 0 });
    let block = world.state.height;
    assert!(world.state.can_subscribe_at(stream, DELEGATE, block, limit - 1));
    assert!(!world.state.can_subscribe_at(stream, DELEGATE, block, limit), "the end is exclusive");
}

#[test]
fn grants_name_somebody_and_spare_the_owner() {
    let mut world = World::new(Params::default());
    let stream = created(&mut world, "a");
    let grant = |user, subscribe_until| Call::Grant { stream, user, subscribe_until, publish_until: 0 };
    assert_eq!(world.call(OWNER, grant(READER, 0)), Err(Refusal::NothingGranted {}));
    assert_eq!(world.call(OWNER, grant(Address::ZERO, 1)), Err(Refusal::EverybodyNotAllowed {}));
    let all = Permission { can_edit: false, can_delete: false, ..Permission::ALL };
    world.must(OWNER, Call::SetPermission { stream, user: DELEGATE, permission: all });
    let protected = Refusal::OwnerPermissionsProtected { owner: OWNER, caller: DELEGATE };
    assert_eq!(world.call(DELEGATE, grant(OWNER, 1)), Err(protected));
    let everybody = Call::Delegate { stream, to: Address::ZERO, subscribe_until: 1, publish_until: 1 };
    assert_eq!(world.call(OWNER, everybody), Err(Refusal::EverybodyNotAllowed {}));
}

#[test]
fn readers_set_their_own_key_within_its_limits() {
    let mut world = World::new(Params::default());
    let stream = created(&mut world, "a");
    let key = |length| Call::SetPublicKey { stream, key: vec![9; length] };
    assert_eq!(world.call(READER, key(33)), Err(Refusal::NotPermitted { caller: READER }));
    world.must(OWNER, reader(stream, u64::MAX, &[]));
    for length in [1, 31, 2_049] {
        let refused = Refusal::KeyLengthOutOfRange { length, minimum: 32, maximum: 2_048 };
        assert_eq!(world.call(READER, key(length)), Err(refused.clone()));
        assert_eq!(world.call(OWNER, reader(stream, 1, &vec![9; length])), Err(refused));
    }
    world.must(READER, key(2_048));
    assert_eq!(world.state.stream(stream).expect("it").public_key(READER).len(), 2_048);
    world.must(READER, key(0));
    assert!(world.state.stream(stream).expect("it").public_keys().is_empty());
}

#[test]
fn a_stream_is_handed_over_when_it_is_accepted() {
    let mut world = World::new(Params::default());
    let stream = created(&mut world, "a");
    let offer = |new_owner| Call::TransferOwnership { stream, new_owner };
    assert_eq!(world.call(READER, offer(READER)), Err(Refusal::NotPermitted { caller: READER }));
    world.must(OWNER, offer(READER));
    let other = Refusal::NotPendingOwner { caller: DELEGATE, pending_owner: READER };
    assert_eq!(world.call(DELEGATE, Call::AcceptOwnership { stream }), Err(other));
    world.must(READER, Call::AcceptOwnership { stream });
    let stored = world.state.stream(stream).expect("it");
    assert_eq!((stored.owner, stored.pending_owner()), (READER, None));
    assert_eq!(
        (stored.permission(OWNER), stored.permission(READER)),
        (Permission::default(), Permission::ALL)
    );
    let again = created(&mut world, "a");
    world.must(READER, offer(OWNER));
    let taken = Refusal::NameTaken { owner: OWNER, name: "a".into(), stream: again };
    assert_eq!(world.call(OWNER, Call::AcceptOwnership { stream }), Err(taken));
    world.must(READER, offer(Address::ZERO));
    let nobody = Refusal::NotPendingOwner { caller: OWNER, pending_owner: Address::ZERO };
    assert_eq!(world.call(OWNER, Call::AcceptOwnership { stream }), Err(nobody));
}

#[test]
fn search_keys_find_streams_until_they_are_removed() {
    let mut world = World::new(Params::default());
    let streams = ["a", "b"].map(|name| created(&mut world, name));
    let key = |n| Hash([n; 32]);
    let set =
        |stream, keys: &[u8]| Call::SetSearchKeys { stream, keys: keys.iter().map(|n| key(*n)).collect() };
    world.must(OWNER, set(streams[0], &[1, 2]));
    world.must(OWNER, set(streams[1], &[2, 3]));
    let found = |world: &World, n| world.state.streams_by_key(key(n)).collect::<Vec<_>>();
    let mut both = streams.to_vec();
    both.sort_unstable();
    assert_eq!(found(&world, 2), both);
    world.must(OWNER, set(streams[1], &[3]));
    assert_eq!(found(&world, 2), [streams[0]]);
    let twice = Refusal::DuplicateSearchKey { key: key(5) };
    assert_eq!(world.call(OWNER, set(streams[0], &[4, 5, 5])), Err(twice));
    let many = Refusal::TooManySearchKeys { count: 9, maximum: 8 };
    assert_eq!(world.call(OWNER, set(streams[0], &[1; 9])), Err(many));
    assert_eq!(world.call(READER, set(streams[0], &[])), Err(Refusal::NotPermitted { caller: READER }));
    world.must(OWNER, Call::RemoveStream { stream: streams[0] });
    assert_eq!(found(&world, 1), []);
    let removed = world.state.stream(streams[0]).expect("it");
    assert_eq!(removed.permission(OWNER), Permission::default(), "nothing of it answers yes");
}
