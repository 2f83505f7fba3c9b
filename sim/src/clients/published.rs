//! What was published, as the publishers themselves know it: the truth that oracles compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_kernel::batch::Batch;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{LaneId, PartitionId, StreamId, StreamPartition};

use crate::by_address::ByLane;
use crate::chain::START_MS;

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
    /// Time of its last event.
    pub last_time_ms: u64,
    /// When it was first sent, in virtual microseconds.
    pub sent_us: u64,
    /// When its publisher was told that it is stored.
    pub stored_us: Option<u64>,
    /// Whether its publisher was told that it is sealed.
    pub sealed: bool,
    /// What its publisher did.
    pub standing: Standing,
}

impl Publication {
    /// Whether it was acknowledged as stored to a publisher that did not fork the lane: then it is never lost.
    pub fn is_promised(&self) -> bool {
        matches!(self.standing, Standing::Honest | Standing::Cheat) && self.stored_us.is_some()
    }
}

/// What a publisher did, as far as promises about a batch go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It kept all rules: everything is promised.
    Honest,
    /// It breaks a rule elsewhere in the lane: what is acknowledged is kept, and it may never be.
    Cheat,
    /// It breaks a rule by this batch, or left out what comes before it: nobody may store it.
    Unwelcome,
    /// It signed another branch of the lane: nothing is promised.
    Forked,
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
    /// How long brokers keep events, in milliseconds; `None` for good.
    pub retention_ms: Option<u64>,
    lanes: ByLane<Lane>,
    slots: BTreeMap<StreamPartition, BTreeSet<LaneId>>,
    /// Lanes in the order in which they were opened, with where they are and the block that they opened at.
    opened: Vec<(LaneId, StreamPartition, u64)>,
}

impl Publications {
    /// A publisher signed and sent a batch.
    pub fn add(&mut self, batch: &Batch, now_us: u64, standing: Standing) {
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
            last_time_ms: header.last_time_ms,
            sent_us: now_us,
            stored_us: None,
            sealed: false,
            standing,
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
        self.lanes.get(&lane).is_some_and(|lane| {
            lane.batches.iter().any(|(_, publication)| publication.standing == Standing::Forked)
        })
    }

    /// Whether nobody may store these bytes.
    pub fn is_unwelcome(&self, lane: LaneId, sequence: u64, bytes: &[u8]) -> bool {
        let Some(lane) = self.lanes.get(&lane) else { return false };
        let branches = lane.batches[lane.at(sequence)].iter().map(|(_, publication)| publication);
        let mut unwelcome = branches.filter(|publication| publication.standing == Standing::Unwelcome);
        unwelcome.any(|publication| *publication.bytes == *bytes)
    }

    /// Lanes after the first so many, in the order in which they were opened: the lane, where it is, and the block that
    /// it opened at.
    pub fn opened_after(&self, count: usize) -> &[(LaneId, StreamPartition, u64)] {
        &self.opened[count..]
    }

    /// Whether nobody needs to keep a batch any more.
    pub fn is_old(&self, publication: &Publication, now_us: u64) -> bool {
        let now_ms = START_MS + now_us / 1_000;
        self.retention_ms.is_some_and(|retention_ms| publication.last_time_ms + retention_ms < now_ms)
    }

    /// The same of everything from one sequence of a lane to another.
    pub fn are_old(&self, lane: LaneId, from: u64, to: u64, now_us: u64) -> bool {
        let batches = self.lanes.get(&lane).into_iter().flat_map(|lane| &lane.batches);
        let between = batches.filter(|(first, known)| *first < to && known.next_sequence > from);
        self.retention_ms.is_some() && { between }.all(|(_, known)| self.is_old(known, now_us))
    }

    /// What honest publishers signed.
    pub fn honest(&self) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        let mut lanes: Vec<(&LaneId, &Lane)> = self.lanes.iter().collect();
        lanes.sort_unstable_by_key(|(id, _)| *id);
        lanes.into_iter().flat_map(|(id, lane)| {
            let honest =
                lane.batches.iter().filter(|(_, publication)| publication.standing == Standing::Honest);
            honest.map(|(sequence, publication)| (*id, *sequence, publication))
        })
    }

    /// How many stream partitions have acknowledged lanes in more than one home.
    pub fn moved(&self, view: &State) -> u64 {
        let mut homes: BTreeMap<StreamPartition, BTreeSet<PartitionId>> = BTreeMap::new();
        for lane in self.lanes.values() {
            let all = lane.batches.iter().map(|(_, publication)| publication);
            let stored = all.filter(|known| known.is_promised());
            let opened: BTreeSet<u64> = stored.map(|known| known.opening_block).collect();
            let all = opened.into_iter().map(|block| view.home_at(lane.slot, block));
            homes.entry(lane.slot).or_default().extend(all);
        }
        homes.values().filter(|homes| homes.len() > 1).count() as u64
    }

    /// What the network acknowledged in one stream partition to publishers that did not fork their lanes.
    pub fn acknowledged_in(
        &self,
        slot: StreamPartition,
    ) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        let lanes = self.slots.get(&slot).into_iter().flatten();
        lanes.flat_map(|id| {
            let stored = self.lanes[id].batches.iter().filter(|(_, known)| known.is_promised());
            stored.map(|(sequence, publication)| (*id, *sequence, publication))
        })
    }

    /// The same in one stream.
    pub fn acknowledged_of(&self, stream: StreamId) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        let partition = |partition| StreamPartition { stream, partition };
        let slots = self.slots.range(partition(0)..=partition(u32::MAX));
        slots.flat_map(|(slot, _)| self.acknowledged_in(*slot))
    }

    /// The same in one lane, as far as it ends after a sequence, the last first.
    pub fn acknowledged_above(
        &self,
        lane: &LaneId,
        next_sequence: u64,
    ) -> impl Iterator<Item = (u64, &Publication)> {
        let all = self.lanes.get(lane).into_iter().flat_map(|lane| lane.batches.iter().rev());
        let above =
            all.take_while(move |(_, known)| !known.is_promised() || known.next_sequence > next_sequence);
        let stored = above.filter(|(_, known)| known.is_promised());
        stored.map(|(sequence, publication)| (*sequence, publication))
    }
}
