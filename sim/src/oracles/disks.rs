//! Disks: what each broker's disk holds for certain, from what it was handed and what of that was synced.
//!
//! Other oracles ask here what a broker may promise. One promise is kept here: what a sealed cut names is never
//! dropped, not even of a lane that its publisher forked (WP 2.4.6).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weir_kernel::agreement::Cut;
use weir_kernel::broker::rows::{LaneRow, PartitionRow, split_lane_key};
use weir_kernel::ids::{Address, LaneId, PartitionId};
use weir_kernel::log::{Record, Table};
use weir_kernel::wire;

use crate::by_address::{ByAddress, ByLane};
use crate::report::Violation;
use crate::surroundings::note;

/// What a disk holds, or would if everything that it was handed were synced.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// For each lane the sequence up to which it is there without a gap.
    pub lanes: BTreeMap<(PartitionId, LaneId), u64>,
    /// For each lane the sequence up to which adopted cuts name it.
    pub sealed: BTreeMap<LaneId, u64>,
    /// Lanes with a proof of their fork.
    pub forks: BTreeMap<LaneId, PartitionId>,
    /// Lanes whose fork an adopted cut names.
    pub closed: BTreeSet<LaneId>,
    /// What the broker remembers of each partition.
    pub partitions: BTreeMap<PartitionId, PartitionRow>,
}

/// The key of a fork's proof: a partition and a lane.
const FORK_KEY_BYTES: usize = 36;

/// A record as far as promises go by it.
#[derive(Clone, Debug)]
enum Change {
    Batch(PartitionId, LaneId, u64, u64),
    Truncate(PartitionId, LaneId, u64),
    Fork(PartitionId, LaneId),
    Partition(PartitionId, PartitionRow),
    Cut(Cut),
    /// A lane's row: up to where it is sealed.
    Sealed(PartitionId, LaneId, u64),
    /// A lane's row goes: it is forgotten.
    Forgotten(LaneId),
}

impl Change {
    fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Batch(batch) => {
                let next = batch.sequence + u64::from(batch.count);
                Some(Self::Batch(batch.partition, batch.lane, batch.sequence, next))
            }
            Record::Truncate { partition, lane, from } => Some(Self::Truncate(*partition, *lane, *from)),
            // Longer keys are of brokers' misconduct.
            Record::Put { table: Table::Evidence, key, .. } if key.len() == FORK_KEY_BYTES => {
                let partition = PartitionId(u32::from_be_bytes(key.get(..4)?.try_into().ok()?));
                Some(Self::Fork(partition, LaneId(key.get(4..36)?.try_into().ok()?)))
            }
            Record::Put { table: Table::Marker, key, value } => {
                let partition = PartitionId(u32::from_be_bytes(key.as_slice().try_into().ok()?));
                Some(Self::Partition(partition, wire::decode_row(value)?))
            }
            Record::Put { table: Table::Cut, value, .. } => Some(Self::Cut(wire::decode_row(value)?)),
            Record::Put { table: Table::Lane, key, value } => {
                let (partition, lane) = split_lane_key(key)?;
                let row: LaneRow = wire::decode_row(value)?;
                Some(Self::Sealed(partition, lane, row.sealed.next_sequence))
            }
            Record::Remove { table: Table::Lane, key } => {
                split_lane_key(key).map(|(_, lane)| Self::Forgotten(lane))
            }
            Record::Put { .. } | Record::Remove { .. } => None,
        }
    }
}

