//! From records to changes: the one place that keeps the indexes in step with the batches.
//!
//! A draft reads an unchanging view of the store, adds the effects of each record in turn, and comes out as a
//! set of rows to set or remove, which an implementation applies at once. So a write that appends and
//! truncates the same lane needs no second pass, and a refused record leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_kernel::ids::{LaneId, PartitionId};
use weir_kernel::log::{Record, StoredBatch, Table};

use crate::error::LogError;
use crate::index::{Appended, Index, LaneEntry, Run, RunKey, Scope, Totals};
use crate::limits::{BATCH_BYTES_MAXIMUM, ROW_KEY_BYTES_MAXIMUM, ROW_VALUE_BYTES_MAXIMUM};
use crate::record::record_bytes;

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
        let (mut draft, mut position) = (Self::default(), position);
        for record in records {
            match record {
                Record::Batch(batch) => draft.append(batch, index, position)?,
                Record::Truncate { partition, lane, from } => {
                    draft.truncate(*partition, *lane, *from, index)?
                }
                Record::Put { table, key, value } => {
                    check_row(key, value)?;
                    draft.rows.insert((*table, key.clone()), Some(value.as_slice().into()));
                }
                Record::Remove { table, key } => {
                    draft.rows.insert((*table, key.clone()), None);
                }
            }
            position += record_bytes(record);
        }
        Ok(draft)
    }

    fn append(&mut self, batch: &StoredBatch, index: &impl Index, position: u64) -> Result<(), LogError> {
        check_batch(batch)?;
        let scope = Scope { partition: batch.partition, slot: batch.slot };
        let mut totals = self.totals(batch.partition, index)?;
        if batch.index <= totals.last_index {
            return Err(LogError::contract(format!(
                "append indexes of partition {} rise: {} came after {}",
                batch.partition, batch.index, totals.last_index
            )));
        }
        let before = self.last_entry_below(batch.lane, None, index)?;
        check_order(batch, before.as_ref())?;
        let mut entry = LaneEntry {
            lane: batch.lane,
            sequence: batch.sequence,
            scope,
            index: batch.index,
            position,
            count: batch.count,
            length: batch.bytes.len() as u32,
            first_time_ms: batch.first_time_ms,
            last_time_ms: batch.last_time_ms,
            run_time_ms: batch.first_time_ms,
            run_sequence: batch.sequence,
        };
        // A gap or another home begins a new run, so that within one all keys rise together.
        let (mut first_index, mut held_sequence) = (batch.index, batch.sequence);
        if let Some(before) = before.filter(|before| before.end() == batch.sequence && before.scope == scope)
        {
            (entry.run_time_ms, entry.run_sequence) = (before.run_time_ms, before.run_sequence);
            let run = self.run(&before.run_key(), index)?;
            (first_index, held_sequence) = (run.first_index, run.held_sequence);
        }
        let run = Run {
            key: entry.run_key(),
            last_time_ms: batch.last_time_ms,
            held_sequence,
            next_sequence: entry.end(),
            first_index,
            last_index: batch.index,
            origin: batch.origin,
        };
        totals.last_index = batch.index;
        totals.events += u64::from(entry.count);
        totals.batches += 1;
        totals.bytes += u64::from(entry.length);
        let appended = Appended { index: batch.index, position, count: entry.count, length: entry.length };
        self.batches.insert((batch.partition, batch.index), Some(batch.bytes.clone()));
        self.lanes.insert((batch.lane, batch.sequence), Some(entry));
        self.runs.insert(run.key, Some(run));
        self.appends.insert((scope, batch.index), Some(appended));
        self.totals.insert(batch.partition, Some(totals));
        self.placed.push(position);
        Ok(())
    }

    fn truncate(
        &mut self,
        partition: PartitionId,
        lane: LaneId,
        from: u64,
        index: &impl Index,
    ) -> Result<(), LogError> {
        let mut above = None;
        while let Some(entry) = self.last_entry_below(lane, above, index)? {
            if entry.end() <= from {
                break;
            }
            if entry.sequence < from {
                return Err(LogError::contract(format!(
                    "a truncation falls between batches: {from} is inside {} of sequences {} to {}",
                    entry.place(),
                    entry.sequence,
                    entry.end() - 1
                )));
            }
            if entry.scope.partition == partition {
                self.remove_last(&entry, index)?;
            }
            above = Some(entry.sequence);
        }
        Ok(())
    }

    /// The changes that take away what is older than a time: whole batches, the `limit` first that are found.
    pub(crate) fn expiry(expiry: &Expiry, index: &impl Index) -> Result<Self, LogError> {
        let mut draft = Self::default();
        let Some(last_ms) = expiry.before_ms.checked_sub(1) else { return Ok(draft) };
        for run in index.runs(expiry.scope, 0..=last_ms) {
            let run = run?;
            let mut sequence = run.held_sequence;
            while sequence < run.next_sequence {
                let entry = run.holding(index, sequence)?;
                if entry.last_time_ms >= expiry.before_ms || entry.index > expiry.up_to_index {
                    break;
                }
                if draft.removed.len() >= expiry.limit as usize {
                    return Ok(draft);
                }
                draft.remove_first(&run, &entry, index)?;
                sequence = entry.end();
            }
        }
        Ok(draft)
    }

    /// Takes the first batch of a run away.
    fn remove_first(&mut self, run: &Run, entry: &LaneEntry, index: &impl Index) -> Result<(), LogError> {
        let shorter = if entry.end() == run.next_sequence {
            None
        } else {
            let next = run.holding(index, entry.end())?;
            Some(Run { held_sequence: next.sequence, first_index: next.index, ..*run })
        };
        self.remove_entry(entry, shorter, index)
    }

    /// Takes the last batch of a run away.
    fn remove_last(&mut self, entry: &LaneEntry, index: &impl Index) -> Result<(), LogError> {
        let key = entry.run_key();
        let run = self.run(&key, index)?;
        let shorter = if entry.sequence == run.held_sequence {
            None
        } else {
            let before = self.last_entry_below(entry.lane, Some(entry.sequence), index)?;
            let before = before.filter(|before| before.run_key() == key).ok_or_else(|| {
                LogError::damaged(entry.place(), "the batch before it in its lane is missing")
            })?;
            let (last_time_ms, next_sequence) = (before.last_time_ms, before.end());
            Some(Run { last_time_ms, next_sequence, last_index: before.index, ..run })
        };
        self.remove_entry(entry, shorter, index)
    }

    /// Takes a batch away and leaves its run as `shorter`.
    fn remove_entry(
        &mut self,
        entry: &LaneEntry,
        shorter: Option<Run>,
        index: &impl Index,
    ) -> Result<(), LogError> {
        let mut totals = self.totals(entry.scope.partition, index)?;
        totals.events = totals.events.saturating_sub(u64::from(entry.count));
        totals.batches = totals.batches.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(u64::from(entry.length));
        self.runs.insert(entry.run_key(), shorter);
        self.batches.insert((entry.scope.partition, entry.index), None);
        self.lanes.insert((entry.lane, entry.sequence), None);
        self.appends.insert((entry.scope, entry.index), None);
        self.totals.insert(entry.scope.partition, Some(totals));
        self.removed.push(entry.position);
        Ok(())
    }

    fn totals(&self, partition: PartitionId, index: &impl Index) -> Result<Totals, LogError> {
        match self.totals.get(&partition) {
            Some(totals) => Ok(totals.unwrap_or_default()),
            None => index.totals(partition),
        }
    }

    fn run(&self, key: &RunKey, index: &impl Index) -> Result<Run, LogError> {
        let run = match self.runs.get(key) {
            Some(run) => *run,
            None => index.run(key)?,
        };
        run.ok_or_else(|| LogError::damaged(format!("lane {}", key.lane), "its summary is missing"))
    }

    /// The last batch of a lane, of those that start below `above`, as this draft leaves it.
    fn last_entry_below(
        &self,
        lane: LaneId,
        above: Option<u64>,
        index: &impl Index,
    ) -> Result<Option<LaneEntry>, LogError> {
        let Some(mut highest) = above.map_or(Some(u64::MAX), |above| above.checked_sub(1)) else {
            return Ok(None);
        };
        let drafted = self.lanes.range((lane, 0)..=(lane, highest)).rev().find_map(|(_, entry)| *entry);
        let stored = loop {
            match index.entry_at_or_before(lane, highest)? {
                // What the draft removed or replaced no longer counts.
                Some(entry) if self.lanes.contains_key(&(lane, entry.sequence)) => {
                    let Some(lower) = entry.sequence.checked_sub(1) else { break None };
                    highest = lower;
                }
                entry => break entry,
            }
        };
        Ok([drafted, stored].into_iter().flatten().max_by_key(|entry| entry.sequence))
    }
}

