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

/// Batches that one call may let expire: the call takes milliseconds, and its changes fit a layer.
pub const EXPIRE_BATCHES: u32 = 4096;

/// Block cache of the index by default, in bytes. Small, because one process may run many brokers.
pub const CACHE_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;

/// Size at which a segment file ends and the next begins, in bytes, by default. A write is never cut, so the
/// last one may go past it. Old data is freed by whole segments.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// Smallest segment size that may be asked for, in bytes.
pub const SEGMENT_BYTES_MINIMUM: u64 = 4 * 1024;

/// Bytes of writes that wait in memory for the sync that sends them to the file together. What is more goes
/// to the file at once.
pub const PENDING_BYTES: usize = 1024 * 1024;

/// Rows of the index that a layer in memory holds before it is handed to the indexer, by default: a few
/// megabytes, and what is read again after a crash.
pub const LAYER_ROWS_DEFAULT: usize = 16 * 1024;

/// Bytes of the log that a layer covers at most: what is read again after a crash.
pub const LAYER_LOG_BYTES: u64 = 32 * 1024 * 1024;

/// Layers in memory before a writer waits for the indexer.
pub const LAYERS_MAXIMUM: usize = 3;

/// Batches in one row of the index. Larger rows are fewer; a lookup checks and reads one whole row.
pub const BLOCK_ENTRIES: usize = 64;

/// Rows that a merge of layers copies out of one at a time.
pub const MERGE_ROWS: usize = 64;

/// Segment files that are held open for reading.
pub const OPEN_SEGMENTS: usize = 64;

/// Length from which a batch is read ahead, in bytes. Smaller ones share pages with their neighbours, and
/// asking costs as much as reading.
pub const PREFETCH_BYTES: u32 = 8 * 1024;

/// Memory of the unflushed part of each keyspace of the index, in bytes.
pub const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;

/// Journals of the index on disk before the engine flushes to free them, in bytes: the least that the engine
/// takes.
pub const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// Background threads of the index. Of several, fjall 3.1 keeps one for flushing, which hands the others' compactions
/// back to their queue for as long as they are busy: with two that took a twentieth of the processor time of a broker
/// that keeps single events, and no write waited less for it.
pub const WORKERS: usize = 1;

/// Values of tables above this many bytes are kept apart from their keys, so that compaction moves keys and
/// not values.
pub const SEPARATION_BYTES: u32 = 1024;

/// Longest FORMAT file that is read, in bytes.
pub const FORMAT_FILE_BYTES: u64 = 256;

const _: () = assert!(ROW_KEY_BYTES_MAXIMUM < 65_535, "a table's byte and a key fit an engine key");
const _: () = assert!(BATCH_BYTES_MAXIMUM <= u32::MAX as usize, "lengths are stored in 32 bits");
const _: () =
    assert!(ROW_VALUE_BYTES_MAXIMUM <= u32::MAX as usize, "values are below the engine's 2^32 bytes");
const _: () = assert!(SLICES_PER_CHUNK <= u32::MAX as usize, "a slice names its batch in 32 bits");
const _: () =
    assert!(ROW_KEY_BYTES_MAXIMUM <= u16::MAX as usize, "a record stores a key's length in 16 bits");
const _: () = assert!(SEGMENT_BYTES_MINIMUM <= SEGMENT_BYTES_DEFAULT);
const _: () = assert!(MEMTABLE_BYTES <= JOURNAL_BYTES, "the journal outlives a memtable");
const _: () = assert!(LAYERS_MAXIMUM >= 2, "one layer fills while another is indexed");
const _: () = assert!(BLOCK_ENTRIES > 0 && MERGE_ROWS > 0 && OPEN_SEGMENTS > 0);
