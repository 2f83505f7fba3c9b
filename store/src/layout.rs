//! Keys and values of the index, byte by byte. The crate's docs are the specification; the tests pin it.
//!
//! Integers are big-endian, so that keys order as the values they stand for. Every value begins with a CRC-32
//! (IEEE) over its key and the rest of the value: a value that was damaged, or that stands under another key,
//! is found when it is read.

use weir_kernel::ids::{Address, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::Table;

use crate::error::LogError;
use crate::index::{Appended, LaneEntry, Run, RunKey, Scope, Totals};

/// Version of everything here, named by the FORMAT file.
pub(crate) const FORMAT: u32 = 2;

/// Bytes of the checksum before each value.
pub(crate) const CHECKSUM_BYTES: usize = 4;

/// Key of a block of a lane's batches: lane [32], sequence u64 of the first.
pub(crate) fn lane_key(lane: LaneId, sequence: u64) -> Vec<u8> {
    joined(&[lane.as_bytes(), &sequence.to_be_bytes()])
}

/// Prefix of a scope: partition u32, stream [20], stream partition u32.
pub(crate) fn scope_key(scope: Scope) -> Vec<u8> {
    let Scope { partition, slot } = scope;
    joined(&[&partition.0.to_be_bytes(), slot.stream.as_bytes(), &slot.partition.to_be_bytes()])
}

/// Key of a run: scope, first time u64, lane [32], first sequence u64.
pub(crate) fn run_key(key: &RunKey) -> Vec<u8> {
    let scope = scope_key(key.scope);
    joined(&[
        &scope,
        &key.first_time_ms.to_be_bytes(),
        key.lane.as_bytes(),
        &key.first_sequence.to_be_bytes(),
    ])
}

/// Key of a block of batches in their scope's append order: scope, append index u64 of the first.
pub(crate) fn append_key(scope: Scope, index: u64) -> Vec<u8> {
    joined(&[&scope_key(scope), &index.to_be_bytes()])
}

/// Key of a row: table u8, key.
pub(crate) fn row_key(table: Table, key: &[u8]) -> Vec<u8> {
    joined(&[&[table_byte(table)], key])
}

/// Key of a partition's totals: partition u32.
pub(crate) fn totals_key(partition: PartitionId) -> Vec<u8> {
    partition.0.to_be_bytes().to_vec()
}

/// Key, in the tables' keyspace, of the place up to which the index covers the log: table byte 0, which no
/// table has.
pub(crate) const COVERED_KEY: [u8; 1] = [0];

/// Bytes of the SYNCED file.
pub(crate) const SYNCED_BYTES: usize = CHECKSUM_BYTES + 8;

/// Content of the SYNCED file: a value under an empty key.
pub(crate) fn synced(position: u64) -> Vec<u8> {
    seal(&[], &position.to_be_bytes())
}

/// Reads the SYNCED file; `None` when it is not whole.
pub(crate) fn read_synced(sealed: &[u8]) -> Option<u64> {
    unseal("SYNCED", &[], sealed).ok().and_then(read_number)
}

/// Key of a segment: the position u64 at which it begins.
pub(crate) fn segment_key(start: u64) -> Vec<u8> {
    start.to_be_bytes().to_vec()
}

/// Value of a lone number.
pub(crate) fn number_value(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Reads a lone number.
pub(crate) fn read_number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// A place in the log between two writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Bytes of the log before it, over the directory's whole life.
    pub(crate) position: u64,
    /// Writes before it.
    pub(crate) writes: u64,
}

/// Value of a place: position u64, writes u64.
pub(crate) fn place_value(place: &Place) -> Vec<u8> {
    joined(&[&place.position.to_be_bytes(), &place.writes.to_be_bytes()])
}

/// Reads a place; `None` when the lengths do not fit.
pub(crate) fn read_place(value: &[u8]) -> Option<Place> {
    let mut value = Reader(value);
    let place = Place { position: value.u64()?, writes: value.u64()? };
    value.is_empty().then_some(place)
}

/// The byte that names a table on disk.
pub(crate) fn table_byte(table: Table) -> u8 {
    match table {
        Table::Marker => 1,
        Table::Lane => 2,
        Table::Mark => 3,
        Table::Report => 4,
        Table::Cut => 5,
        Table::Evidence => 6,
    }
}

/// The table that a byte names.
pub(crate) fn table_of(byte: u8) -> Option<Table> {
    Table::ALL.into_iter().find(|table| table_byte(*table) == byte)
}

/// A value with its checksum.
pub(crate) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    joined(&[&checksum(key, value).to_be_bytes(), value])
}

