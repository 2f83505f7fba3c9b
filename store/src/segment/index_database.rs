//! The index on disk: a fjall database that is made from the log, some way behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{
    Database, Guard, Keyspace, OwnedWriteBatch, PersistMode, Readable, Snapshot, UserKey, UserValue,
};
use weir_kernel::ids::{LaneId, PartitionId};
use weir_kernel::log::Table;

use super::blocks::{grouped, replaced};
use crate::draft::{Draft, RowKey};
use crate::error::LogError;
use crate::index::{Appended, LaneEntry, Rows, Run, RunKey, Scope, Totals};
use crate::layout::{self, Place};
use crate::limits;

/// The database and its keyspaces. The crate's docs give their keys and values.
pub(super) struct IndexDatabase {
    database: Database,
    lanes: Space,
    runs: Space,
    appends: Space,
    tables: Space,
    partitions: Space,
    segments: Space,
    path: PathBuf,
}

/// One keyspace with its name, for error messages.
pub(super) struct Space {
    name: &'static str,
    keyspace: Keyspace,
}

/// The names of the keyspaces.
const NAMES: [&str; 6] = ["lanes", "runs", "appends", "tables", "partitions", "segments"];

/// Whether a database is made now or was before. One that was made has all its keyspaces: the engine would
/// replace lost ones by empty ones, and a broker would take its own amnesia for a clean start.
#[derive(Clone, Copy)]
pub(super) enum Making {
    New,
    Before,
}

impl IndexDatabase {
    /// Opens or makes a database. The engine panics on some files that it did not make; that is an error
    /// here.
    pub(super) fn open(path: &Path, cache_bytes: u64, making: Making) -> Result<Self, LogError> {
        let open = || {
            let database = Database::builder(path)
                .cache_size(cache_bytes)
                .max_journaling_size(limits::JOURNAL_BYTES)
                .worker_threads(limits::WORKERS)
                .open()?;
            let missing = NAMES.into_iter().find(|name| !database.keyspace_exists(name));
            if let (Making::Before, Some(missing)) = (making, missing) {
                return Ok(Err(missing));
            }
            fjall::Result::Ok(Ok(Self::with_keyspaces(database, path)?))
        };
        let opened = std::panic::catch_unwind(AssertUnwindSafe(open));
        let damaged = |cause: String| LogError::damaged(path.display().to_string(), cause);
        let opened = opened.map_err(|_| damaged("its files are not a database".into()))?;
        let opened = opened.map_err(|error| match error {
            fjall::Error::Locked => LogError::InUse { directory: path.to_owned() },
            error => engine_error(&format!("opening {}", path.display()), &error),
        })?;
        opened.map_err(|missing| damaged(format!("its keyspace {missing:?} is missing")))
    }

    fn with_keyspaces(database: Database, path: &Path) -> fjall::Result<Self> {
        let rows = || fjall::KeyspaceCreateOptions::default().max_memtable_size(limits::MEMTABLE_BYTES);
        let separation = fjall::KvSeparationOptions::default()
            .separation_threshold(limits::SEPARATION_BYTES)
            .compression(fjall::CompressionType::None);
        let values = || rows().with_kv_separation(Some(separation.clone()));
        let space = |name| fjall::Result::Ok(Space { name, keyspace: database.keyspace(name, rows)? });
        Ok(Self {
            lanes: space("lanes")?,
            runs: space("runs")?,
            appends: space("appends")?,
            tables: Space { name: "tables", keyspace: database.keyspace("tables", values)? },
            partitions: space("partitions")?,
            segments: space("segments")?,
            path: path.to_owned(),
            database,
        })
    }