fn check_batch(batch: &StoredBatch) -> Result<(), LogError> {
    let rule = if batch.count == 0 {
        "a batch holds at least one event".to_owned()
    } else if batch.index == 0 {
        "append indexes begin at 1".to_owned()
    } else if batch.first_time_ms > batch.last_time_ms {
        format!("event times never go back: {} to {}", batch.first_time_ms, batch.last_time_ms)
    } else if batch.bytes.len() > BATCH_BYTES_MAXIMUM {
        format!("a batch has at most {BATCH_BYTES_MAXIMUM} bytes, not {}", batch.bytes.len())
    } else if batch.sequence.checked_add(u64::from(batch.count)).is_none() {
        format!("sequences fit 64 bits: {} with {} events", batch.sequence, batch.count)
    } else {
        return Ok(());
    };
    Err(LogError::contract(format!("{rule} (batch {} of partition {})", batch.index, batch.partition)))
}

fn check_order(batch: &StoredBatch, before: Option<&LaneEntry>) -> Result<(), LogError> {
    let Some(before) = before else { return Ok(()) };
    if batch.sequence < before.end() {
        return Err(LogError::contract(format!(
            "sequences of lane {} rise: {} came when {} was next",
            batch.lane,
            batch.sequence,
            before.end()
        )));
    }
    if batch.first_time_ms < before.last_time_ms {
        return Err(LogError::contract(format!(
            "times of lane {} never go back: {} came after {}",
            batch.lane, batch.first_time_ms, before.last_time_ms
        )));
    }
    Ok(())
}

fn check_row(key: &[u8], value: &[u8]) -> Result<(), LogError> {
    if key.len() > ROW_KEY_BYTES_MAXIMUM {
        return Err(LogError::contract(format!(
            "a row's key has at most {ROW_KEY_BYTES_MAXIMUM} bytes, not {}",
            key.len()
        )));
    }
    if value.len() > ROW_VALUE_BYTES_MAXIMUM {
        return Err(LogError::contract(format!(
            "a row's value has at most {ROW_VALUE_BYTES_MAXIMUM} bytes, not {}",
            value.len()
        )));
    }
    Ok(())
}
