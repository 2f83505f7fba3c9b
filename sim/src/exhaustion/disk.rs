//! A disk behind the log's port that can be copied and compared: small, whole in memory, without a journal.
//!
//! It keeps what the port says that a log keeps and answers only what a replica asks: a lane, and the table of cuts.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_kernel::broker::rows::ReportRow;
use weir_kernel::coordinator::Entry;
use weir_kernel::ids::{LaneId, PartitionId};
use weir_kernel::log::{Checkpoint, Chunk, Query, Record, Table};
use weir_kernel::wire;

use super::fingerprint::Fingerprint;

/// A batch: the sequence after it, and its bytes.
type Stored = (u64, Arc<[u8]>);

/// What is on one broker's disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    /// By lane and first sequence.
    batches: BTreeMap<(LaneId, u64), Stored>,
    last_index: BTreeMap<PartitionId, u64>,
}

impl Disk {
    /// Takes a record.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Batch(batch) => {
                let next_sequence = batch.sequence + u64::from(batch.count);
                self.batches.insert((batch.lane, batch.sequence), (next_sequence, Arc::clone(&batch.bytes)));
                let last = self.last_index.entry(batch.partition).or_default();
                assert!(batch.index > *last, "append indexes rise");
                *last = batch.index;
            }
            Record::Truncate { lane, from, .. } => {
                self.batches.retain(|(of, sequence), _| of != lane || sequence < from);
            }
            Record::Put { table, key, value } => {
                self.rows.insert((*table, key.clone()), value.clone());
            }
            Record::Remove { table, key } => {
                self.rows.remove(&(*table, key.clone()));
            }
        }
    }

    /// What a broker that starts finds.
    pub fn checkpoint(&self) -> Checkpoint {
        let rows = self.rows.iter().filter(|((table, _), _)| *table != Table::Cut);
        Checkpoint {
            rows: rows.map(|((table, key), value)| (*table, key.clone(), value.clone())).collect(),
            last_index: self.last_index.iter().map(|(partition, index)| (*partition, *index)).collect(),
        }
    }

    /// Answers a question that replicas ask; one of a reader is not asked here.
    pub fn read(&self, query: &Query) -> Chunk {
        let batches = match query {
            Query::Lane { lane, from } => self
                .batches
                .range((*lane, 0)..=(*lane, u64::MAX))
                .filter(|(_, (next_sequence, _))| next_sequence > from)
                .map(|(_, (_, bytes))| Arc::clone(bytes))
                .collect(),
            Query::Rows { table, prefix, after } => self
                .rows
                .iter()
                .filter(|((of, key), _)| of == table && key.starts_with(prefix) && key > after)
                .map(|(_, value)| Arc::from(value.as_slice()))
                .collect(),
            Query::Range { .. } | Query::Last { .. } | Query::Append { .. } => {
                unreachable!("no reader takes part: {query:?}")
            }
        };
        Chunk { batches, ..Chunk::default() }
    }

    /// Events of a lane from its first on.
    pub fn events(&self, lane: LaneId) -> u64 {
        self.batches.range((lane, 0)..=(lane, u64::MAX)).next_back().map_or(0, |(_, (next, _))| *next)
    }

    /// Every report that was signed or is about to be.
    pub fn reports(&self) -> impl Iterator<Item = Entry> + '_ {
        let rows = self.rows.iter().filter(|((table, _), _)| *table == Table::Report);
        rows.filter_map(|(_, value)| wire::decode_row::<ReportRow>(value)).map(|row| row.entry)
    }

    /// Drops every row of a table: for a search that is to find what this breaks.
    pub fn forget(&mut self, table: Table) {
        self.rows.retain(|(of, _), _| *of != table);
    }

    pub(super) fn fingerprint(&self, fingerprint: &mut Fingerprint) {
        for ((table, key), value) in &self.rows {
            fingerprint.number(*table as u64);
            fingerprint.bytes(key);
            fingerprint.number(key.len() as u64);
            fingerprint.bytes(value);
            fingerprint.number(value.len() as u64);
        }
        for ((lane, sequence), (_, bytes)) in &self.batches {
            fingerprint.bytes(&lane.0);
            fingerprint.number(*sequence);
            fingerprint.bytes(bytes);
        }
        self.last_index.values().for_each(|index| fingerprint.number(*index));
    }
}
