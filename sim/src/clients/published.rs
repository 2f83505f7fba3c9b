//! What was published, as the publishers themselves know it: the truth that oracles compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_kernel::batch::Batch;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{LaneId, PartitionId, StreamId, StreamPartition};

/// One signed batch.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Where it belongs.
    pub slot: StreamPartition,
    /// The block that its lane opened at.
    pub opening_block: u64,
    /// Sequence after its last event.
    pub next_sequence: u64,
    /// Time of its first event, milliseconds since 1970 UTC.
    pub first_time_ms: u64,
    /// When it was first sent, in virtual microseconds.
    pub sent_us: u64,
    /// When its publisher was told that it is stored.
    pub stored_us: Option<u64>,
    /// Whether its publisher was told that it is sealed.
    pub sealed: bool,
    /// Whether its publisher signed another branch of the lane: then nothing is promised about it.
    pub forked: bool,
}

/// What was published in one lane.
#[derive(Debug)]
struct Lane {
    slot: StreamPartition,
    /// By the sequence of the first event, rising; several of one sequence only where the publisher forked.
    batches: Vec<(u64, Publication)>,
}

impl Lane {
    /// The branches that begin at this sequence.
    fn at(&self, sequence: u64) -> std::ops::Range<usize> {
        let from = self.batches.partition_point(|(first, _)| *first < sequence);
        let count = self.batches[from..].iter().take_while(|(first, _)| *first == sequence).count();
        from..from + count
    }
}

/// All of them, by lane and sequence of the first event.
#[derive(Debug, Default)]
pub struct Publications {
    /// Events in all of them.
    pub events: u64,
    /// Events that were acknowledged as stored.
    pub stored: u64,
    lanes: BTreeMap<LaneId, Lane>,
    slots: BTreeMap<StreamPartition, BTreeSet<LaneId>>,
    /// Lanes in the order in which they were opened, with where they are and the block that they opened at.
    opened: Vec<(LaneId, StreamPartition, u64)>,
}

impl Publications {
    /// A publisher signed and sent a batch.
    pub fn add(&mut self, batch: &Batch, now_us: u64, forked: bool) {
        let (header, id) = (batch.header(), batch.lane());
        let lane = self.lanes.entry(id).or_insert_with(|| {
            self.slots.entry(header.slot()).or_default().insert(id);
            self.opened.push((id, header.slot(), header.opening_block));
            Lane { slot: header.slot(), batches: Vec::new() }
        });
        let branches = lane.at(header.sequence);
        if lane.batches[branches.clone()].iter().any(|(_, known)| known.bytes == *batch.bytes()) {
            return;
        }
        self.events += u64::from(header.count);
        let publication = Publication {
            bytes: batch.bytes().clone(),
            slot: header.slot(),
            opening_block: header.opening_block,
            next_sequence: header.next_sequence(),
            first_time_ms: header.first_time_ms,
            sent_us: now_us,
            stored_us: None,
            sealed: false,
            forked,
        };
        lane.batches.insert(branches.end, (header.sequence, publication));
    }

    /// The publisher of the batch that starts there was told that it is stored, or sealed.
    pub fn acknowledge(&mut self, lane: LaneId, sequence: u64, now_us: u64, sealed: bool) {
        let Some(lane) = self.lanes.get_mut(&lane) else { return };
        let branches = lane.at(sequence);
        for (first, publication) in &mut lane.batches[branches] {
            if publication.stored_us.is_none() {
                self.stored += publication.next_sequence - *first;
                publication.stored_us = Some(now_us);
            }
            publication.sealed |= sealed;
        }
    }

    /// Whether a publisher signed exactly these bytes for this place.
    pub fn is_published(&self, lane: LaneId, sequence: u64, bytes: &[u8]) -> bool {
        let Some(lane) = self.lanes.get(&lane) else { return false };
        lane.batches[lane.at(sequence)].iter().any(|(_, publication)| *publication.bytes == *bytes)
    }

    /// Whether a publisher forked this lane.
    pub fn is_forked(&self, lane: LaneId) -> bool {
        self.lanes.get(&lane).is_some_and(|lane| lane.batches.iter().any(|(_, known)| known.forked))
    }

    /// Lanes after the first so many, in the order in which they were opened: the lane, where it is, and the block that it
    /// opened at.
    pub fn opened_after(&self, count: usize) -> &[(LaneId, StreamPartition, u64)] {
        &self.opened[count..]
    }

    /// What honest publishers signed.
    pub fn honest(&self) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        self.lanes.iter().flat_map(|(id, lane)| {
            let honest = lane.batches.iter().filter(|(_, publication)| !publication.forked);
            honest.map(|(sequence, publication)| (*id, *sequence, publication))
        })
    }

    /// How many stream partitions have acknowledged lanes in more than one home.
    pub fn moved(&self, view: &State) -> u64 {
        let mut homes: BTreeMap<StreamPartition, BTreeSet<PartitionId>> = BTreeMap::new();
        for lane in self.lanes.values() {
            let honest = lane.batches.iter().map(|(_, publication)| publication);
            let stored = honest.filter(|known| !known.forked && known.stored_us.is_some());
            let opened: BTreeSet<u64> = stored.map(|known| known.opening_block).collect();
            let all = opened.into_iter().map(|block| view.home_at(lane.slot, block));
            homes.entry(lane.slot).or_default().extend(all);
        }
        homes.values().filter(|homes| homes.len() > 1).count() as u64
    }

    /// What the network acknowledged to honest publishers in one stream partition.
    pub fn acknowledged_in(
        &self,
        slot: StreamPartition,
    ) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        let lanes = self.slots.get(&slot).into_iter().flatten();
        lanes.flat_map(|id| {
            let all = self.lanes[id].batches.iter();
            let stored = all.filter(|(_, known)| !known.forked && known.stored_us.is_some());
            stored.map(|(sequence, publication)| (*id, *sequence, publication))
        })
    }

    /// What the network acknowledged to honest publishers in one stream.
    pub fn acknowledged_of(&self, stream: StreamId) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        let partition = |partition| StreamPartition { stream, partition };
        let slots = self.slots.range(partition(0)..=partition(u32::MAX));
        slots.flat_map(|(slot, _)| self.acknowledged_in(*slot))
    }

    /// What the network acknowledged to honest publishers in one lane and ends after a sequence, the last first.
    pub fn acknowledged_above(
        &self,
        lane: &LaneId,
        next_sequence: u64,
    ) -> impl Iterator<Item = (u64, &Publication)> {
        let all = self.lanes.get(lane).into_iter().flat_map(|lane| lane.batches.iter().rev());
        let above = all.take_while(move |(_, known)| known.forked || known.next_sequence > next_sequence);
        let stored = above.filter(move |(_, known)| {
            !known.forked && known.stored_us.is_some() && known.next_sequence > next_sequence
        });
        stored.map(|(sequence, publication)| (*sequence, publication))
    }
}
