//! A broker of two shards: what one says to the other, and what only one of them does.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::batch::{Batch, LaneWriter, NewEvent, content_type};
use crate::broker::duties::fixture;
use crate::broker::io::{Command, From, Level, Reading, Reply, SessionId};
use crate::broker::sharding::{Addressee, Shards};
use crate::coordinator::{BlockRef, Contracts, Fact, Intent, Params, Permission, Seats, evolve};
use crate::ids::{Hash, StreamId, StreamPartition};
use crate::log::Record;
use crate::signature::{KEYED_HASH, keyed_hash};
use crate::verify::{Verified, Verifier, verify};

const ME: Address = Address([1; 20]);
const PUBLISHER: Address = Address([2; 20]);
const STREAM: StreamId = StreamId([8; 20]);
const TIME_MS: u64 = 1_700_000_000_000;

/// Takes every signature for right.
struct Unchecked;

impl Verifier for Unchecked {
    fn verify(&self, _: u8, _: &Address, _: &Hash, _: &[u8]) -> bool {
        true
    }
}

/// A network of this broker alone, with two partitions and a stream for everybody.
fn view() -> State {
    let params = Params { replicas: 1, partitions: 2, ..Params::default() };
    let mut view = State::new(1, Contracts::default(), params);
    view.height = view.first_block_of(3);
    let block = BlockRef { number: view.height, timestamp_s: 1 };
    let permission =
        Permission { publish_until: u64::MAX, subscribe_until: u64::MAX, ..Permission::default() };
    let facts = [
        Fact::BrokerRegistered {
            index: BrokerIndex(1),
            broker: ME,
            stake: 1,
            tickets: 1,
            endpoint: "127.0.0.1:1".into(),
            tls_key_hash: Hash::ZERO,
            draw_block: 0,
        },
        Fact::StreamCreated {
            stream: STREAM,
            owner: ME,
            name: "divided".into(),
            description: String::new(),
            partitions: 8,
        },
        Fact::PermissionSet { stream: STREAM, user: Address::ZERO, permission },
    ];
    facts.iter().for_each(|fact| evolve(&mut view, block, fact));
    let (epoch, members) = (view.epoch(), Seats::of_brokers([BrokerIndex(1)]));
    for partition in (0..2).map(PartitionId) {
        let installed = Fact::MembersInstalled { partition, since_epoch: epoch, members };
        evolve(&mut view, block, &installed);
    }
    for partition in Arc::make_mut(&mut view.partitions) {
        (partition.members, partition.target, partition.founded) = (members, members, true);
        (partition.since_epoch, partition.founded_epoch, partition.sealed_epoch) = (epoch, epoch, epoch - 1);
    }
    view
}

/// What a shard remembers of when its partitions want to be woken is what they say.
fn assert_wakes(shard: &Shard) {
    let wakes = shard.machines.partitions.iter().flat_map(|(id, (replica, sealer))| {
        let of_replica = replica.deadline().map(|at_us| (at_us, Why::Replica(id)));
        of_replica.into_iter().chain(sealer.deadline().map(|at_us| (at_us, Why::Sealer(id))))
    });
    assert_eq!(shard.machines.partitions.deadline(), wakes.min());
}

/// A broker's shards with a disk that keeps what it must and a router between them.
struct Broker {
    shards: Shards,
    machines: Vec<Shard>,
    view: Arc<State>,
    replies: Vec<(u16, Reply)>,
    intents: Vec<Intent>,
    handed: Vec<(u16, Handed)>,
    reads: Vec<u16>,
    rows: Vec<Vec<Record>>,
}

impl Broker {
    /// A broker that was there before it got its seats.
    fn new(view: State) -> Self {
        let mut before = view.clone();
        before.height -= 1;
        before.reseated = Default::default();
        for partition in Arc::make_mut(&mut before.partitions) {
            (partition.members, partition.target, partition.founded) = (Seats::VACANT, Seats::VACANT, false);
        }
        let (shards, before, view) = (Shards::new(2).unwrap(), Arc::new(before), Arc::new(view));
        let open = |share| {
            let (before, checkpoint) = (Arc::clone(&before), Checkpoint::default());
            Shard::open_share(ME, before, &checkpoint, Rules::sound(), share).unwrap()
        };
        let machines = shards.shares().map(open).collect();
        let (replies, intents, handed, reads) = Default::default();
        let rows = vec![Vec::new(); 2];
        let mut broker =
            Self { shards, machines, view: Arc::clone(&view), replies, intents, handed, reads, rows };
        for (view, shard) in [(&before, 0), (&before, 1), (&view, 0), (&view, 1)] {
            broker.step(shard, Input::Chain(Arc::clone(view)));
        }
        broker
    }

    fn client(&mut self, session: u64, command: Command) {
        let session = SessionId(session);
        match self.shards.of_command(&command, &self.view) {
            Addressee::One(shard) => self.step(shard, Input::Client(session, command)),
            Addressee::All => {
                (0..2).for_each(|shard| self.step(shard, Input::Client(session, command.clone())))
            }
        }
    }

