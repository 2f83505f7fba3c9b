//! What queries and writes see of a store: batches, the lane index, runs and tables, behind one small trait.
//!
//! A *run* is an unbroken stretch of one lane within one network partition and one stream partition: its
//! sequences have no gap, its times never go back, its append indexes rise. Most lanes are one run. Because
//! all three rise together, one binary search over sequences finds a time, and a bound on the append index is
//! a prefix of the run.

use std::sync::Arc;

use weir_kernel::ids::{Address, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::{Position, Table};

use crate::error::LogError;

/// A stream partition within the log of a network partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) partition: PartitionId,
    pub(crate) slot: StreamPartition,
}

/// One batch as the lane index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneEntry {
    pub(crate) lane: LaneId,
    pub(crate) sequence: u64,
    pub(crate) scope: Scope,
    pub(crate) index: u64,
    /// Where the batch's record begins in the log, for a store that keeps one.
    pub(crate) position: u64,
    pub(crate) count: u32,
    pub(crate) length: u32,
    pub(crate) first_time_ms: u64,
    pub(crate) last_time_ms: u64,
    /// Time of the first event of the run that the batch belongs to.
    pub(crate) run_time_ms: u64,
    /// Sequence of the first event of that run.
    pub(crate) run_sequence: u64,
}

impl LaneEntry {
    /// The sequence after the last event.
    pub(crate) fn end(&self) -> u64 {
        self.sequence + u64::from(self.count)
    }

    /// Place of the first event.
    pub(crate) fn first(&self) -> Position {
        Position { timestamp_ms: self.first_time_ms, lane: self.lane, sequence: self.sequence }
    }

    /// Place of the last event.
    pub(crate) fn last(&self) -> Position {
        Position { timestamp_ms: self.last_time_ms, lane: self.lane, sequence: self.end() - 1 }
    }

    pub(crate) fn run_key(&self) -> RunKey {
        RunKey {
            scope: self.scope,
            first_time_ms: self.run_time_ms,
            lane: self.lane,
            first_sequence: self.run_sequence,
        }
    }

    /// Names the batch for reading it.
    pub(crate) fn stored(&self) -> Stored {
        let Self { scope, index, position, length, .. } = *self;
        Stored { partition: scope.partition, index, position, length }
    }

    /// How error messages name the batch.
    pub(crate) fn place(&self) -> String {
        format!("batch {} of partition {} (lane {})", self.index, self.scope.partition, self.lane)
    }
}

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) partition: PartitionId,
    pub(crate) index: u64,
    /// Where its record begins in the log.
    pub(crate) position: u64,
    /// Its bytes.
    pub(crate) length: u32,
}

/// Names a run; ordered so that the runs of a scope come by the time of their first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunKey {
    pub(crate) scope: Scope,
    pub(crate) first_time_ms: u64,
    pub(crate) lane: LaneId,
    pub(crate) first_sequence: u64,
}

impl RunKey {
    /// The keys of all runs of a scope that begin within `times`.
    pub(crate) fn of_scope(
        scope: Scope,
        times: &std::ops::RangeInclusive<u64>,
    ) -> std::ops::RangeInclusive<Self> {
        let first = Self { scope, first_time_ms: *times.start(), lane: LaneId([0; 32]), first_sequence: 0 };
        first..=Self {
            scope,
            first_time_ms: *times.end(),
            lane: LaneId([0xff; 32]),
            first_sequence: u64::MAX,
        }
    }

    /// The keys of all runs of a partition whose stream partitions come after the given one.
    pub(crate) fn after(
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> std::ops::RangeInclusive<Self> {
        let last = StreamPartition { stream: StreamId([0xff; 20]), partition: u32::MAX };
        let end = |slot| *Self::of_scope(Scope { partition, slot }, &(0..=u64::MAX)).end();
        let begin = |slot| *Self::of_scope(Scope { partition, slot }, &(0..=u64::MAX)).start();
        // No batch begins in the last sequence that there is, so the end of one is before the next.
        after.map_or(begin(StreamPartition::default()), end)..=end(last)
    }
}

/// A run: the summary from which a merge decides whether to open the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) key: RunKey,
    pub(crate) last_time_ms: u64,
    /// Sequence of the first event that is held: those before it have expired.
    pub(crate) held_sequence: u64,
    pub(crate) next_sequence: u64,
    /// Append index of the first batch that is held.
    pub(crate) first_index: u64,
    pub(crate) last_index: u64,
    pub(crate) origin: Address,
}

