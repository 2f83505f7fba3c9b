//! Brokers, streams and the token: an example a rule.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::ids::StreamId;

const OWNER: Address = Address([1; 20]);
const FRIEND: Address = Address([2; 20]);

#[test]
fn joining_takes_stake_and_fee() {
    let mut world = World::new(Params::default());
    let needed = 2_010 * DATA;
    let spender = CONTRACTS.coordinator;
    let call = register(2_000 * DATA);
    let unapproved = Refusal::ERC20InsufficientAllowance { spender, allowance: 0, needed };
    assert_eq!(world.call(OWNER, call.clone()), Err(unapproved));
    world.must(OWNER, Call::Approve { spender, value: needed + 5 });
    let poor = Refusal::ERC20InsufficientBalance { sender: OWNER, balance: 0, needed };
    assert_eq!(world.call(OWNER, call.clone()), Err(poor));
    world.must(HOLDER, Call::Transfer { to: OWNER, value: 3_000 * DATA });
    let facts = world.call(OWNER, call.clone()).expect("a registration");
    assert_eq!(facts[1], Fact::Transfer { from: OWNER, to: spender, value: needed });
    let broker = world.state.broker(BrokerIndex(1)).expect("the broker");
    assert_eq!((broker.tickets, broker.stake, broker.draw_block), (2, 2_000 * DATA, world.state.height + 1));
    assert_eq!(world.state.allowance(OWNER, spender), 5, "the registration used the allowance");
    assert_eq!((world.state.stakes, world.state.pool), (2_000 * DATA, 10 * DATA));
    world.fund(FRIEND, 3_000 * DATA);
    world.must(FRIEND, call.clone());
    assert_eq!(world.state.allowance(FRIEND, spender), u128::MAX, "one without end is not used up");
    let twice = Refusal::AlreadyRegistered { account: OWNER, index: BrokerIndex(1) };
    assert_eq!(world.call(OWNER, call), Err(twice));
    world.check();
}

#[test]
fn joining_needs_a_stake_and_an_endpoint() {
    let mut world = World::new(Params::default());
    let minimum = 1_000 * DATA;
    let low = Refusal::StakeOutOfRange { stake: minimum - 1, minimum, maximum: u128::MAX };
    assert_eq!(world.call(OWNER, register(minimum - 1)), Err(low));
    let nowhere = Call::Register { stake: minimum, endpoint: "x".repeat(257), tls_key_hash: Hash::ZERO };
    let long = Refusal::EndpointLengthOutOfRange { length: 257, maximum: 256 };
    assert_eq!(world.call(OWNER, nowhere), Err(long));
    assert_eq!(world.call(OWNER, Call::Leave), Err(Refusal::NotRegistered { account: OWNER }));
}

#[test]
fn a_draw_is_recorded_once_and_in_time() {
    let mut world = World::new(Params::default());
    world.fund(account(1), 2_000 * DATA);
    world.must(account(1), register(1_000 * DATA));
    let (index, draw_block) = (BrokerIndex(1), world.state.height + 1);
    let record = Call::RecordDraw { index };
    world.mine(1);
    let early = Refusal::DrawNotReady { index, draw_block, current_block: draw_block };
    assert_eq!(world.call(HOLDER, record.clone()), Err(early));
    world.mine(257);
    let missed = Fact::DrawMissed { index, draw_block: world.state.height + 1 };
    assert_eq!(world.call(HOLDER, record.clone()), Ok(vec![missed]));
    world.mine(257);
    let hash = (world.block().hash_of)(world.state.height - 256).expect("a hash");
    let recorded = Fact::DrawRecorded { index, draw: score::draw(&hash, index) };
    assert_eq!(world.call(HOLDER, record.clone()), Ok(vec![recorded]), "256 blocks are in time");
    assert_eq!(world.call(HOLDER, record), Err(Refusal::DrawAlreadyRecorded { index }));
    let nobody = Call::RecordDraw { index: BrokerIndex(2) };
    assert_eq!(world.call(HOLDER, nobody), Err(Refusal::UnknownBroker { index: BrokerIndex(2) }));
}

