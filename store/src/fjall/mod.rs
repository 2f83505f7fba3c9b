//! The log on disk, kept by fjall: one database a data directory, one atomic engine batch a write.

mod directory;
mod view;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use ::fjall::{Database, PersistMode};
use weir_kernel::ids::PartitionId;
use weir_kernel::log::{Checkpoint, Chunk, Query, Record, Table};

use crate::draft::Draft;
use crate::error::{LogError, Poison};
use crate::index::{Index, Totals};
use crate::limits;
use crate::memory::check_index;
use crate::port::{EventLog, LogReader, LogStatistics};
use crate::query;
use crate::times::{EventTimes, kernel_times};
use directory::{Directory, Synced};
use view::{Keyspaces, NAMES, View};

/// Memory and formats of a [`FjallLog`]. The defaults suit many brokers in one process.
#[derive(Clone, Copy, Debug)]
pub struct FjallOptions {
    /// Block cache, in bytes.
    pub cache_bytes: u64,
    /// Unflushed batches, in bytes; at least [`limits::MEMTABLE_BYTES_MINIMUM`].
    pub batch_memtable_bytes: u64,
    /// Unflushed rows of each index keyspace, in bytes; at least [`limits::MEMTABLE_BYTES_MINIMUM`].
    pub index_memtable_bytes: u64,
    /// How event times are read out of batches.
    pub times: EventTimes,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self {
            cache_bytes: limits::CACHE_BYTES_DEFAULT,
            batch_memtable_bytes: limits::BATCH_MEMTABLE_BYTES_DEFAULT,
            index_memtable_bytes: limits::INDEX_MEMTABLE_BYTES_DEFAULT,
            times: kernel_times,
        }
    }
}

/// An event log on disk.
///
/// Opening reads the journal that was not flushed yet and one row a partition, no history. The directory
/// stays locked until the log and all its readers are dropped.
pub struct FjallLog {
    shared: Arc<Shared>,
    /// Totals of each partition that was ever written to.
    totals: BTreeMap<PartitionId, Totals>,
    written: u64,
    /// Number of writes ever taken, over all openings.
    writes: u64,
    synced: Synced,
    poison: Poison,
}

impl std::fmt::Debug for FjallLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallLog").field("database", &self.shared.path).finish_non_exhaustive()
    }
}

/// What the writer and its readers share. The database closes before the lock goes.
struct Shared {
    keyspaces: Keyspaces,
    database: Database,
    times: EventTimes,
    held: Mutex<LogStatistics>,
    path: PathBuf,
    _directory: Directory,
}

impl FjallLog {
    /// Opens the log in a directory, making it if it is not there.
    ///
    /// # Errors
    /// [`LogError::InUse`], [`LogError::Foreign`], [`LogError::Version`], [`LogError::Damaged`], and
    /// [`LogError::Full`] or [`LogError::Io`] from the disk; each names the directory.
    pub fn open(directory: impl AsRef<Path>, options: FjallOptions) -> Result<Self, LogError> {
        let held = Directory::open(directory.as_ref())?;
        let path = held.database();
        if !path.exists() {
            let new = held.new_database()?;
            drop(open_database(&new, &options, Making::New)?);
            held.install_database()?;
        }
        held.check_database()?;
        let (database, keyspaces) = open_database(&path, &options, Making::Before)?;
        let view = View::new(&keyspaces, &database);
        let (mut synced, writes) = (held.synced()?, view.writes()?);
        let recorded = synced.read()?;
        if recorded > writes {
            let cause = format!("it holds {writes} writes where {recorded} were synced");
            return Err(LogError::damaged(path.display().to_string(), cause));
        }
        let totals = view.all_totals().collect::<Result<BTreeMap<_, _>, _>>()?;
        drop(view);
        let mut statistics = LogStatistics::default();
        for totals in totals.values() {
            statistics.partitions += 1;
            exchange(&mut statistics, &Totals::default(), totals);
        }
        let shared = Shared {
            keyspaces,
            database,
            times: options.times,
            held: Mutex::new(statistics),
            path,
            _directory: held,
        };
        Ok(Self { shared: Arc::new(shared), totals, written: 0, writes, synced, poison: Poison::default() })
    }