    /// Where the database is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds now, unchanging.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.database.snapshot()
    }

    /// Bytes on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or_default()
    }

    /// Takes a layer in, in one piece: afterwards the index covers the log up to `covered`, durably. `held`
    /// says by how many batches the number in each segment changes; returns how many they are then. What it
    /// counted of `freed` segments is forgotten.
    pub(super) fn take(
        &self,
        layer: &Draft,
        held: &BTreeMap<u64, i64>,
        freed: &BTreeSet<u64>,
        covered: Place,
    ) -> Result<BTreeMap<u64, u64>, LogError> {
        let snapshot = self.snapshot();
        let mut batch = self.database.batch();
        for start in freed {
            self.segments.set(&mut batch, layout::segment_key(*start), None);
        }
        let mut counts = BTreeMap::new();
        for (start, change) in held {
            let count = self.segment_count(&snapshot, *start)?.saturating_add_signed(*change);
            let value = layout::number_value(count);
            self.segments.set(&mut batch, layout::segment_key(*start), Some(&value));
            counts.insert(*start, count);
        }
        self.take_rows(&mut batch, &snapshot, layer, covered)?;
        let committed = batch.commit().and_then(|()| self.database.persist(PersistMode::SyncData));
        committed.map_err(|error| engine_error(&format!("writing to {}", self.path.display()), &error))?;
        Ok(counts)
    }

    /// How many batches the index names in a segment.
    fn segment_count(&self, snapshot: &Snapshot, start: u64) -> Result<u64, LogError> {
        let (space, key) = (&self.segments, layout::segment_key(start));
        let Some(sealed) = space.get(snapshot, &key)? else { return Ok(0) };
        space.parse(&key, &sealed, |_, value| layout::read_number(value))
    }

    /// How many batches the index names in each segment, by where it begins.
    pub(super) fn segment_counts(&self) -> Result<BTreeMap<u64, u64>, LogError> {
        let read = |key: &[u8], value: &[u8]| Some((layout::read_number(key)?, layout::read_number(value)?));
        let guards = self.snapshot().iter(&self.segments.keyspace);
        guards.map(|guard| self.segments.parse_guard(guard, read)).collect()
    }

    fn take_rows(
        &self,
        batch: &mut OwnedWriteBatch,
        snapshot: &Snapshot,
        layer: &Draft,
        covered: Place,
    ) -> Result<(), LogError> {
        self.tables.set(batch, layout::COVERED_KEY.to_vec(), Some(&layout::place_value(&covered)));
        for (lane, changes) in grouped(&layer.lanes) {
            let last = changes.last().map_or(0, |(sequence, _)| *sequence);
            for (first, block) in replaced(&changes, self.lane_blocks_back(snapshot, lane, last))? {
                let value = block.as_deref().map(layout::lane_block);
                self.lanes.set(batch, layout::lane_key(lane, first), value.as_deref());
            }
        }
        for (scope, changes) in grouped(&layer.appends) {
            let last = changes.last().map_or(0, |(index, _)| *index);
            for (first, block) in replaced(&changes, self.append_blocks_back(snapshot, scope, last))? {
                let value = block.as_deref().map(layout::append_block);
                self.appends.set(batch, layout::append_key(scope, first), value.as_deref());
            }
        }
        for (key, run) in &layer.runs {
            let value = run.as_ref().map(layout::run_value);
            self.runs.set(batch, layout::run_key(key), value.as_deref());
        }
        for ((table, key), value) in &layer.rows {
            self.tables.set(batch, layout::row_key(*table, key), value.as_deref());
        }
        for (partition, totals) in &layer.totals {
            let value = totals.as_ref().map(layout::totals_value);
            self.partitions.set(batch, layout::totals_key(*partition), value.as_deref());
        }
        Ok(())
    }

    /// The place up to which the index covers the log.
    pub(super) fn covered(&self) -> Result<Place, LogError> {
        let (space, key) = (&self.tables, layout::COVERED_KEY);
        let Some(sealed) = space.get(&self.snapshot(), &key)? else { return Ok(Place::default()) };
        space.parse(&key, &sealed, |_, value| layout::read_place(value))
    }

    /// Totals of every partition, ordered.
    pub(super) fn all_totals(&self) -> Result<BTreeMap<PartitionId, Totals>, LogError> {
        let guards = self.snapshot().iter(&self.partitions.keyspace);
        guards.map(|guard| self.partitions.parse_guard(guard, layout::read_totals)).collect()
    }

    /// Runs with these keys.
    pub(super) fn runs<'a>(
        &'a self,
        snapshot: &Snapshot,
        keys: &RangeInclusive<RunKey>,
    ) -> Rows<'a, (RunKey, Run)> {
        let range = layout::run_key(keys.start())..=layout::run_key(keys.end());
        let guards = snapshot.range(&self.runs.keyspace, range);
        Box::new(guards.map(|guard| {
            let run = self.runs.parse_guard(guard, layout::read_run)?;
            Ok((run.key, run))
        }))
    }

    /// One run.
    pub(super) fn run(&self, snapshot: &Snapshot, key: &RunKey) -> Result<Option<Run>, LogError> {
        let key = layout::run_key(key);
        let sealed = self.runs.get(snapshot, &key)?;
        sealed.map(|sealed| self.runs.parse(&key, &sealed, layout::read_run)).transpose()
    }

    /// Blocks of a lane from the last one that begins at or before `sequence`, backwards.
    pub(super) fn lane_blocks_back<'a>(
        &'a self,
        snapshot: &Snapshot,
        lane: LaneId,
        sequence: u64,
    ) -> Rows<'a, Vec<LaneEntry>> {
        let range = layout::lane_key(lane, 0)..=layout::lane_key(lane, sequence);
        let guards = snapshot.range(&self.lanes.keyspace, range).rev();
        Box::new(guards.map(|guard| self.lanes.parse_guard(guard, layout::read_lane_block)))
    }

    /// The first block of a lane that begins at or after `sequence`.
    pub(super) fn lane_block_from(
        &self,
        snapshot: &Snapshot,
        lane: LaneId,
        sequence: u64,
    ) -> Result<Option<Vec<LaneEntry>>, LogError> {
        let range = layout::lane_key(lane, sequence)..=layout::lane_key(lane, u64::MAX);
        let guard = snapshot.range(&self.lanes.keyspace, range).next();
        guard.map(|guard| self.lanes.parse_guard(guard, layout::read_lane_block)).transpose()
    }

    /// Blocks in append order from the last one that begins at or before `index`, backwards.
    fn append_blocks_back<'a>(
        &'a self,
        snapshot: &Snapshot,
        scope: Scope,
        index: u64,
    ) -> Rows<'a, Vec<Appended>> {
        let range = layout::append_key(scope, 0)..=layout::append_key(scope, index);
        let guards = snapshot.range(&self.appends.keyspace, range).rev();
        Box::new(guards.map(|guard| Ok(self.appends.parse_guard(guard, layout::read_append_block)?.1)))
    }

    /// Batches of a scope with an append index of `first` and above, in append order.
    pub(super) fn appends<'a>(
        &'a self,
        snapshot: &Snapshot,
        scope: Scope,
        first: u64,
    ) -> Rows<'a, ((Scope, u64), Appended)> {
        let holding = match self.append_blocks_back(snapshot, scope, first).next() {
            Some(Err(error)) => return Box::new(std::iter::once(Err(error))),
            Some(Ok(block)) => block[0].index,
            None => first,
        };
        let range = layout::append_key(scope, holding)..=layout::append_key(scope, u64::MAX);
        let guards = snapshot.range(&self.appends.keyspace, range);
        let entries = guards.flat_map(move |guard| {
            let block = self.appends.parse_guard(guard, layout::read_append_block);
            let row = |entry: Appended| Ok(((scope, entry.index), entry));
            match block {
                Ok((_, entries)) => entries.into_iter().map(row).collect(),
                Err(error) => vec![Err(error)],
            }
        });
        Box::new(entries.skip_while(move |row| row.as_ref().is_ok_and(|((_, index), _)| *index < first)))
    }

    /// Rows of a table with keys from `first` on, in key order.
    pub(super) fn rows<'a>(
        &'a self,
        snapshot: &Snapshot,
        table: Table,
        first: &[u8],
    ) -> Rows<'a, (RowKey, Arc<[u8]>)> {
        let range = layout::row_key(table, first)..vec![layout::table_byte(table) + 1];
        let guards = snapshot.range(&self.tables.keyspace, range);
        Box::new(guards.map(move |guard| {
            let (key, sealed) = self.tables.unpack(guard)?;
            let value = layout::unseal(self.tables.name, &key, &sealed)?;
            Ok(((table, key[1..].to_vec()), Arc::from(value)))
        }))
    }
}

