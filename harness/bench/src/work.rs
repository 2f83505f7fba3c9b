//! The pieces of work that are counted: what a broker does for a full batch, and for one of a single event.

use std::hint::black_box;
use std::sync::Arc;

use weir_kernel::agreement::LaneHead;
use weir_kernel::batch::{Batch, LaneWriter, NewEvent, content_type, event_leaf};
use weir_kernel::broker::{Input, Message, Output, Shard};
use weir_kernel::coordinator::{BlockRef, Contracts, Fact, Params, Permission, Seats, State, evolve};
use weir_kernel::hash::sha256;
use weir_kernel::ids::{Address, BrokerIndex, Hash, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::Checkpoint;
use weir_kernel::merkle;
use weir_kernel::signature::{SECP256K1, SecretKey, Signature};
use weir_kernel::time::Now;
use weir_kernel::verify::{Verifier, verify};
use weir_kernel::wire::{self, Domain};
use weir_node::verifier::NativeVerifier;

/// A piece of work: its name, and what prepares it and does it within [`counted`].
type Work = (&'static str, fn());

/// All of them.
pub const ALL: [Work; 8] = [
    ("verify.batch256", || verified(256)),
    ("verify.single", || verified(1)),
    ("tree.batch256", tree),
    ("step.batch256", || stored(256)),
    ("step.single", || stored(1)),
    ("encode.append", encoded),
    ("decode.append", || decoded(&append())),
    ("decode.acknowledge", || decoded(&acknowledge())),
];

const CHAIN_ID: u64 = 31_337;
const STREAM: StreamId = StreamId([0x57; 20]);
const SLOT: StreamPartition = StreamPartition { stream: STREAM, partition: 0 };
const EDGE: Address = Address([0xed; 20]);
const TIME_MS: u64 = 1_517_883_125_695;

/// Instructions are counted while this runs, and only then: valgrind knows it by its name.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// Does a piece of work by its name; `false` if there is none of that name.
pub fn run(name: &str) -> bool {
    let found = ALL.iter().find(|(of, _)| *of == name);
    found.inspect(|(_, work)| work()).is_some()
}

fn domain() -> Domain {
    Domain { chain_id: CHAIN_ID, coordinator: Address::ZERO }
}

fn writer(opening_block: u64) -> LaneWriter {
    let origin = key().address();
    LaneWriter::new(SLOT, origin, opening_block, [7; 16], Hash::ZERO, SECP256K1)
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[9; 32]).expect("a valid key")
}

/// Events of a hundred bytes.
fn events(count: usize) -> Vec<NewEvent> {
    let content = |nth: usize| {
        let start = r#"{"time":1517883125695,"mag":0.8,"place":"7km NNW of Greenville, California","nth":"#;
        format!("{start}{nth:>width$}}}", width = 99 - start.len())
    };
    (0..count).map(|nth| NewEvent::new(TIME_MS, content_type::JSON, content(nth))).collect()
}

/// The next batch of a lane, signed.
fn batch(lane: &mut LaneWriter, count: usize) -> Batch {
    let unsigned = lane.next_batch(events(count)).expect("within bounds");
    let signature = Signature::Secp256k1(key().sign_hash(&unsigned.signing_hash(CHAIN_ID)));
    unsigned.sign(signature).expect("the lane is signed with this type")
}

/// Takes every signature for right: what is counted is all the rest.
struct Unchecked;

impl Verifier for Unchecked {
    fn verify(&self, _: u8, _: &Address, _: &Hash, _: &[u8]) -> bool {
        true
    }
}

/// Format, tree and signature of a batch, as a broker checks them.
fn verified(count: usize) {
    let bytes = batch(&mut writer(1), count).bytes().clone();
    let work = |bytes| verify(bytes, CHAIN_ID, &NativeVerifier).expect("it is signed");
    work(Arc::clone(&bytes));
    counted(|| work(bytes));
}

/// Leaves and root of a full batch's events.
fn tree() {
    let bodies: Vec<Vec<u8>> = events(256).into_iter().map(|event| event.content).collect();
    let work = || {
        let leaves: Vec<Hash> = (0..).zip(&bodies).map(|(nth, body)| event_leaf(nth, body)).collect();
        merkle::root(&leaves)
    };
    work();
    counted(work);
}

fn append() -> Vec<u8> {
    let batch = batch(&mut writer(1), 256);
    wire::encode(&Message::Append { partition: PartitionId(0) }, &[batch.bytes().clone()])
}

fn encoded() {
    let batches = [batch(&mut writer(1), 256).bytes().clone()];
    let message = Message::Append { partition: PartitionId(0) };
    wire::encode(&message, &batches);
    counted(|| wire::encode(&message, &batches));
}

fn acknowledge() -> Vec<u8> {
    let head = |nth: u8| LaneHead {
        next_sequence: 256 * u64::from(nth),
        volume: 25_600 * u64::from(nth),
        digest: sha256(&[&[nth]]),
        ..LaneHead::empty(LaneId(sha256(&[b"lane", &[nth]]).0))
    };
    let heads = (0..8).map(head).collect();
    wire::encode(&Message::Acknowledge { partition: PartitionId(0), epoch: 3, heads }, &[])
}

fn decoded(frame: &[u8]) {
    let work = || wire::decode(frame, EDGE, domain(), &Unchecked).expect("it is a frame");
    work();
    counted(work);
}

/// What the kernel does for a batch from an edge: takes it, and acknowledges it once it is on disk.
fn stored(count: usize) {
    let me = Address([1; 20]);
    let [before, view] = views(me);
    let now = Now { monotonic_us: 1_000_000, wall_ms: TIME_MS };
    let partition = view.home(SLOT);
    let mut shard = Shard::open(me, Arc::clone(&before), &Checkpoint::default()).expect("nobody's store");
    let mut outputs = Vec::new();
    for view in [before, Arc::clone(&view)] {
        shard.step(now, Input::Chain(view), &mut outputs);
        sync(&mut shard, now, &mut outputs);
    }
    let mut lane = writer(view.height);
    // The second batch is counted: the first one opens the lane.
    for nth in 0..2 {
        let batch = batch(&mut lane, count).bytes().clone();
        let frame = wire::encode(&Message::Append { partition }, &[batch]);
        let received = wire::decode(&frame, EDGE, domain(), &Unchecked).expect("it is a frame");
        outputs.clear();
        let work = || {
            shard.step(now, Input::Peer(EDGE, received), &mut outputs);
            sync(&mut shard, now, &mut outputs);
        };
        if nth == 0 {
            work()
        } else {
            counted(work)
        }
        let acknowledged = |output: &Output| matches!(output, Output::Send(to, Message::Acknowledge { .. }, _) if *to == EDGE);
        assert!(outputs.iter().any(acknowledged), "the batch is taken and acknowledged: {outputs:?}");
    }
}

/// Tells the kernel that what it wrote is on disk.
fn sync(shard: &mut Shard, now: Now, outputs: &mut Vec<Output>) {
    let last = outputs.iter().rev().find_map(|output| match output {
        Output::Write(index, _) => Some(*index),
        _ => None,
    });
    if let Some(last) = last {
        shard.step(now, Input::Durable(last), outputs);
    }
}

/// A network of one broker and an edge, with a stream for everybody: before the broker has its seats, and after.
fn views(me: Address) -> [Arc<State>; 2] {
    let params = Params { replicas: 1, partitions: 1, ..Params::default() };
    let mut view = State::new(CHAIN_ID, Contracts::default(), params);
    view.height = view.first_block_of(3);
    let block = BlockRef { number: view.height, timestamp_s: 1 };
    let broker = |index, broker| Fact::BrokerRegistered {
        index: BrokerIndex(index),
        broker,
        stake: 1,
        tickets: 1,
        endpoint: "127.0.0.1:1".into(),
        tls_key_hash: Hash::ZERO,
        draw_block: 0,
    };
    let permission = Permission { publish_until: u64::MAX, ..Permission::default() };
    let facts = [
        broker(1, me),
        broker(2, EDGE),
        Fact::StreamCreated {
            stream: STREAM,
            owner: me,
            name: "counted".into(),
            description: String::new(),
            partitions: 1,
        },
        Fact::PermissionSet { stream: STREAM, user: Address::ZERO, permission },
    ];
    facts.iter().for_each(|fact| evolve(&mut view, block, fact));
    let before = Arc::new(view.clone());
    view.height += 1;
    let (epoch, members) = (view.epoch(), Seats::of_brokers([BrokerIndex(1)]));
    let block = BlockRef { number: view.height, timestamp_s: 2 };
    let installed = Fact::MembersInstalled { partition: PartitionId(0), since_epoch: epoch, members };
    evolve(&mut view, block, &installed);
    for partition in Arc::make_mut(&mut view.partitions) {
        (partition.members, partition.target, partition.founded) = (members, members, true);
        (partition.since_epoch, partition.founded_epoch, partition.sealed_epoch) = (epoch, epoch, epoch - 1);
    }
    [before, Arc::new(view)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_does_what_it_says() {
        for (name, _) in ALL {
            assert!(run(name), "{name}");
        }
        assert!(!run("nothing"));
        assert!(events(256).iter().all(|event| event.content.len() == 100));
    }
}
