//! Receipts: what replicas tell edges is on their disks, and in which epoch they may say so (WP 2.4.3, 2.4.6).
//!
//! A replica acknowledges what is on its disk, in the epoch that it has entered on disk, with everything up to the
//! last sealed cut that it knows of, of no lane that it knows to be forked, and with its memory whole. Entering an
//! epoch it repeats what is not sealed yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use weir_kernel::agreement::LaneHead;
use weir_kernel::broker::Message;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, Epoch, Hash, LaneId, PartitionId};
use weir_kernel::verify::Verifier;
use weir_kernel::wire::{self, Domain};

use super::disks::{Disk, Disks};
use crate::by_address::ByAddress;
use crate::report::Violation;
use crate::surroundings::note;

/// Edges that a replica remembers for a lane, itself among them where its own clients publish the lane: to itself it
/// sends no frame, so that eight others may be one more than it remembers.
const EDGES_A_LANE: usize = 8;

/// An edge that was told of a lane.
#[derive(Debug)]
struct Told {
    edge: Address,
    /// Up to where and in which epoch; `None` once that is sealed, or the lane forked.
    receipt: Option<(u64, Epoch)>,
}

/// A replica's receipts.
#[derive(Debug, Default)]
struct Replica {
    /// The last epoch that it acknowledged in, ever.
    epoch: Epoch,
    /// The last epoch that it acknowledged in, since it started.
    present: Option<Epoch>,
    /// Edges that it told of each lane since it started: it remembers the first few.
    told: BTreeMap<LaneId, Vec<Told>>,
    /// It promised something and lost its disk in this epoch.
    lost: Option<Epoch>,
}

/// All receipts of a run.
#[derive(Debug, Default)]
pub struct Receipts {
    replicas: ByAddress<BTreeMap<PartitionId, Replica>>,
    /// Replicas whose first receipts of an epoch are being sent in this turn.
    entering: BTreeSet<(Address, PartitionId)>,
}

/// A frame of receipts signs nothing.
struct Nothing;

impl Verifier for Nothing {
    fn verify(&self, _: u8, _: &Address, _: &Hash, _: &[u8]) -> bool {
        false
    }
}

/// How frames of receipts and of closing heads begin, so that others need not be decoded.
static PREFIXES: LazyLock<[[u8; 2]; 2]> = LazyLock::new(|| {
    let (partition, epoch) = (PartitionId(0), 0);
    let receipt = Message::Acknowledge { partition, epoch, heads: Vec::new() };
    let (heads, forks) = (Vec::new(), Vec::new());
    let closing = Message::Closing { partition, epoch, round: 0, previous: Hash::ZERO, heads, forks };
    [receipt, closing].map(|message| {
        let frame = wire::encode(&message, &[]);
        [frame[0], frame[1]]
    })
});

impl Receipts {
    /// A broker sends a frame.
    pub fn on_frame(
        &mut self,
        now_us: u64,
        (from, to): (Address, Address),
        frame: &[u8],
        (view, disks): (&State, &Disks),
        violations: &mut Vec<Violation>,
    ) {
        if !PREFIXES.iter().any(|prefix| frame.starts_with(prefix)) {
            return;
        }
        let domain = Domain { chain_id: view.chain_id, coordinator: view.contracts.coordinator };
        // Closing heads that name a fork do not decode here, because its signatures are not checked; then it is named.
        let Ok(received) = wire::decode(frame, from, domain, &Nothing) else { return };
        let nothing = Disk::default();
        let disk = disks.of(&from).unwrap_or(&nothing);
        if let Message::Closing { partition, epoch, .. } = received.message() {
            check_forks(now_us, from, (*partition, *epoch), disk, violations);
        }
        let Message::Acknowledge { partition, epoch, heads } = received.message() else { return };
        let replica = self.replicas.entry(from).or_default().entry(*partition).or_default();
        let mut wrong = Vec::new();
        check_epoch(*partition, *epoch, view, disk, replica, &mut wrong);
        heads.iter().for_each(|head| check_head(*partition, head, disk, &mut wrong));
        for what in wrong {
            let what = format!("{from} in partition {partition}, epoch {epoch}: {what}");
            note(violations, now_us, "receipts", what);
        }
        if replica.present != Some(*epoch) {
            self.entering.insert((from, *partition));
        }
        (replica.epoch, replica.present) = (replica.epoch.max(*epoch), Some(*epoch));
        for head in heads {
            let receipt = Some((head.next_sequence, *epoch));
            let told = replica.told.entry(head.lane).or_default();
            match told.iter_mut().find(|told| told.edge == to) {
                Some(told) => told.receipt = receipt,
                None => told.push(Told { edge: to, receipt }),
            }
        }
    }

