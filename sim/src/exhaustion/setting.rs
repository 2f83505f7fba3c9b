//! What does not change during a search: who takes part, what was signed, and a founded partition on the chain.
//!
//! Signatures are keyed hashes behind the kernel's verifier port. They cannot be made for somebody else by accident,
//! and the liar makes none for others on purpose, which is all that the protocol asks of cryptography.

use std::sync::Arc;

use weir_kernel::agreement::LaneHead;
use weir_kernel::batch::{LaneWriter, NewEvent, content_type};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{
    Block, Call, Contracts, Fact, Params, State, begin_block, decide, evolve, useful_changes,
};
use weir_kernel::hash::keccak256;
use weir_kernel::ids::{Address, BrokerIndex, Hash, LaneId, PartitionId, StreamPartition};
use weir_kernel::signature::{KEYED_HASH, KeyedReportVerifier, keyed_hash};
use weir_kernel::verify::{Verified, verify};
use weir_kernel::wire::Domain;

use super::bounds::{Bounds, Sabotage};

/// The one partition.
pub const PARTITION: PartitionId = PartitionId(0);

/// The chain's id and the coordinator that reports are made out to.
pub const DOMAIN: Domain = Domain { chain_id: 31_337, coordinator: Address([0xC0; 20]) };

/// The publisher's edge: it is no broker, and only its `Append`s and what it is told matter.
pub const EDGE: Address = Address([0xED; 20]);

const HOLDER: Address = Address([0xFF; 20]);
const PUBLISHER: Address = Address([0xAA; 20]);
const CONTRACTS: Contracts = Contracts::of(DOMAIN.coordinator, Address([0xC1; 20]), Address([0xC2; 20]));

/// The account of a broker, by its place.
pub fn address(broker: usize) -> Address {
    Address([broker as u8 + 1; 20])
}

/// The place of a broker, by its account.
pub fn place(address: Address) -> usize {
    usize::from(address.0[0]) - 1
}

/// The index on chain of a broker, by its place.
pub fn index(broker: usize) -> BrokerIndex {
    BrokerIndex(broker as u32 + 1)
}

/// A broker's name in a trace.
pub fn name(broker: usize) -> char {
    char::from(b'A' + broker as u8)
}

/// A batch that the publisher signed.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its lane.
    pub lane: LaneId,
    /// Its first event.
    pub sequence: u64,
    /// The head of the lane after it.
    pub head: LaneHead,
    /// The chain's height from which on it may arrive.
    pub from_height: u64,
    /// The signed batch.
    pub bytes: Arc<[u8]>,
}

/// What a search starts from.
#[derive(Debug)]
pub struct Setting {
    /// How far it goes.
    pub bounds: Bounds,
    /// The chain's states before the start: the first without any seat, the last in the partition's first epoch.
    pub history: Vec<Arc<State>>,
    /// Everything that the publisher signed.
    pub published: Vec<Published>,
    /// The lanes, in the order of the bounds.
    pub lanes: Vec<LaneId>,
}

impl Setting {
    /// The world of these bounds.
    pub fn new(bounds: Bounds) -> Self {
        assert!(bounds.epoch_blocks >= 2, "a round of sealing has two blocks");
        assert!(!bounds.liar || bounds.replicas >= 4, "three replicas tolerate no liar");
        let history =
            (0..1_000).find_map(|salt| founded(&bounds, salt)).expect("some draw is the better one");
        let start = history.last().expect("it has a start").height;
        let stream = *history[0].streams.keys().next().expect("a stream was created");
        let slot = StreamPartition { stream, partition: 0 };
        let (published, lanes) = publish(&bounds, slot, history[0].height, start);
        Self { bounds, history, published, lanes }
    }

    /// The height of the start.
    pub fn start_height(&self) -> u64 {
        self.history.last().expect("it has a start").height
    }

    /// q, as it is specified.
    pub fn quorum(&self) -> usize {
        let (replicas, liars) =
            (usize::from(self.bounds.replicas), usize::from(self.bounds.replicas - 1) / 3);
        (replicas + liars) / 2 + 1
    }

    /// Whether this mistake is made.
    pub fn has(&self, sabotage: Sabotage) -> bool {
        self.bounds.sabotage == Some(sabotage)
    }
}

