//! The log on disk: segment files with the records, and an index of them that is made in the background.
//!
//! ```text
//!   write ──► draft ──► layer in memory ──► (closed by a sync) ──► indexer ──► index/
//!      └────► record ─► memory ──► sync: one write, one fdatasync ──────────► segments/
//! ```

mod blocks;
mod directory;
mod files;
mod index_database;
mod indexer;
mod layers;
mod opening;
mod power;
mod scan;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock};
use std::thread::JoinHandle;

use weir_kernel::ids::{PartitionId, StreamPartition};
use weir_kernel::log::{Checkpoint, Chunk, Query, Record, Table};

use crate::draft::{Draft, Expiry};
use crate::error::{LogError, Poison};
use crate::index::{Index, Scope, Totals};
use crate::layout::Place;
use crate::limits;
use crate::memory::check_index;
use crate::port::{EventLog, LogReader, LogStatistics};
use crate::query;
use crate::times::{EventTimes, kernel_times};
use directory::{Directory, Synced};
use files::{Segments, Writer};
use index_database::IndexDatabase;
use layers::Layer;
use view::View;

/// Memory and formats of a [`SegmentLog`]. The defaults suit many brokers in one process.
#[derive(Clone, Copy, Debug)]
pub struct SegmentOptions {
    /// Block cache of the index, in bytes.
    pub cache_bytes: u64,
    /// Size at which a segment file ends, in bytes; at least [`limits::SEGMENT_BYTES_MINIMUM`].
    pub segment_bytes: u64,
    /// Rows that are held in memory before they are indexed; at least 1. More make the index cheaper, and a
    /// start after a crash longer.
    pub layer_rows: usize,
    /// How event times are read out of batches.
    pub times: EventTimes,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            cache_bytes: limits::CACHE_BYTES_DEFAULT,
            segment_bytes: limits::SEGMENT_BYTES_DEFAULT,
            layer_rows: limits::LAYER_ROWS_DEFAULT,
            times: kernel_times,
        }
    }
}

/// An event log on disk.
///
/// Opening reads the end of the log that is not indexed yet and one row a partition, no history. The
/// directory stays locked until the log and all its readers are dropped. Dropping the log sends what was not
/// synced to the system, but not to the device.
pub struct SegmentLog {
    shared: Arc<Shared>,
    writer: Writer,
    synced: Synced,
    /// Rows in the newest layer, and where in the log it began.
    layer_rows: usize,
    layer_start: u64,
    /// Whether the newest layer takes batches away, whose space is wanted back.
    removes: bool,
    written: u64,
    options: SegmentOptions,
    poison: Poison,
    indexer: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for SegmentLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentLog").field("directory", &self.shared.path).finish_non_exhaustive()
    }
}

/// What the writer, its readers and the indexer share. The index closes before the lock goes.
struct Shared {
    index: IndexDatabase,
    segments: Arc<Segments>,
    state: Mutex<State>,
    unused: Mutex<Unused>,
    /// Held by each reader for as long as it may look at what a segment holds.
    readers: RwLock<()>,
    /// A layer was closed or taken in, or the log closes.
    changed: Condvar,
    times: EventTimes,
    path: PathBuf,
    _directory: Directory,
}

/// Segments of which the index names no batch.
#[derive(Default)]
struct Unused {
    /// Where those begin that are there.
    empty: BTreeSet<u64>,
    /// Where those began whose space was given back and that the index still counts.
    freed: BTreeSet<u64>,
}

struct State {
    /// The oldest first; the last one takes what is written.
    layers: Vec<Arc<Layer>>,
    /// Totals of each partition that was ever written to.
    totals: BTreeMap<PartitionId, Totals>,
    held: LogStatistics,
    /// The log is durable up to here.
    durable: u64,
    /// Why the indexer stopped.
    failed: Option<LogError>,
    closing: bool,
}

