//! The event log of a broker: batches kept whole, indexed so that every read is bounded (WP 2.4.8).
//!
//! ```text
//!                    write, sync                              read
//!   kernel's records ───────────► EventLog                    LogReader ◄─── kernel's queries
//!                                   │                             │
//!                       Draft: records → rows          one algorithm a query
//!                                   │                             │
//!                                   ▼                             ▼
//!                  ┌──────────────── Index: batches, lanes, runs, tables ───────────────┐
//!                  │ FjallLog: a directory │ MemoryLog: the simulator's │ FaultLog: fails│
//!                  └────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The rules that keep the indexes in step with the batches, and the canonical merge of a stream partition's
//! lanes, exist once and run over either storage. One suite checks all implementations.
//!
//! # Promises
//!
//! - The records of one write are durable together or not at all; a sync makes all earlier writes durable.
//! - A failed write or sync poisons the log: nothing is taken after it until it is opened again.
//! - Reads see everything written, synced or not, and are consistent: a chunk is read from one moment.
//! - A chunk holds about the bytes that were asked for, and one batch at least. Memory of a merge is one
//!   batch for each lane that overlaps the place where it stands.
//! - Damage is found when it is read, and named.
//! - Opening costs in proportion to the partitions and to what the journal holds, not to history. Summaries
//!   of lanes are read when a query needs them: a [`Query::Range`] looks at the summary of each lane that began
//!   before it.
//!
//! [`Query::Range`]: weir_kernel::log::Query::Range
//!
//! # On disk: format 1
//!
//! A data directory holds `LOCK` (locked while in use), `FORMAT` (`weir-store 1` and a newline), `SYNCED`
//! (checksum and u64: how many writes were synced, so that lost ones are noticed) and `db`, a fjall database
//! with six keyspaces. Integers are big-endian. Every value begins with 4 bytes: the CRC-32 (IEEE) of its key
//! followed by the rest of the value. A *scope* is 28 bytes: network partition u32, stream \[20\], stream
//! partition u32.
//!
//! | keyspace | key | value after the checksum |
//! | --- | --- | --- |
//! | `batches` | network partition u32, append index u64 | the signed batch |
//! | `lanes` | lane \[32\], sequence u64 | scope, append index u64, events u32, bytes u32, first time u64, last time u64, first time of its run u64, first sequence of its run u64 |
//! | `runs` | scope, first time u64, lane \[32\], first sequence u64 | last time u64, next sequence u64, first append index u64, last append index u64, origin \[20\] |
//! | `appends` | scope, append index u64 | events u32, bytes u32 |
//! | `tables` | table u8, the row's key | the row's value |
//! | `partitions` | network partition u32 | last append index u64, events u64, batches u64, bytes u64 |
//!
//! A *run* is a stretch of a lane without a gap within one scope; most lanes are one run. Tables are
//! numbered: marker 1, lane 2, mark 3, report 4, cut 5, evidence 6; the key of a lone byte 0 holds the number
//! of writes ever taken, u64. Values of 1 KiB and more in `batches` and `tables` are kept apart from their
//! keys, so that compaction moves little.
//!
//! # Example
//!
//! ```
//! use weir_kernel::ids::{Address, LaneId, PartitionId, StreamId, StreamPartition};
//! use weir_kernel::log::{Position, Query, Record, Slice, StoredBatch};
//! use weir_store::{EventLog, LogError, MemoryLog};
//!
//! let partition = PartitionId(3);
//! let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
//! let batch = |index, lane, time| {
//!     Record::Batch(StoredBatch {
//!         partition,
//!         index,
//!         slot,
//!         lane: LaneId([lane; 32]),
//!         origin: Address([2; 20]),
//!         sequence: 0,
//!         count: 1,
//!         first_time_ms: time,
//!         last_time_ms: time,
//!         bytes: vec![lane; 100].into(),
//!     })
//! };
//!
//! let mut log = MemoryLog::new();
//! log.write(1, &[batch(1, 7, 2_000), batch(2, 8, 1_000)])?;
//! assert_eq!(log.sync()?, 1);
//! log.write(2, &[batch(3, 9, 3_000)])?;
//! log.crash();
//!
//! // The last write was not synced. The others come in canonical order: by time, whatever came first.
//! let all = Query::Range {
//!     partition,
//!     slot,
//!     from: Position::default(),
//!     to: Position::at(10_000),
//!     up_to_index: u64::MAX,
//!     origin: None,
//! };
//! let chunk = log.read(&all, 150)?;
//! assert_eq!(chunk.batches[0][0], 8);
//! assert_eq!(chunk.order, [Slice { batch: 0, first: 0, count: 1 }]);
//!
//! // 150 bytes hold one batch; the chunk carries the question for the rest.
//! let rest = log.read(&chunk.next.expect("there is more"), 150)?;
//! assert_eq!(rest.batches[0][0], 7);
//! assert_eq!(rest.next, None);
//! # Ok::<(), LogError>(())
//! ```

mod draft;
mod error;
mod fault;
mod index;
mod layout;
pub mod limits;
mod memory;
mod port;
mod query;
mod record;
mod segment;
mod times;

pub use error::LogError;
pub use fault::{Fault, FaultLog, FaultPlan, LosesPower};
pub use memory::{MemoryDisk, MemoryLog};
pub use port::{EventLog, LogReader, LogStatistics};
pub use segment::{SegmentLog, SegmentOptions};
pub use times::{EventTimes, kernel_times};
