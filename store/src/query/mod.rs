//! Answers to queries, written once for every implementation.
//!
//! ```text
//!   Range   runs of the slot by first time ──► merge of the lanes that overlap ──► slices, budget, next Range
//!   Last    runs of the slot by last time  ──► count back to the start          ──► a Range from there
//!   Append  append index of the slot       ──► whole batches                    ──► next Append
//!   Lane    lane index                     ──► whole batches                    ──► next Lane
//!   Rows    a table                        ──► values                           ──► next Rows
//! ```

mod last;
mod range;

use std::sync::Arc;

use weir_kernel::ids::LaneId;
use weir_kernel::log::{Chunk, Query, Slice, Table};

use crate::error::LogError;
use crate::index::{Index, Scope, Stored};
use crate::limits::SLICES_PER_CHUNK;
use crate::times::EventTimes;

/// Answers any query.
pub(crate) fn answer(
    index: &impl Index,
    times: EventTimes,
    query: &Query,
    budget_bytes: usize,
) -> Result<Chunk, LogError> {
    let answer = Answer::new(budget_bytes);
    match query {
        Query::Range { partition, slot, from, to, up_to_index, origin } => {
            let range = range::Range {
                scope: Scope { partition: *partition, slot: *slot },
                from: *from,
                to: *to,
                up_to_index: *up_to_index,
                visible: (*up_to_index).min(index.up_to_index()),
                origin: *origin,
            };
            range.answer(index, times, answer)
        }
        Query::Last { partition, slot, count, up_to_index } => {
            let scope = Scope { partition: *partition, slot: *slot };
            let visible = (*up_to_index).min(index.up_to_index());
            let Some((from, total)) = last::start(index, times, scope, *count, visible)? else {
                return Ok(Chunk::default());
            };
            let (to, up_to_index) = (range::LAST_POSITION, *up_to_index);
            let range = range::Range { scope, from, to, up_to_index, visible, origin: None };
            Ok(Chunk { total, ..range.answer(index, times, answer)? })
        }
        Query::Append { partition, slot, after_index } => {
            appended(index, Scope { partition: *partition, slot: *slot }, *after_index, answer)
        }
        Query::Lane { lane, from } => of_lane(index, *lane, *from, answer),
        Query::Rows { table, prefix, after } => rows(index, *table, prefix, after, answer),
    }
}

/// A chunk in the making, with its budget.
pub(super) struct Answer {
    chunk: Chunk,
    bytes: usize,
    /// Whole batches that are to be read, and their bytes.
    planned: usize,
    planned_bytes: usize,
    budget_bytes: usize,
}

impl Answer {
    fn new(budget_bytes: usize) -> Self {
        Self { chunk: Chunk::default(), bytes: 0, planned: 0, planned_bytes: 0, budget_bytes }
    }

    /// Whether one more batch of this length still fits. The first one always does.
    fn fits(&self, length: usize) -> bool {
        let within = self.bytes.saturating_add(length) <= self.budget_bytes && !self.is_full();
        self.chunk.batches.is_empty() || within
    }

    /// Whether the order has reached its bound.
    fn is_full(&self) -> bool {
        self.chunk.order.len().max(self.chunk.batches.len()) >= SLICES_PER_CHUNK
    }

    /// Plans to read one more whole batch; false when it does not fit. The first one always does.
    fn plan(&mut self, length: u32) -> bool {
        let bytes = self.planned_bytes.saturating_add(length as usize);
        let fits = self.planned == 0 || (bytes <= self.budget_bytes && self.planned < SLICES_PER_CHUNK);
        if fits {
            (self.planned, self.planned_bytes) = (self.planned + 1, bytes);
        }
        fits
    }

    /// Reads what was planned: whole batches with their numbers of events.
    fn read(&mut self, index: &impl Index, planned: &[(Stored, u32)]) -> Result<(), LogError> {
        planned.iter().for_each(|(stored, _)| index.prefetch(*stored));
        for (stored, count) in planned {
            let number = self.add(index.batch(*stored)?);
            self.push(Slice { batch: number, first: 0, count: *count });
        }
        Ok(())
    }

    /// Adds a batch; returns the number by which slices name it.
    fn add(&mut self, bytes: Arc<[u8]>) -> u32 {
        let number = self.chunk.batches.len() as u32;
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.chunk.batches.push(bytes);
        number
    }

    /// Adds events to the order, joined to the slice before where they continue it.
    fn push(&mut self, slice: Slice) {
        assert!(slice.count > 0, "an empty slice would never end a merge");
        match self.chunk.order.last_mut() {
            Some(last) if last.batch == slice.batch && last.first + last.count == slice.first => {
                last.count += slice.count;
            }
            _ => self.chunk.order.push(slice),
        }
    }

    fn finish(self, next: Option<Query>) -> Chunk {
        Chunk { next, ..self.chunk }
    }
}

/// Batches in append order. `last_index` never goes back, so a tail may always ask again from there.
fn appended(index: &impl Index, scope: Scope, after: u64, mut answer: Answer) -> Result<Chunk, LogError> {
    let (mut wanted, mut last_index, mut next) = (Vec::new(), after, None);
    for batch in index.appends(scope, after) {
        let batch = batch?;
        if batch.index > index.up_to_index() {
            break;
        }
        if !answer.plan(batch.length) {
            let Scope { partition, slot } = scope;
            next = Some(Query::Append { partition, slot, after_index: last_index });
            break;
        }
        wanted.push((batch.stored(scope.partition), batch.count));
        last_index = batch.index;
    }
    answer.read(index, &wanted)?;
    answer.chunk.last_index = last_index;
    Ok(answer.finish(next))
}

/// Whole batches of a lane from the one that holds `from`, or else from the first one after it.
fn of_lane(index: &impl Index, lane: LaneId, from: u64, mut answer: Answer) -> Result<Chunk, LogError> {
    let (mut wanted, mut next) = (Vec::new(), None);
    let holding = index.entry_at_or_before(lane, from)?.filter(|entry| entry.end() > from);
    let mut entry = match holding {
        Some(entry) => Some(entry),
        None => index.entry_at_or_after(lane, from)?,
    };
    while let Some(found) = entry {
        if !answer.plan(found.length) {
            next = Some(Query::Lane { lane, from: found.sequence });
            break;
        }
        wanted.push((found.stored(), found.count));
        entry = index.entry_at_or_after(lane, found.end())?;
    }
    answer.read(index, &wanted)?;
    Ok(answer.finish(next))
}

/// Values of a table's rows.
fn rows(
    index: &impl Index,
    table: Table,
    prefix: &[u8],
    after: &[u8],
    mut answer: Answer,
) -> Result<Chunk, LogError> {
    let mut seen = after.to_vec();
    for row in index.rows(table, prefix, Some(after)) {
        let (key, value) = row?;
        if !answer.fits(value.len()) {
            return Ok(answer.finish(Some(Query::Rows { table, prefix: prefix.to_vec(), after: seen })));
        }
        answer.add(value);
        seen = key;
    }
    Ok(answer.finish(None))
}