#[test]
fn who_leaves_is_paid_back_after_the_notice_and_the_last_seat() {
    let mut world = World::founded(Params { partitions: 1, ..Params::default() }, 5);
    let members: Vec<_> = world.partition(0).members.brokers().collect();
    let (index, leaver) = (members[0], account(members[0].0));
    assert_eq!(world.call(leaver, Call::WithdrawStake), Err(Refusal::NotLeft { index }));
    world.must(leaver, Call::Leave);
    assert_eq!(world.call(leaver, Call::Leave), Err(Refusal::AlreadyLeft { index }));
    let left = world.state.epoch();
    let withdrawable_epoch = left + 4;
    let locked = Refusal::StakeLocked { index, withdrawable_epoch, current_epoch: left };
    assert_eq!(world.call(leaver, Call::WithdrawStake), Err(locked));
    world.must(HOLDER, Call::Rebalance(useful_changes(&world.state, MAXIMUM_LIST)));
    world.reach_epoch(left + 4);
    let locked = Refusal::StakeLocked { index, withdrawable_epoch, current_epoch: left + 4 };
    assert_eq!(world.call(leaver, Call::WithdrawStake), Err(locked), "the last epoch counts");
    world.reach_epoch(left + 5);
    assert_eq!(world.call(leaver, Call::WithdrawStake), Err(Refusal::StillSeated { index, seats: 1 }));
    let certificate = world.signed(0, left + 4, members[1..].to_vec());
    world.must(HOLDER, Call::SubmitCertificates(vec![certificate]));
    assert!(!world.partition(0).members.contains(index));
    let before = world.state.balance(leaver);
    world.must(leaver, Call::WithdrawStake);
    assert_eq!(world.state.balance(leaver), before + 1_000 * DATA);
    assert_eq!(world.call(leaver, Call::WithdrawStake), Err(Refusal::NothingStaked { index }));
    world.check();
}

#[test]
fn an_endpoint_changes() {
    let mut world = World::with_brokers(Params::default(), 1);
    world.must(account(1), Call::UpdateEndpoint { endpoint: "h:2".into(), tls_key_hash: Hash([3; 32]) });
    let broker = world.state.broker(BrokerIndex(1)).expect("the broker");
    assert_eq!((broker.endpoint.as_str(), broker.tls_key_hash), ("h:2", Hash([3; 32])));
}

fn create(name: &str) -> Call {
    Call::CreateStream {
        name: name.into(),
        description: "what it is".into(),
        partitions: 2,
        public_subscribe: false,
        public_publish: false,
    }
}

fn created(world: &mut World, name: &str) -> StreamId {
    let facts = world.call(OWNER, create(name)).expect("a stream");
    let Fact::StreamCreated { stream, .. } = facts[0] else { panic!("{facts:?}") };
    stream
}

#[test]
fn a_stream_is_its_owners_alone_until_shared() {
    let mut world = World::new(Params::default());
    let stream = created(&mut world, "a");
    let shared = world.state.height + 1;
    let time_s = world.state.timestamp_s;
    assert!(world.state.can_publish_at(stream, OWNER, shared - 1, time_s));
    assert!(!world.state.can_publish_at(stream, OWNER, shared - 2, time_s), "before it was created");
    world.mine(1);
    let permission = Permission { publish_until: time_s + 5, ..Permission::default() };
    let share = Call::SetPermission { stream, user: FRIEND, permission };
    assert_eq!(world.call(FRIEND, share.clone()), Err(Refusal::NotPermitted { caller: FRIEND }));
    world.must(OWNER, share);
    assert!(world.state.can_publish_at(stream, FRIEND, shared, time_s + 4));
    assert!(!world.state.can_publish_at(stream, FRIEND, shared, time_s + 5), "the end is exclusive");
    assert!(!world.state.can_publish_at(stream, FRIEND, shared - 1, time_s), "not yet shared then");
    assert!(!world.state.can_subscribe_at(stream, FRIEND, shared, time_s));
    world.mine(1);
    world.must(OWNER, Call::RemoveStream { stream });
    assert!(world.state.can_publish_at(stream, FRIEND, shared, time_s), "the past stays");
    assert!(!world.state.can_publish_at(stream, OWNER, shared + 1, time_s));
    assert_eq!(world.call(OWNER, Call::RemoveStream { stream }), Err(Refusal::AlreadyRemoved {}));
}

