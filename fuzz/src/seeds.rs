//! The committed corpus, made: one good input of every kind, for a fuzzer to vary.

use std::sync::Arc;

use weir_kernel::agreement::cut::kept;
use weir_kernel::agreement::{Cut, Fork, LaneHead};
use weir_kernel::batch::{Batch, LaneWriter, NewEvent, content_type};
use weir_kernel::broker::lane::Mark;
use weir_kernel::broker::rows::{PartitionRow, ReportRow};
use weir_kernel::broker::{Message, MovedLane, SignedEntry};
use weir_kernel::coordinator::{Entry, report_signing_hash};
use weir_kernel::ids::{Address, Hash, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::{Position, Query, Record, Slice};
use weir_kernel::signature::{KEYED_HASH, keyed_report};
use weir_kernel::wire::{encode, encode_row};

use crate::derive::Numbers;
use crate::targets::SENDER;
use crate::verifier::{DOMAIN, in_session, sign_batch};

const SLOT: StreamPartition = StreamPartition { stream: StreamId([1; 20]), partition: 2 };

/// Two consecutive batches of one lane; `branch` tells two branches apart.
fn batches(branch: u8) -> [Batch; 2] {
    let mut lane = LaneWriter::new(SLOT, SENDER, 12, [9; 16], Hash::ZERO, KEYED_HASH);
    [1, 3].map(|count| {
        let events = (0..count).map(|at| NewEvent::new(1000 + at, content_type::TEXT, [branch; 5])).collect();
        sign_batch(lane.next_batch(events).expect("small events fit"))
    })
}

/// A batch that a session key signed.
fn session_batch() -> Batch {
    let lane = LaneWriter::new(SLOT, SENDER, 12, [8; 16], Hash::ZERO, KEYED_HASH);
    let mut lane = in_session(lane, Address([0xE0; 20]), 400).expect("a session of its own");
    let events = (0..2).map(|at| NewEvent::new(1000 + at, content_type::TEXT, [b's'; 5])).collect();
    sign_batch(lane.next_batch(events).expect("small events fit"))
}

fn head() -> LaneHead {
    let [_, last] = batches(b'a');
    let header = last.header();
    LaneHead {
        lane: last.lane(),
        next_sequence: header.next_sequence(),
        volume: header.volume,
        digest: last.digest(),
    }
}

fn fork() -> Fork {
    let [[a, _], [b, _]] = [b'a', b'b'].map(batches);
    Fork::new(a.signed_header(), b.signed_header()).expect("two branches")
}

fn cut() -> Cut {
    Cut {
        partition: PartitionId(1),
        epoch: 5,
        previous: kept(Hash([3; 32])),
        heads: vec![head()],
        forks: vec![fork()],
    }
}

fn entry() -> Entry {
    let cut = cut();
    Entry {
        partition: cut.partition,
        epoch: cut.epoch,
        round: 1,
        previous: cut.previous,
        checksum: cut.checksum(),
        events: 4,
        volume: 20,
    }
}

fn frames() -> Vec<Vec<u8>> {
    let (partition, epoch, lane) = (PartitionId(1), 5, head().lane);
    let (heads, forks) = (vec![head()], vec![fork()]);
    let digest = report_signing_hash(DOMAIN.chain_id, &DOMAIN.coordinator, &entry().hash());
    let report = SignedEntry { entry: entry(), signature: keyed_report(&SENDER, &digest).to_vec() };
    let attached: Vec<Arc<[u8]>> = batches(b'a').iter().map(|batch| Arc::clone(batch.bytes())).collect();
    let range = Query::Range {
        partition,
        slot: SLOT,
        from: Position::at(5),
        to: Position::at(9),
        up_to_index: 77,
        origin: Some(SENDER),
    };
    let order = vec![Slice { batch: 1, first: 1, count: 2 }];
    let previous = Hash([3; 32]);
    let moved = MovedLane { lane, next_sequence: 4, opening_block: 12, last_time_ms: 1002 };
    let (since, after) = (3, LaneId::ZERO);
    let surveyed =
        Message::Surveyed { partition, slot: SLOT, since, after, up_to: 5, lanes: vec![moved], more: true };
    let header = Some(Box::new(batches(b'a')[1].signed_header()));
    vec![
        encode(&Message::Append { partition }, &attached),
        encode(&Message::Live { partition, slot: SLOT, previous_index: 1, index: 2 }, &attached[..1]),
        encode(
            &Message::Answer { token: 8, order, last_index: 7, total: 2, next: Some(range.clone()) },
            &attached,
        ),
        encode(&Message::Acknowledge { partition, epoch, heads: heads.clone() }, &[]),
        encode(&Message::Closing { partition, epoch, round: 1, previous, heads: heads.clone(), forks }, &[]),
        encode(&Message::Propose { round: 1, cut: cut() }, &[]),
        encode(&Message::Report(report), &[]),
        encode(&Message::Cuts { partition, after_epoch: 4, cuts: vec![cut()] }, &[]),
        encode(&Message::Read { token: 8, query: range, budget_bytes: 1000 }, &[]),
        encode(&Message::Withdrawn { partition, slot: SLOT, lane, from: 1 }, &[]),
        encode(&Message::Heads { partition, heads }, &[]),
        encode(&Message::Survey { partition, slot: SLOT, since, after }, &[]),
        encode(&surveyed, &[]),
        encode(&Message::ReadLane { token: 8, partition, lane, from: 1 }, &[]),
        encode(&Message::Gone { partition, lane, epoch, before: 4, header }, &[]),
    ]
}

fn rows() -> Vec<Vec<u8>> {
    let mark = Mark { header: batches(b'a')[0].signed_header(), index: 3 };
    let partition = PartitionRow {
        sealed_epoch: 4,
        checksum: Hash([3; 32]),
        open_epoch: 6,
        quarantine: Some(5),
        cut_epoch: 4,
        leaving: false,
        left_index: 7,
    };
    let record = Record::Remove { table: weir_kernel::log::Table::Mark, key: vec![1, 2] };
    let of = |kind: u8, row: Vec<u8>| [vec![kind], row].concat();
    vec![
        of(0, encode_row(&partition)),
        of(2, encode_row(&ReportRow { entry: entry(), cut: cut() })),
        of(3, encode_row(&mark)),
        of(4, encode_row(&cut())),
        of(5, encode_row(&fork())),
        of(6, encode_row(&record)),
        of(13, vec![7; 40]),
    ]
}

/// The seeds of a target, in a fixed order.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let whole = || batches(b'a').map(|batch| batch.bytes().to_vec()).to_vec();
    let signed = || batches(b'a').map(|batch| batch.signed_header().encode()).to_vec();
    match target {
        "batch" => whole().into_iter().chain([session_batch().bytes().to_vec()]).collect(),
        "signed_header" => {
            let session = session_batch().signed_header();
            signed()
                .into_iter()
                .chain([encode_row(&fork().first), session.encode(), encode_row(&session)])
                .collect()
        }
        "frame" => frames(),
        "row" => rows(),
        "seats" => vec![vec![0; 32], [vec![1; 32], vec![0x83, 0, 0, 1, 2, 7]].concat()],
        "batch_written" => (0..3).map(|seed| Numbers::new(seed).bytes(150)).collect(),
        "kernel_steps" => kernel_steps(),
        unknown => panic!("no target has the name {unknown}"),
    }
}