impl Space {
    fn set(&self, batch: &mut OwnedWriteBatch, key: Vec<u8>, value: Option<&[u8]>) {
        match value {
            Some(value) => {
                let sealed = layout::seal(&key, value);
                batch.insert(&self.keyspace, key, sealed);
            }
            None => batch.remove(&self.keyspace, key),
        }
    }

    fn get(&self, snapshot: &Snapshot, key: &[u8]) -> Result<Option<UserValue>, LogError> {
        let found = snapshot.get(&self.keyspace, key);
        found.map_err(|error| engine_error(&format!("reading {}", layout::place(self.name, key)), &error))
    }

    fn unpack(&self, guard: Guard) -> Result<(UserKey, UserValue), LogError> {
        guard.into_inner().map_err(|error| engine_error(&format!("reading {}", self.name), &error))
    }

    /// Checks a row and reads it.
    fn parse<T>(
        &self,
        key: &[u8],
        sealed: &[u8],
        read: impl Fn(&[u8], &[u8]) -> Option<T>,
    ) -> Result<T, LogError> {
        let value = layout::unseal(self.name, key, sealed)?;
        read(key, value).ok_or_else(|| {
            let cause = "the row has another length or impossible values";
            LogError::damaged(layout::place(self.name, key), cause)
        })
    }

    fn parse_guard<T>(&self, guard: Guard, read: impl Fn(&[u8], &[u8]) -> Option<T>) -> Result<T, LogError> {
        let (key, sealed) = self.unpack(guard)?;
        self.parse(&key, &sealed, read)
    }
}