/// Checks a value and takes the checksum off.
pub(crate) fn unseal<'a>(keyspace: &str, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], LogError> {
    let damaged = |cause: String| LogError::damaged(place(keyspace, key), cause);
    let Some((stored, value)) = sealed.split_first_chunk::<CHECKSUM_BYTES>() else {
        return Err(damaged(format!("a value of {} bytes is too short for its checksum", sealed.len())));
    };
    let (stored, found) = (u32::from_be_bytes(*stored), checksum(key, value));
    if stored != found {
        return Err(damaged(format!("checksum {found:08x} where {stored:08x} was written")));
    }
    Ok(value)
}

/// How error messages name a row.
pub(crate) fn place(keyspace: &str, key: &[u8]) -> String {
    format!("{keyspace} at key {}", weir_kernel::ids::hex(key))
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Value of a block of a lane's batches, all of one run, in the order of their sequences: 44 bytes for the
/// run, then 48 for each batch.
pub(crate) fn lane_block(entries: &[LaneEntry]) -> Vec<u8> {
    let run = &entries[0];
    let mut value = Vec::with_capacity(44 + entries.len() * LANE_ENTRY_BYTES);
    value.extend(scope_key(run.scope));
    value.extend(run.run_time_ms.to_be_bytes());
    value.extend(run.run_sequence.to_be_bytes());
    for entry in entries {
        assert_eq!(entry.run_key(), run.run_key(), "a block holds batches of one run");
        value.extend(entry.sequence.to_be_bytes());
        value.extend(entry.index.to_be_bytes());
        value.extend(entry.position.to_be_bytes());
        value.extend(entry.count.to_be_bytes());
        value.extend(entry.length.to_be_bytes());
        value.extend(entry.first_time_ms.to_be_bytes());
        value.extend(entry.last_time_ms.to_be_bytes());
    }
    value
}

/// Bytes of one batch in a block of its lane.
const LANE_ENTRY_BYTES: usize = 48;

/// Reads a block of a lane; `None` when the lengths, order or bounds do not fit. It holds one batch at least.
pub(crate) fn read_lane_block(key: &[u8], value: &[u8]) -> Option<Vec<LaneEntry>> {
    let (mut key, mut value) = (Reader(key), Reader(value));
    let (lane, first) = (LaneId(key.take()?), key.u64()?);
    let (scope, run_time_ms, run_sequence) = (value.scope()?, value.u64()?, value.u64()?);
    let mut entries: Vec<LaneEntry> = Vec::with_capacity(value.0.len() / LANE_ENTRY_BYTES);
    while !value.is_empty() {
        let entry = LaneEntry {
            lane,
            sequence: value.u64()?,
            scope,
            index: value.u64()?,
            position: value.u64()?,
            count: value.u32()?,
            length: value.u32()?,
            first_time_ms: value.u64()?,
            last_time_ms: value.u64()?,
            run_time_ms,
            run_sequence,
        };
        let least = entries.last().map_or(first, LaneEntry::end);
        let ends = entry.sequence.checked_add(u64::from(entry.count)).is_some();
        if entry.count == 0 || entry.sequence < least || !ends {
            return None;
        }
        entries.push(entry);
    }
    let sound = key.is_empty() && entries.first().is_some_and(|entry| entry.sequence == first);
    sound.then_some(entries)
}

/// Value of a run: 60 bytes.
pub(crate) fn run_value(run: &Run) -> Vec<u8> {
    joined(&[
        &run.last_time_ms.to_be_bytes(),
        &run.held_sequence.to_be_bytes(),
        &run.next_sequence.to_be_bytes(),
        &run.first_index.to_be_bytes(),
        &run.last_index.to_be_bytes(),
        run.origin.as_bytes(),
    ])
}

/// Reads a run; `None` when the lengths or bounds do not fit.
pub(crate) fn read_run(key: &[u8], value: &[u8]) -> Option<Run> {
    let (mut key, mut value) = (Reader(key), Reader(value));
    let run = Run {
        key: RunKey {
            scope: key.scope()?,
            first_time_ms: key.u64()?,
            lane: LaneId(key.take()?),
            first_sequence: key.u64()?,
        },
        last_time_ms: value.u64()?,
        held_sequence: value.u64()?,
        next_sequence: value.u64()?,
        first_index: value.u64()?,
        last_index: value.u64()?,
        origin: Address(value.take()?),
    };
    let sound = run.held_sequence >= run.key.first_sequence && run.next_sequence > run.held_sequence;
    (key.is_empty() && value.is_empty() && sound).then_some(run)
}

/// Value of a block of batches in append order: 24 bytes each.
pub(crate) fn append_block(entries: &[Appended]) -> Vec<u8> {
    let mut value = Vec::with_capacity(entries.len() * APPENDED_BYTES);
    for entry in entries {
        value.extend(entry.index.to_be_bytes());
        value.extend(entry.position.to_be_bytes());
        value.extend(entry.count.to_be_bytes());
        value.extend(entry.length.to_be_bytes());
    }
    value
}

/// Bytes of one batch in a block in append order.
const APPENDED_BYTES: usize = 24;

/// Reads a block in append order; `None` when the lengths or the order do not fit. It holds one batch at
/// least.
pub(crate) fn read_append_block(key: &[u8], value: &[u8]) -> Option<(Scope, Vec<Appended>)> {
    let (mut key, mut value) = (Reader(key), Reader(value));
    let (scope, first) = (key.scope()?, key.u64()?);
    let mut entries: Vec<Appended> = Vec::with_capacity(value.0.len() / APPENDED_BYTES);
    while !value.is_empty() {
        let entry = Appended {
            index: value.u64()?,
            position: value.u64()?,
            count: value.u32()?,
            length: value.u32()?,
        };
        if entry.count == 0 || entries.last().is_some_and(|before| before.index >= entry.index) {
            return None;
        }
        entries.push(entry);
    }
    let sound = key.is_empty() && entries.first().is_some_and(|entry| entry.index == first);
    sound.then_some((scope, entries))
}

/// Value of a partition's totals: last append index, events, batches, bytes, each u64.
pub(crate) fn totals_value(totals: &Totals) -> Vec<u8> {
    let Totals { last_index, events, batches, bytes } = totals;
    joined(&[&last_index.to_be_bytes(), &events.to_be_bytes(), &batches.to_be_bytes(), &bytes.to_be_bytes()])
}

/// Reads a partition's totals; `None` when the lengths do not fit.
pub(crate) fn read_totals(key: &[u8], value: &[u8]) -> Option<(PartitionId, Totals)> {
    let (mut key, mut value) = (Reader(key), Reader(value));
    let partition = PartitionId(key.u32()?);
    let totals =
        Totals { last_index: value.u64()?, events: value.u64()?, batches: value.u64()?, bytes: value.u64()? };
    (key.is_empty() && value.is_empty()).then_some((partition, totals))
}

/// Reads fields from the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn scope(&mut self) -> Option<Scope> {
        let partition = PartitionId(self.u32()?);
        let slot = StreamPartition { stream: StreamId(self.take()?), partition: self.u32()? };
        Some(Scope { partition, slot })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope = Scope {
        partition: PartitionId(0x0102_0304),
        slot: StreamPartition { stream: StreamId([0xaa; 20]), partition: 5 },
    };

    const ENTRY: LaneEntry = LaneEntry {
        lane: LaneId([0xbb; 32]),
        sequence: 6,
        scope: SCOPE,
        index: 7,
        position: 20,
        count: 8,
        length: 9,
        first_time_ms: 10,
        last_time_ms: 11,
        run_time_ms: 12,
        run_sequence: 13,
    };

    fn hex(bytes: &[u8]) -> String {
        weir_kernel::ids::hex(bytes)
    }

    #[test]
    fn blocks_of_lanes_are_pinned() {
        let next = LaneEntry { sequence: 14, count: 1, index: 15, ..ENTRY };
        let (key, value) = (lane_key(ENTRY.lane, ENTRY.sequence), lane_block(&[ENTRY, next]));
        assert_eq!(hex(&key), format!("{}{}", "bb".repeat(32), "0000000000000006"));
        let run = format!("01020304{}00000005000000000000000c000000000000000d", "aa".repeat(20));
        let first = "00000000000000060000000000000007000000000000001400000008000000090000000000\
                     00000a000000000000000b";
        let second = "000000000000000e000000000000000f000000000000001400000001000000090000000000\
                      00000a000000000000000b";
        assert_eq!(hex(&value), format!("{run}{first}{second}"));
        assert_eq!(read_lane_block(&key, &value), Some(vec![ENTRY, next]));
        assert_eq!(read_lane_block(&key, &value[1..]), None);
        assert_eq!(read_lane_block(&key, &value[..44]), None, "a block is never empty");
        assert_eq!(read_lane_block(&lane_key(ENTRY.lane, 5), &value), None, "the key is the first sequence");
        assert_eq!(read_lane_block(&key, &lane_block(&[next, ENTRY])), None, "sequences rise");
    }

    #[test]
    fn run_rows_are_pinned_and_ordered_by_first_time() {
        let key = ENTRY.run_key();
        let run = Run {
            key,
            last_time_ms: 14,
            held_sequence: 14,
            next_sequence: 15,
            first_index: 16,
            last_index: 17,
            origin: Address([0xcc; 20]),
        };
        let scope = format!("01020304{}00000005", "aa".repeat(20));
        let rest = format!("000000000000000c{}000000000000000d", "bb".repeat(32));
        assert_eq!(hex(&run_key(&key)), format!("{scope}{rest}"));
        let numbers = "000000000000000e000000000000000e000000000000000f00000000000000100000000000000011";
        assert_eq!(hex(&run_value(&run)), format!("{numbers}{}", "cc".repeat(20)));
        assert_eq!(read_run(&run_key(&key), &run_value(&run)), Some(run));
        let keys = |times| {
            let keys = RunKey::of_scope(SCOPE, &times);
            run_key(keys.start())..=run_key(keys.end())
        };
        assert!(keys(12..=12).contains(&run_key(&key)));
        assert!(!keys(13..=20).contains(&run_key(&key)));
        assert!(!keys(0..=11).contains(&run_key(&key)));
        let after = RunKey::after(SCOPE.partition, Some(SCOPE.slot));
        assert!(*keys(0..=u64::MAX).end() <= run_key(after.start()));
    }

    #[test]
    fn the_other_rows_are_pinned() {
        let appended = Appended { index: 3, position: 6, count: 4, length: 5 };
        let next = Appended { index: 9, ..appended };
        let value = append_block(&[appended, next]);
        let rest = "00000000000000060000000400000005";
        assert_eq!(hex(&value), format!("0000000000000003{rest}0000000000000009{rest}"));
        let key = append_key(SCOPE, 3);
        assert_eq!(read_append_block(&key, &value), Some((SCOPE, vec![appended, next])));
        assert_eq!(read_append_block(&key, &append_block(&[appended, appended])), None, "indexes rise");
        assert_eq!(read_append_block(&append_key(SCOPE, 2), &value), None, "the key is the first index");
        let totals = Totals { last_index: 1, events: 2, batches: 3, bytes: 4 };
        let value = totals_value(&totals);
        assert_eq!(hex(&value), "0000000000000001000000000000000200000000000000030000000000000004");
        assert_eq!(read_totals(&totals_key(PartitionId(9)), &value), Some((PartitionId(9), totals)));
        let place = Place { position: 1, writes: 2 };
        assert_eq!(hex(&place_value(&place)), "00000000000000010000000000000002");
        assert_eq!(read_place(&place_value(&place)), Some(place));
        assert_eq!(Table::ALL.map(table_byte), [1, 2, 3, 4, 5, 6]);
        assert_eq!(Table::ALL.map(|table| table_of(table_byte(table))), Table::ALL.map(Some));
        assert_eq!(table_of(0), None);
        assert_eq!(hex(&row_key(Table::Cut, b"k")), "056b");
        assert_eq!(read_synced(&synced(258)), Some(258));
        assert_eq!(hex(&synced(258)[CHECKSUM_BYTES..]), "0000000000000102");
        assert_eq!(synced(258).len(), SYNCED_BYTES);
        assert_eq!(read_synced(&synced(258)[1..]), None);
    }

    #[test]
    fn every_flipped_bit_and_every_other_key_is_found() {
        let key = totals_key(PartitionId(1));
        let sealed = seal(&key, b"value");
        assert_eq!(hex(&sealed), "f600682276616c7565", "the checksum is pinned");
        assert_eq!(unseal("partitions", &key, &sealed), Ok(b"value".as_slice()));
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = unseal("partitions", &key, &flipped).expect_err("a bit is flipped");
            assert!(error.to_string().contains("partitions at key 00000001"), "{error}");
        }
        assert!(unseal("partitions", &totals_key(PartitionId(3)), &sealed).is_err());
        assert!(unseal("partitions", &key, &sealed[..3]).is_err());
    }
}
