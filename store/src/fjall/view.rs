//! The keyspaces, and an unchanging view of them as an [`Index`].

use std::sync::Arc;

use fjall::{Database, Guard, Keyspace, OwnedWriteBatch, Readable, Snapshot, UserKey, UserValue};
use weir_kernel::ids::{LaneId, PartitionId};
use weir_kernel::log::Table;

use super::{FjallOptions, engine_error};
use crate::draft::Draft;
use crate::error::LogError;
use crate::index::{Appended, Index, LaneEntry, Row, Rows, Run, RunKey, Scope, Totals};
use crate::layout;
use crate::limits::SEPARATION_BYTES;

/// The keyspaces of a database. The crate's docs give their keys and values.
#[derive(Clone)]
pub(super) struct Keyspaces {
    batches: Space,
    lanes: Space,
    runs: Space,
    appends: Space,
    tables: Space,
    partitions: Space,
}

/// One keyspace with its name, for error messages.
#[derive(Clone)]
struct Space {
    name: &'static str,
    keyspace: Keyspace,
}

/// The names of the keyspaces.
pub(super) const NAMES: [&str; 6] = ["batches", "lanes", "runs", "appends", "tables", "partitions"];

impl Keyspaces {
    pub(super) fn open(database: &Database, options: &FjallOptions) -> fjall::Result<Self> {
        let index =
            || fjall::KeyspaceCreateOptions::default().max_memtable_size(options.index_memtable_bytes);
        let separation = fjall::KvSeparationOptions::default()
            .separation_threshold(SEPARATION_BYTES)
            .compression(fjall::CompressionType::None);
        let values = || {
            fjall::KeyspaceCreateOptions::default()
                .max_memtable_size(options.batch_memtable_bytes)
                .with_kv_separation(Some(separation.clone()))
        };
        let space = |name: &'static str| {
            let keyspace = database.keyspace(name, index)?;
            fjall::Result::Ok(Space { name, keyspace })
        };
        Ok(Self {
            batches: Space { name: "batches", keyspace: database.keyspace("batches", values)? },
            lanes: space("lanes")?,
            runs: space("runs")?,
            appends: space("appends")?,
            tables: Space { name: "tables", keyspace: database.keyspace("tables", values)? },
            partitions: space("partitions")?,
        })
    }

    /// Puts a draft's changes and the number of writes into an engine batch, which is atomic.
    pub(super) fn fill(&self, batch: &mut OwnedWriteBatch, draft: &Draft, writes: u64) {
        self.tables.set(batch, layout::WRITES_KEY.to_vec(), Some(&writes.to_be_bytes()));
        for ((partition, index), bytes) in &draft.batches {
            self.batches.set(batch, layout::batch_key(*partition, *index), bytes.as_deref());
        }
        for ((lane, sequence), entry) in &draft.lanes {
            let value = entry.as_ref().map(layout::lane_value);
            self.lanes.set(batch, layout::lane_key(*lane, *sequence), value.as_deref());
        }
        for (key, run) in &draft.runs {
            let value = run.as_ref().map(layout::run_value);
            self.runs.set(batch, layout::run_key(key), value.as_deref());
        }
        for ((scope, index), appended) in &draft.appends {
            let value = appended.as_ref().map(layout::append_value);
            self.appends.set(batch, layout::append_key(*scope, *index), value.as_deref());
        }
        for ((table, key), value) in &draft.rows {
            self.tables.set(batch, layout::row_key(*table, key), value.as_deref());
        }
        for (partition, totals) in &draft.totals {
            let value = totals.as_ref().map(layout::totals_value);
            self.partitions.set(batch, layout::totals_key(*partition), value.as_deref());
        }
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

    fn damaged(&self, key: &[u8]) -> LogError {
        LogError::damaged(layout::place(self.name, key), "the row has another length or impossible values")
    }

    /// Checks a row and reads it.
    fn parse<T>(
        &self,
        key: &[u8],
        sealed: &[u8],
        read: impl Fn(&[u8], &[u8]) -> Option<T>,
    ) -> Result<T, LogError> {
        let value = layout::unseal(self.name, key, sealed)?;
        read(key, value).ok_or_else(|| self.damaged(key))
    }

    fn parse_guard<T>(&self, guard: Guard, read: impl Fn(&[u8], &[u8]) -> Option<T>) -> Result<T, LogError> {
        let (key, sealed) = self.unpack(guard)?;
        self.parse(&key, &sealed, read)
    }
}

/// What the keyspaces held at one moment between two writes.
pub(super) struct View<'a> {
    keyspaces: &'a Keyspaces,
    snapshot: Snapshot,
}

impl<'a> View<'a> {
    pub(super) fn new(keyspaces: &'a Keyspaces, database: &Database) -> Self {
        Self { keyspaces, snapshot: database.snapshot() }
    }

    /// Number of writes ever taken.
    pub(super) fn writes(&self) -> Result<u64, LogError> {
        let (space, key) = (&self.keyspaces.tables, layout::WRITES_KEY);
        let Some(sealed) = space.get(&self.snapshot, &key)? else { return Ok(0) };
        space.parse(&key, &sealed, |_, value| layout::read_number(value))
    }

    /// Totals of every partition, ordered.
    pub(super) fn all_totals(&self) -> impl Iterator<Item = Result<(PartitionId, Totals), LogError>> {
        let space = &self.keyspaces.partitions;
        let guards = self.snapshot.iter(&space.keyspace);
        guards.map(|guard| space.parse_guard(guard, layout::read_totals))
    }
}

