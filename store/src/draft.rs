//! Changes that are not made yet: what a write does to an unchanging view of the store.
//!
//! A draft comes out as a set of rows to set or remove, which an implementation applies at once. So a refused record
//! leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_kernel::ids::{LaneId, PartitionId};
use weir_kernel::log::{Record, Table};

use crate::changes::{Changes, change, remove_entry};
use crate::error::LogError;
use crate::index::{Appended, Index, LaneEntry, Run, RunKey, Scope, Totals};

/// Names a row of a table.
pub(crate) type RowKey = (Table, Vec<u8>);

/// What is to expire: batches of a scope whose last event is older than a time and that came up to an append
/// index, at most `limit` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) scope: Scope,
    pub(crate) before_ms: u64,
    pub(crate) up_to_index: u64,
    pub(crate) limit: u32,
}

/// Rows to set (`Some`) and to remove (`None`).
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) batches: BTreeMap<(PartitionId, u64), Option<Arc<[u8]>>>,
    pub(crate) lanes: BTreeMap<(LaneId, u64), Option<LaneEntry>>,
    pub(crate) runs: BTreeMap<RunKey, Option<Run>>,
    pub(crate) appends: BTreeMap<(Scope, u64), Option<Appended>>,
    pub(crate) rows: BTreeMap<RowKey, Option<Arc<[u8]>>>,
    pub(crate) totals: BTreeMap<PartitionId, Option<Totals>>,
    /// Places in the log of the batches that were appended, and of those that were removed.
    pub(crate) placed: Vec<u64>,
    pub(crate) removed: Vec<u64>,
}

impl Draft {
    /// The changes that these records make to a store that looks like `index`. The first of them begins at
    /// `position` in the log.
    pub(crate) fn of(records: &[Record], index: &impl Index, position: u64) -> Result<Self, LogError> {
        let mut drafting = Drafting { draft: Self::default(), index };
        change(&mut drafting, records, position)?;
        Ok(drafting.draft)
    }

    /// The changes that take away what is older than a time: whole batches, the `limit` first that are found.
    pub(crate) fn expiry(expiry: &Expiry, index: &impl Index) -> Result<Self, LogError> {
        let mut drafting = Drafting { draft: Self::default(), index };
        let Some(last_ms) = expiry.before_ms.checked_sub(1) else { return Ok(drafting.draft) };
        for run in index.runs(expiry.scope, 0..=last_ms) {
            let run = run?;
            let mut sequence = run.held_sequence;
            while sequence < run.next_sequence {
                let entry = run.holding(index, sequence)?;
                if entry.last_time_ms >= expiry.before_ms || entry.index > expiry.up_to_index {
                    break;
                }
                if drafting.draft.removed.len() >= expiry.limit as usize {
                    return Ok(drafting.draft);
                }
                drafting.remove_first(&run, &entry)?;
                sequence = entry.end();
            }
        }
        Ok(drafting.draft)
    }
}

/// A draft in the making, and what it is a draft of.
struct Drafting<'a, I> {
    draft: Draft,
    index: &'a I,
}

impl<I: Index> Drafting<'_, I> {
    /// Takes the first batch of a run away.
    fn remove_first(&mut self, run: &Run, entry: &LaneEntry) -> Result<(), LogError> {
        let shorter = if entry.end() == run.next_sequence {
            None
        } else {
            let next = run.holding(self.index, entry.end())?;
            Some(Run { held_sequence: next.sequence, first_index: next.index, ..*run })
        };
        remove_entry(self, entry, shorter)
    }
}

impl<I: Index> Changes for Drafting<'_, I> {
    fn totals(&self, partition: PartitionId) -> Result<Totals, LogError> {
        match self.draft.totals.get(&partition) {
            Some(totals) => Ok(totals.unwrap_or_default()),
            None => self.index.totals(partition),
        }
    }

    fn run(&self, key: &RunKey) -> Result<Option<Run>, LogError> {
        match self.draft.runs.get(key) {
            Some(run) => Ok(*run),
            None => self.index.run(key),
        }
    }

    fn last_entry(&self, lane: LaneId, mut highest: u64) -> Result<Option<LaneEntry>, LogError> {
        let lanes = &self.draft.lanes;
        let drafted = lanes.range((lane, 0)..=(lane, highest)).rev().find_map(|(_, entry)| *entry);
        let stored = loop {
            match self.index.entry_at_or_before(lane, highest)? {
                // What the draft removed or replaced no longer counts.
                Some(entry) if lanes.contains_key(&(lane, entry.sequence)) => {
                    let Some(lower) = entry.sequence.checked_sub(1) else { break None };
                    highest = lower;
                }
                entry => break entry,
            }
        };
        Ok([drafted, stored].into_iter().flatten().max_by_key(|entry| entry.sequence))
    }

    fn set_batch(&mut self, key: (PartitionId, u64), bytes: Option<Arc<[u8]>>) {
        self.draft.batches.insert(key, bytes);
    }

    fn set_entry(&mut self, key: (LaneId, u64), entry: Option<LaneEntry>) {
        self.draft.lanes.insert(key, entry);
    }

    fn set_run(&mut self, key: RunKey, run: Option<Run>) {
        self.draft.runs.insert(key, run);
    }

    fn set_appended(&mut self, key: (Scope, u64), appended: Option<Appended>) {
        self.draft.appends.insert(key, appended);
    }

    fn set_row(&mut self, table: Table, key: &[u8], value: Option<Arc<[u8]>>) {
        self.draft.rows.insert((table, key.to_vec()), value);
    }

    fn set_totals(&mut self, partition: PartitionId, totals: Totals) {
        self.draft.totals.insert(partition, Some(totals));
    }

    fn placed(&mut self, position: u64) {
        self.draft.placed.push(position);
    }

    fn removed(&mut self, position: u64) {
        self.draft.removed.push(position);
    }
}