#[test]
fn who_may_grant_may_not_touch_the_owner() {
    let mut world = World::new(Params::default());
    let stream = created(&mut world, "a");
    let permission = Permission { can_grant: true, ..Permission::default() };
    world.must(OWNER, Call::SetPermission { stream, user: FRIEND, permission });
    world.must(FRIEND, Call::SetPermission { stream, user: Address::ZERO, permission: Permission::ALL });
    let lock_out = Call::SetPermission { stream, user: OWNER, permission };
    let protected = Refusal::OwnerPermissionsProtected { owner: OWNER, caller: FRIEND };
    assert_eq!(world.call(FRIEND, lock_out.clone()), Err(protected));
    world.must(OWNER, lock_out);
    assert!(!world.state.stream(stream).expect("it").permission(OWNER).can_edit);
    assert!(world.state.can_subscribe_at(stream, Address([7; 20]), world.state.height, u64::MAX - 1));
}

#[test]
fn names_are_unique_among_an_owners_streams() {
    let mut world = World::new(Params::default());
    let (a, b) = (created(&mut world, "a"), created(&mut world, "b"));
    let taken = |stream| Refusal::NameTaken { owner: OWNER, name: "a".into(), stream };
    assert_eq!(world.call(OWNER, create("a")), Err(taken(a)));
    let rename =
        |stream, name: &str| Call::UpdateStream { stream, name: name.into(), description: "".into() };
    assert_eq!(world.call(OWNER, rename(b, "a")), Err(taken(a)));
    world.must(OWNER, rename(a, "a"));
    world.must(OWNER, rename(a, "c"));
    world.must(OWNER, rename(b, "a"));
    world.must(FRIEND, create("a"));
    world.must(OWNER, Call::RemoveStream { stream: b });
    let fresh = created(&mut world, "a");
    assert!(fresh != a && fresh != b);
}

#[test]
fn streams_have_limits() {
    let mut world = World::new(Params::default());
    let change = |change: &dyn Fn(&mut String, &mut String, &mut u32)| {
        let (mut name, mut description, mut partitions) = (String::from("a"), String::new(), 1);
        change(&mut name, &mut description, &mut partitions);
        Call::CreateStream { name, description, partitions, public_subscribe: true, public_publish: true }
    };
    let refusals = [
        (change(&|_, _, partitions| *partitions = 0), "PartitionsOutOfRange"),
        (change(&|_, _, partitions| *partitions = 1025), "PartitionsOutOfRange"),
        (change(&|name, _, _| name.clear()), "NameLengthOutOfRange"),
        (change(&|name, _, _| *name = "n".repeat(129)), "NameLengthOutOfRange"),
        (change(&|_, description, _| *description = "d".repeat(4097)), "DescriptionTooLong"),
    ];
    for (call, name) in refusals {
        assert_eq!(world.call(OWNER, call).map_err(|refusal| refusal.name()), Err(name));
    }
    world.must(OWNER, change(&|name, _, partitions| (*name, *partitions) = ("n".repeat(128), 1024)));
    let nowhere = StreamId([9; 20]);
    let call = Call::RemoveStream { stream: nowhere };
    assert_eq!(world.call(OWNER, call), Err(Refusal::NotAStream { caller: nowhere }));
}

#[test]
fn tokens_go_to_somebody() {
    let mut world = World::new(Params::default());
    let burn = Call::Transfer { to: Address::ZERO, value: 1 };
    let receiver = Address::ZERO;
    assert_eq!(world.call(HOLDER, burn), Err(Refusal::ERC20InvalidReceiver { receiver }));
    let approve = Call::Approve { spender: Address::ZERO, value: 1 };
    assert_eq!(world.call(HOLDER, approve), Err(Refusal::ERC20InvalidSpender { spender: receiver }));
    let before = world.state.clone();
    world.must(HOLDER, Call::Transfer { to: HOLDER, value: 1 });
    assert_eq!(world.state, before);
}
