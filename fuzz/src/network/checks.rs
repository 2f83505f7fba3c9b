//! What must hold in every run: the promises of the kernel's first page, watched from outside.
//!
//! | when | what |
//! | --- | --- |
//! | a client hears *stored* | so many honest disks hold the batch that with the liar they are q |
//! | a client hears *sealed* | the chain has sealed an epoch of the partition since the batch was signed |
//! | events are delivered | within an honest lane each once and in order |
//! | a cut is adopted | its checksum is the one on chain |
//! | a report is sent | its sender sends no other for the same epoch, round and previous |
//! | after the calm | every partition is sealed, all brokers agree, and everything that was *stored* is there and delivered |

use std::collections::BTreeMap;

use weir_kernel::batch::{Batch, SignedHeader};
use weir_kernel::broker::{Level, Message, Reply, SessionId, Trace};
use weir_kernel::coordinator::Entry;
use weir_kernel::ids::{Address, Epoch, Hash, LaneId, PartitionId};
use weir_kernel::log::Chunk;
use weir_kernel::signature::KeyedReportVerifier;
use weir_kernel::verify::Verified;
use weir_kernel::wire;

use super::broker::Broker;
use super::chain::Chain;
use super::publisher::Lane;
use crate::verifier::DOMAIN;

/// A session at a broker: its place in the list, and the session.
type Client = (usize, SessionId);

/// The identity under which at most one report is ever sent.
type ReportKey = (Address, PartitionId, Epoch, u32, Hash);

/// What was promised so far.
#[derive(Debug, Default)]
pub struct Checks {
    /// Batches that clients asked to publish: lane, and sequence after it.
    asked: BTreeMap<(Client, u64), (usize, u64)>,
    /// For each honest lane, events that some client heard to be stored.
    stored: BTreeMap<LaneId, u64>,
    /// The next sequence that a subscription expects.
    delivered: BTreeMap<(Client, u64, LaneId), u64>,
    reports: BTreeMap<ReportKey, Entry>,
    lost_disks: Vec<Address>,
    adopted: BTreeMap<(PartitionId, Epoch), Hash>,
}

impl Checks {
    /// A client asks to publish a batch.
    pub fn asked(&mut self, client: Client, request: u64, lane: usize, batch: &Verified<Batch>) {
        self.asked.insert((client, request), (lane, batch.header().next_sequence()));
    }

    /// A session ended: it hears nothing more.
    pub fn forget(&mut self, client: Client) {
        self.delivered.retain(|(of, ..), _| *of != client);
    }

    /// A broker stopped, and its sessions with it.
    pub fn forget_broker(&mut self, who: usize) {
        self.delivered.retain(|((of, _), ..), _| *of != who);
        self.asked.retain(|((of, _), _), _| *of != who);
    }

    /// A broker's disk is gone, and its memory of what it signed.
    pub fn lost_disk(&mut self, broker: Address) {
        self.lost_disks.push(broker);
    }

    /// An honest broker sends a frame.
    pub fn on_frame(&mut self, from: Address, bytes: &[u8]) {
        let received = wire::decode(bytes, from, DOMAIN, &KeyedReportVerifier)
            .unwrap_or_else(|error| panic!("an honest broker's frame is refused: {error}"));
        let Message::Report(report) = received.message() else { return };
        let entry = report.entry;
        let key = (from, entry.partition, entry.epoch, entry.round, entry.previous);
        let before = *self.reports.entry(key).or_insert(entry);
        assert_eq!(before, entry, "a broker reports once for an epoch, round and previous");
    }

    /// A broker tells its operator something.
    pub fn on_trace(&mut self, trace: &Trace, chain: &Chain) {
        match trace {
            Trace::SealAdopted(partition, epoch, checksum) => {
                assert_eq!(chain.sealed(*partition, *epoch), Some(*checksum), "what is adopted is sealed");
                let before = *self.adopted.entry((*partition, *epoch)).or_insert(*checksum);
                assert_eq!(before, *checksum, "one checksum is sealed for an epoch");
            }
            Trace::RowDamaged(what) => panic!("a row that the kernel wrote is damaged: {what}"),
            _ => {}
        }
    }

