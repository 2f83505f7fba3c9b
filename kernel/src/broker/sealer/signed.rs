//! What a replica signed and the chain has not sealed: rising by epoch, round and previous checksum, so that nothing is
//! signed twice.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::agreement::Cut;
use crate::broker::rows::{ReportKey, ReportRow};
use crate::coordinator::Entry;
use crate::ids::Epoch;

/// Reports of one partition. Few at a time: a map has room for eleven from its first on.
#[derive(Clone, Debug, Default)]
pub(super) struct SignedReports(
    #[allow(clippy::vec_box, reason = "a vector of rows has room for four from its first on")]
    Vec<Box<ReportRow>>,
);

impl SignedReports {
    pub(super) fn insert(&mut self, row: ReportRow) {
        match self.0.binary_search_by_key(&key_of(&row.entry), |known| key_of(&known.entry)) {
            Ok(at) => *self.0[at] = row,
            Err(at) => self.0.insert(at, Box::new(row)),
        }
    }

    /// What was signed under this key.
    pub(super) fn get(&self, key: &ReportKey) -> Option<&Entry> {
        self.0.iter().map(|row| &row.entry).find(|entry| key_of(entry) == *key)
    }

    /// The cuts under all of them.
    pub(super) fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.0.iter().map(|row| &row.cut)
    }

    /// Whether all are of epochs up to this one.
    pub(super) fn are_up_to(&self, epoch: Epoch) -> bool {
        self.0.last().is_none_or(|row| row.entry.epoch <= epoch)
    }

    /// Takes out those of epochs up to this one.
    pub(super) fn take_up_to(&mut self, epoch: Epoch) -> impl Iterator<Item = ReportKey> + '_ {
        let taken = self.0.partition_point(|row| row.entry.epoch <= epoch);
        self.0.drain(..taken).map(|row| key_of(&row.entry))
    }
}

/// Under what an entry is signed at most once.
pub(super) fn key_of(entry: &Entry) -> ReportKey {
    (entry.epoch, entry.round, entry.previous)
}