/// Runs that only publish, that crash, and that lie; in one a liar claims, epoch for epoch, what others left out.
fn kernel_steps() -> Vec<Vec<u8>> {
    let quiet: Vec<u8> = (0..60).flat_map(|at: u8| [20, at, at, 3, 1, 5, 12, at, 0, 0, 0, 0]).collect();
    let blocks: Vec<u8> =
        (0..60).flat_map(|at: u8| [20, at, at, 0, 1, 2, 17, at, 12, at, 4, at, 0]).collect();
    let random = (0..4).map(|seed| Numbers::new(seed).bytes(1200));
    let quiet = [vec![], [vec![0], quiet].concat(), [vec![1], blocks].concat()];
    quiet.into_iter().chain(random).chain([surveys()]).collect()
}

/// A client follows everything, lanes go on, and whenever an epoch begins a liar says that they got further, then
/// shows batches, or asks itself.
fn surveys() -> Vec<u8> {
    let subscribe = vec![24, 0, 0, 0, 3, 0, 1];
    let round = |at: u8| {
        let publish = [20, at, 1 + 4 * at, 1, 2, at, at, 0];
        let stored = [0, 0, 0].repeat(12).into_iter().chain([12, 0, 12, 1, 12, 2]).chain([0, 0, 0].repeat(6));
        let block = [17, 0, 18, 1, 18, 2];
        let claim = [30, 0, 23, at, 1, at, at, 0, 2, at, 0, 1, 6, 9, 9, 1, at, 1, 7, 9, 9, 1, 9, 0, at];
        let later = [19, 0, 200, 19, 0, 200];
        let show = [30, 0, 15, at, 1, 0, 0, 1, 0, at, 1, 1, at, at, 0, at, 1, at, 2, at, 3, 0];
        let ask = [30, 0, 22, at, at, 0, 9, 0, 1, 30, 0, 24, at, 3, at, 0, 2];
        publish.into_iter().chain(stored).chain(block).chain(claim).chain(later).chain(show).chain(ask)
    };
    [1].into_iter().chain(subscribe).chain((0..24).flat_map(round)).collect()
}