impl State {
    /// Takes the changes of a write in the segment that begins at `segment`.
    fn add(&mut self, draft: Draft, segment: u64, segments: &Segments) -> usize {
        for (partition, totals) in &draft.totals {
            let totals = totals.unwrap_or_default();
            let before = self.totals.insert(*partition, totals);
            self.held.partitions += u64::from(before.is_none());
            exchange(&mut self.held, &before.unwrap_or_default(), &totals);
        }
        let newest = self.layers.last().expect("one layer takes what is written");
        newest.count(&draft, segment, segments);
        newest.add(draft)
    }

    /// Closes the newest layer and begins another one. A layer without rows gives way to it.
    fn begin_layer(&mut self, end: Place, rows: usize) {
        match self.layers.last_mut() {
            Some(newest) if rows == 0 => *newest = Arc::default(),
            newest => {
                newest.expect("one layer takes what is written").close(end);
                self.layers.push(Arc::default());
            }
        }
    }
}

impl SegmentLog {
    /// Opens the log in a directory, making it if it is not there.
    ///
    /// # Errors
    /// [`LogError::InUse`], [`LogError::Foreign`], [`LogError::Version`], [`LogError::Damaged`], and
    /// [`LogError::Full`] or [`LogError::Io`] from the disk; each names the directory.
    pub fn open(directory: impl AsRef<Path>, options: SegmentOptions) -> Result<Self, LogError> {
        opening::open(directory.as_ref(), options)
    }

    fn try_write(&mut self, index: u64, records: &[Record]) -> Result<(), LogError> {
        check_index(index, self.written)?;
        if !records.is_empty() {
            self.writer.make_room()?;
            let draft = Draft::of(records, &View::of_writer(&self.shared), self.writer.end().position)?;
            let before = self.writer.end();
            self.writer.append(records)?;
            self.add(draft, before)?;
        }
        self.written = index;
        Ok(())
    }

    fn try_expire(&mut self, expiry: &Expiry) -> Result<u64, LogError> {
        let draft = Draft::expiry(expiry, &View::of_writer(&self.shared))?;
        let removed = draft.removed.len() as u64;
        if removed > 0 {
            self.writer.make_room()?;
            let before = self.writer.end();
            self.writer.append_expiry(expiry)?;
            self.add(draft, before)?;
        }
        Ok(removed)
    }

    /// Takes the changes of a write that began at `before`.
    fn add(&mut self, draft: Draft, before: Place) -> Result<(), LogError> {
        let mut state = self.shared.state();
        if !draft.removed.is_empty() {
            // No view sees a lane shrink while it is in use: those that are have not got the layer that takes
            // away, and those to come have it whole.
            state.begin_layer(before, self.layer_rows);
            (self.layer_rows, self.layer_start, self.removes) = (0, before.position, true);
        }
        self.layer_rows += state.add(draft, self.writer.start(), &self.shared.segments);
        drop(state);
        if self.layer_rows >= 2 * self.options.layer_rows || self.layers() > limits::LAYERS_MAXIMUM {
            // Whoever never syncs must not fill the memory.
            self.make_durable()?;
        }
        Ok(())
    }

    fn layers(&self) -> usize {
        self.shared.state().layers.len()
    }

