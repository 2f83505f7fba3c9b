//! A log in memory that loses what was not synced when it crashes: the simulator's disk.
//!
//! A [`MemoryDisk`] outlives the [`MemoryLog`]s opened on it, as a real disk outlives a process. Writes apply
//! at once and leave what they replaced on an undo list; a sync forgets the list, a crash plays it back. What a lane, a
//! partition and a slot hold comes in rising order, so that the next batch goes to the end of one vector each.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use smallvec::SmallVec;
use weir_kernel::ids::{LaneId, PartitionId, StreamPartition};
use weir_kernel::log::{Checkpoint, Chunk, Query, Record, Table};

use crate::changes::{Changes, change};
use crate::draft::{Draft, Expiry};
use crate::error::{LogError, Poison};
use crate::fault::LosesPower;
use crate::index::{Appended, Index, LaneEntry, Row, Rows, Run, RunKey, Scope, Stored, Totals};
use crate::limits::EXPIRE_BATCHES;
use crate::port::{EventLog, LogReader, LogStatistics};
use crate::query;
use crate::rising::Rising;
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
        state.keep(writes);
    }

    /// Power fails: what no sync made durable is gone, and every open log takes no more writes.
    pub fn crash(&self) {
        let mut state = write(&self.shared);
        state.session += 1;
        state.take_back(0);
        state.unsynced.clear();
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
        let begun = state.undo.len();
        if let Err(error) = change(&mut *state, records, 0) {
            state.take_back(begun);
            return Err(error);
        }
        state.unsynced.push(begun);
        drop(state);
        self.written = index;
        Ok(())
    }

    fn try_expire(&mut self, expiry: &Expiry) -> Result<u64, LogError> {
        let mut state = self.state()?;
        let draft = Draft::expiry(expiry, &*state)?;
        let removed = draft.removed.len() as u64;
        if removed > 0 {
            let begun = state.undo.len();
            state.apply(draft);
            state.unsynced.push(begun);
        }
        Ok(removed)
    }

    fn try_sync(&mut self) -> Result<u64, LogError> {
        let mut state = self.state()?;
        state.undo.clear();
        // A long write is rare, and thousands of disks may be in one process.
        state.undo.shrink_to(UNDO_KEPT);
        state.unsynced.clear();
        drop(state);
        Ok(self.written)
    }
}

