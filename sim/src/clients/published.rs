//! What was published, as the publishers themselves know it: the truth that oracles compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_kernel::batch::Batch;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{LaneId, PartitionId, StreamPartition};

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
    /// What its publisher did.
    pub standing: Standing,
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

/// All of them, by lane and sequence of the first event; several only where a publisher forked.
#[derive(Debug, Default)]
pub struct Publications {
    batches: BTreeMap<(LaneId, u64), Vec<Publication>>,
}

impl Publications {
    /// A publisher signed and sent a batch.
    pub fn add(&mut self, batch: &Batch, now_us: u64, standing: Standing) {
        let header = batch.header();
        let branches = self.batches.entry((batch.lane(), header.sequence)).or_default();
        if branches.iter().any(|known| known.bytes == *batch.bytes()) {
            return;
        }
        branches.push(Publication {
            bytes: batch.bytes().clone(),
            slot: header.slot(),
            opening_block: header.opening_block,
            next_sequence: header.next_sequence(),
            first_time_ms: header.first_time_ms,
            sent_us: now_us,
            stored_us: None,
            sealed: false,
            standing,
        });
    }

    /// The publisher of the batch that starts there was told that it is stored, or sealed.
    pub fn acknowledge(&mut self, lane: LaneId, sequence: u64, now_us: u64, sealed: bool) {
        for publication in self.batches.get_mut(&(lane, sequence)).into_iter().flatten() {
            publication.stored_us.get_or_insert(now_us);
            publication.sealed |= sealed;
        }
    }

    /// Whether a publisher signed exactly these bytes for this place.
    pub fn is_published(&self, lane: LaneId, sequence: u64, bytes: &[u8]) -> bool {
        let branches = self.batches.get(&(lane, sequence)).into_iter().flatten();
        branches.into_iter().any(|publication| *publication.bytes == *bytes)
    }

    /// Whether a publisher forked this lane.
    pub fn is_forked(&self, lane: LaneId) -> bool {
        let mut batches = self.batches.range((lane, 0)..=(lane, u64::MAX));
        batches
            .any(|(_, branches)| branches.iter().any(|publication| publication.standing == Standing::Forked))
    }

    /// Whether nobody may store these bytes.
    pub fn is_unwelcome(&self, lane: LaneId, sequence: u64, bytes: &[u8]) -> bool {
        let branches = self.batches.get(&(lane, sequence)).into_iter().flatten();
        let unwelcome = |publication: &&Publication| publication.standing == Standing::Unwelcome;
        branches.filter(unwelcome).any(|publication| *publication.bytes == *bytes)
    }

    fn all(&self) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        self.batches.iter().flat_map(|((lane, sequence), branches)| {
            branches.iter().map(|publication| (*lane, *sequence, publication))
        })
    }

    /// What honest publishers signed.
    pub fn honest(&self) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        self.all().filter(|(_, _, publication)| publication.standing == Standing::Honest)
    }

    /// How many stream partitions have acknowledged lanes in more than one home.
    pub fn moved(&self, view: &State) -> u64 {
        let mut homes: BTreeMap<StreamPartition, BTreeSet<PartitionId>> = BTreeMap::new();
        for (_, _, publication) in self.acknowledged() {
            let home = view.home_at(publication.slot, publication.opening_block);
            homes.entry(publication.slot).or_default().insert(home);
        }
        homes.values().filter(|homes| homes.len() > 1).count() as u64
    }

    /// What the network acknowledged to publishers that did not fork their lanes.
    pub fn acknowledged(&self) -> impl Iterator<Item = (LaneId, u64, &Publication)> {
        let promised = |standing| matches!(standing, Standing::Honest | Standing::Cheat);
        self.all().filter(move |(_, _, publication)| {
            promised(publication.standing) && publication.stored_us.is_some()
        })
    }
}