    /// A client hears something. `lost` counts the liar and lost disks.
    pub fn on_reply(
        &mut self,
        client: Client,
        reply: &Reply,
        lanes: &[Lane],
        brokers: &[Broker],
        lost: usize,
    ) {
        match reply {
            Reply::Published { request, lane, next_sequence, level } => {
                let Some((place, asked)) = self.asked.get(&(client, *request)) else { return };
                let published = &lanes[*place];
                assert_eq!((*lane, *next_sequence), (published.id, *asked), "the answer names the batch");
                if *level >= Level::Stored && !published.forges {
                    self.check_stored(*lane, *next_sequence, brokers, lost);
                }
            }
            Reply::Live { request, batch, first, .. } => {
                let header = batch.header();
                assert!(*first < header.count, "something is delivered");
                let from = header.sequence + u64::from(*first);
                self.deliver((client, *request, batch.lane()), from, header.next_sequence(), lanes);
            }
            Reply::Chunk { request, chunk, .. } => self.on_chunk(client, *request, chunk, lanes),
            Reply::Refused { refusal, .. } => assert!(!refusal.reason.is_empty(), "a refusal says why"),
            Reply::End { .. } | Reply::CaughtUp { .. } | Reply::Withdrawn { .. } => {}
        }
    }

    fn check_stored(&mut self, lane: LaneId, next: u64, brokers: &[Broker], lost: usize) {
        let holding = brokers
            .iter()
            .filter(|broker| broker.durable.get(&lane).is_some_and(|held| *held >= next))
            .count();
        assert!(
            holding + lost >= 3,
            "stored means a quorum of disks: {holding} hold lane {lane} up to {next}"
        );
        let stored = self.stored.entry(lane).or_default();
        *stored = (*stored).max(next);
    }

    fn on_chunk(&mut self, client: Client, request: u64, chunk: &Chunk, lanes: &[Lane]) {
        let headers: Vec<_> = chunk.batches.iter().map(|bytes| header_of(bytes)).collect();
        for slice in &chunk.order {
            let header =
                headers.get(slice.batch as usize).expect("a slice names a batch of its chunk").header;
            assert!(slice.count > 0 && slice.first < header.count, "a slice has events");
            assert!(slice.count <= header.count - slice.first, "a slice ends within its batch");
            let from = header.sequence + u64::from(slice.first);
            let to = from + u64::from(slice.count);
            if client.1 != SessionId(1) {
                self.deliver((client, request, header.lane()), from, to, lanes);
            }
        }
    }

    /// Events of a lane reach a client; readings by time may begin anywhere in it.
    fn deliver(&mut self, key: (Client, u64, LaneId), from: u64, to: u64, lanes: &[Lane]) {
        let is_honest = lanes.iter().any(|lane| lane.id == key.2 && !lane.forges);
        let next = self.delivered.entry(key).or_insert(from);
        if is_honest {
            assert!(from >= *next, "events of a lane come once and in order: {from} after {next}");
        }
        *next = to;
    }

    /// What holds between any two steps.
    pub fn after_step(&self, brokers: &[Broker], chain: &Chain) {
        for summary in brokers.iter().flat_map(|broker| broker.shard().summaries()) {
            let partition = chain.state().partition(summary.partition).expect("it exists");
            assert!(summary.sealed_epoch <= partition.sealed_epoch, "no broker is ahead of the chain");
            if summary.sealed_epoch == partition.sealed_epoch {
                assert_eq!(summary.checksum, partition.checksum);
            }
        }
    }

    /// What holds once everything has arrived and some quiet epochs have passed.
    pub fn after_calm(&self, brokers: &[Broker], chain: &Chain, lanes: &[Lane], witness: SessionId) {
        let state = chain.state();
        for (partition, id) in state.partitions.iter().zip(0..) {
            let behind = state.epoch() - partition.sealed_epoch;
            assert!(
                behind <= 2,
                "partition {id} is sealed up to {}, {behind} epochs ago",
                partition.sealed_epoch
            );
        }
        for (broker, who) in brokers.iter().zip(0..) {
            let mut held = BTreeMap::new();
            for summary in broker.shard().summaries() {
                assert!(summary.serves, "broker {who} serves partition {}", summary.partition);
                assert_eq!(summary.unsealed_events, 0, "broker {who} partition {}", summary.partition);
                held.extend(summary.lanes);
            }
            for (lane, stored) in &self.stored {
                let here = held.get(lane).copied().unwrap_or(0);
                assert!(
                    here >= *stored,
                    "broker {who} holds {here} of {stored} stored events of lane {lane}"
                );
                let got = self.delivered.get(&((who, witness), 1, *lane)).copied().unwrap_or(0);
                assert!(
                    got >= *stored,
                    "broker {who} delivered {got} of {stored} stored events of lane {lane}"
                );
            }
        }
        for lane in self.stored.keys() {
            assert!(lanes.iter().any(|known| known.id == *lane && !known.forges));
        }
    }
}

fn header_of(bytes: &[u8]) -> SignedHeader {
    Batch::decode(bytes.into()).expect("only valid batches are delivered").signed_header()
}
