//! A network of one broker that keeps, as the chain would show it, and signed batches to bring to it.
// Several programs use it, none of them all of it.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_kernel::batch::{Batch, LaneWriter, NewEvent, content_type};
use weir_kernel::coordinator::{BlockRef, Contracts, Fact, Params, Permission, Seats, State, evolve};
use weir_kernel::ids::{Address, BrokerIndex, Hash, PartitionId, StreamId, StreamPartition};
use weir_kernel::signature::{SECP256K1, SecretKey, Signature};
use weir_kernel::wire::Domain;

/// The stream that everybody may publish to.
pub const STREAM: StreamId = StreamId([0x57; 20]);

/// The chain's id.
pub const CHAIN_ID: u64 = 31337;

/// The stream's partitions.
pub const SLOTS: u32 = 8;

/// Content bytes of an event.
const CONTENT_BYTES: usize = 100;

/// A broker as the chain lists it.
#[derive(Clone, Copy)]
pub struct Listed {
    /// Its account.
    pub address: Address,
    /// Where it listens.
    pub endpoint: SocketAddr,
    /// The hash of its TLS key.
    pub tls_key_hash: Hash,
}

impl Listed {
    /// A broker that nobody connects to.
    pub fn unreachable(address: Address) -> Self {
        Self { address, endpoint: SocketAddr::from(([127, 0, 0, 1], 1)), tls_key_hash: Hash::ZERO }
    }
}

/// What reports are made out to.
pub fn domain() -> Domain {
    Domain { chain_id: CHAIN_ID, coordinator: Contracts::default().coordinator }
}

/// The chain before the first broker has its seats, R = 1, and after. The second is a broker without any.
pub fn views(keeper: Listed, edge: Listed) -> [Arc<State>; 2] {
    let params = Params { replicas: 1, partitions: 2, ..Params::default() };
    let mut view = State::new(CHAIN_ID, Contracts::default(), params);
    view.height = view.first_block_of(3);
    let block = BlockRef { number: view.height, timestamp_s: 1 };
    for (index, broker) in (1..).map(BrokerIndex).zip([keeper, edge]) {
        let registered = Fact::BrokerRegistered {
            index,
            broker: broker.address,
            stake: 1,
            tickets: 1,
            endpoint: broker.endpoint.to_string(),
            tls_key_hash: broker.tls_key_hash,
            draw_block: 0,
        };
        evolve(&mut view, block, &registered);
    }
    let (owner, name, description) = (keeper.address, String::from("load"), String::new());
    let created = Fact::StreamCreated { stream: STREAM, owner, name, description, partitions: SLOTS };
    let permission = Permission { publish_until: u64::MAX, ..Permission::default() };
    let opened = Fact::PermissionSet { stream: STREAM, user: Address::ZERO, permission };
    [created, opened].iter().for_each(|fact| evolve(&mut view, block, fact));
    let before = Arc::new(view.clone());
    view.height += 1;
    let (epoch, members) = (view.epoch(), Seats::of_brokers([BrokerIndex(1)]));
    let block = BlockRef { number: view.height, timestamp_s: 2 };
    for partition in (0..view.params.partitions).map(PartitionId) {
        evolve(&mut view, block, &Fact::MembersInstalled { partition, since_epoch: epoch, members });
    }
    for partition in Arc::make_mut(&mut view.partitions) {
        (partition.members, partition.target, partition.founded) = (members, members, true);
        (partition.since_epoch, partition.founded_epoch, partition.sealed_epoch) = (epoch, epoch, epoch - 1);
    }
    [before, Arc::new(view)]
}

/// Milliseconds since 1970 UTC.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A lane that is published to.
pub struct Publisher {
    key: SecretKey,
    writer: LaneWriter,
    /// The partition that it lives in.
    pub home: PartitionId,
    batches: usize,
}

impl Publisher {
    /// A new lane; `number` tells those of one slot apart.
    pub fn new(key: &SecretKey, slot: StreamPartition, home: PartitionId, height: u64, number: u64) -> Self {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        nonce[8..].copy_from_slice(&wall_ms().to_be_bytes());
        let writer = LaneWriter::new(slot, key.address(), height, nonce, Hash::ZERO, SECP256K1);
        Self { key: key.clone(), writer, home, batches: 0 }
    }

    /// The next batch of so many events of a hundred bytes.
    pub fn next(&mut self, chain_id: u64, events: usize) -> Batch {
        self.batches += 1;
        let content = |event: usize| {
            let mut text = format!("{{\"batch\":{},\"event\":{event},\"filler\":\"", self.batches);
            while text.len() < CONTENT_BYTES - 2 {
                text.push(char::from(b'a' + (text.len() % 26) as u8));
            }
            text + "\"}"
        };
        let time_ms = wall_ms();
        let events = (0..events).map(|event| NewEvent::new(time_ms, content_type::JSON, content(event)));
        let unsigned = self.writer.next_batch(events.collect()).expect("within bounds");
        let signature = Signature::Secp256k1(self.key.sign_hash(&unsigned.signing_hash(chain_id)));
        unsigned.sign(signature).expect("the lane is signed with this type")
    }
}

/// A lane in each of the stream's partitions.
pub fn publishers(view: &State, count: u32) -> Vec<Publisher> {
    let key = SecretKey::from_bytes(&[9; 32]).expect("a valid key");
    let lane = |number| {
        let slot = StreamPartition { stream: STREAM, partition: number % SLOTS };
        Publisher::new(&key, slot, view.home(slot), view.height, u64::from(number))
    };
    (0..count).map(lane).collect()
}