    fn try_write(&mut self, index: u64, records: &[Record]) -> Result<(), LogError> {
        check_index(index, self.written)?;
        let draft = Draft::of(records, &self.shared.view())?;
        let mut batch = self.shared.database.batch();
        self.shared.keyspaces.fill(&mut batch, &draft, self.writes + 1);
        batch.commit().map_err(|error| self.shared.failed("writing to", &error))?;
        self.written = index;
        self.writes += 1;
        let mut statistics = self.shared.held();
        for (partition, totals) in draft.totals {
            let totals = totals.unwrap_or_default();
            let before = self.totals.insert(partition, totals);
            statistics.partitions += u64::from(before.is_none());
            exchange(&mut statistics, &before.unwrap_or_default(), &totals);
        }
        Ok(())
    }

    fn try_sync(&mut self) -> Result<u64, LogError> {
        // The journal's length is set when it is made and grows only past that, and fdatasync covers a grown
        // length.
        let synced = self.shared.database.persist(PersistMode::SyncData);
        synced.map_err(|error| self.shared.failed("syncing", &error))?;
        self.synced.write(self.writes)?;
        Ok(self.written)
    }
}

impl EventLog for FjallLog {
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

    fn load(&self) -> Result<Checkpoint, LogError> {
        let view = self.shared.view();
        let mut checkpoint = Checkpoint::default();
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Cut) {
            for row in view.rows(table, &[], None) {
                let (key, value) = row?;
                checkpoint.rows.push((table, key, value.to_vec()));
            }
        }
        let last_index = self.totals.iter().map(|(partition, totals)| (*partition, totals.last_index));
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
    fn view(&self) -> View<'_> {
        View::new(&self.keyspaces, &self.database)
    }

    fn held(&self) -> MutexGuard<'_, LogStatistics> {
        self.held.lock().expect("adding numbers does not panic")
    }

    fn failed(&self, doing: &str, error: &fjall::Error) -> LogError {
        engine_error(&format!("{doing} {}", self.path.display()), error)
    }
}

impl LogReader for Shared {
    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError> {
        query::answer(&self.view(), self.times, query, budget_bytes)
    }

    fn statistics(&self) -> LogStatistics {
        let disk_bytes = self.database.disk_space().unwrap_or_default();
        LogStatistics { disk_bytes, ..*self.held() }
    }
}

/// Replaces one partition's totals in the sums.
fn exchange(statistics: &mut LogStatistics, before: &Totals, after: &Totals) {
    statistics.events = statistics.events - before.events + after.events;
    statistics.batches = statistics.batches - before.batches + after.batches;
    statistics.bytes = statistics.bytes - before.bytes + after.bytes;
}

/// Whether a database is made now or was before. One that was made has all its keyspaces: the engine would
/// replace lost ones by empty ones, and a broker would take its own amnesia for a clean start.
#[derive(Clone, Copy)]
enum Making {
    New,
    Before,
}

/// Opens or makes a database. The engine panics on some files that it did not make; that is an error here.
fn open_database(
    path: &Path,
    options: &FjallOptions,
    making: Making,
) -> Result<(Database, Keyspaces), LogError> {
    let open = || {
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(limits::JOURNAL_BYTES)
            .worker_threads(limits::WORKERS)
            .open()?;
        let missing = NAMES.into_iter().find(|name| !database.keyspace_exists(name));
        if let (Making::Before, Some(missing)) = (making, missing) {
            return Ok(Err(missing));
        }
        let keyspaces = Keyspaces::open(&database, options)?;
        fjall::Result::Ok(Ok((database, keyspaces)))
    };
    let opened = std::panic::catch_unwind(AssertUnwindSafe(open));
    let opened =
        opened.map_err(|_| LogError::damaged(path.display().to_string(), "its files are not a database"))?;
    let opened = opened.map_err(|error| match error {
        fjall::Error::Locked => LogError::InUse { directory: path.to_owned() },
        error => engine_error(&format!("opening {}", path.display()), &error),
    })?;
    opened.map_err(|missing| {
        LogError::damaged(path.display().to_string(), format!("its keyspace {missing:?} is missing"))
    })
}

/// Tells a full device, a failing one and damage apart.
fn engine_error(doing: &str, error: &fjall::Error) -> LogError {
    let system = match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error),
        _ => None,
    };
    let place = || format!("the database, as seen while {doing},");
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
