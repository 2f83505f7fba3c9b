//! A wrapper that fails on purpose: the N-th write, sync or read, with a chosen error; and the power, at any
//! time.

use std::sync::{Arc, Mutex, MutexGuard};

use weir_kernel::ids::{PartitionId, StreamPartition};
use weir_kernel::log::{Checkpoint, Chunk, Query, Record};

use crate::error::{LogError, Poison};
use crate::port::{EventLog, LogReader, LogStatistics};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device reports an error.
    Device,
    /// No space is left.
    Full,
    /// What is read is not what was written.
    Damage,
}

impl Fault {
    fn error(self, doing: &str) -> LogError {
        match self {
            Self::Device => {
                LogError::Io { doing: doing.into(), cause: "input/output error (injected)".into() }
            }
            Self::Full => LogError::Full { doing: doing.into() },
            Self::Damage => LogError::damaged(doing, "checksum mismatch (injected)"),
        }
    }
}

/// When something goes wrong: calls are counted from 1; `None` for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// The write that fails; none of its records is taken.
    pub write: Option<(u64, Fault)>,
    /// The sync that fails; nothing becomes durable.
    pub sync: Option<(u64, Fault)>,
    /// The read or load that fails, of the log and its readers together.
    pub read: Option<(u64, Fault)>,
}

/// A log whose device may lose what it has not synced.
pub trait LosesPower: EventLog {
    /// Power fails. What was synced is there when the log is opened again; of the rest, what `seed` says.
    ///
    /// # Errors
    /// [`LogError::Io`] when the failure could not be staged.
    fn lose_power(self, seed: u64) -> Result<(), LogError>;
}

#[derive(Debug, Default)]
struct Counted {
    plan: FaultPlan,
    writes: u64,
    syncs: u64,
    reads: u64,
}

/// An event log that fails as planned.
pub struct FaultLog<L> {
    inner: L,
    counted: Arc<Mutex<Counted>>,
    poison: Poison,
}

impl<L> FaultLog<L> {
    /// Wraps a log.
    pub fn new(inner: L, plan: FaultPlan) -> Self {
        Self {
            inner,
            counted: Arc::new(Mutex::new(Counted { plan, ..Counted::default() })),
            poison: Poison::default(),
        }
    }

    /// Plans anew, counting calls from 1 again.
    pub fn plan(&mut self, plan: FaultPlan) {
        *lock(&self.counted) = Counted { plan, ..Counted::default() };
    }

    fn count_write(&self) -> Result<(), LogError> {
        let mut counted = lock(&self.counted);
        counted.writes += 1;
        due(counted.plan.write, counted.writes, "writing to the log")
    }

    /// The log inside.
    pub fn inner_mut(&mut self) -> &mut L {
        &mut self.inner
    }

    /// Takes the wrapper off.
    pub fn into_inner(self) -> L {
        self.inner
    }
}

impl<L: LosesPower> FaultLog<L> {
    /// As [`LosesPower::lose_power`].
    ///
    /// # Errors
    /// As [`LosesPower::lose_power`].
    pub fn lose_power(self, seed: u64) -> Result<(), LogError> {
        self.inner.lose_power(seed)
    }
}

fn lock(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().expect("counting does not panic")
}

fn due(planned: Option<(u64, Fault)>, call: u64, doing: &str) -> Result<(), LogError> {
    match planned {
        Some((planned, fault)) if planned == call => Err(fault.error(doing)),
        _ => Ok(()),
    }
}

fn count_read(counted: &Mutex<Counted>) -> Result<(), LogError> {
    let mut counted = lock(counted);
    counted.reads += 1;
    due(counted.plan.read, counted.reads, "reading the log")
}

impl<L: EventLog> EventLog for FaultLog<L> {
    fn write(&mut self, index: u64, records: &[Record]) -> Result<(), LogError> {
        self.poison.check()?;
        let planned = self.count_write();
        let result = planned.and_then(|()| self.inner.write(index, records));
        self.poison.watch(result)
    }

    fn sync(&mut self) -> Result<u64, LogError> {
        self.poison.check()?;
        let planned = {
            let mut counted = lock(&self.counted);
            counted.syncs += 1;
            due(counted.plan.sync, counted.syncs, "syncing the log")
        };
        let result = planned.and_then(|()| self.inner.sync());
        self.poison.watch(result)
    }

    /// Counts as a write.
    fn expire(
        &mut self,
        partition: PartitionId,
        slot: StreamPartition,
        before_ms: u64,
        up_to_index: u64,
    ) -> Result<u64, LogError> {
        self.poison.check()?;
        let planned = self.count_write();
        let result = planned.and_then(|()| self.inner.expire(partition, slot, before_ms, up_to_index));
        self.poison.watch(result)
    }

    fn held_slot(
        &self,
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> Result<Option<StreamPartition>, LogError> {
        self.inner.held_slot(partition, after)
    }

    fn load(&self) -> Result<Checkpoint, LogError> {
        count_read(&self.counted)?;
        self.inner.load()
    }

    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError> {
        count_read(&self.counted)?;
        self.inner.read(query, budget_bytes)
    }

    fn statistics(&self) -> LogStatistics {
        self.inner.statistics()
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(FaultReader { inner: self.inner.reader(), counted: self.counted.clone() })
    }
}

struct FaultReader {
    inner: Arc<dyn LogReader>,
    counted: Arc<Mutex<Counted>>,
}

impl LogReader for FaultReader {
    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError> {
        count_read(&self.counted)?;
        self.inner.read(query, budget_bytes)
    }

    fn statistics(&self) -> LogStatistics {
        self.inner.statistics()
    }
}