fn publish(
    bounds: &Bounds,
    slot: StreamPartition,
    opening_block: u64,
    start: u64,
) -> (Vec<Published>, Vec<LaneId>) {
    let lane_count = bounds.publications.iter().map(|publication| publication.lane + 1).max().unwrap_or(0);
    let mut writers: Vec<LaneWriter> = (0..lane_count)
        .map(|lane| LaneWriter::new(slot, PUBLISHER, opening_block, [lane as u8; 16], Hash::ZERO, KEYED_HASH))
        .collect();
    let lanes = writers.iter().map(LaneWriter::lane).collect();
    let signed = bounds.publications.iter().map(|publication| {
        let writer = &mut writers[publication.lane];
        let unsigned = writer
            .next_batch(vec![NewEvent::new(1, content_type::TEXT, b"x".as_slice())])
            .expect("one small event fits");
        let signature = keyed_hash(&PUBLISHER, &unsigned.signing_hash(DOMAIN.chain_id));
        let batch = unsigned.sign(signature).expect("the lane is signed with this type");
        let batch: Verified<_> = verify(Arc::clone(batch.bytes()), DOMAIN.chain_id, &KeyedReportVerifier)
            .expect("it was just signed");
        Published {
            lane: batch.lane(),
            sequence: batch.header().sequence,
            head: LaneHead {
                lane: batch.lane(),
                next_sequence: batch.header().next_sequence(),
                volume: batch.header().volume,
                digest: batch.digest(),
            },
            from_height: start + publication.after_blocks,
            bytes: Arc::clone(batch.bytes()),
        }
    });
    (signed.collect(), lanes)
}

/// The coordinator with every first member seated; with a handover, the newcomer's better draw recorded and proposed
/// in the same epoch. `None` if the draws that follow from `salt` are not so.
fn founded(bounds: &Bounds, salt: u64) -> Option<Vec<Arc<State>>> {
    let params = Params {
        replicas: bounds.replicas,
        partitions: 1,
        epoch_blocks: bounds.epoch_blocks,
        ..Params::default()
    };
    let mut chain = Founding { state: State::new(DOMAIN.chain_id, CONTRACTS, params), salt };
    chain.mine();
    let supply = Fact::Transfer { from: Address::ZERO, to: HOLDER, value: 1_000_000_000 * DATA };
    chain.apply(&[supply]);
    chain.must(HOLDER, Call::Transfer { to: CONTRACTS.coordinator, value: 1_000_000 * DATA });
    let (name, description) = ("events".to_string(), String::new());
    let create =
        Call::CreateStream { name, description, partitions: 1, public_subscribe: true, public_publish: true };
    chain.must(HOLDER, create);
    for broker in (0..bounds.brokers()).map(address) {
        chain.must(HOLDER, Call::Transfer { to: broker, value: 100_000 * DATA });
        chain.must(broker, Call::Approve { spender: CONTRACTS.coordinator, value: u128::MAX });
        let stake = chain.state.params.ticket_stake;
        let (endpoint, tls_key_hash) = ("127.0.0.1:1".to_string(), Hash([9; 32]));
        chain.must(broker, Call::Register { stake, endpoint, tls_key_hash });
    }
    (0..=chain.state.params.draw_delay).for_each(|_| chain.mine());
    while !chain.state.height.is_multiple_of(bounds.epoch_blocks) {
        chain.mine();
    }
    let mut history = vec![Arc::new(chain.state.clone())];
    let members = usize::from(bounds.replicas);
    (0..members).for_each(|broker| chain.must(HOLDER, Call::RecordDraw { index: index(broker) }));
    let changes = useful_changes(&chain.state, 64);
    chain.must(HOLDER, Call::Rebalance(changes));
    if bounds.handover {
        chain.must(HOLDER, Call::RecordDraw { index: index(members) });
        let changes = useful_changes(&chain.state, 64);
        chain.must(HOLDER, Call::Rebalance(changes));
        let target = chain.state.partitions[0].target;
        // The liar is a member throughout: the newcomer takes an honest broker's seat.
        let liar_stays = bounds.liar().is_none_or(|liar| target.contains(index(liar)));
        if !target.contains(index(members)) || !liar_stays {
            return None;
        }
    }
    let partition = &chain.state.partitions[0];
    assert!(partition.founded, "every seat is filled");
    let first_epoch = partition.since_epoch;
    while chain.state.epoch() < first_epoch {
        chain.mine();
        history.push(Arc::new(chain.state.clone()));
    }
    Some(history)
}

struct Founding {
    state: State,
    salt: u64,
}

impl Founding {
    fn mine(&mut self) {
        let (number, timestamp_s) = (self.state.height + 1, self.state.timestamp_s + 1);
        begin_block(&mut self.state, number, timestamp_s);
    }

    fn must(&mut self, from: Address, call: Call) {
        let salt = self.salt;
        let hash_of = |number: u64| Some(keccak256(&[&salt.to_be_bytes(), &number.to_be_bytes()]));
        let (number, timestamp_s) = (self.state.height, self.state.timestamp_s);
        let block = Block { number, timestamp_s, hash_of: &hash_of };
        let facts = decide(&self.state, block, from, call).expect("the network can be set up");
        self.apply(&facts);
    }

    fn apply(&mut self, facts: &[Fact]) {
        let block = weir_kernel::coordinator::Block {
            number: self.state.height,
            timestamp_s: self.state.timestamp_s,
            hash_of: &|_| None,
        }
        .reference();
        facts.iter().for_each(|fact| evolve(&mut self.state, block, fact));
    }
}