impl Run {
    /// Place of the first event that the run ever had.
    pub(crate) fn first(&self) -> Position {
        Position {
            timestamp_ms: self.key.first_time_ms,
            lane: self.key.lane,
            sequence: self.key.first_sequence,
        }
    }

    /// Place of the last event.
    pub(crate) fn last(&self) -> Position {
        Position { timestamp_ms: self.last_time_ms, lane: self.key.lane, sequence: self.next_sequence - 1 }
    }

    /// The first batch of the run for which `wanted` holds, where `wanted` never turns false again along the
    /// run.
    pub(crate) fn first_where(
        &self,
        index: &impl Index,
        wanted: impl Fn(&LaneEntry) -> bool,
    ) -> Result<Option<LaneEntry>, LogError> {
        let (mut low, mut high) = (self.held_sequence, self.next_sequence);
        let mut found = None;
        // Most runs are opened at their beginning, so that is looked at before halving.
        let mut probe = low;
        while low < high {
            let entry = self.holding(index, probe)?;
            if wanted(&entry) {
                high = entry.sequence;
                found = Some(entry);
            } else {
                low = entry.end();
            }
            probe = low + high.saturating_sub(low) / 2;
        }
        Ok(found)
    }

    /// The batch that holds a sequence of this run.
    pub(crate) fn holding(&self, index: &impl Index, sequence: u64) -> Result<LaneEntry, LogError> {
        let entry = index.entry_at_or_before(self.key.lane, sequence)?;
        match entry {
            Some(entry) if entry.end() > sequence && entry.run_key() == self.key => Ok(entry),
            _ => Err(LogError::damaged(
                format!("lane {} at sequence {sequence}", self.key.lane),
                "the lane's summary names a batch that its index lacks",
            )),
        }
    }
}

/// One batch as the append index of a scope knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) index: u64,
    /// Where the batch's record begins in the log, for a store that keeps one.
    pub(crate) position: u64,
    pub(crate) count: u32,
    pub(crate) length: u32,
}

impl Appended {
    /// Names the batch for reading it.
    pub(crate) fn stored(&self, partition: PartitionId) -> Stored {
        let Self { index, position, length, .. } = *self;
        Stored { partition, index, position, length }
    }
}

/// What a network partition's log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Highest append index ever written; truncation does not lower it.
    pub(crate) last_index: u64,
    pub(crate) events: u64,
    pub(crate) batches: u64,
    pub(crate) bytes: u64,
}

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Arc<[u8]>);

/// A stream of results that borrows the index.
pub(crate) type Rows<'a, T> = Box<dyn Iterator<Item = Result<T, LogError>> + 'a>;

/// An unchanging view of a store: what the query algorithms and the write planner are written against.
pub(crate) trait Index {
    /// The append index of a query's partition up to which the view does not change. What is above it came
    /// while the view was in use.
    fn up_to_index(&self) -> u64 {
        u64::MAX
    }

    /// Runs of a scope whose first time is within `times`, in the order of their keys.
    fn runs(&self, scope: Scope, times: std::ops::RangeInclusive<u64>) -> Rows<'_, Run>;

    /// The first run of a partition whose stream partition comes after the given one.
    fn run_after(
        &self,
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> Result<Option<Run>, LogError>;

    /// One run.
    fn run(&self, key: &RunKey) -> Result<Option<Run>, LogError>;

    /// The last batch of a lane that starts at or before `sequence`.
    fn entry_at_or_before(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError>;

    /// The first batch of a lane that starts at or after `sequence`.
    fn entry_at_or_after(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError>;

    /// A batch's signed bytes.
    fn batch(&self, stored: Stored) -> Result<Arc<[u8]>, LogError>;

    /// Says that a batch is going to be read soon.
    fn prefetch(&self, _stored: Stored) {}

    /// Batches of a scope with an append index above `after`, in append order.
    fn appends(&self, scope: Scope, after: u64) -> Rows<'_, Appended>;

    /// Totals of a partition; zero for one that was never written.
    fn totals(&self, partition: PartitionId) -> Result<Totals, LogError>;

    /// Rows of a table whose key starts with `prefix` and is greater than `after`, in key order; all with the
    /// prefix for `None`.
    fn rows<'a>(&'a self, table: Table, prefix: &'a [u8], after: Option<&'a [u8]>) -> Rows<'a, Row>;
}
