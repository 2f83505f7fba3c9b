//! A licence from offer to payout.

use super::*;
use crate::agreement::cut::{Cut, LaneHead};
use crate::batch::{Header, LaneWriter, NewEvent};
use crate::coordinator::{
    Block, Call as AnyCall, Contracts, Params, Permission, decide as decide_any, evolve as evolve_any,
};
use crate::ids::StreamPartition;
use crate::merkle;
use crate::signature::{SECP256K1, Signature};
use alloc::vec;

const PROVIDER: Address = Address([1; 20]);
const BUYER: Address = Address([2; 20]);
const TOKENS: u128 = 1_000_000;

fn act(state: &mut AnyState, at_s: u64, caller: Address, call: AnyCall) -> Result<(), AnyRefusal> {
    let block = Block { number: at_s, timestamp_s: at_s, hash_of: &|_| None };
    for fact in decide_any(state, block, caller, call)? {
        evolve_any(state, block.reference(), &fact);
    }
    Ok(())
}

/// A product of one stream, at 10 a second in windows of 100 s, and its contract.
fn market() -> (AnyState, StreamId, Address) {
    let contracts = Contracts { license_factory: Address([9; 20]), ..Contracts::default() };
    let mut state = AnyState::new(31337, contracts, Params::default());
    state.balances.insert(BUYER, TOKENS);
    let create = AnyCall::CreateStream {
        name: "quakes".into(),
        description: String::new(),
        partitions: 1,
        public_subscribe: false,
        public_publish: false,
    };
    act(&mut state, 1, PROVIDER, create).expect("the name is free");
    let stream = *state.streams.keys().next().expect("there is a stream");
    let product = Product {
        beneficiary: PROVIDER,
        price_per_second: 10,
        minimum_seconds: 10,
        window_seconds: 100,
        minimum_events: 2,
        terms: "ipfs://terms".into(),
        streams: vec![stream],
    };
    act(&mut state, 2, PROVIDER, AnyCall::Licenses(Call::Offer(product))).expect("the provider owns it");
    let license = *state.licenses.products.keys().next().expect("there is a product");
    let permission = Permission { can_grant: true, ..Permission::default() };
    act(&mut state, 3, PROVIDER, AnyCall::SetPermission { stream, user: license, permission })
        .expect("the owner may");
    (state, stream, license)
}

fn pay(state: &mut AnyState, at_s: u64, license: Address, duration: u64) -> Result<(), AnyRefusal> {
    let order = Order { licence: 0, duration, public_key: vec![7; 33] };
    let amount = u128::from(duration) * 10;
    act(state, at_s, BUYER, AnyCall::Licenses(Call::Pay { license, amount, order }))
}

/// A lane of the stream with this many events, sealed as the only head of an epoch.
fn sealed(state: &mut AnyState, stream: StreamId, events: u64, epoch: Epoch) -> Delivery {
    let lane = LaneParts { stream, origin: PROVIDER, opening_block: 5, ..LaneParts::default() };
    let head = LaneHead { lane: lane.lane(), next_sequence: events, volume: 1, digest: Hash([3; 32]) };
    let partition = PartitionId(0);
    let previous = state.partitions[0].checksum;
    let cut = Cut { partition, epoch, previous, heads: vec![head], forks: vec![] };
    let present = state.partition_mut(partition);
    (present.checksum, present.sealed_epoch) = (cut.checksum(), epoch);
    Delivery {
        partition,
        previous,
        lane,
        next_sequence: events,
        volume: 1,
        digest: head.digest,
        path: merkle::proof(&[head.leaf()], 0).expect("the leaf exists"),
    }
}

