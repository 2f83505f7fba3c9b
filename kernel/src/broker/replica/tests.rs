//! A lost quorum as a replica sees it: the chain's epoch jumps and the checksum stays.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::agreement::Cut;
use crate::batch::{LaneWriter, NewEvent, content_type};
use crate::broker::context::Ledger;
use crate::broker::io::Output;
use crate::broker::lane::head_after;
use crate::coordinator::{BlockRef, Contracts, Fact, Params, Seats, evolve};
use crate::ids::{BrokerIndex, StreamId};
use crate::marks::Marks;
use crate::rules::Rules;
use crate::signature::{KEYED_HASH, keyed_hash};
use crate::time::Now;

const PARTITION: PartitionId = PartitionId(0);
const ME: Address = Address([1; 20]);
const PEER: Address = Address([2; 20]);

/// The last cut that was sealed before the quorum was lost.
fn last_cut() -> Cut {
    Cut { partition: PARTITION, epoch: 5, previous: Hash([4; 32]), heads: Vec::new(), forks: Vec::new() }
}

/// A network of four members whose quorum was declared lost in epoch 200.
fn view() -> State {
    let mut view = State::new(1, Contracts::default(), Params::default());
    for number in 1..=4u8 {
        let registered = Fact::BrokerRegistered {
            index: BrokerIndex(number.into()),
            broker: Address([number; 20]),
            stake: 1,
            tickets: 1,
            endpoint: "127.0.0.1:1".into(),
            tls_key_hash: Hash::ZERO,
            draw_block: 0,
        };
        let block = BlockRef { number: view.height, timestamp_s: 0 };
        evolve(&mut view, block, &registered);
    }
    view.height = view.first_block_of(200);
    let partition = &mut Arc::make_mut(&mut view.partitions)[0];
    partition.founded = true;
    partition.members = Seats::of_brokers([1, 2, 3, 4].map(BrokerIndex));
    partition.sealed_epoch = 200;
    partition.since_epoch = 201;
    partition.checksum = last_cut().checksum();
    view
}

fn restored(sealed_epoch: Epoch, checksum: Hash, quarantine: Option<Epoch>) -> Replica {
    let row = PartitionRow {
        sealed_epoch,
        checksum,
        cut_epoch: sealed_epoch,
        open_epoch: 6,
        quarantine,
        leaving: false,
        left_index: 0,
    };
    Replica::restore(PARTITION, row, 1, Rules::sound())
}

fn step(view: &State, act: impl FnOnce(&mut Context<'_>)) -> Vec<Output> {
    let (mut ledger, mut outputs) = (Ledger::default(), Vec::new());
    let mut marks = Marks::default();
    let lasting = (&mut ledger, &mut marks);
    let mut ctx = Context::new(
        Now::default(),
        (ME, view.broker_index(ME)),
        view,
        Rules::sound(),
        lasting,
        &mut outputs,
    );
    act(&mut ctx);
    ctx.finish();
    outputs
}

fn asks_for_cuts(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Send(_, Message::CutsWanted { .. }, _)))
}

/// What was stored in one lane above the cut.
fn stored_mark() -> Mark {
    let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
    let mut writer = LaneWriter::new(slot, PEER, 3, [0; 16], Hash::ZERO, KEYED_HASH);
    let event = NewEvent::new(10, content_type::TEXT, "kept");
    let unsigned = writer.next_batch(vec![event]).expect("one small event fits");
    let signature = keyed_hash(&PEER, &unsigned.signing_hash(1));
    let batch = unsigned.sign(signature).expect("the lane is signed with this type");
    Mark { header: batch.signed_header(), index: 1 }
}

#[test]
fn a_survivor_goes_on_from_the_last_cut_and_keeps_what_it_holds_above() {
    let view = view();
    let mut replica = restored(5, last_cut().checksum(), None);
    replica.restore_mark(stored_mark());
    let outputs = step(&view, |ctx| replica.adopt(ctx));
    assert!(!asks_for_cuts(&outputs), "there is no cut to ask for");
    assert_eq!((replica.sealed_epoch, replica.cut_epoch), (200, 5));
    assert_eq!(replica.unsealed_heads().len(), 1);
    assert!(replica.may_sign(&view));
    let written = outputs.iter().any(|output| matches!(output, Output::Write(_, rows) if rows.len() == 1));
    assert!(written, "a restart remembers it");
}

