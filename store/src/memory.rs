//! A log in memory that loses what was not synced when it crashes: the simulator's disk.
//!
//! A [`MemoryDisk`] outlives the [`MemoryLog`]s opened on it, as a real disk outlives a process. Writes apply
//! at once and leave what they replaced on an undo list; a sync forgets the list, a crash plays it back.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use weir_kernel::ids::{LaneId, PartitionId, StreamPartition};
use weir_kernel::log::{Checkpoint, Chunk, Query, Record, Table};

use crate::draft::{Draft, Expiry, RowKey};
use crate::error::{LogError, Poison};
use crate::fault::LosesPower;
use crate::index::{Appended, Index, LaneEntry, Row, Rows, Run, RunKey, Scope, Stored, Totals};
use crate::limits::EXPIRE_BATCHES;
use crate::port::{EventLog, LogReader, LogStatistics};
use crate::query;
use crate::times::{EventTimes, kernel_times};

/// A disk in memory: clone the handle to keep it over restarts.
#[derive(Clone)]
pub struct MemoryDisk {
    shared: Arc<RwLock<State>>,
    times: EventTimes,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    /// An empty disk for batches of the kernel's own format.
    pub fn new() -> Self {
        Self::with_times(kernel_times)
    }

    /// An empty disk for batches whose event times are read by `times`.
    pub fn with_times(times: EventTimes) -> Self {
        Self { shared: Arc::default(), times }
    }

    /// Opens the log on this disk. A log that was opened before takes no more writes.
    pub fn open(&self) -> MemoryLog {
        let mut state = write(&self.shared);
        state.session += 1;
        let session = state.session;
        MemoryLog { disk: self.clone(), session, written: 0, poison: Poison::default() }
    }

    /// The first of the unsynced writes reached the device all the same: a crash does not take them back.
    pub fn keep(&self, writes: usize) {
        let mut state = write(&self.shared);
        let kept = writes.min(state.undo.len());
        state.undo.drain(..kept);
    }

    /// Power fails: what no sync made durable is gone, and every open log takes no more writes.
    pub fn crash(&self) {
        let mut state = write(&self.shared);
        state.session += 1;
        while let Some(undo) = state.undo.pop() {
            state.apply(undo);
        }
    }
}

/// An event log in memory. See [`MemoryDisk`].
pub struct MemoryLog {
    disk: MemoryDisk,
    session: u64,
    written: u64,
    poison: Poison,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    /// A log on a new, empty disk, for batches of the kernel's own format.
    pub fn new() -> Self {
        MemoryDisk::new().open()
    }

    /// The disk under this log.
    pub fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// Loses everything after the last sync and opens the log again.
    pub fn crash(&mut self) {
        self.disk.crash();
        *self = self.disk.open();
    }

    fn state(&self) -> Result<RwLockWriteGuard<'_, State>, LogError> {
        let state = write(&self.disk.shared);
        if state.session == self.session {
            return Ok(state);
        }
        Err(LogError::Io {
            doing: "writing to the log in memory".into(),
            cause: "it crashed or was reopened".into(),
        })
    }

    fn try_write(&mut self, index: u64, records: &[Record]) -> Result<(), LogError> {
        check_index(index, self.written)?;
        let mut state = self.state()?;
        let draft = Draft::of(records, &*state, 0)?;
        let undo = state.apply(draft);
        state.undo.push(undo);
        drop(state);
        self.written = index;
        Ok(())
    }

    fn try_expire(&mut self, expiry: &Expiry) -> Result<u64, LogError> {
        let mut state = self.state()?;
        let draft = Draft::expiry(expiry, &*state)?;
        let removed = draft.removed.len() as u64;
        if removed > 0 {
            let undo = state.apply(draft);
            state.undo.push(undo);
        }
        Ok(removed)
    }

    fn try_sync(&mut self) -> Result<u64, LogError> {
        self.state()?.undo.clear();
        Ok(self.written)
    }
}

impl LosesPower for MemoryLog {
    fn lose_power(self, seed: u64) -> Result<(), LogError> {
        let unsynced = read(&self.disk.shared).undo.len() as u64;
        self.disk.keep((seed % (unsynced + 1)) as usize);
        self.disk.crash();
        Ok(())
    }
}

/// Write indexes rise from call to call.
pub(crate) fn check_index(index: u64, written: u64) -> Result<(), LogError> {
    if index > written {
        return Ok(());
    }
    Err(LogError::contract(format!("write indexes rise from 1: {index} came after {written}")))
}

impl EventLog for MemoryLog {
    fn write(&mut self, index: u64, records: &[Record]) -> Result<(), LogError> {
        self.poison.check()?;
        let result = self.try_write(index, records);
        self.poison.watch(result)
    }

    fn sync(&mut self) -> Result<u64, LogError> {
        self.poison.check()?;
        let result = self.try_sync();
        self.poison.watch(result)
    }

    fn expire(
        &mut self,
        partition: PartitionId,
        slot: StreamPartition,
        before_ms: u64,
        up_to_index: u64,
    ) -> Result<u64, LogError> {
        self.poison.check()?;
        let scope = Scope { partition, slot };
        let result = self.try_expire(&Expiry { scope, before_ms, up_to_index, limit: EXPIRE_BATCHES });
        self.poison.watch(result)
    }