    /// A broker's turn is over: whoever sent its first receipts of an epoch has repeated all that are not sealed.
    pub fn on_turn_end(&mut self, now_us: u64, disks: &Disks, violations: &mut Vec<Violation>) {
        for (who, partition) in std::mem::take(&mut self.entering) {
            let replica = self.replicas.get_mut(&who).and_then(|all| all.get_mut(&partition));
            let (Some(replica), Some(disk)) = (replica, disks.of(&who)) else {
                continue;
            };
            let contents = &disk.handed;
            for (lane, told) in &mut replica.told {
                let (sealed, forked) = (contents.sealed(lane), contents.forks.contains_key(lane));
                let over = |told: &&mut Told| told.receipt.is_some_and(|(next, _)| forked || next <= sealed);
                told.iter_mut().filter(over).for_each(|told| told.receipt = None);
            }
            let remembered = replica.told.iter().filter(|(_, told)| told.len() < EDGES_A_LANE);
            let open = remembered.flat_map(|(lane, told)| {
                told.iter().filter_map(move |told| Some((told.edge, *lane, told.receipt?)))
            });
            let silent = open.filter(|(_, _, (_, epoch))| Some(*epoch) != replica.present).min();
            if let Some((edge, lane, (next, epoch))) = silent {
                let what = format!(
                    "{who} in partition {partition} told {edge} in epoch {epoch} that it has lane {lane} up to \
                     {next}, and does not repeat it in epoch {:?}",
                    replica.present
                );
                note(violations, now_us, "receipts", what);
            }
        }
    }

    /// A broker's process ended; what it promised before it lost its disk it may not remember.
    pub fn on_crash(&mut self, who: Address, wiped: bool, epoch: Epoch) {
        for replica in self.replicas.get_mut(&who).into_iter().flat_map(BTreeMap::values_mut) {
            replica.told.clear();
            replica.present = None;
            if wiped && replica.epoch > 0 {
                replica.lost = Some(epoch);
            }
        }
    }
}

/// Who closes an epoch says which lanes it knows to be forked.
fn check_forks(
    now_us: u64,
    who: Address,
    (partition, epoch): (PartitionId, Epoch),
    disk: &Disk,
    violations: &mut Vec<Violation>,
) {
    let open = |lane: &LaneId| !disk.handed.closed.contains(lane);
    let known = disk.synced.forks.iter().find(|(lane, home)| **home == partition && open(lane));
    if let Some((lane, _)) = known {
        let what = format!(
            "{who} closes epoch {epoch} of partition {partition} without the proof that it has: lane {lane} was forked"
        );
        note(violations, now_us, "receipts", what);
    }
}

