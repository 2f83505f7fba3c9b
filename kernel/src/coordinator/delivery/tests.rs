//! An event from its batch to a subscriber.

use super::*;
use crate::batch::{Batch, LaneWriter, NewEvent};
use crate::coordinator::{
    Block, Call as AnyCall, Contracts, Params, decide as decide_any, evolve as evolve_any,
};
use crate::ids::StreamPartition;
use crate::signature::{SECP256K1, Signature};

const OWNER: Address = Address([1; 20]);
const SUBSCRIBER: Address = Address([2; 20]);
const ANYBODY: Address = Address([3; 20]);

fn act(state: &mut AnyState, at_s: u64, caller: Address, call: AnyCall) -> Result<(), AnyRefusal> {
    let block = Block { number: at_s, timestamp_s: at_s, hash_of: &|_| None };
    for fact in decide_any(state, block, caller, call)? {
        evolve_any(state, block.reference(), &fact);
    }
    Ok(())
}

/// A stream, and a subscription to it with a bounty of 10, a budget of 25 and one event in 60 s.
fn subscribed() -> (AnyState, StreamId) {
    let contracts = Contracts { event_delivery: Address([9; 20]), ..Contracts::default() };
    let mut state = AnyState::new(31337, contracts, Params::default());
    state.balances.insert(OWNER, 1_000);
    let create = AnyCall::CreateStream {
        name: "prices".into(),
        description: "".into(),
        partitions: 1,
        public_subscribe: true,
        public_publish: false,
    };
    act(&mut state, 1, OWNER, create).expect("the name is free");
    let stream = *state.streams.keys().next().expect("there is a stream");
    let terms = Terms {
        subscriber: SUBSCRIBER,
        stream,
        bounty: 10,
        callback_gas: 100_000,
        rate_events: 1,
        rate_seconds: 60,
    };
    let callee = Callee { has_code: true, owner: Some(OWNER) };
    act(&mut state, 2, OWNER, AnyCall::Delivery(Call::Subscribe { terms, budget: 0, callee }))
        .expect("the owner may");
    act(&mut state, 3, OWNER, AnyCall::Delivery(Call::Pay { subscription: 1, amount: 25 }))
        .expect("the tokens are there");
    (state, stream)
}

fn batch(stream: StreamId) -> Batch {
    let slot = StreamPartition { stream, partition: 0 };
    let mut lane = LaneWriter::new(slot, OWNER, 1, [0; 16], Hash::ZERO, SECP256K1);
    let events = (0..5u8).map(|n| NewEvent::new(10, 0, [n])).collect();
    let unsigned = lane.next_batch(events).expect("five events fit");
    unsigned.sign(Signature::Secp256k1([1; 65])).expect("the lane is signed with this type")
}

fn delivery(batch: &Batch, index: u32) -> Delivery {
    Delivery {
        header: *batch.header(),
        session: None,
        recovered: Some(OWNER),
        index,
        path: batch.proof(index).expect("the event exists").path,
        encoded: batch.event_bytes(index).expect("the event exists").to_vec(),
    }
}

fn deliver(state: &mut AnyState, at_s: u64, delivery: Delivery, accepted: bool) -> Result<(), AnyRefusal> {
    act(
        state,
        at_s,
        ANYBODY,
        AnyCall::Delivery(Call::Deliver { subscription: 1, delivery: Box::new(delivery), accepted }),
    )
}

#[test]
fn the_first_delivery_is_paid_whatever_the_subscriber_does() {
    let (mut state, stream) = subscribed();
    let batch = batch(stream);
    deliver(&mut state, 60, delivery(&batch, 3), false).expect("it is proved");
    assert_eq!((state.balance(ANYBODY), state.delivery.budgets), (10, 15));
    let again = deliver(&mut state, 120, delivery(&batch, 3), true).unwrap_err();
    assert_eq!(again.name(), "AlreadyDelivered");
}

#[test]
fn rate_and_budget_bound_what_is_spent() {
    let (mut state, stream) = subscribed();
    let batch = batch(stream);
    deliver(&mut state, 60, delivery(&batch, 0), true).expect("it is proved");
    let refused = deliver(&mut state, 119, delivery(&batch, 1), true).unwrap_err();
    assert_eq!(refused, Refusal::RateExceeded { subscription: 1, next_span: 120 }.into());
    deliver(&mut state, 120, delivery(&batch, 1), true).expect("a new span");
    let refused = deliver(&mut state, 180, delivery(&batch, 2), true).unwrap_err();
    assert_eq!(refused, Refusal::BudgetSpent { subscription: 1, budget: 5, bounty: 10 }.into());
    act(&mut state, 181, OWNER, AnyCall::Delivery(Call::Withdraw { subscription: 1, amount: 5 }))
        .expect("the controller may");
    assert_eq!((state.delivery.budgets, state.balance(OWNER)), (0, 980));
}

#[test]
fn an_event_that_is_not_proved_is_not_taken() {
    let (mut state, stream) = subscribed();
    let batch = batch(stream);
    let good = delivery(&batch, 2);
    let other = Delivery { encoded: delivery(&batch, 1).encoded, ..good.clone() };
    let unsigned = Delivery { recovered: None, ..good.clone() };
    let short = Delivery { path: good.path[1..].to_vec(), ..good.clone() };
    let names = [other, unsigned, short]
        .map(|delivery| deliver(&mut state, 60, delivery, true).expect_err("it is not proved").name());
    assert_eq!(names, ["NotInBatch", "SignatureMismatch", "PathMalformed"]);
}
