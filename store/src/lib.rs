//! The event log of a broker: batches kept whole, indexed so that every read is bounded (WP 2.4.8).
//!
//! ```text
//!                    write, sync                              read
//!   kernel's records ───────────► EventLog                    LogReader ◄─── kernel's queries
//!                                   │                             │
//!                       Draft: records → rows          one algorithm a query
//!                                   │                             │
//!                                   ▼                             ▼
//!                  ┌──────── Index: batches, lanes, runs, appends, tables ─────────┐
//!                  │ SegmentLog: a directory │ MemoryLog: the simulator's │ FaultLog: fails │
//!                  └───────────────────────────────────────────────────────────────┘
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
//! - Damage is found when it is read, and named. What a crash tears off the end of the log is cut; what is
//!   missing before the last sync is damage.
//! - Opening costs in proportion to the partitions and to what is not indexed yet, which is bounded, not to
//!   history. Summaries of lanes are read when a query needs them: a [`Query::Range`] looks at the summary of
//!   each lane that began before it.
//! - What is too old expires when it is asked to, batch by batch; a segment of which no batch is held any
//!   more gives its space back.
//!
//! [`Query::Range`]: weir_kernel::log::Query::Range
//!
//! # How it works
//!
//! A write is appended to the log, whose end is in memory until the sync sends it to the last segment file
//! with one write and one fdatasync. A batch is copied once, on its way there. Beside that, its changes to
//! the index go to a *layer* in memory. A sync that finds the layer large closes it, and a background thread
//! takes it into a fjall database: hundreds of batches in one row, many changes of one row as one. So the
//! index is always some way behind, never ahead of what is durable, and can be made again: a start reads the
//! log from where the index ends. Queries look at the layers first and at the database below them.
//!
//! # Measured
//!
//! Format 1 kept everything in the database: batches as values apart from their keys, four to six rows of
//! index and tables beside each, one atomic engine batch a write. Format 2 is what this crate does now. Both
//! were driven as the committer of a node drives its log: 4 partitions, 32 stream partitions, 256 lanes in
//! turn, events of 100 bytes, a mark's row with each batch, an epoch's rows every 8,192 batches, one sync for
//! every MiB. The machine has 2 cores and a shared virtual disk, and other work ran beside: CPU and ratios
//! are sound, events a second are not more than a range. Runs of both took turns.
//!
//! | | format 1: database | format 2: segments |
//! | --- | --- | --- |
//! | write, batches of 256: events/s | 0.37–1.43 M | 0.80–2.55 M |
//! | … CPU an event, all threads; committer alone | 0.40–0.50; 0.18–0.24 µs | 0.12–0.24; 0.10–0.23 µs |
//! | … bytes sent to the device for a byte of batches | 2.1 | 1.05 |
//! | write, batches of 16: CPU an event | 2.6–4.1 µs | 0.58–0.68 µs |
//! | write, single events: events/s | 5–30 k | 41–46 k |
//! | … CPU an event, all threads; committer alone | 39–56; 27–39 µs | 7.5–8.7; 4.1–5.1 µs |
//! | … bytes sent to the device for a byte of batches | 6.8–7.8 | 3.5–4.8 |
//! | peak memory while writing batches of 256; single events | 68; 124 MiB | 41–57; 77–109 MiB |
//! | memory with 250,000 streams of a lane each: peak; opened again | not measured | 139; 105 MiB |
//! | scan from memory, batches of 256, in append order | 3–22 M events/s | 3–29 M events/s |
//! | … in canonical order, 8 lanes merged | 0.9–8.7 M events/s | 1.6–7.6 M events/s |
//! | scan from disk, batches of 256, in append order | 2.5–5.0 M events/s | 1.7 M events/s |
//! | last 100 events, batches of 256, median | 0.13–0.15 ms | 0.05–0.15 ms |
//! | open after kill -9 with 10 M events | 84–2010 ms | 397–953 ms |
//! | expire 39,063 of 78,126 batches: time, CPU a batch | 5.2 s, 20 µs | 0.24 s, 2.2 µs |
//! | … space given back 5 s later | none of it | 99 % of it |
//!
//! Segments win where the work is: a write costs a third to a fifth of the CPU and half of the bytes, and
//! what expires frees its space without being copied. The database lays the batches of a partition side by
//! side when it flushes, so a cold scan of one stream partition among many finds them together; in the
//! segments they lie as they came. Reading ahead makes up for a part: without it the same scan gave 0.8 M
//! events/s. (The database's figures for expiry are those of truncating as many lanes, as format 1 had no
//! expiry.)
//!
//! A file that grows costs a sync as much as one whose blocks are allocated before, within the noise (median
//! 0.8 against 0.5–0.7 ms); only overwriting blocks that were written before is faster (0.3 ms), at the price
//! of writing all twice. So segments grow, and end where the log ends.
//!
//! `cargo run --release -p weir-store --example measure -- all DIRECTORY` prints these figures for this
//! version.
//!
//! # On disk: format 2
//!
//! A data directory holds `LOCK` (locked while in use), `FORMAT` (`weir-store 2` and a newline), `SYNCED`
//! (checksum and u64: up to which position the log was synced, so that lost parts are noticed), the log in
//! `segments`, and `index`, a fjall database. Integers are big-endian, checksums CRC-32 (IEEE).
//!
//! A *position* is a number of bytes from the beginning of the log, over the directory's whole life. The
//! segment file `NNNNNNNNNNNNNNNNNNNN.segment` holds what begins at position N, twenty digits, up to where
//! the next file begins. `N.hole` is as long as the segment that it stands for, and empty: no batch of that
//! one is held. A segment ends before the first write that finds it with 64 MiB or more. It is a sequence of
//! records:
//!
//! | bytes | field |
//! | --- | --- |
//! | 4 | checksum over the record's position u64 and all that follows here |
//! | 4 | bytes of the body |
//! | 8 | number of the write, from 1, over the directory's whole life |
//! | 1 | kind; 0x80 is added in the last record of a write |
//! | … | body |
//!
//! | kind | body |
//! | --- | --- |
//! | 1 batch | network partition u32, append index u64, stream \[20\], stream partition u32, lane \[32\], origin \[20\], sequence u64, events u32, first time u64, last time u64, the signed batch |
//! | 2 truncation | network partition u32, lane \[32\], first sequence that goes u64 |
//! | 3 row set | table u8, bytes of the key u16, key, value |
//! | 4 row removed | table u8, key |
//! | 5 expiry, a write of its own | network partition u32, stream \[20\], stream partition u32, time u64, append index u64, most batches u32: so many batches of that scope that end before that time and came up to that index go, in the order of `runs` |
//!
//! Tables are numbered: marker 1, lane 2, mark 3, report 4, cut 5, evidence 6. A write whose last record is
//! not there, or that has a record whose checksum or number does not fit, is not there; nor is anything after
//! it.
//!
//! The index has six keyspaces. Every value begins with a checksum over its key and the rest of the value. A
//! *scope* is 28 bytes: network partition u32, stream \[20\], stream partition u32.
//!
//! | keyspace | key | value after the checksum |
//! | --- | --- | --- |
//! | `lanes` | lane \[32\], first sequence u64 | scope, first time of the run u64, first sequence of the run u64; then for each of up to 64 batches: sequence u64, append index u64, position u64, events u32, bytes u32, first time u64, last time u64 |
//! | `appends` | scope, first append index u64 | for each of up to 64 batches: append index u64, position u64, events u32, bytes u32 |
//! | `runs` | scope, first time u64, lane \[32\], first sequence u64 | last time u64, first sequence held u64, next sequence u64, first append index held u64, last append index u64, origin \[20\] |
//! | `tables` | table u8, the row's key | the row's value |
//! | `partitions` | network partition u32 | last append index u64, events u64, batches u64, bytes u64 |
//! | `segments` | position u64 at which it begins | batches held u64 |
//!
//! A *run* is a stretch of a lane without a gap within one scope; most lanes are one run. The key of a lone
//! byte 0 in `tables` holds up to where the index covers the log: position u64, writes u64. Values of 1 KiB
//! and more in `tables` are kept apart from their keys, so that compaction moves little.
//!
//! Format 1 kept the batches in the database too. A directory of that format is refused: the broker fetches
//! its data again into an empty one.
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

mod changes;
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
mod rising;
mod segment;
mod times;

pub use error::LogError;
pub use fault::{Fault, FaultLog, FaultPlan, LosesPower};
pub use memory::{MemoryDisk, MemoryLog};
pub use port::{EventLog, LogReader, LogStatistics};
pub use segment::{SegmentLog, SegmentOptions};
pub use times::{EventTimes, kernel_times};
