//! What the log holds at one moment, as an [`Index`]: layers in memory over the index on disk, over the
//! segments.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::{Arc, RwLockReadGuard};

use fjall::Snapshot;
use weir_kernel::ids::{LaneId, PartitionId, StreamPartition};
use weir_kernel::log::Table;

use super::Shared;
use super::layers::{Layer, merged};
use crate::draft::Draft;
use crate::error::LogError;
use crate::index::{Appended, Index, LaneEntry, Row, Rows, Run, RunKey, Scope, Stored, Totals};
use crate::limits::PREFETCH_BYTES;
use crate::record;

/// Lanes whose last block a view remembers.
const BLOCKS_REMEMBERED: usize = 256;

/// A view. Readers take the snapshot at once; the writer, beside whom nothing changes, when it needs one.
pub(super) struct View<'a> {
    shared: &'a Shared,
    /// The oldest first.
    layers: Vec<Arc<Layer>>,
    snapshot: OnceCell<Snapshot>,
    up_to_index: u64,
    /// The block of each lane that was looked at last.
    blocks: RefCell<BTreeMap<LaneId, Rc<Vec<LaneEntry>>>>,
    record: RefCell<Vec<u8>>,
    /// Keeps what a reader may look at in its place.
    _reading: Option<RwLockReadGuard<'a, ()>>,
}

/// The rows of one lane in a layer.
type Found = Option<(u64, Option<LaneEntry>)>;

impl<'a> View<'a> {
    /// The writer's view.
    pub(super) fn of_writer(shared: &'a Shared) -> Self {
        let layers = shared.state().layers.clone();
        Self::new(shared, layers, OnceCell::new(), u64::MAX, None)
    }

    /// A reader's view. What comes later in the partition of the query is not shown.
    pub(super) fn of_reader(shared: &'a Shared, partition: Option<PartitionId>) -> Self {
        let reading = shared.readers.read().expect("nobody panics while segments are freed");
        let state = shared.state();
        let last_index = |partition| state.totals.get(&partition).map_or(0, |totals| totals.last_index);
        let up_to_index = partition.map_or(u64::MAX, last_index);
        let snapshot = OnceCell::from(shared.index.snapshot());
        Self::new(shared, state.layers.clone(), snapshot, up_to_index, Some(reading))
    }

    fn new(
        shared: &'a Shared,
        layers: Vec<Arc<Layer>>,
        snapshot: OnceCell<Snapshot>,
        up_to_index: u64,
        _reading: Option<RwLockReadGuard<'a, ()>>,
    ) -> Self {
        let (blocks, record) = (RefCell::default(), RefCell::default());
        Self { shared, layers, snapshot, up_to_index, blocks, record, _reading }
    }

    fn snapshot(&self) -> &Snapshot {
        self.snapshot.get_or_init(|| self.shared.index.snapshot())
    }

    /// What the newest layer that knows says; `None` when none does.
    fn in_layers<T>(&self, look: impl Fn(&Draft) -> Option<T>) -> Option<T> {
        self.layers.iter().rev().find_map(|layer| look(&layer.changes()))
    }

    /// The block on disk that begins last of those that begin at or before `sequence`.
    fn block_before(&self, lane: LaneId, sequence: u64) -> Result<Option<Rc<Vec<LaneEntry>>>, LogError> {
        if let Some(block) = self.blocks.borrow().get(&lane)
            && block.first().is_some_and(|first| first.sequence <= sequence)
            && block.last().is_some_and(|last| sequence <= last.sequence)
        {
            return Ok(Some(block.clone()));
        }
        let found = self.shared.index.lane_blocks_back(self.snapshot(), lane, sequence).next().transpose()?;
        Ok(found.map(|block| self.remember(lane, block)))
    }

    fn remember(&self, lane: LaneId, block: Vec<LaneEntry>) -> Rc<Vec<LaneEntry>> {
        let block = Rc::new(block);
        let mut blocks = self.blocks.borrow_mut();
        if blocks.len() >= BLOCKS_REMEMBERED {
            blocks.clear();
        }
        blocks.insert(lane, block.clone());
        block
    }

    fn runs_of(&self, keys: RangeInclusive<RunKey>) -> Rows<'_, Run> {
        let below = self.shared.index.runs(self.snapshot(), &keys);
        let runs = merged(&self.layers, |draft| &draft.runs, keys, below);
        Box::new(runs.map(|row| row.map(|(_, run)| run)))
    }

    fn on_disk_at_or_before(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        let block = self.block_before(lane, sequence)?;
        Ok(block.and_then(|block| {
            let after = block.partition_point(|entry| entry.sequence <= sequence);
            after.checked_sub(1).map(|at| block[at])
        }))
    }

    fn on_disk_at_or_after(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        if let Some(block) = self.block_before(lane, sequence)? {
            let at = block.partition_point(|entry| entry.sequence < sequence);
            if let Some(entry) = block.get(at) {
                return Ok(Some(*entry));
            }
        }
        let block = self.shared.index.lane_block_from(self.snapshot(), lane, sequence)?;
        Ok(block.map(|block| self.remember(lane, block)[0]))
    }
}