#[test]
fn a_lane_is_named_as_in_its_headers() {
    let slot = StreamPartition { stream: StreamId([4; 20]), partition: 3 };
    let mut lane = LaneWriter::new(slot, PROVIDER, 77, [5; 16], Hash::ZERO, SECP256K1);
    let unsigned = lane.next_batch(vec![NewEvent::new(1, 0, vec![1])]).expect("one event fits");
    let batch = unsigned.sign(Signature::Secp256k1([1; 65])).expect("the lane is signed with this type");
    let header: Header = *batch.header();
    let parts = LaneParts {
        stream: header.stream,
        stream_partition: header.stream_partition,
        origin_type: header.origin_type,
        origin: header.origin,
        opening_block: header.opening_block,
        nonce: header.nonce,
    };
    assert_eq!(parts.lane(), header.lane());
}

#[test]
fn nothing_is_decided_before_a_window_ends() {
    let (mut state, stream, license) = market();
    pay(&mut state, 1_000, license, 200).expect("the product may grant");
    assert!(state.can_subscribe_at(stream, BUYER, 1_000, 1_199));
    assert!(!state.can_subscribe_at(stream, BUYER, 1_000, 1_200));
    assert_eq!(state.balance(license), 2_000);
    let settle = AnyCall::Licenses(Call::Settle { license, licence: 1 });
    assert_eq!(act(&mut state, 1_099, BUYER, settle.clone()).unwrap_err().name(), "NothingToSettle");
    act(&mut state, 1_100, BUYER, settle).expect("a window ended");
    assert_eq!(state.licenses.license(license).expect("the product").owed.get(&BUYER), Some(&1_000));
}

#[test]
fn each_event_and_each_cut_count_once() {
    let (mut state, stream, license) = market();
    pay(&mut state, 1_000, license, 300).expect("the product may grant");
    let delivery = sealed(&mut state, stream, 2, 1);
    let prove = AnyCall::Licenses(Call::Prove { license, delivery });
    act(&mut state, 1_010, BUYER, prove.clone()).expect("the head is in the cut");
    assert_eq!(act(&mut state, 1_020, BUYER, prove.clone()).unwrap_err().name(), "LaneNotAdvanced");
    assert_eq!(act(&mut state, 1_110, BUYER, prove).unwrap_err().name(), "CutUsed");
    let few = sealed(&mut state, stream, 3, 2);
    act(&mut state, 1_120, BUYER, AnyCall::Licenses(Call::Prove { license, delivery: few }))
        .expect("one event more");

    let settle = AnyCall::Licenses(Call::Settle { license, licence: 1 });
    act(&mut state, 1_250, BUYER, settle.clone()).expect("two windows ended");
    act(&mut state, 1_300, BUYER, settle).expect("the third ended too");
    let held = state.licenses.license(license).expect("the product");
    assert_eq!((held.locked, held.unclaimed), (0, 3_000));
    assert_eq!([PROVIDER, BUYER].map(|account| held.owed.get(&account)), [Some(&1_000), Some(&2_000)]);
    for account in [PROVIDER, BUYER] {
        act(&mut state, 1_301, account, AnyCall::Licenses(Call::Withdraw { license })).expect("it is owed");
    }
    assert_eq!((state.balance(PROVIDER), state.balance(BUYER)), (1_000, TOKENS - 1_000));
    assert_eq!(state.balance(license), 0);
}

#[test]
fn a_stream_that_does_not_grant_undoes_the_order() {
    let (mut state, stream, license) = market();
    let nothing = Permission::default();
    act(&mut state, 4, PROVIDER, AnyCall::SetPermission { stream, user: license, permission: nothing })
        .expect("the owner may");
    let before = state.clone();
    assert_eq!(pay(&mut state, 5, license, 100).unwrap_err().name(), "NotPermitted");
    assert_eq!(state, before);
}

#[test]
fn events_of_contracts_that_nobody_offered_do_nothing() {
    let (mut state, ..) = market();
    let before = state.clone();
    let stranger = Fact::Withdrawn { license: Address([8; 20]), account: BUYER, amount: 5 };
    evolve(&mut state, 10, &stranger);
    assert_eq!(state, before);
}
