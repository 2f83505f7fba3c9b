//! From records to changes: the one place that keeps the indexes in step with the batches.
//!
//! Each record in turn is turned into rows that are set or removed, in whatever keeps them: a
//! [`Draft`](crate::draft::Draft) over a view that stays as it is, or a store in memory that changes at once and
//! remembers what it replaced. What is read is as the records before left it, so a write that appends and truncates the
//! same lane needs no second pass.

use std::sync::Arc;

use weir_kernel::ids::{LaneId, PartitionId};
use weir_kernel::log::{Record, StoredBatch, Table};

use crate::error::LogError;
use crate::index::{Appended, LaneEntry, Run, RunKey, Scope, Totals};
use crate::limits::{BATCH_BYTES_MAXIMUM, ROW_KEY_BYTES_MAXIMUM, ROW_VALUE_BYTES_MAXIMUM};
use crate::record::record_bytes;

/// Rows that are read as they are so far, and set (`Some`) or removed (`None`).
pub(crate) trait Changes {
    fn totals(&self, partition: PartitionId) -> Result<Totals, LogError>;
    fn run(&self, key: &RunKey) -> Result<Option<Run>, LogError>;
    /// The last batch of a lane that starts at or before `highest`.
    fn last_entry(&self, lane: LaneId, highest: u64) -> Result<Option<LaneEntry>, LogError>;

    fn set_batch(&mut self, key: (PartitionId, u64), bytes: Option<Arc<[u8]>>);
    fn set_entry(&mut self, key: (LaneId, u64), entry: Option<LaneEntry>);
    fn set_run(&mut self, key: RunKey, run: Option<Run>);
    fn set_appended(&mut self, key: (Scope, u64), appended: Option<Appended>);
    fn set_row(&mut self, table: Table, key: &[u8], value: Option<Arc<[u8]>>);
    fn set_totals(&mut self, partition: PartitionId, totals: Totals);

    /// A batch was appended whose record begins there in the log.
    fn placed(&mut self, _position: u64) {}
    /// Such a batch was removed.
    fn removed(&mut self, _position: u64) {}
}

/// Makes the changes of these records. The first of them begins at `position` in the log. After an error some are made.
pub(crate) fn change(
    changes: &mut impl Changes,
    records: &[Record],
    mut position: u64,
) -> Result<(), LogError> {
    for record in records {
        match record {
            Record::Batch(batch) => append(changes, batch, position)?,
            Record::Truncate { partition, lane, from } => truncate(changes, *partition, *lane, *from)?,
            Record::Put { table, key, value } => {
                check_row(key, value)?;
                changes.set_row(*table, key, Some(value.as_slice().into()));
            }
            Record::Remove { table, key } => changes.set_row(*table, key, None),
        }
        position += record_bytes(record);
    }
    Ok(())
}

fn append(changes: &mut impl Changes, batch: &StoredBatch, position: u64) -> Result<(), LogError> {
    check_batch(batch)?;
    let scope = Scope { partition: batch.partition, slot: batch.slot };
    let mut totals = changes.totals(batch.partition)?;
    if batch.index <= totals.last_index {
        return Err(LogError::contract(format!(
            "append indexes of partition {} rise: {} came after {}",
            batch.partition, batch.index, totals.last_index
        )));
    }
    let before = last_entry_below(changes, batch.lane, None)?;
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
    if let Some(before) = before.filter(|before| before.end() == batch.sequence && before.scope == scope) {
        (entry.run_time_ms, entry.run_sequence) = (before.run_time_ms, before.run_sequence);
        let run = run_of(changes, &before.run_key())?;
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
    changes.set_batch((batch.partition, batch.index), Some(batch.bytes.clone()));
    changes.set_entry((batch.lane, batch.sequence), Some(entry));
    changes.set_run(run.key, Some(run));
    changes.set_appended((scope, batch.index), Some(appended));
    changes.set_totals(batch.partition, totals);
    changes.placed(position);
    Ok(())
}

fn truncate(
    changes: &mut impl Changes,
    partition: PartitionId,
    lane: LaneId,
    from: u64,
) -> Result<(), LogError> {
    let mut above = None;
    while let Some(entry) = last_entry_below(changes, lane, above)? {
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
            remove_last(changes, &entry)?;
        }
        above = Some(entry.sequence);
    }
    Ok(())
}

/// Takes the last batch of a run away.
fn remove_last(changes: &mut impl Changes, entry: &LaneEntry) -> Result<(), LogError> {
    let key = entry.run_key();
    let run = run_of(changes, &key)?;
    let shorter = if entry.sequence == run.held_sequence {
        None
    } else {
        let before = last_entry_below(changes, entry.lane, Some(entry.sequence))?;
        let before = before
            .filter(|before| before.run_key() == key)
            .ok_or_else(|| LogError::damaged(entry.place(), "the batch before it in its lane is missing"))?;
        let (last_time_ms, next_sequence) = (before.last_time_ms, before.end());
        Some(Run { last_time_ms, next_sequence, last_index: before.index, ..run })
    };
    remove_entry(changes, entry, shorter)
}

/// Takes a batch away and leaves its run as `shorter`.
pub(crate) fn remove_entry(
    changes: &mut impl Changes,
    entry: &LaneEntry,
    shorter: Option<Run>,
) -> Result<(), LogError> {
    let mut totals = changes.totals(entry.scope.partition)?;
    totals.events = totals.events.saturating_sub(u64::from(entry.count));
    totals.batches = totals.batches.saturating_sub(1);
    totals.bytes = totals.bytes.saturating_sub(u64::from(entry.length));
    changes.set_run(entry.run_key(), shorter);
    changes.set_batch((entry.scope.partition, entry.index), None);
    changes.set_entry((entry.lane, entry.sequence), None);
    changes.set_appended((entry.scope, entry.index), None);
    changes.set_totals(entry.scope.partition, totals);
    changes.removed(entry.position);
    Ok(())
}

fn run_of(changes: &impl Changes, key: &RunKey) -> Result<Run, LogError> {
    let lost = || LogError::damaged(format!("lane {}", key.lane), "its summary is missing");
    changes.run(key)?.ok_or_else(lost)
}

/// The last batch of a lane, of those that start below `above`.
fn last_entry_below(
    changes: &impl Changes,
    lane: LaneId,
    above: Option<u64>,
) -> Result<Option<LaneEntry>, LogError> {
    match above.map_or(Some(u64::MAX), |above| above.checked_sub(1)) {
        Some(highest) => changes.last_entry(lane, highest),
        None => Ok(None),
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
