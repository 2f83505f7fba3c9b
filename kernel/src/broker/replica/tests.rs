//! A lost quorum as a replica sees it: the chain's epoch jumps and the checksum stays.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::agreement::Cut;
use crate::batch::{LaneWriter, NewEvent, content_type};
use crate::broker::context::Ledger;
use crate::broker::io::Output;
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
    let row = PartitionRow { sealed_epoch, checksum, cut_epoch: sealed_epoch, open_epoch: 6, quarantine };
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