impl Index for View<'_> {
    fn runs(&self, scope: Scope, times: std::ops::RangeInclusive<u64>) -> Rows<'_, Run> {
        let space = &self.keyspaces.runs;
        let guards = self.snapshot.range(&space.keyspace, layout::run_keys(scope, &times));
        Box::new(guards.map(|guard| space.parse_guard(guard, layout::read_run)))
    }

    fn run(&self, key: &RunKey) -> Result<Option<Run>, LogError> {
        let (space, key) = (&self.keyspaces.runs, layout::run_key(key));
        let sealed = space.get(&self.snapshot, &key)?;
        sealed.map(|sealed| space.parse(&key, &sealed, layout::read_run)).transpose()
    }

    fn entry_at_or_before(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        let space = &self.keyspaces.lanes;
        let range = layout::lane_key(lane, 0)..=layout::lane_key(lane, sequence);
        let guard = self.snapshot.range(&space.keyspace, range).next_back();
        guard.map(|guard| space.parse_guard(guard, layout::read_lane)).transpose()
    }

    fn entry_at_or_after(&self, lane: LaneId, sequence: u64) -> Result<Option<LaneEntry>, LogError> {
        let space = &self.keyspaces.lanes;
        let range = layout::lane_key(lane, sequence)..=layout::lane_key(lane, u64::MAX);
        let guard = self.snapshot.range(&space.keyspace, range).next();
        guard.map(|guard| space.parse_guard(guard, layout::read_lane)).transpose()
    }

    fn batch(&self, partition: PartitionId, index: u64) -> Result<Arc<[u8]>, LogError> {
        let (space, key) = (&self.keyspaces.batches, layout::batch_key(partition, index));
        let sealed = space.get(&self.snapshot, &key)?;
        let sealed =
            sealed.ok_or_else(|| LogError::damaged(layout::place(space.name, &key), "it is missing"))?;
        Ok(layout::unseal(space.name, &key, &sealed)?.into())
    }

    fn appends(&self, scope: Scope, after: u64) -> Rows<'_, Appended> {
        let Some(first) = after.checked_add(1) else { return Box::new(std::iter::empty()) };
        let space = &self.keyspaces.appends;
        let range = layout::append_key(scope, first)..=layout::append_key(scope, u64::MAX);
        let guards = self.snapshot.range(&space.keyspace, range);
        Box::new(guards.map(|guard| space.parse_guard(guard, layout::read_append)))
    }

    fn totals(&self, partition: PartitionId) -> Result<Totals, LogError> {
        let (space, key) = (&self.keyspaces.partitions, layout::totals_key(partition));
        let Some(sealed) = space.get(&self.snapshot, &key)? else { return Ok(Totals::default()) };
        Ok(space.parse(&key, &sealed, layout::read_totals)?.1)
    }

    fn rows<'a>(&'a self, table: Table, prefix: &'a [u8], after: Option<&'a [u8]>) -> Rows<'a, Row> {
        let space = &self.keyspaces.tables;
        let low = layout::row_key(table, after.map_or(prefix, |after| prefix.max(after)));
        let high = vec![layout::table_byte(table) + 1];
        let after = after.map(|after| layout::row_key(table, after));
        let prefix = layout::row_key(table, prefix);
        let rows = self.snapshot.range(&space.keyspace, low..high).map(|guard| {
            let (key, sealed) = space.unpack(guard)?;
            let value = layout::unseal(space.name, &key, &sealed)?;
            Ok((key.to_vec(), Arc::<[u8]>::from(value)))
        });
        let rows = rows.take_while(move |row| row.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)));
        let rows = rows.filter(move |row| row.as_ref().map_or(true, |(key, _)| Some(key) > after.as_ref()));
        Box::new(rows.map(|row| row.map(|(mut key, value)| (key.split_off(1), value))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fjall::{Making, open_database};

    #[test]
    fn a_damaged_or_misplaced_value_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (database, keyspaces) =
            open_database(directory.path(), &FjallOptions::default(), Making::New).expect("a new database");
        let partition = PartitionId(4);
        let (first, second) = (layout::batch_key(partition, 1), layout::batch_key(partition, 2));
        let mut sealed = layout::seal(&first, b"signed bytes");
        let batches = &keyspaces.batches.keyspace;
        batches.insert(first.clone(), sealed.clone()).expect("written");
        batches.insert(second, sealed.clone()).expect("written");
        let view = View::new(&keyspaces, &database);
        assert_eq!(&*view.batch(partition, 1).expect("whole"), b"signed bytes");
        let error = view.batch(partition, 2).expect_err("a value under another key");
        assert!(matches!(error, LogError::Damaged { .. }), "{error}");

        sealed[9] ^= 1;
        batches.insert(first, sealed).expect("written");
        assert_eq!(&*view.batch(partition, 1).expect("a view does not change"), b"signed bytes");
        let error = View::new(&keyspaces, &database).batch(partition, 1).expect_err("damaged");
        assert!(error.to_string().contains("batches at key 000000040000000000000001"), "{error}");
        let error = View::new(&keyspaces, &database).batch(partition, 3).expect_err("absent");
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn an_index_row_of_another_shape_is_damage() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (database, keyspaces) =
            open_database(directory.path(), &FjallOptions::default(), Making::New).expect("a new database");
        let lane = LaneId([1; 32]);
        let key = layout::lane_key(lane, 0);
        keyspaces.lanes.keyspace.insert(key.clone(), layout::seal(&key, b"short")).expect("written");
        let error = View::new(&keyspaces, &database).entry_at_or_after(lane, 0).expect_err("another shape");
        assert!(error.to_string().contains("another length"), "{error}");
    }
}
