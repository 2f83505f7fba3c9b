//! Records on disk, byte by byte. The crate's docs are the specification; the tests pin it.
//!
//! A record begins with a CRC-32 (IEEE) over its place in the log and everything after the checksum: a record
//! that was damaged, torn, or that stands in another place, is found when it is read.

use std::sync::Arc;

use weir_kernel::ids::{Address, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::{Record, StoredBatch};

use crate::draft::Expiry;
use crate::layout::{Reader, scope_key, table_byte, table_of};
use crate::limits::{BATCH_BYTES_MAXIMUM, ROW_KEY_BYTES_MAXIMUM, ROW_VALUE_BYTES_MAXIMUM};

/// Bytes before a record's body: checksum u32, length of the body u32, number of the write u64, kind u8.
pub(crate) const HEADER_BYTES: usize = 4 + 4 + 8 + 1;

/// Bytes of a batch's body before its signed bytes.
pub(crate) const BATCH_FIELDS_BYTES: usize = 4 + 8 + 24 + 32 + 20 + 8 + 4 + 8 + 8;

/// Longest body.
pub(crate) const BODY_BYTES_MAXIMUM: usize =
    larger(BATCH_FIELDS_BYTES + BATCH_BYTES_MAXIMUM, 3 + ROW_KEY_BYTES_MAXIMUM + ROW_VALUE_BYTES_MAXIMUM);

const fn larger(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

const BATCH: u8 = 1;
const TRUNCATE: u8 = 2;
const PUT: u8 = 3;
const REMOVE: u8 = 4;
const EXPIRY: u8 = 5;
/// Set in the kind of a write's last record.
const LAST: u8 = 0x80;

/// Bytes that a record takes in the log.
pub(crate) fn record_bytes(record: &Record) -> u64 {
    let body = match record {
        Record::Batch(batch) => BATCH_FIELDS_BYTES + batch.bytes.len(),
        Record::Truncate { .. } => 4 + 32 + 8,
        Record::Put { key, value, .. } => 3 + key.len() + value.len(),
        Record::Remove { key, .. } => 1 + key.len(),
    };
    (HEADER_BYTES + body) as u64
}

/// Bytes that a batch of this length takes in the log.
pub(crate) fn batch_record_bytes(length: u32) -> usize {
    HEADER_BYTES + BATCH_FIELDS_BYTES + length as usize
}

/// Appends a record that begins at `position` of the log. Batches and rows were found to be within their
/// limits.
pub(crate) fn encode(buffer: &mut Vec<u8>, record: &Record, position: u64, write: u64, last: bool) {
    let start = begin(buffer);
    let kind = match record {
        Record::Batch(batch) => {
            encode_batch(buffer, batch);
            BATCH
        }
        Record::Truncate { partition, lane, from } => {
            buffer.extend(partition.0.to_be_bytes());
            buffer.extend(lane.as_bytes());
            buffer.extend(from.to_be_bytes());
            TRUNCATE
        }
        Record::Put { table, key, value } => {
            buffer.push(table_byte(*table));
            buffer.extend((key.len() as u16).to_be_bytes());
            buffer.extend_from_slice(key);
            buffer.extend_from_slice(value);
            PUT
        }
        Record::Remove { table, key } => {
            buffer.push(table_byte(*table));
            buffer.extend_from_slice(key);
            REMOVE
        }
    };
    finish(buffer, start, position, write, kind | if last { LAST } else { 0 });
}

/// Appends an expiry, which is a write of its own, that begins at `position` of the log.
pub(crate) fn encode_expiry(buffer: &mut Vec<u8>, expiry: &Expiry, position: u64, write: u64) {
    let start = begin(buffer);
    buffer.extend(scope_key(expiry.scope));
    buffer.extend(expiry.before_ms.to_be_bytes());
    buffer.extend(expiry.up_to_index.to_be_bytes());
    buffer.extend(expiry.limit.to_be_bytes());
    finish(buffer, start, position, write, EXPIRY | LAST);
}

/// Leaves room for a header; returns where.
fn begin(buffer: &mut Vec<u8>) -> usize {
    buffer.extend([0; HEADER_BYTES]);
    buffer.len() - HEADER_BYTES
}

/// Fills the header in.
fn finish(buffer: &mut [u8], start: usize, position: u64, write: u64, kind: u8) {
    let length = buffer.len() - start - HEADER_BYTES;
    assert!(length <= BODY_BYTES_MAXIMUM, "what is too long was refused before");
    let header = &mut buffer[start..start + HEADER_BYTES];
    header[4..8].copy_from_slice(&(length as u32).to_be_bytes());
    header[8..16].copy_from_slice(&write.to_be_bytes());
    header[16] = kind;
    let checksum = checksum(position, &buffer[start + 4..]);
    buffer[start..start + 4].copy_from_slice(&checksum.to_be_bytes());
}

fn encode_batch(buffer: &mut Vec<u8>, batch: &StoredBatch) {
    let mut fields = [0; BATCH_FIELDS_BYTES];
    let mut rest = fields.as_mut_slice();
    let mut put = |bytes: &[u8]| {
        let (field, after) = std::mem::take(&mut rest).split_at_mut(bytes.len());
        field.copy_from_slice(bytes);
        rest = after;
    };
    put(&batch.partition.0.to_be_bytes());
    put(&batch.index.to_be_bytes());
    put(batch.slot.stream.as_bytes());
    put(&batch.slot.partition.to_be_bytes());
    put(batch.lane.as_bytes());
    put(batch.origin.as_bytes());
    put(&batch.sequence.to_be_bytes());
    put(&batch.count.to_be_bytes());
    put(&batch.first_time_ms.to_be_bytes());
    put(&batch.last_time_ms.to_be_bytes());
    assert!(rest.is_empty(), "every field is written");
    buffer.reserve(fields.len() + batch.bytes.len());
    buffer.extend_from_slice(&fields);
    buffer.extend_from_slice(&batch.bytes);
}

fn checksum(position: u64, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.to_be_bytes());
    hasher.update(rest);
    hasher.finalize()
}

/// The header of a record, not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) write: u64,
    pub(crate) last: bool,
}