fn check_epoch(
    partition: PartitionId,
    epoch: Epoch,
    view: &State,
    disk: &Disk,
    replica: &mut Replica,
    wrong: &mut Vec<String>,
) {
    let entered = disk.synced.partitions.get(&partition).map(|row| row.open_epoch);
    if entered != Some(epoch) {
        wrong.push(format!("on disk it has entered epoch {entered:?}"));
    }
    if epoch < replica.epoch {
        wrong.push(format!("it has acknowledged in epoch {} already", replica.epoch));
    }
    let adopted = disk.handed.partitions.get(&partition).map_or(0, |row| row.sealed_epoch);
    let Some(on_chain) = view.partition(partition).filter(|known| !known.checksum.is_zero()) else { return };
    if adopted < on_chain.sealed_epoch {
        wrong.push(format!("it adopted epoch {adopted} and knows that {} is sealed", on_chain.sealed_epoch));
    }
    if let Some(lost) = replica.lost {
        if adopted < lost {
            wrong.push(format!("it lost its disk in epoch {lost}, and no later one is sealed"));
        }
        replica.lost = None;
    }
}

fn check_head(partition: PartitionId, head: &LaneHead, disk: &Disk, wrong: &mut Vec<String>) {
    let held = disk.synced.lanes.get(&(partition, head.lane)).copied().unwrap_or(0);
    if held < head.next_sequence {
        let named = head.next_sequence;
        wrong.push(format!("lane {} is on disk up to {held}, not {named}", head.lane));
    }
    if disk.synced.forks.contains_key(&head.lane) {
        wrong.push(format!("it holds a proof that lane {} was forked", head.lane));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_kernel::broker::rows::{self, PartitionRow};
    use weir_kernel::ids::{StreamId, StreamPartition};
    use weir_kernel::log::{Record, StoredBatch, Table};

    const WHO: Address = Address([1; 20]);
    const LANE: LaneId = LaneId([2; 32]);
    const PARTITION: PartitionId = PartitionId(0);

    fn enter(disks: &mut Disks, epoch: Epoch) {
        let row = PartitionRow {
            sealed_epoch: 0,
            checksum: Hash::ZERO,
            cut_epoch: 0,
            open_epoch: epoch,
            quarantine: None,
            leaving: false,
            left_index: 0,
        };
        let entered = rows::put(Table::Marker, rows::partition_key(PARTITION), &row);
        disks.on_write(0, WHO, (epoch, &[entered]), &mut Vec::new());
        disks.on_synced(WHO, epoch);
    }

    fn append(disks: &mut Disks) {
        let batch = Record::Batch(StoredBatch {
            partition: PARTITION,
            index: 1,
            slot: StreamPartition { stream: StreamId([1; 20]), partition: 0 },
            lane: LANE,
            origin: Address([5; 20]),
            sequence: 0,
            count: 3,
            first_time_ms: 1,
            last_time_ms: 1,
            bytes: Arc::from([]),
        });
        disks.on_write(0, WHO, (1, &[batch]), &mut Vec::new());
        disks.on_synced(WHO, 1);
    }

    /// What is noted if this many edges are told in epoch 7, and so many of them again in epoch 8.
    fn noted(told: u8, repeated: u8) -> usize {
        let (mut receipts, mut disks, mut violations) = (Receipts::default(), Disks::default(), Vec::new());
        append(&mut disks);
        for (epoch, edges) in [(7, told), (8, repeated)] {
            enter(&mut disks, epoch);
            let head = LaneHead { lane: LANE, next_sequence: 3, volume: 9, digest: Hash([3; 32]) };
            let receipt = Message::Acknowledge { partition: PARTITION, epoch, heads: vec![head] };
            for edge in 0..edges {
                let to = Address([10 + edge; 20]);
                let known = (&State::default(), &disks);
                receipts.on_frame(0, (WHO, to), &wire::encode(&receipt, &[]), known, &mut violations);
            }
            receipts.on_turn_end(0, &disks, &mut violations);
        }
        violations.len()
    }

    #[test]
    fn an_edge_that_hears_nothing_again_is_noticed() {
        assert_eq!(noted(7, 7), 0);
        assert_eq!(noted(7, 6), 1);
    }

    /// A replica remembers eight edges, and itself as one of them says nothing on the wire.
    #[test]
    fn an_edge_more_than_a_replica_remembers_is_left_to_ask_again() {
        assert_eq!(noted(8, 7), 0);
    }
}