    /// Syncs, and hands the newest layer to the indexer when it is large.
    fn make_durable(&mut self) -> Result<(), LogError> {
        let position = self.writer.sync()?;
        self.synced.write(position)?;
        let full = self.layer_rows >= self.options.layer_rows
            || position - self.layer_start >= limits::LAYER_LOG_BYTES
            || self.removes;
        if full && self.layer_rows > 0 {
            self.shared.state().begin_layer(self.writer.end(), self.layer_rows);
            (self.layer_rows, self.layer_start, self.removes) = (0, position, false);
        }
        let mut state = self.shared.state();
        state.durable = position;
        if state.layers.len() > 1 {
            self.shared.changed.notify_all();
        }
        // The indexer sets the pace when it is slower than the log.
        while state.layers.len() > limits::LAYERS_MAXIMUM && state.failed.is_none() {
            state = self.shared.changed.wait(state).expect("no holder of the layers panics");
        }
        match &state.failed {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn try_sync(&mut self) -> Result<u64, LogError> {
        self.make_durable()?;
        Ok(self.written)
    }
}

impl Drop for SegmentLog {
    fn drop(&mut self) {
        if self.poison.check().is_ok()
            && let Err(error) = self.writer.flush()
        {
            tracing::warn!(%error, "what was not synced could not be kept");
        }
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        if let Some(indexer) = self.indexer.take()
            && indexer.join().is_err()
        {
            tracing::error!("the indexer of {} panicked", self.shared.path.display());
        }
    }
}

impl EventLog for SegmentLog {
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
        let result =
            self.try_expire(&Expiry { scope, before_ms, up_to_index, limit: limits::EXPIRE_BATCHES });
        self.poison.watch(result)
    }

    fn held_slot(
        &self,
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> Result<Option<StreamPartition>, LogError> {
        let view = View::of_reader(&self.shared, None);
        Ok(view.run_after(partition, after)?.map(|run| run.key.scope.slot))
    }

    fn load(&self) -> Result<Checkpoint, LogError> {
        let view = View::of_reader(&self.shared, None);
        let mut checkpoint = Checkpoint::default();
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Cut) {
            for row in view.rows(table, &[], None) {
                let (key, value) = row?;
                checkpoint.rows.push((table, key, value.to_vec()));
            }
        }
        let state = self.shared.state();
        let last_index = state.totals.iter().map(|(partition, totals)| (*partition, totals.last_index));
        checkpoint.last_index = last_index.collect();
        Ok(checkpoint)
    }

    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError> {
        LogReader::read(&*self.shared, query, budget_bytes)
    }

    fn statistics(&self) -> LogStatistics {
        LogReader::statistics(&*self.shared)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        self.shared.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the layers panics")
    }
}

impl Shared {
    /// Takes a layer that ends at `end` into the index, and gives back the space of segments that it emptied.
    fn take(&self, layer: &Layer, end: Place) -> Result<(), LogError> {
        let freed = std::mem::take(&mut self.unused().freed);
        let counts = self.index.take(&layer.changes(), &layer.held(), &freed, end)?;
        for (start, batches) in counts {
            if batches == 0 {
                self.unused().empty.insert(start)
            } else {
                self.unused().empty.remove(&start)
            };
        }
        let complete = |start: &u64| self.segments.end_of(*start).is_some_and(|next| next <= end.position);
        let empty: Vec<u64> = self.unused().empty.iter().copied().filter(complete).collect();
        for start in empty {
            // Who reads now may have begun before the batches were removed.
            let readers = self.readers.write().expect("a reader that panics reads no more");
            self.segments.free(start)?;
            drop(readers);
            let mut unused = self.unused();
            unused.empty.remove(&start);
            unused.freed.insert(start);
        }
        Ok(())
    }

    fn unused(&self) -> MutexGuard<'_, Unused> {
        self.unused.lock().expect("adding numbers does not panic")
    }
}

impl LogReader for Shared {
    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError> {
        let partition = match query {
            Query::Range { partition, .. }
            | Query::Last { partition, .. }
            | Query::Append { partition, .. } => Some(*partition),
            Query::Lane { .. } | Query::Rows { .. } => None,
        };
        query::answer(&View::of_reader(self, partition), self.times, query, budget_bytes)
    }

    fn statistics(&self) -> LogStatistics {
        let disk_bytes = self.segments.disk_bytes() + self.index.disk_bytes();
        LogStatistics { disk_bytes, ..self.state().held }
    }
}

/// Replaces one partition's totals in the sums.
fn exchange(statistics: &mut LogStatistics, before: &Totals, after: &Totals) {
    statistics.events = statistics.events - before.events + after.events;
    statistics.batches = statistics.batches - before.batches + after.batches;
    statistics.bytes = statistics.bytes - before.bytes + after.bytes;
}
