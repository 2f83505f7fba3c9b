//! The port: what a broker asks of a disk.

use std::sync::Arc;

use weir_kernel::ids::{PartitionId, StreamPartition};
use weir_kernel::log::{Checkpoint, Chunk, Expiry, Query, Record};

use crate::error::LogError;

/// An event log: one writer, and as many readers beside it as wanted.
///
/// Reads see what was written, whether it was synced or not. The records of one write are durable together or
/// not at all. After a failed write or sync the log is poisoned: every later write and sync returns
/// [`LogError::Poisoned`] with the first cause, because what follows a hole must not be acknowledged (WP
/// 2.4.8).
pub trait EventLog: Send {
    /// Takes one write. `index` is the kernel's write index and rises from call to call. Nothing is durable
    /// before [`EventLog::sync`] returns.
    ///
    /// # Errors
    /// [`LogError::Contract`] for records that break the log's rules, [`LogError::Full`], [`LogError::Io`]
    /// and [`LogError::Damaged`] from the disk, [`LogError::Poisoned`] after any of them.
    fn write(&mut self, index: u64, records: &[Record]) -> Result<(), LogError>;

    /// Makes everything written so far durable; returns the highest write index that now is, 0 when nothing
    /// was written since the log was opened.
    ///
    /// # Errors
    /// As [`EventLog::write`].
    fn sync(&mut self) -> Result<u64, LogError>;

    /// Drops batches of a stream partition whose last event is older than `before_ms`, in milliseconds since
    /// 1970 UTC: retention (WP 2.4.8). What came later than the append index `up_to_index` stays, whatever
    /// its times: it was not looked at when that was decided. At most [`EXPIRE_BATCHES`] at a time, and
    /// durable with the next sync; returns how many were dropped, 0 when none is left.
    ///
    /// # Errors
    /// As [`EventLog::write`].
    ///
    /// [`EXPIRE_BATCHES`]: crate::limits::EXPIRE_BATCHES
    fn expire(
        &mut self,
        partition: PartitionId,
        slot: StreamPartition,
        before_ms: u64,
        up_to_index: u64,
    ) -> Result<u64, LogError>;

    /// The first stream partition, after the given one, of which a network partition's log holds a batch.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::Io`] from the disk.
    fn held_slot(
        &self,
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> Result<Option<StreamPartition>, LogError>;

    /// Drops some of what the kernel lets go, as [`EventLog::expire`]: where it names no stream partition, of the first
    /// one after `done` that has any of it. Those before it have none, and `done` says so to the next call.
    ///
    /// # Errors
    /// As [`EventLog::write`].
    fn let_go(&mut self, expiry: &Expiry, done: &mut Option<StreamPartition>) -> Result<u64, LogError> {
        let Expiry { partition, slot, before_ms, up_to_index } = *expiry;
        if let Some(slot) = slot {
            return self.expire(partition, slot, before_ms, up_to_index);
        }
        while let Some(slot) = self.held_slot(partition, *done)? {
            let dropped = self.expire(partition, slot, before_ms, up_to_index)?;
            if dropped > 0 {
                return Ok(dropped);
            }
            *done = Some(slot);
        }
        Ok(0)
    }

    /// Every row of every table but [`weir_kernel::log::Table::Cut`], and the last append index of each
    /// partition.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::Io`] from the disk.
    fn load(&self) -> Result<Checkpoint, LogError>;

    /// Answers a query with about `budget_bytes` of batches at most, but with one batch at least when there
    /// is one.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::Io`] from the disk. A failed read poisons nothing.
    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError>;

    /// What the log holds.
    fn statistics(&self) -> LogStatistics;

    /// A handle for reads beside the writer. It keeps the log's directory open.
    fn reader(&self) -> Arc<dyn LogReader>;
}

/// Reads a log from any thread, beside its writer. Clone the [`Arc`].
pub trait LogReader: Send + Sync {
    /// As [`EventLog::read`].
    ///
    /// # Errors
    /// As [`EventLog::read`].
    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError>;

    /// As [`EventLog::statistics`].
    fn statistics(&self) -> LogStatistics;
}

/// What a log holds, without what was truncated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStatistics {
    /// Events.
    pub events: u64,
    /// Batches.
    pub batches: u64,
    /// Bytes of batches, without indexes.
    pub bytes: u64,
    /// Network partitions that were ever written to.
    pub partitions: u64,
    /// Bytes on disk, with indexes and journals; 0 for a log in memory.
    pub disk_bytes: u64,
}

impl<L: EventLog + ?Sized> EventLog for Box<L> {
    fn write(&mut self, index: u64, records: &[Record]) -> Result<(), LogError> {
        (**self).write(index, records)
    }

    fn sync(&mut self) -> Result<u64, LogError> {
        (**self).sync()
    }

    fn expire(
        &mut self,
        partition: PartitionId,
        slot: StreamPartition,
        before_ms: u64,
        up_to_index: u64,
    ) -> Result<u64, LogError> {
        (**self).expire(partition, slot, before_ms, up_to_index)
    }

    fn held_slot(
        &self,
        partition: PartitionId,
        after: Option<StreamPartition>,
    ) -> Result<Option<StreamPartition>, LogError> {
        (**self).held_slot(partition, after)
    }

    fn load(&self) -> Result<Checkpoint, LogError> {
        (**self).load()
    }

    fn read(&self, query: &Query, budget_bytes: usize) -> Result<Chunk, LogError> {
        (**self).read(query, budget_bytes)
    }

    fn statistics(&self) -> LogStatistics {
        (**self).statistics()
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        (**self).reader()
    }
}
