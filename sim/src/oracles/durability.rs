//! Durability: at the end every replica of a partition keeps everything that was acknowledged (WP 2.4.4, 2.4.8).

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::batch::Header;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, LaneId, PartitionId, StreamPartition};
use weir_kernel::log::{Position, Query};
use weir_store::EventLog;

use crate::clients::published::Publications;
use crate::nodes::Node;
use crate::report::Violation;
use crate::surroundings::note;

/// Bytes of one read.
const BUDGET: usize = 1 << 20;

/// Looks into the logs of all members of all partitions. `serving` are those that were seen ready to serve readers at
/// some time when nothing kept them from it any more: a replica is not while it adopts a cut.
pub fn on_end(
    now_us: u64,
    view: &State,
    nodes: &[Node],
    serving: &BTreeSet<(Address, PartitionId)>,
    publications: &Publications,
    violations: &mut Vec<Violation>,
) {
    let by_address: BTreeMap<Address, &Node> = nodes.iter().map(|node| (node.address, node)).collect();
    let slots = slots_by_home(view);
    for (id, partition) in (0..).map(PartitionId).zip(view.partitions.iter()) {
        let slots = slots.get(&id).map_or(&[][..], |slots| slots);
        for index in partition.members.brokers() {
            let Some(node) = view.address_of(index).and_then(|address| by_address.get(&address).copied())
            else {
                note(violations, now_us, "seats", format!("member {index} of partition {id} is nobody"));
                continue;
            };
            if !serving.contains(&(node.address, id)) {
                let what = format!("member {index} of partition {id} does not serve readers after healing");
                note(violations, now_us, "liveness", what);
                continue;
            }
            for slot in slots {
                check(now_us, view, node, id, *slot, publications, violations);
            }
        }
    }
}

/// The stream partitions that a partition is or was the home of.
fn slots_by_home(view: &State) -> BTreeMap<PartitionId, Vec<StreamPartition>> {
    let all = view.streams.iter().flat_map(|(id, stream)| {
        (0..stream.partitions).map(|partition| StreamPartition { stream: *id, partition })
    });
    let mut slots: BTreeMap<PartitionId, Vec<StreamPartition>> = BTreeMap::new();
    for slot in all {
        view.homes(slot).iter().for_each(|home| slots.entry(home.partition).or_default().push(slot));
    }
    slots
}

fn check(
    now_us: u64,
    view: &State,
    node: &Node,
    partition: PartitionId,
    slot: StreamPartition,
    publications: &Publications,
    violations: &mut Vec<Violation>,
) {
    let is_old = |lane, from, to| publications.are_old(lane, from, to, now_us);
    let kept = kept(node, partition, slot, is_old, |header, bytes| {
        if !publications.is_published(header.lane(), header.sequence, bytes) {
            let what = format!("{} keeps a batch of lane {} that nobody signed", node.address, header.lane());
            note(violations, now_us, "durability", what);
        }
        if publications.is_unwelcome(header.lane(), header.sequence, bytes) {
            let (lane, sequence) = (header.lane(), header.sequence);
            let what =
                format!("{} keeps lane {lane}, sequence {sequence}, which breaks a rule", node.address);
            note(violations, now_us, "cheats", what);
        }
    });
    for (lane, sequence, publication) in publications.acknowledged_in(slot) {
        if publications.is_old(publication, now_us) {
            continue;
        }
        let next = kept.get(&lane).copied().unwrap_or(0);
        let lives_here = || view.home_at(slot, publication.opening_block) == partition;
        if next < publication.next_sequence && lives_here() {
            let what = format!(
                "partition {partition}: lane {lane}, sequence {sequence} was acknowledged; {} keeps it up to {next}",
                node.address
            );
            note(violations, now_us, "durability", what);
        }
    }
}

/// For each lane of a stream partition, how far a node keeps it without a gap but what is old.
fn kept(
    node: &Node,
    partition: PartitionId,
    slot: StreamPartition,
    is_old: impl Fn(LaneId, u64, u64) -> bool,
    mut look: impl FnMut(&Header, &[u8]),
) -> BTreeMap<LaneId, u64> {
    let mut kept = BTreeMap::new();
    let to = Position { timestamp_ms: u64::MAX, lane: LaneId([0xff; 32]), sequence: u64::MAX };
    let from = Position::default();
    let mut next = Some(Query::Range { partition, slot, from, to, up_to_index: u64::MAX, origin: None });
    while let Some(query) = next.take() {
        let Some(Ok(chunk)) = node.log().map(|log| log.read(&query, BUDGET)) else { break };
        let headers: Vec<Option<Header>> =
            chunk.batches.iter().map(|bytes| Header::of_batch(bytes)).collect();
        for slice in &chunk.order {
            let Some(header) = &headers[slice.batch as usize] else { continue };
            look(header, &chunk.batches[slice.batch as usize]);
            let reached = kept.entry(header.lane()).or_insert(0);
            let first = header.sequence + u64::from(slice.first);
            if first == *reached || *reached < first && is_old(header.lane(), *reached, first) {
                *reached = first + u64::from(slice.count);
            }
        }
        next = chunk.next;
    }
    kept
}