impl LosesPower for MemoryLog {
    fn lose_power(self, seed: u64) -> Result<(), LogError> {
        let unsynced = read(&self.disk.shared).unsynced.len() as u64;
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

    fn held_slot(
        &self,
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> Result<Option<StreamPartition>, LogError> {
        Ok(read(&self.disk.shared).run_after(partition, after)?.map(|run| run.key.scope.slot))
    }

    fn load(&self) -> Result<Checkpoint, LogError> {
        let state = read(&self.disk.shared);
        let rows = state.rows.iter().filter(|((table, _), _)| *table != Table::Cut);
        Ok(Checkpoint {
            rows: rows.map(|((table, key), value)| (*table, key.to_vec(), value.to_vec())).collect(),
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

/// A row's key where it is compared: keys of marks, which come and go with each batch, have 44 bytes.
type Key = SmallVec<[u8; 64]>;

/// Room for so many replaced rows stays between syncs: what a batch with its mark replaces.
const UNDO_KEPT: usize = 8;

/// What the disk holds.
#[derive(Default)]
struct State {
    batches: BTreeMap<PartitionId, Rising<Arc<[u8]>>>,
    lanes: BTreeMap<LaneId, Rising<LaneEntry>>,
    runs: BTreeMap<RunKey, Run>,
    appends: BTreeMap<Scope, Rising<Appended>>,
    rows: BTreeMap<(Table, Key), Arc<[u8]>>,
    totals: BTreeMap<PartitionId, Totals>,
    /// What unsynced writes replaced, the oldest first.
    undo: Vec<Replaced>,
    /// Where each unsynced write begins in `undo`.
    unsynced: Vec<usize>,
    /// Rises with every opening and crash: a log of an earlier session takes no writes.
    session: u64,
}

/// What a row held before it was set or removed; `None` where there was none. Large ones lie elsewhere, because the
/// list has room for several on each of many disks.
enum Replaced {
    Batch((PartitionId, u64), Option<Arc<[u8]>>),
    Entry((LaneId, u64), Option<Box<LaneEntry>>),
    Run(RunKey, Option<Box<Run>>),
    Appended((Scope, u64), Option<Appended>),
    Row((Table, Key), Option<Arc<[u8]>>),
    Totals(PartitionId, Option<Totals>),
}

impl State {
    /// Sets a row as it was.
    fn restore(&mut self, row: Replaced) {
        match row {
            Replaced::Batch(key, old) => _ = put_rising(&mut self.batches, key, old),
            Replaced::Entry(key, old) => _ = put_rising(&mut self.lanes, key, old.map(|old| *old)),
            Replaced::Run(key, old) => _ = put(&mut self.runs, &key, old.map(|old| *old)),
            Replaced::Appended(key, old) => _ = put_rising(&mut self.appends, key, old),
            Replaced::Row(key, old) => _ = put(&mut self.rows, &key, old),
            Replaced::Totals(key, old) => _ = put(&mut self.totals, &key, old),
        }
    }

    /// Takes back what was replaced since the list was so long.
    fn take_back(&mut self, begun: usize) {
        while self.undo.len() > begun
            && let Some(replaced) = self.undo.pop()
        {
            self.restore(replaced);
        }
    }

    /// Forgets how to take back the first of the unsynced writes.
    fn keep(&mut self, writes: usize) {
        let end = self.unsynced.get(writes).copied().unwrap_or(self.undo.len());
        self.undo.drain(..end);
        self.unsynced.drain(..writes.min(self.unsynced.len()));
        self.unsynced.iter_mut().for_each(|begun| *begun -= end);
    }

    fn apply(&mut self, draft: Draft) {
        let Draft { batches, lanes, runs, appends, rows, totals, .. } = draft;
        batches.into_iter().for_each(|(key, bytes)| self.set_batch(key, bytes));
        lanes.into_iter().for_each(|(key, entry)| self.set_entry(key, entry));
        runs.into_iter().for_each(|(key, run)| self.set_run(key, run));
        appends.into_iter().for_each(|(key, appended)| self.set_appended(key, appended));
        rows.into_iter().for_each(|((table, key), value)| self.set_row(table, &key, value));
        totals.into_iter().for_each(|(key, totals)| self.set_totals(key, totals.unwrap_or_default()));
    }
}

fn put<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, new: Option<V>) -> Option<V> {
    match new {
        Some(value) => match map.get_mut(key) {
            Some(here) => Some(std::mem::replace(here, value)),
            None => map.insert(key.clone(), value),
        },
        None => map.remove(key),
    }
}

fn put_rising<K: Ord + Copy, V>(
    map: &mut BTreeMap<K, Rising<V>>,
    (key, number): (K, u64),
    new: Option<V>,
) -> Option<V> {
    let Some(value) = new else {
        let rising = map.get_mut(&key)?;
        let old = rising.remove(number);
        if rising.is_empty() {
            map.remove(&key);
        }
        return old;
    };
    map.entry(key).or_default().insert(number, value)
}

impl Changes for State {
    fn totals(&self, partition: PartitionId) -> Result<Totals, LogError> {
        Index::totals(self, partition)
    }

    fn run(&self, key: &RunKey) -> Result<Option<Run>, LogError> {
        Index::run(self, key)
    }

    fn last_entry(&self, lane: LaneId, highest: u64) -> Result<Option<LaneEntry>, LogError> {
        self.entry_at_or_before(lane, highest)
    }

    fn set_batch(&mut self, key: (PartitionId, u64), bytes: Option<Arc<[u8]>>) {
        let old = put_rising(&mut self.batches, key, bytes);
        self.undo.push(Replaced::Batch(key, old));
    }

    fn set_entry(&mut self, key: (LaneId, u64), entry: Option<LaneEntry>) {
        let old = put_rising(&mut self.lanes, key, entry);
        self.undo.push(Replaced::Entry(key, old.map(Box::new)));
    }

    fn set_run(&mut self, key: RunKey, run: Option<Run>) {
        let old = put(&mut self.runs, &key, run);
        self.undo.push(Replaced::Run(key, old.map(Box::new)));
    }

    fn set_appended(&mut self, key: (Scope, u64), appended: Option<Appended>) {
        let old = put_rising(&mut self.appends, key, appended);
        self.undo.push(Replaced::Appended(key, old));
    }

    fn set_row(&mut self, table: Table, key: &[u8], value: Option<Arc<[u8]>>) {
        let key = (table, Key::from_slice(key));
        let old = put(&mut self.rows, &key, value);
        self.undo.push(Replaced::Row(key, old));
    }

    fn set_totals(&mut self, partition: PartitionId, totals: Totals) {
        let old = put(&mut self.totals, &partition, Some(totals));
        self.undo.push(Replaced::Totals(partition, old));
    }
}

impl Index for State {
    fn runs(&self, scope: Scope, times: std::ops::RangeInclusive<u64>) -> Rows<'_, Run> {
        let runs = self.runs.range(RunKey::of_scope(scope, &times));
        Box::new(runs.map(|(_, run)| Ok(*run)))
    }

    fn run_after(
        &self,
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> Result<Option<Run>, LogError> {
        Ok(self.runs.range(RunKey::after(partition, after)).next().map(|(_, run)| *run))
    }

    fn run(&self, key: &RunKey) -> Result<Option<Run>, LogError> {
        Ok(self.runs.get(key).copied())
    }

    fn entry_at_or_before(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        Ok(self.lanes.get(&lane).and_then(|lane| lane.at_or_before(sequence)).copied())
    }

    fn entry_at_or_after(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        Ok(self.lanes.get(&lane).and_then(|lane| lane.from(sequence).next()).copied())
    }

    fn batch(&self, stored: Stored) -> Result<Arc<[u8]>, LogError> {
        let Stored { partition, index, .. } = stored;
        let bytes = self.batches.get(&partition).and_then(|batches| batches.get(index)).cloned();
        bytes.ok_or_else(|| {
            LogError::damaged(format!("batch {index} of partition {partition}"), "it is missing")
        })
    }

    fn appends(&self, scope: Scope, after: u64) -> Rows<'_, Appended> {
        let appends = self.appends.get(&scope).into_iter();
        let above = appends.flat_map(move |appends| appends.from(after.saturating_add(1)));
        Box::new(above.map(|appended| Ok(*appended)))
    }

    fn totals(&self, partition: PartitionId) -> Result<Totals, LogError> {
        Ok(self.totals.get(&partition).copied().unwrap_or_default())
    }

    fn rows<'a>(&'a self, table: Table, prefix: &'a [u8], after: Option<&'a [u8]>) -> Rows<'a, Row> {
        let low = after.map_or(prefix, |after| prefix.max(after));
        let rows = self.rows.range((table, Key::from_slice(low))..);
        let rows = rows.take_while(move |((of, key), _)| *of == table && key.starts_with(prefix));
        let rows = rows.filter(move |((_, key), _)| after.is_none_or(|after| key.as_slice() > after));
        Box::new(rows.map(|((_, key), value)| Ok((key.to_vec(), value.clone()))))
    }
}