    fn load(&self) -> Result<Checkpoint, LogError> {
        let state = read(&self.disk.shared);
        let rows = state.rows.iter().filter(|((table, _), _)| *table != Table::Cut);
        Ok(Checkpoint {
            rows: rows.map(|((table, key), value)| (*table, key.clone(), value.to_vec())).collect(),
            last_index: state
                .totals
                .iter()
                .map(|(partition, totals)| (*partition, totals.last_index))
                .collect(),
        })
    }

    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError> {
        LogReader::read(&self.disk, query, budget_bytes)
    }

    fn statistics(&self) -> LogStatistics {
        LogReader::statistics(&self.disk)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(self.disk.clone())
    }
}

impl LogReader for MemoryDisk {
    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError> {
        query::answer(&*read(&self.shared), self.times, query, budget_bytes)
    }

    fn statistics(&self) -> LogStatistics {
        let state = read(&self.shared);
        let empty = LogStatistics::default();
        state.totals.values().fold(empty, |sum, totals| LogStatistics {
            events: sum.events + totals.events,
            batches: sum.batches + totals.batches,
            bytes: sum.bytes + totals.bytes,
            partitions: sum.partitions + 1,
            disk_bytes: 0,
        })
    }
}

fn read(shared: &RwLock<State>) -> RwLockReadGuard<'_, State> {
    shared.read().expect("no holder of this lock panics half way through a change")
}

fn write(shared: &RwLock<State>) -> RwLockWriteGuard<'_, State> {
    shared.write().expect("no holder of this lock panics half way through a change")
}

/// What the disk holds.
#[derive(Default)]
struct State {
    batches: BTreeMap<(PartitionId, u64), Arc<[u8]>>,
    lanes: BTreeMap<(LaneId, u64), LaneEntry>,
    runs: BTreeMap<RunKey, Run>,
    appends: BTreeMap<(Scope, u64), Appended>,
    rows: BTreeMap<RowKey, Arc<[u8]>>,
    totals: BTreeMap<PartitionId, Totals>,
    /// What unsynced writes replaced, the oldest write first.
    undo: Vec<Draft>,
    /// Rises with every opening and crash: a log of an earlier session takes no writes.
    session: u64,
}

impl State {
    /// Applies changes; returns those that take them back.
    fn apply(&mut self, draft: Draft) -> Draft {
        Draft {
            batches: exchange(&mut self.batches, draft.batches),
            lanes: exchange(&mut self.lanes, draft.lanes),
            runs: exchange(&mut self.runs, draft.runs),
            appends: exchange(&mut self.appends, draft.appends),
            rows: exchange(&mut self.rows, draft.rows),
            totals: exchange(&mut self.totals, draft.totals),
            ..Draft::default()
        }
    }
}

fn exchange<K: Ord + Clone, V>(
    map: &mut BTreeMap<K, V>,
    mut new: BTreeMap<K, Option<V>>,
) -> BTreeMap<K, Option<V>> {
    for (key, value) in &mut new {
        *value = match value.take() {
            Some(value) => map.insert(key.clone(), value),
            None => map.remove(key),
        };
    }
    new
}

impl Index for State {
    fn runs(&self, scope: Scope, times: std::ops::RangeInclusive<u64>) -> Rows<'_, Run> {
        let key = |first_time_ms, end: u8| RunKey {
            scope,
            first_time_ms,
            lane: LaneId([end; 32]),
            first_sequence: if end == 0 { 0 } else { u64::MAX },
        };
        let runs = self.runs.range(key(*times.start(), 0)..=key(*times.end(), 0xff));
        Box::new(runs.map(|(_, run)| Ok(*run)))
    }

    fn run(&self, key: &RunKey) -> Result<Option<Run>, LogError> {
        Ok(self.runs.get(key).copied())
    }

    fn entry_at_or_before(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        Ok(self.lanes.range((lane, 0)..=(lane, sequence)).next_back().map(|(_, entry)| *entry))
    }

    fn entry_at_or_after(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        Ok(self.lanes.range((lane, sequence)..=(lane, u64::MAX)).next().map(|(_, entry)| *entry))
    }

    fn batch(&self, stored: Stored) -> Result<Arc<[u8]>, LogError> {
        let Stored { partition, index, .. } = stored;
        let bytes = self.batches.get(&(partition, index)).cloned();
        bytes.ok_or_else(|| {
            LogError::damaged(format!("batch {index} of partition {partition}"), "it is missing")
        })
    }

    fn appends(&self, scope: Scope, after: u64) -> Rows<'_, Appended> {
        let range = (Bound::Excluded((scope, after)), Bound::Included((scope, u64::MAX)));
        Box::new(self.appends.range(range).map(|(_, appended)| Ok(*appended)))
    }

    fn totals(&self, partition: PartitionId) -> Result<Totals, LogError> {
        Ok(self.totals.get(&partition).copied().unwrap_or_default())
    }

    fn rows<'a>(&'a self, table: Table, prefix: &'a [u8], after: Option<&'a [u8]>) -> Rows<'a, Row> {
        let low = after.map_or(prefix, |after| prefix.max(after));
        let rows = self.rows.range((table, low.to_vec())..);
        let rows = rows.take_while(move |((of, key), _)| *of == table && key.starts_with(prefix));
        let rows = rows.filter(move |((_, key), _)| after.is_none_or(|after| key.as_slice() > after));
        Box::new(rows.map(|((_, key), value)| Ok((key.clone(), value.clone()))))
    }
}