impl Header {
    /// Reads the fields; `None` for a length that no record has.
    pub(crate) fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let mut reader = Reader(&bytes[4..]);
        let (length, write, kind) = (reader.u32()? as usize, reader.u64()?, bytes[16]);
        (length <= BODY_BYTES_MAXIMUM).then_some(Self { length, write, last: kind & LAST != 0 })
    }
}

/// Checks a whole record that was read at `position`.
///
/// # Errors
/// Says what does not fit.
pub(crate) fn check(record: &[u8], position: u64) -> Result<(), String> {
    let Some((stored, rest)) = record.split_first_chunk() else { return Err("it is too short".into()) };
    let (stored, found) = (u32::from_be_bytes(*stored), checksum(position, rest));
    if stored == found { Ok(()) } else { Err(format!("checksum {found:08x} where {stored:08x} was written")) }
}

/// The signed bytes of a batch's record that was checked; `None` when it is not that batch.
pub(crate) fn batch_of(record: &[u8], partition: PartitionId, index: u64) -> Option<&[u8]> {
    let (header, body) = record.split_at_checked(HEADER_BYTES)?;
    let mut reader = Reader(body);
    let same = header[16] & !LAST == BATCH && reader.u32()? == partition.0 && reader.u64()? == index;
    same.then(|| body.get(BATCH_FIELDS_BYTES..)).flatten()
}

/// What a record of the log says.
#[derive(Debug, PartialEq)]
pub(crate) enum Logged {
    /// What the kernel wrote.
    Record(Record),
    /// What was let expire.
    Expiry(Expiry),
}