impl Contents {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Batch(partition, lane, sequence, next) => {
                let end = self.lanes.entry((*partition, *lane)).or_insert(0);
                if *sequence == *end {
                    *end = *next;
                }
            }
            Change::Truncate(partition, lane, from) => {
                let end = self.lanes.entry((*partition, *lane)).or_insert(0);
                *end = (*end).min(*from);
            }
            Change::Sealed(partition, lane, sealed) => {
                // Of a lane of which nothing is here, the rest is not kept any more: whether that is true shows in the
                // end.
                let end = self.lanes.entry((*partition, *lane)).or_insert(0);
                if *end == 0 && *sealed > 0 {
                    *end = *sealed;
                    let known = self.sealed.entry(*lane).or_insert(0);
                    *known = (*known).max(*sealed);
                }
            }
            // What was promised of it is over or goes on: a lane that is begun anew says so in the same write.
            Change::Forgotten(_) => {}
            Change::Fork(partition, lane) => drop(self.forks.insert(*lane, *partition)),
            Change::Partition(partition, row) => {
                self.partitions.insert(*partition, *row);
                if row.leaving {
                    self.forget(*partition);
                }
            }
            Change::Cut(cut) => {
                for head in &cut.heads {
                    let sealed = self.sealed.entry(head.lane).or_insert(0);
                    *sealed = (*sealed).max(head.next_sequence);
                }
                self.closed.extend(cut.forks.iter().map(|fork| fork.lane()));
            }
        }
    }

    /// A partition was left: whether it may have been is another oracle's matter.
    fn forget(&mut self, partition: PartitionId) {
        let all = self.lanes.range((partition, LaneId::ZERO)..=(partition, LaneId([0xff; 32])));
        let lanes: BTreeSet<LaneId> = all.map(|((_, lane), _)| *lane).collect();
        self.lanes.retain(|(of, _), _| *of != partition);
        self.forks.retain(|_, of| *of != partition);
        self.sealed.retain(|lane, _| !lanes.contains(lane));
        self.closed.retain(|lane| !lanes.contains(lane));
    }

    /// Up to where adopted cuts name a lane.
    pub fn sealed(&self, lane: &LaneId) -> u64 {
        self.sealed.get(lane).copied().unwrap_or(0)
    }

    /// Lanes of a partition that go further than adopted cuts, forked ones left out.
    pub fn unsealed(&self, partition: PartitionId) -> BTreeMap<LaneId, u64> {
        let all = self.lanes.range((partition, LaneId::ZERO)..=(partition, LaneId([0xff; 32])));
        let open =
            all.filter(|((_, lane), next)| **next > self.sealed(lane) && !self.forks.contains_key(lane));
        open.map(|((_, lane), next)| (*lane, *next)).collect()
    }
}

/// One broker's disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What is there for certain.
    pub synced: Contents,
    /// The same with what is on its way.
    pub handed: Contents,
    /// Whether it was ever lost.
    pub wiped: bool,
    waiting: VecDeque<(u64, Vec<Change>)>,
}

/// All disks.
#[derive(Debug, Default)]
pub struct Disks {
    disks: ByAddress<Disk>,
    /// For each lane, how far it ever was on whose disk: a disk that was lost held it all the same.
    ever: ByLane<(PartitionId, BTreeMap<Address, u64>)>,
}