    /// Steps until nothing is left to do. Disks are at once, and hold no batches that are asked for.
    fn step(&mut self, shard: u16, input: Input) {
        let mut inputs = VecDeque::from([(shard, input)]);
        while let Some((shard, input)) = inputs.pop_front() {
            let mut outputs = Vec::new();
            let now = Now { monotonic_us: 1_000_000, wall_ms: TIME_MS };
            self.machines[usize::from(shard)].step(now, input, &mut outputs);
            assert_wakes(&self.machines[usize::from(shard)]);
            for output in outputs {
                match output {
                    Output::Write(index, records) => {
                        self.rows[usize::from(shard)].extend(records);
                        inputs.push_back((shard, Input::Durable(index)));
                    }
                    Output::Read(token, ..) => {
                        self.reads.push(shard);
                        inputs.push_back((shard, Input::Loaded(token, Chunk::default())));
                    }
                    Output::Hand(to, handed) => {
                        self.handed.push((to, handed.clone()));
                        inputs.push_back((to, Input::Handed(handed)));
                    }
                    Output::Reply(_, reply) => self.replies.push((shard, reply)),
                    Output::Submit(intent) => self.intents.push(intent),
                    Output::Send(to, message, _) => panic!("{message:?} for {to} of a network of one"),
                    Output::Expire(_) | Output::Sign(..) | Output::Event(_) => {}
                }
            }
        }
    }
}

/// A stream partition that lives in partition 1, so with the second shard; its stream's readers are the first shard's.
fn divided(view: &State) -> StreamPartition {
    let shards = Shards::new(2).unwrap();
    assert_eq!(shards.of_stream(STREAM), 0);
    let slots = (0..8).map(|partition| StreamPartition { stream: STREAM, partition });
    slots.into_iter().find(|slot| shards.of_partition(view.home(*slot)) == 1).expect("one in two does")
}

fn batch(view: &State, slot: StreamPartition) -> Verified<Batch> {
    let mut writer = LaneWriter::new(slot, PUBLISHER, view.height, [0; 16], Hash::ZERO, KEYED_HASH);
    let events = vec![NewEvent::new(TIME_MS, content_type::TEXT, "seen by both")];
    let unsigned = writer.next_batch(events).expect("one small event fits");
    let signature = keyed_hash(&PUBLISHER, &unsigned.signing_hash(1));
    let bytes = unsigned.sign(signature).expect("the lane is signed with this type").bytes().clone();
    verify(bytes, 1, &Unchecked).expect("it is signed")
}

#[test]
fn what_one_shard_stores_the_other_delivers() {
    let mut broker = Broker::new(view());
    let slot = divided(&broker.view);
    let (request, stream) = (1, STREAM);
    let partitions = vec![slot.partition];
    broker.client(1, Command::Subscribe { request, stream, partitions, from: From::Latest });
    let batch = batch(&broker.view, slot);
    broker.client(2, Command::Publish { request: 2, batch, level: Level::Stored });
    let stored = |(shard, reply): &(u16, Reply)| {
        *shard == 1 && matches!(reply, Reply::Published { level: Level::Stored, .. })
    };
    assert!(broker.replies.iter().any(stored), "{:?}", broker.replies);
    let live = |(shard, reply): &(u16, Reply)| *shard == 0 && matches!(reply, Reply::Live { request: 1, .. });
    assert!(broker.replies.iter().any(live), "{:?}", broker.replies);
    let told = |(to, handed): &(u16, Handed)| {
        *to == 0
            && matches!(handed, Handed::Stored { slot: at, holders, .. } if *at == slot && holders.contains(&ME))
    };
    assert!(broker.handed.iter().any(told), "readers are told who holds it");
    broker.client(3, Command::Read { request: 3, slot, reading: Reading::Last(1) });
    assert_eq!(broker.reads, [1], "the shard that has the data reads it");
    assert!(matches!(broker.replies.last(), Some((0, Reply::End { request: 3 }))));
}

#[test]
fn each_shard_keeps_its_own_rows_and_refuses_others() {
    let broker = Broker::new(view());
    let checkpoint = |shard: usize| {
        let row = |record: &Record| match record {
            Record::Put { table, key, value } => Some((*table, key.clone(), value.clone())),
            _ => None,
        };
        let mut rows: Vec<_> = broker.rows[shard].iter().filter_map(row).collect();
        rows.sort();
        Checkpoint { rows, ..Checkpoint::default() }
    };
    for share in broker.shards.shares() {
        let open = |rows: usize| {
            Shard::open_share(ME, Arc::clone(&broker.view), &checkpoint(rows), Rules::sound(), share)
        };
        let own = usize::from(share.number());
        let held: Vec<_> = open(own).unwrap().summaries().map(|summary| summary.partition).collect();
        assert_eq!(held, [PartitionId(own as u32)]);
        let misplaced = OpenError::Misplaced(PartitionId(1 - own as u32), share);
        assert_eq!(open(1 - own).err(), Some(misplaced));
    }
}

#[test]
fn a_batch_that_came_to_the_wrong_shard_is_refused_for_the_moment() {
    let mut broker = Broker::new(view());
    let batch = batch(&broker.view, divided(&broker.view));
    let publish = Command::Publish { request: 1, batch, level: Level::Stored };
    broker.step(0, Input::Client(SessionId(1), publish));
    let [(0, Reply::Refused { refusal, .. })] = &broker.replies[..] else { panic!("{:?}", broker.replies) };
    assert_eq!(refusal.code, crate::broker::RefusalCode::Unavailable);
}

#[test]
fn what_a_broker_does_once_only_its_first_shard_does() {
    let mut view = view();
    fixture::broker(&mut view, 1).accrued = crate::limits::CLAIM_MINIMUM;
    fixture::broker(&mut view, 1).draw = None;
    let broker = Broker::new(view);
    let count = |wanted: fn(&Intent) -> bool| broker.intents.iter().filter(|intent| wanted(intent)).count();
    assert_eq!(count(|intent| matches!(intent, Intent::Claim)), 1);
    assert_eq!(count(|intent| matches!(intent, Intent::RecordDraw { .. })), 1);
}