/// Reads a record that was checked; `None` when its fields do not fit.
pub(crate) fn decode(record: &[u8]) -> Option<Logged> {
    let (header, body) = record.split_at_checked(HEADER_BYTES)?;
    let mut body = Reader(body);
    if header[16] & !LAST == EXPIRY {
        let (scope, before_ms, up_to_index) = (body.scope()?, body.u64()?, body.u64()?);
        let expiry = Expiry { scope, before_ms, up_to_index, limit: body.u32()? };
        return body.is_empty().then_some(Logged::Expiry(expiry));
    }
    let record = match header[16] & !LAST {
        BATCH => Record::Batch(StoredBatch {
            partition: PartitionId(body.u32()?),
            index: body.u64()?,
            slot: StreamPartition { stream: StreamId(body.take()?), partition: body.u32()? },
            lane: LaneId(body.take()?),
            origin: Address(body.take()?),
            sequence: body.u64()?,
            count: body.u32()?,
            first_time_ms: body.u64()?,
            last_time_ms: body.u64()?,
            bytes: Arc::from(body.rest()),
        }),
        TRUNCATE => Record::Truncate {
            partition: PartitionId(body.u32()?),
            lane: LaneId(body.take()?),
            from: body.u64()?,
        },
        PUT => {
            let table = table_of(body.u8()?)?;
            let length = usize::from(body.u16()?);
            let (key, value) = body.rest().split_at_checked(length)?;
            Record::Put { table, key: key.to_vec(), value: value.to_vec() }
        }
        REMOVE => Record::Remove { table: table_of(body.u8()?)?, key: body.rest().to_vec() },
        _ => return None,
    };
    body.is_empty().then_some(Logged::Record(record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Scope;
    use weir_kernel::log::Table;

    fn hex(bytes: &[u8]) -> String {
        weir_kernel::ids::hex(bytes)
    }

    fn encoded(record: &Record) -> Vec<u8> {
        let mut buffer = vec![0xee; 3];
        encode(&mut buffer, record, 77, 5, true);
        assert_eq!(buffer.len() as u64 - 3, record_bytes(record));
        buffer.split_off(3)
    }

    fn batch() -> Record {
        Record::Batch(StoredBatch {
            partition: PartitionId(1),
            index: 2,
            slot: StreamPartition { stream: StreamId([0xaa; 20]), partition: 3 },
            lane: LaneId([0xbb; 32]),
            origin: Address([0xcc; 20]),
            sequence: 4,
            count: 5,
            first_time_ms: 6,
            last_time_ms: 7,
            bytes: vec![0xdd; 4].into(),
        })
    }

    #[test]
    fn records_are_pinned_and_read_back() {
        let fields = format!(
            "000000010000000000000002{}00000003{}{}0000000000000004000000050000000000000006\
             0000000000000007dddddddd",
            "aa".repeat(20),
            "bb".repeat(32),
            "cc".repeat(20)
        );
        let key = b"k".to_vec();
        let cases = [
            (batch(), format!("000000780000000000000005 81{fields}")),
            (
                Record::Truncate { partition: PartitionId(1), lane: LaneId([2; 32]), from: 3 },
                format!("0000002c0000000000000005 8200000001{}0000000000000003", "02".repeat(32)),
            ),
            (
                Record::Put { table: Table::Cut, key: key.clone(), value: b"v".to_vec() },
                "000000050000000000000005 830500016b76".into(),
            ),
            (Record::Remove { table: Table::Mark, key }, "000000020000000000000005 84036b".into()),
        ];
        for (record, wanted) in cases {
            let bytes = encoded(&record);
            assert_eq!(hex(&bytes[4..]), wanted.replace(' ', ""));
            assert_eq!(check(&bytes, 77), Ok(()));
            assert_eq!(decode(&bytes), Some(Logged::Record(record)));
            let header = Header::read(bytes.first_chunk().expect("a header")).expect("sound");
            assert_eq!(header, Header { length: bytes.len() - HEADER_BYTES, write: 5, last: true });
        }
        assert_eq!(hex(&encoded(&batch())[..4]), "99768e23", "the checksum is pinned");
    }

    #[test]
    fn expiries_are_pinned_and_read_back() {
        let slot = StreamPartition { stream: StreamId([0xaa; 20]), partition: 3 };
        let scope = Scope { partition: PartitionId(1), slot };
        let expiry = Expiry { scope, before_ms: 6, up_to_index: 8, limit: 7 };
        let mut bytes = Vec::new();
        encode_expiry(&mut bytes, &expiry, 77, 5);
        let wanted = format!(
            "00000030000000000000000585 00000001{}00000003 0000000000000006 0000000000000008 00000007",
            "aa".repeat(20)
        );
        assert_eq!(hex(&bytes[4..]), wanted.replace(' ', ""));
        assert_eq!((check(&bytes, 77), decode(&bytes)), (Ok(()), Some(Logged::Expiry(expiry))));
    }

    #[test]
    fn every_flipped_bit_and_every_other_place_is_found() {
        let bytes = encoded(&batch());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&flipped, 77).is_err(), "bit {bit}");
        }
        assert!(check(&bytes, 78).is_err());
        assert!(check(&bytes[..3], 77).is_err());
        assert_eq!(batch_of(&bytes, PartitionId(1), 2), Some([0xdd; 4].as_slice()));
        assert_eq!(batch_of(&bytes, PartitionId(2), 2), None);
        assert_eq!(batch_of(&bytes, PartitionId(1), 3), None);
    }

    #[test]
    fn what_is_no_record_is_not_read() {
        let bytes = encoded(&batch());
        assert_eq!(decode(&bytes[..HEADER_BYTES + 50]), None);
        let mut other = bytes.clone();
        other[16] = 9;
        assert_eq!(decode(&other), None);
        let mut long = *bytes.first_chunk::<HEADER_BYTES>().expect("a header");
        long[4] = 0xff;
        assert_eq!(Header::read(&long), None);
    }
}