impl Index for View<'_> {
    fn up_to_index(&self) -> u64 {
        self.up_to_index
    }

    fn runs(&self, scope: Scope, times: RangeInclusive<u64>) -> Rows<'_, Run> {
        self.runs_of(RunKey::of_scope(scope, &times))
    }

    fn run_after(
        &self,
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> Result<Option<Run>, LogError> {
        self.runs_of(RunKey::after(partition, after)).next().transpose()
    }

    fn run(&self, key: &RunKey) -> Result<Option<Run>, LogError> {
        match self.in_layers(|draft| draft.runs.get(key).copied()) {
            Some(run) => Ok(run),
            None => self.shared.index.run(self.snapshot(), key),
        }
    }

    fn entry_at_or_before(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        let mut highest = sequence;
        loop {
            let mut best: Found = None;
            for layer in self.layers.iter().rev() {
                let changes = layer.changes();
                let found = changes.lanes.range((lane, 0)..=(lane, highest)).next_back();
                let found = found.map(|((_, sequence), entry)| (*sequence, *entry));
                best = match (best, found) {
                    // Of two at one place the newer layer counts, which came first.
                    (Some(best), Some(found)) if found.0 <= best.0 => Some(best),
                    (best, None) => best,
                    (_, found) => found,
                };
                // What a newer layer holds begins after all that is left of the older ones.
                if matches!(best, Some((_, Some(_)))) {
                    break;
                }
            }
            let (sequence, entry) = match best {
                None => return self.on_disk_at_or_before(lane, highest),
                Some((_, Some(entry))) => return Ok(Some(entry)),
                Some((sequence, None)) => (sequence, self.on_disk_at_or_before(lane, highest)?),
            };
            // Something was taken away there: what is above it on disk is not.
            if let Some(entry) = entry.filter(|entry| entry.sequence > sequence) {
                return Ok(Some(entry));
            }
            let Some(lower) = sequence.checked_sub(1) else { return Ok(None) };
            highest = lower;
        }
    }

    fn entry_at_or_after(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        let mut lowest = sequence;
        loop {
            let mut best: Found = None;
            for layer in self.layers.iter().rev() {
                let changes = layer.changes();
                let found = changes.lanes.range((lane, lowest)..=(lane, u64::MAX)).next();
                let found = found.map(|((_, sequence), entry)| (*sequence, *entry));
                best = match (best, found) {
                    (Some(best), Some(found)) if found.0 >= best.0 => Some(best),
                    (best, None) => best,
                    (_, found) => found,
                };
            }
            let on_disk = self.on_disk_at_or_after(lane, lowest)?;
            let Some((sequence, entry)) = best else { return Ok(on_disk) };
            if let Some(on_disk) = on_disk.filter(|on_disk| on_disk.sequence < sequence) {
                return Ok(Some(on_disk));
            }
            if let Some(entry) = entry {
                return Ok(Some(entry));
            }
            let Some(higher) = sequence.checked_add(1) else { return Ok(None) };
            lowest = higher;
        }
    }

    fn batch(&self, stored: Stored) -> Result<Arc<[u8]>, LogError> {
        let mut record = self.record.borrow_mut();
        self.shared.segments.read(stored.position, record::batch_record_bytes(stored.length), &mut record)?;
        let bytes = record::batch_of(&record, stored.partition, stored.index).ok_or_else(|| {
            let cause =
                format!("another record than batch {} of partition {}", stored.index, stored.partition);
            LogError::damaged(self.shared.segments.place(stored.position), cause)
        })?;
        Ok(bytes.into())
    }

    fn prefetch(&self, stored: Stored) {
        if stored.length >= PREFETCH_BYTES {
            self.shared.segments.prefetch(stored.position, record::batch_record_bytes(stored.length));
        }
    }

    fn appends(&self, scope: Scope, after: u64) -> Rows<'_, Appended> {
        let Some(first) = after.checked_add(1) else { return Box::new(std::iter::empty()) };
        let below = self.shared.index.appends(self.snapshot(), scope, first);
        let appends = merged(&self.layers, |draft| &draft.appends, (scope, first)..=(scope, u64::MAX), below);
        Box::new(appends.map(|row| row.map(|(_, appended)| appended)))
    }

    fn totals(&self, partition: PartitionId) -> Result<Totals, LogError> {
        Ok(self.shared.state().totals.get(&partition).copied().unwrap_or_default())
    }

    fn rows<'a>(&'a self, table: Table, prefix: &'a [u8], after: Option<&'a [u8]>) -> Rows<'a, Row> {
        let first = after.map_or(prefix, |after| prefix.max(after));
        let below = self.shared.index.rows(self.snapshot(), table, first);
        let keys = (table, first.to_vec())..=(table, vec![0xff; crate::limits::ROW_KEY_BYTES_MAXIMUM + 1]);
        let rows = merged(&self.layers, |draft| &draft.rows, keys, below);
        let rows =
            rows.take_while(move |row| row.as_ref().map_or(true, |((_, key), _)| key.starts_with(prefix)));
        let new = move |key: &[u8]| after.is_none_or(|after| key > after);
        let rows = rows.filter(move |row| row.as_ref().map_or(true, |((_, key), _)| new(key)));
        Box::new(rows.map(|row| row.map(|((_, key), value)| (key, value))))
    }
}
