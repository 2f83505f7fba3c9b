//! The kernel's own batches: signed, stored, merged and read back as they were.

use weir_kernel::batch::{Batch, LaneWriter, NewEvent, content_type};
use weir_kernel::ids::{Address, Hash, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::{Position, Query, Record, StoredBatch};
use weir_kernel::signature::{KEYED_HASH, keyed_hash};
use weir_store::{EventLog, LogError, MemoryLog, SegmentLog, SegmentOptions};

const SLOT: StreamPartition = StreamPartition { stream: StreamId([1; 20]), partition: 0 };

/// Two batches of a lane of its own: events at start, start + 3, start + 6, and so on.
fn batches(seed: u8, start: u64) -> Vec<Batch> {
    let origin = Address([seed; 20]);
    let mut lane = LaneWriter::new(SLOT, origin, 1_000, [seed; 16], Hash::ZERO, KEYED_HASH);
    let signed = |half: u64| {
        let events = (half * 4..half * 4 + 4)
            .map(|event| NewEvent::new(start + event * 3, content_type::TEXT, format!("{seed}:{event}")));
        let unsigned = lane.next_batch(events.collect()).expect("small events fit");
        let signature = keyed_hash(&origin, &unsigned.signing_hash(1));
        unsigned.sign(signature).expect("the lane's signature type")
    };
    (0..2).map(signed).collect()
}

fn stored(index: u64, batch: &Batch) -> Record {
    let header = batch.header();
    Record::Batch(StoredBatch {
        partition: PartitionId(2),
        index,
        slot: SLOT,
        lane: batch.lane(),
        origin: header.origin,
        sequence: header.sequence,
        count: batch.len(),
        first_time_ms: header.first_time_ms,
        last_time_ms: header.last_time_ms,
        bytes: batch.bytes().clone(),
    })
}

fn contents(log: &dyn EventLog, query: Query, budget: usize) -> Result<Vec<String>, LogError> {
    let mut found = Vec::new();
    let mut next = Some(query);
    while let Some(query) = next {
        let chunk = log.read(&query, budget)?;
        for slice in &chunk.order {
            let batch = Batch::decode(chunk.batches[slice.batch as usize].clone()).expect("stored as signed");
            for event in slice.first..slice.first + slice.count {
                let event = batch.event(event).expect("slices are within their batch");
                found.push(String::from_utf8_lossy(event.content).into_owned());
            }
        }
        next = chunk.next;
    }
    Ok(found)
}

fn lanes_come_merged(log: &mut dyn EventLog) {
    let (first, second) = (batches(1, 100), batches(2, 101));
    let mut records = Vec::new();
    for (index, batch) in [&first[0], &second[0], &first[1], &second[1]].into_iter().enumerate() {
        records.push(stored(index as u64 + 1, batch));
    }
    log.write(1, &records).expect("written");
    let merged: Vec<String> = (0..8).flat_map(|event| [format!("1:{event}"), format!("2:{event}")]).collect();
    for budget in [0, 900, usize::MAX] {
        let range = Query::Range {
            partition: PartitionId(2),
            slot: SLOT,
            from: Position::at(103),
            to: Position::at(200),
            up_to_index: u64::MAX,
            origin: None,
        };
        assert_eq!(contents(log, range, budget).expect("answered"), merged[2..]);
        let last = Query::Last { partition: PartitionId(2), slot: SLOT, count: 5, up_to_index: u64::MAX };
        assert_eq!(contents(log, last, budget).expect("answered"), merged[11..]);
    }
}

#[test]
fn lanes_come_merged_from_memory() {
    lanes_come_merged(&mut MemoryLog::new());
}

#[test]
fn lanes_come_merged_from_disk() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut log = SegmentLog::open(directory.path(), SegmentOptions::default()).expect("opens");
    lanes_come_merged(&mut log);
}