#[test]
fn who_is_behind_adopts_the_last_cut_first() {
    let view = view();
    let mut replica = restored(4, last_cut().previous, None);
    let outputs = step(&view, |ctx| replica.adopt(ctx));
    assert!(asks_for_cuts(&outputs));
    step(&view, |ctx| replica.on_cuts(ctx, PEER, 4, vec![last_cut()]));
    assert_eq!((replica.sealed_epoch, replica.cut_epoch), (200, 5));
    assert_eq!(replica.checksum, last_cut().checksum());
    assert!(replica.may_sign(&view));
}

#[test]
fn cuts_that_do_not_lead_to_the_chain_prove_nothing() {
    let view = view();
    let mut replica = restored(4, last_cut().previous, None);
    step(&view, |ctx| replica.adopt(ctx));
    let other = Cut { epoch: 200, ..last_cut() };
    step(&view, |ctx| replica.on_cuts(ctx, PEER, 4, vec![other]));
    assert_eq!(replica.sealed_epoch, 4);
}

#[test]
fn who_lost_its_memory_may_sign_for_the_new_members() {
    let view = view();
    let mut replica = restored(5, last_cut().checksum(), Some(150));
    assert!(!replica.may_sign(&view));
    step(&view, |ctx| replica.adopt(ctx));
    assert!(replica.may_sign(&view));
}

/// A replica that has heard of a cut with one lane of which it has nothing, and the lane's sealed mark.
fn lacks_a_lane() -> (State, Replica, Mark) {
    let mark = stored_mark();
    let cut = Cut { heads: vec![head_after(&mark.header.header)], ..last_cut() };
    let mut view = view();
    Arc::make_mut(&mut view.partitions)[0].checksum = cut.checksum();
    let mut replica = restored(4, cut.previous, None);
    step(&view, |ctx| replica.adopt(ctx));
    step(&view, |ctx| replica.on_cuts(ctx, PEER, 4, vec![cut.clone()]));
    assert_eq!(replica.sealed_epoch, 4, "what the cut names is not here");
    (view, replica, mark)
}

#[test]
fn what_one_peer_alone_calls_gone_is_still_looked_for() {
    let (view, mut replica, mark) = lacks_a_lane();
    let head = head_after(&mark.header.header);
    let gone = Gone { lane: head.lane, epoch: 200, before: 1, header: Some(mark.header) };
    step(&view, |ctx| replica.on_gone(ctx, PEER, gone));
    step(&view, |ctx| replica.on_gone(ctx, PEER, gone));
    // Who has not adopted that cut cannot know, and a stranger is nobody.
    step(&view, |ctx| replica.on_gone(ctx, Address([3; 20]), Gone { epoch: 4, ..gone }));
    step(&view, |ctx| replica.on_gone(ctx, Address([9; 20]), gone));
    assert_eq!(replica.sealed_epoch, 4);
    let outputs = step(&view, |ctx| replica.on_gone(ctx, Address([3; 20]), gone));
    assert_eq!((replica.sealed_epoch, replica.cut_epoch), (200, 5));
    let lane = &replica.lanes[&head.lane];
    assert_eq!((lane.sealed, lane.sealed_header), (head, Some(mark.header)));
    assert!(outputs.iter().any(|output| matches!(output, Output::Write(..))), "a restart remembers it");
}

#[test]
fn a_lane_that_everybody_forgot_holds_nothing_up() {
    let (view, mut replica, mark) = lacks_a_lane();
    let lane = mark.header.header.lane();
    for peer in [PEER, Address([3; 20])] {
        let gone = Gone { lane, epoch: 200, before: u64::MAX, header: None };
        step(&view, |ctx| replica.on_gone(ctx, peer, gone));
    }
    assert_eq!(replica.sealed_epoch, 200);
    assert!(replica.lanes.is_empty());
}