/// Tells a full device, a failing one and damage apart.
fn engine_error(doing: &str, error: &fjall::Error) -> LogError {
    let system = match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error),
        _ => None,
    };
    let place = || format!("the index, as seen while {doing},");
    match (error, system) {
        (_, Some(system)) if system.kind() == std::io::ErrorKind::UnexpectedEof => {
            LogError::damaged(place(), "a file ends too early")
        }
        (_, Some(system)) => LogError::io(doing, system),
        (fjall::Error::Poisoned | fjall::Error::KeyspaceDeleted | fjall::Error::Locked, None) => {
            LogError::Io { doing: doing.into(), cause: error.to_string() }
        }
        _ => LogError::damaged(place(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::ids::{StreamId, StreamPartition};

    const LANE: LaneId = LaneId([1; 32]);

    fn entry(sequence: u64) -> LaneEntry {
        let slot = StreamPartition { stream: StreamId([2; 20]), partition: 0 };
        LaneEntry {
            lane: LANE,
            sequence,
            scope: Scope { partition: PartitionId(3), slot },
            index: sequence + 1,
            position: sequence * 100,
            count: 1,
            length: 83,
            first_time_ms: 5,
            last_time_ms: 5,
            run_time_ms: 5,
            run_sequence: 0,
        }
    }

    fn first_block(index: &IndexDatabase) -> Result<Option<Vec<LaneEntry>>, LogError> {
        index.lane_blocks_back(&index.snapshot(), LANE, 9).next().transpose()
    }

    #[test]
    fn a_damaged_misplaced_or_misshapen_row_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let index = IndexDatabase::open(directory.path(), 1 << 20, Making::New).expect("a new database");
        let mut layer = Draft::default();
        layer.lanes.extend((0..3).map(|sequence| ((LANE, sequence), Some(entry(sequence)))));
        let covered = Place { position: 300, writes: 3 };
        let held = BTreeMap::from([(0, 3)]);
        let counts = index.take(&layer, &held, &BTreeSet::new(), covered).expect("taken in");
        assert_eq!((counts, index.covered()), (held.keys().map(|start| (*start, 3)).collect(), Ok(covered)));
        assert_eq!(first_block(&index), Ok(Some(vec![entry(0), entry(1), entry(2)])));

        let key = layout::lane_key(LANE, 0);
        let before = index.snapshot();
        let sealed = index.lanes.get(&before, &key).expect("read").expect("there").to_vec();
        let mut flipped = sealed.clone();
        flipped[60] ^= 4;
        let named = format!("lanes at key {}", weir_kernel::ids::hex(&key));
        for (damage, cause) in [
            (flipped, "checksum"),
            (layout::seal(&key, b"short"), "another length"),
            (layout::seal(b"another key", &sealed[4..]), "checksum"),
        ] {
            index.lanes.keyspace.insert(key.clone(), damage).expect("written");
            let error = first_block(&index).expect_err(cause);
            assert!(error.to_string().contains(&named) && error.to_string().contains(cause), "{error}");
        }
        let then = index.lane_blocks_back(&before, LANE, 9).next().expect("a block");
        assert_eq!(then.expect("a snapshot does not change").len(), 3);
    }

    #[test]
    fn what_a_layer_removes_is_gone_and_counted() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let index = IndexDatabase::open(directory.path(), 1 << 20, Making::New).expect("a new database");
        let mut layer = Draft::default();
        layer.lanes.extend((0..200).map(|sequence| ((LANE, sequence), Some(entry(sequence)))));
        let none = BTreeSet::new();
        index.take(&layer, &BTreeMap::from([(0, 150), (9, 50)]), &none, Place::default()).expect("taken in");
        let blocks = |index: &IndexDatabase| {
            let blocks = index.lane_blocks_back(&index.snapshot(), LANE, u64::MAX);
            blocks.map(|block| block.expect("whole").len()).collect::<Vec<_>>()
        };
        assert_eq!(blocks(&index), [8, 64, 64, 64]);
        let mut layer = Draft::default();
        layer.lanes.extend((100..200).map(|sequence| ((LANE, sequence), None)));
        let held = BTreeMap::from([(0, -50), (9, -50)]);
        let counts = index.take(&layer, &held, &none, Place::default()).expect("taken in");
        assert_eq!(counts, BTreeMap::from([(0, 100), (9, 0)]));
        assert_eq!(blocks(&index), [36, 64]);
        assert_eq!(index.segment_counts(), Ok(counts));
        index
            .take(&Draft::default(), &BTreeMap::new(), &BTreeSet::from([9]), Place::default())
            .expect("taken in");
        assert_eq!(index.segment_counts(), Ok(BTreeMap::from([(0, 100)])), "a freed segment is forgotten");
    }
}
