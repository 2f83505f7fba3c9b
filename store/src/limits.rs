//! Every bound of the store, with its reason.

/// Largest batch that is accepted, in bytes. Well above what the protocol lets a publisher sign; it keeps a
/// damaged length from asking for gigabytes.
pub const BATCH_BYTES_MAXIMUM: usize = 64 * 1024 * 1024;

/// Longest key of a table's row, in bytes. The engine below limits keys to 65,535 bytes; one byte of ours
/// names the table.
pub const ROW_KEY_BYTES_MAXIMUM: usize = 4 * 1024;

/// Largest value of a table's row, in bytes: a sealed cut of a busy partition is the largest one.
pub const ROW_VALUE_BYTES_MAXIMUM: usize = 64 * 1024 * 1024;

/// Most slices in one chunk. Two lanes that alternate event by event give one slice an event: without this
/// bound the order could outweigh the batches.
pub const SLICES_PER_CHUNK: usize = 65_536;

/// Block cache of one database by default, in bytes. Small, because one process may run many brokers.
pub const CACHE_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;

/// Memory of unflushed batches by default, in bytes.
pub const BATCH_MEMTABLE_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;

/// Memory of the unflushed part of each index keyspace by default, in bytes. An index row is about a
/// hundredth of its batch.
pub const INDEX_MEMTABLE_BYTES_DEFAULT: u64 = 4 * 1024 * 1024;

/// Smallest memtable that may be asked for, in bytes.
pub const MEMTABLE_BYTES_MINIMUM: u64 = 64 * 1024;

/// Journals on disk before the engine flushes to free them, in bytes: the least that the engine takes.
pub const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// Background threads of a database: one flushes while the other compacts.
pub const WORKERS: usize = 2;

/// Values of the batches keyspace above this many bytes are kept apart from their keys, so that compaction
/// moves keys and not batches.
pub const SEPARATION_BYTES: u32 = 1024;

/// Longest FORMAT file that is read, in bytes.
pub const FORMAT_FILE_BYTES: u64 = 256;

const _: () = assert!(ROW_KEY_BYTES_MAXIMUM < 65_535, "a table's byte and a key fit an engine key");
const _: () = assert!(BATCH_BYTES_MAXIMUM <= u32::MAX as usize, "lengths are stored in 32 bits");
const _: () =
    assert!(ROW_VALUE_BYTES_MAXIMUM <= u32::MAX as usize, "values are below the engine's 2^32 bytes");
const _: () = assert!(SLICES_PER_CHUNK <= u32::MAX as usize, "a slice names its batch in 32 bits");
const _: () = assert!(INDEX_MEMTABLE_BYTES_DEFAULT >= MEMTABLE_BYTES_MINIMUM);
const _: () = assert!(BATCH_MEMTABLE_BYTES_DEFAULT <= JOURNAL_BYTES, "the journal outlives a memtable");
