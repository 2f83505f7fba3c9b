//! What the kernel asks of a disk: records to write, queries to read, and what comes back.
//!
//! ```text
//!   Output::Write(index, [Record])  ──►  EventLog  ──►  Input::Durable(up to)
//!   Output::Read(token, Query, budget) ─►  EventLog ──►  Input::Loaded(token, Chunk)
//! ```
//!
//! Batches are kept whole, exactly as signed. Each append to a partition gets the next *append index*, local to
//! this broker: it says what came after what on this disk, nothing more. Everything else that a broker must
//! remember is a row in one of a few small tables, loaded whole when the broker starts.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use crate::ids::{Address, LaneId, PartitionId, StreamPartition};

/// One thing to persist. The records of one write become durable together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Record {
    /// A batch, appended to its lane and to the partition's log.
    Batch(StoredBatch),
    /// Events of `lane` with sequence `from` and above are dropped: the lane forked and was closed there. `from`
    /// is always a batch boundary.
    Truncate {
        /// The partition that held the lane.
        partition: PartitionId,
        /// The lane.
        lane: LaneId,
        /// First sequence that goes.
        from: u64,
    },
    /// A row of a table: set.
    Put {
        /// The table.
        table: Table,
        /// The row's key; rows are loaded in bytewise key order.
        key: Vec<u8>,
        /// The row's value.
        value: Vec<u8>,
    },
    /// A row of a table: removed. Removing an absent row is no error.
    Remove {
        /// The table.
        table: Table,
        /// The row's key.
        key: Vec<u8>,
    },
}

/// A batch with what a store needs to index it, so that a store never parses signed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StoredBatch {
    /// The network partition whose log this is.
    pub partition: PartitionId,
    /// Append index in that log: rises by at least one each time, from 1.
    pub index: u64,
    /// The stream partition.
    pub slot: StreamPartition,
    /// The lane.
    pub lane: LaneId,
    /// Who published it.
    pub origin: Address,
    /// Sequence of its first event.
    pub sequence: u64,
    /// Number of events, at least 1.
    pub count: u32,
    /// Time of its first event in milliseconds since 1970 UTC; event times never go back within a lane.
    pub first_time_ms: u64,
    /// Time of its last event.
    pub last_time_ms: u64,
    /// The signed batch, whole.
    pub bytes: Arc<[u8]>,
}

/// The small tables. Their rows are the kernel's own; a store only keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Table {
    /// Who this store belongs to and since when: the continuity marker.
    Marker,
    /// One row a lane: its parts, its sealed head and whether it is closed.
    Lane,
    /// One row a batch above its lane's sealed head.
    Mark,
    /// Reports signed, with their cuts: one row a (partition, epoch, round, previous).
    Report,
    /// Every sealed cut. The one table that grows with history: it is not part of a [`Checkpoint`] and is read by
    /// [`Query::Rows`].
    Cut,
    /// Conflicting signed headers: proofs of a fork.
    Evidence,
}

impl Table {
    /// Every table, in the order they are loaded.
    pub const ALL: [Table; 6] =
        [Table::Marker, Table::Lane, Table::Mark, Table::Report, Table::Cut, Table::Evidence];
}

/// What a broker remembers when it starts: every row of every table but [`Table::Cut`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Checkpoint {
    /// (table, key, value), ordered by table, then key.
    pub rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
    /// The highest append index ever written, by partition, ordered.
    pub last_index: Vec<(PartitionId, u64)>,
}

/// What a log may drop for good: batches of a stream partition, or of all, from the beginning of their lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The network partition.
    pub partition: PartitionId,
    /// The stream partition; `None` for all that the network partition holds.
    pub slot: Option<StreamPartition>,
    /// Batches whose last event is older than this, in milliseconds since 1970 UTC.
    pub before_ms: u64,
    /// Of those, the ones with an append index up to this: what came later was not looked at.
    pub up_to_index: u64,
}

/// A place in the canonical order of a stream partition: (timestamp, lane, sequence).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Position {
    /// Milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
    /// The lane: breaks ties of time.
    pub lane: LaneId,
    /// The sequence within the lane.
    pub sequence: u64,
}

impl Position {
    /// The first place at or after a time.
    pub fn at(timestamp_ms: u64) -> Self {
        Self { timestamp_ms, lane: LaneId::ZERO, sequence: 0 }
    }
}

/// A question to the log. Every answer is a [`Chunk`] of bounded size that carries the question for the next one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Query {
    /// Events in canonical order.
    Range {
        /// The network partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
        /// First place wanted, inclusive.
        from: Position,
        /// Last place wanted, inclusive.
        to: Position,
        /// Only batches with an append index up to this; `u64::MAX` for all.
        up_to_index: u64,
        /// Only this publisher's.
        origin: Option<Address>,
    },
    /// The last `count` events in canonical order, given in canonical order.
    Last {
        /// The network partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
        /// How many.
        count: u64,
        /// Only batches with an append index up to this.
        up_to_index: u64,
    },
    /// Batches of a stream partition in append order: what a tail follows.
    Append {
        /// The network partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
        /// Only batches with an append index above this.
        after_index: u64,
    },
    /// Batches of one lane in sequence order, starting with the one that holds `from`.
    Lane {
        /// The lane.
        lane: LaneId,
        /// First sequence wanted.
        from: u64,
    },
    /// Values of a table's rows in key order: those whose key starts with `prefix` and is greater than `after`.
    /// The values come back as [`Chunk::batches`], with no slices.
    Rows {
        /// The table.
        table: Table,
        /// What the keys start with.
        prefix: Vec<u8>,
        /// The last key already seen; empty for none.
        after: Vec<u8>,
    },
}

impl Query {
    /// The same question, answered from what a log has up to this append index, so that the chunks of one answer fit
    /// together while more comes in. A question that has its limit keeps it.
    pub fn pinned(mut self, index: u64) -> Self {
        if let Self::Range { up_to_index, .. } | Self::Last { up_to_index, .. } = &mut self {
            *up_to_index = (*up_to_index).min(index);
        }
        self
    }

    /// The same question to another log, whose append indexes are its own.
    pub fn unpinned(mut self) -> Self {
        if let Self::Range { up_to_index, .. } | Self::Last { up_to_index, .. } = &mut self {
            *up_to_index = u64::MAX;
        }
        self
    }
}

/// Consecutive events of one batch of a [`Chunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Slice {
    /// Which of the chunk's batches.
    pub batch: u32,
    /// First event, counted from 0 within the batch.
    pub first: u32,
    /// Number of events.
    pub count: u32,
}

/// A bounded part of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Chunk {
    /// The batches that the slices point into, each once.
    pub batches: Vec<Arc<[u8]>>,
    /// The answer in order.
    pub order: Vec<Slice>,
    /// Append index of the last batch looked at, for [`Query::Append`]; 0 for the others.
    pub last_index: u64,
    /// How many events the answer has in all, this chunk included, for [`Query::Last`]; 0 for the others.
    pub total: u64,
    /// How to go on; `None` at the end.
    pub next: Option<Query>,
}