impl Disks {
    /// A broker hands its disk a write.
    pub fn on_write(
        &mut self,
        now_us: u64,
        who: Address,
        (index, records): (u64, &[Record]),
        violations: &mut Vec<Violation>,
    ) {
        let disk = self.disks.entry(who).or_default();
        let changes: Vec<Change> = records.iter().filter_map(Change::of).collect();
        for (at, change) in changes.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &changes[before]);
            // A lane that is forgotten and begun anew has lost its beginning everywhere: whether that is true shows in
            // the end.
            let begins_anew = |of: &LaneId| matches!(before, Some(Change::Forgotten(lane)) if lane == of);
            if let Change::Truncate(_, lane, from) = change
                && *from < disk.handed.sealed(lane)
                && !begins_anew(lane)
            {
                let sealed = disk.handed.sealed(lane);
                let what = format!("{who} drops lane {lane} from {from} on, and it is sealed up to {sealed}");
                note(violations, now_us, "sealed is kept", what);
            }
            disk.handed.apply(change);
        }
        disk.waiting.push_back((index, changes));
    }

    /// Every write up to this one is on a broker's disk.
    pub fn on_synced(&mut self, who: Address, index: u64) {
        let disk = self.disks.entry(who).or_default();
        while disk.waiting.front().is_some_and(|(waiting, _)| *waiting <= index) {
            for change in disk.waiting.pop_front().into_iter().flat_map(|(_, changes)| changes) {
                disk.synced.apply(&change);
                if let Change::Batch(partition, lane, ..) = change {
                    let next = disk.synced.lanes.get(&(partition, lane)).copied().unwrap_or(0);
                    let (_, holders) = self.ever.entry(lane).or_insert_with(|| (partition, BTreeMap::new()));
                    let ever = holders.entry(who).or_insert(0);
                    *ever = next.max(*ever);
                }
            }
        }
    }

    /// A broker's process ended: what was on its way to the disk is gone, and with a lost disk everything.
    pub fn on_crash(&mut self, who: Address, wiped: bool) {
        let Some(disk) = self.disks.get_mut(&who) else { return };
        if wiped {
            *disk = Disk { wiped: true, ..Disk::default() };
        }
        disk.waiting.clear();
        disk.handed = disk.synced.clone();
    }

    /// A broker's disk; `None` before it was handed anything.
    pub fn of(&self, who: &Address) -> Option<&Disk> {
        self.disks.get(who)
    }

    /// The partition of a lane, and who ever had it on disk up to this sequence.
    pub fn holders(&self, lane: &LaneId, next_sequence: u64) -> Option<(PartitionId, Vec<Address>)> {
        let (partition, holders) = self.ever.get(lane)?;
        let far = holders.iter().filter(|(_, next)| **next >= next_sequence).map(|(who, _)| *who);
        Some((*partition, far.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_kernel::agreement::LaneHead;
    use weir_kernel::ids::{Hash, StreamId, StreamPartition};
    use weir_kernel::log::StoredBatch;

    const WHO: Address = Address([1; 20]);
    const LANE: LaneId = LaneId([2; 32]);

    fn batch(sequence: u64, count: u32) -> Record {
        Record::Batch(StoredBatch {
            partition: PartitionId(0),
            index: sequence + 1,
            slot: StreamPartition { stream: StreamId([1; 20]), partition: 0 },
            lane: LANE,
            origin: Address([5; 20]),
            sequence,
            count,
            first_time_ms: 1,
            last_time_ms: 1,
            bytes: Arc::from([]),
        })
    }

    #[test]
    fn only_what_was_synced_survives_a_crash() {
        let (mut disks, mut violations) = (Disks::default(), Vec::new());
        disks.on_write(0, WHO, (1, &[batch(0, 3)]), &mut violations);
        disks.on_write(0, WHO, (2, &[batch(3, 2)]), &mut violations);
        disks.on_synced(WHO, 1);
        let next = |contents: &Contents| contents.unsealed(PartitionId(0)).get(&LANE).copied();
        assert_eq!(disks.of(&WHO).map(|d| (next(&d.synced), next(&d.handed))), Some((Some(3), Some(5))));
        disks.on_crash(WHO, false);
        assert_eq!(disks.of(&WHO).map(|d| (next(&d.synced), next(&d.handed))), Some((Some(3), Some(3))));
        disks.on_crash(WHO, true);
        assert_eq!(disks.of(&WHO).map(|d| (next(&d.synced), next(&d.handed))), Some((None, None)));
        assert_eq!(disks.holders(&LANE, 3), Some((PartitionId(0), vec![WHO])));
        assert_eq!(disks.holders(&LANE, 4), Some((PartitionId(0), vec![])));
        assert_eq!(violations, []);
    }

    #[test]
    fn dropping_sealed_events_is_noticed() {
        let (mut disks, mut violations) = (Disks::default(), Vec::new());
        let head = LaneHead { lane: LANE, next_sequence: 3, volume: 9, digest: Hash([3; 32]) };
        let cut = Cut {
            partition: PartitionId(0),
            epoch: 7,
            previous: Hash::ZERO,
            heads: vec![head],
            forks: Vec::new(),
        };
        let sealed = Record::Put { table: Table::Cut, key: vec![0; 12], value: wire::encode_row(&cut) };
        let drop = |from| Record::Truncate { partition: PartitionId(0), lane: LANE, from };
        disks.on_write(0, WHO, (1, &[batch(0, 3), batch(3, 2), sealed, drop(3)]), &mut violations);
        assert_eq!(violations, []);
        disks.on_write(0, WHO, (2, &[drop(0)]), &mut violations);
        assert_eq!(violations.len(), 1);
    }
}
