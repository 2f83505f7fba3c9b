//! Cuts and reports, read off what brokers write to their disks (WP 2.4.6, 2.4.7).
//!
//! What a publisher was told is stored before an epoch was over lies in the cut that seals this epoch. And a replica
//! signs one report at most for each (partition, epoch, round, previous), whatever happens to it in between; besides,
//! it may attest late what the chain has sealed, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::agreement::Cut;
use weir_kernel::coordinator::conduct::LATE_ROUND;
use weir_kernel::coordinator::{Entry, Fact, SealedEntry, State, report_signing_hash};
use weir_kernel::ids::{Epoch, Hash, LaneId, PartitionId};
use weir_kernel::log::{Record, Table};
use weir_kernel::wire;

use crate::clients::published::Publications;
use crate::report::Violation;
use crate::surroundings::{note, note_about};
use crate::tape::Actor;

type ReportKey = (PartitionId, Epoch, u32, Hash);

/// What was sealed and signed so far.
#[derive(Debug, Default)]
pub struct Cuts {
    /// When the chain entered each epoch.
    begun_us: BTreeMap<Epoch, u64>,
    sealed: BTreeMap<PartitionId, Sealed>,
    /// Lanes that were opened and found their partition.
    lanes: usize,
    /// Reports that each node has written.
    written: BTreeMap<usize, Vec<Written>>,
    /// The last checksum that the chain sealed.
    checksums: BTreeMap<PartitionId, Hash>,
    /// What late reports of sealed cuts sign.
    late: BTreeSet<Hash>,
}

/// A report that a node has written.
#[derive(Debug)]
struct Written {
    /// What the node signs for it.
    digest: Hash,
    key: ReportKey,
    checksum: Hash,
    /// Whether it is the first of its key that the node has signed.
    is_first: bool,
}

/// Room is made for so many more reports at once: twice as much each time would stand empty at thousands of nodes.
const MORE_WRITTEN: usize = 4;

#[derive(Debug, Default)]
struct Sealed {
    epoch: Option<Epoch>,
    heads: BTreeMap<LaneId, u64>,
    /// Lanes that live here.
    lanes: Vec<LaneId>,
}

impl Cuts {
    /// A block was made.
    pub fn on_block(&mut self, now_us: u64, view: &State, facts: &[Fact]) {
        self.begun_us.entry(view.epoch()).or_insert(now_us);
        for fact in facts {
            let Fact::PartitionsSealed { entries, .. } = fact else { continue };
            for SealedEntry { partition, epoch, checksum, .. } in entries.iter().copied() {
                let previous = self.checksums.insert(partition, checksum).unwrap_or_default();
                let entry =
                    Entry { partition, epoch, round: LATE_ROUND, previous, checksum, ..Entry::default() };
                let coordinator = &view.contracts.coordinator;
                self.late.insert(report_signing_hash(view.chain_id, coordinator, &entry.hash()));
            }
        }
    }

    /// A node writes.
    pub fn on_write(
        &mut self,
        now_us: u64,
        node: usize,
        records: &[Record],
        (view, publications): (&State, &Publications),
        violations: &mut Vec<Violation>,
    ) {
        for record in records {
            match record {
                Record::Put { table: Table::Cut, value, .. } => match wire::decode_row::<Cut>(value) {
                    Some(cut) => self.on_cut(now_us, &cut, view, publications, violations),
                    None => note(violations, now_us, "rows", format!("node {node} wrote a broken cut")),
                },
                Record::Put { table: Table::Report, value, .. } => {
                    let Some((entry, _)) = wire::decode_row::<(Entry, Cut)>(value) else {
                        note(violations, now_us, "rows", format!("node {node} wrote a broken report"));
                        continue;
                    };
                    let coordinator = &view.contracts.coordinator;
                    let digest = report_signing_hash(view.chain_id, coordinator, &entry.hash());
                    let key = (entry.partition, entry.epoch, entry.round, entry.previous);
                    self.note_written(node, digest, key, entry.checksum);
                }
                _ => {}
            }
        }
    }

    fn note_written(&mut self, node: usize, digest: Hash, key: ReportKey, checksum: Hash) {
        let written = self.written.entry(node).or_default();
        // One that is written again is one of the newest.
        if written.iter().rev().any(|written| written.digest == digest) {
            return;
        }
        if written.len() == written.capacity() {
            written.reserve_exact(MORE_WRITTEN);
        }
        written.push(Written { digest, key, checksum, is_first: false });
    }

    /// Brokers adopt cuts in their order, so the first to adopt one has told of all before it.
    fn on_cut(
        &mut self,
        now_us: u64,
        cut: &Cut,
        view: &State,
        publications: &Publications,
        violations: &mut Vec<Violation>,
    ) {
        self.find_homes(view, publications);
        let sealed = self.sealed.entry(cut.partition).or_default();
        if sealed.epoch.is_some_and(|epoch| cut.epoch <= epoch) {
            return;
        }
        sealed.epoch = Some(cut.epoch);
        sealed.heads.extend(cut.heads.iter().map(|head| (head.lane, head.next_sequence)));
        let Some(over_us) = self.begun_us.get(&(cut.epoch + 1)) else { return };
        for lane in &sealed.lanes {
            let next = sealed.heads.get(lane).copied().unwrap_or(0);
            for (sequence, publication) in publications.acknowledged_above(lane, next) {
                if publication.stored_us.is_some_and(|stored_us| stored_us < *over_us) {
                    let what = format!(
                        "partition {}: lane {lane}, sequence {sequence} was stored before epoch {} ended; its cut has {next}",
                        cut.partition, cut.epoch
                    );
                    note(violations, now_us, "stored is sealed", what);
                }
            }
        }
    }

    /// Lanes that were opened since find the partition that they live in for good.
    fn find_homes(&mut self, view: &State, publications: &Publications) {
        for (lane, slot, opening_block) in publications.opened_after(self.lanes) {
            if *opening_block > view.height {
                break;
            }
            self.lanes += 1;
            self.sealed.entry(view.home_at(*slot, *opening_block)).or_default().lanes.push(*lane);
        }
    }

    /// A node signs.
    pub fn on_sign(&mut self, now_us: u64, node: usize, digest: Hash, violations: &mut Vec<Violation>) {
        if self.late.contains(&digest) {
            return;
        }
        let written = self.written.entry(node).or_default();
        let Some(at) = written.iter().rposition(|written| written.digest == digest) else {
            let what = format!("node {node} signs what it did not write");
            note_about(violations, now_us, "one report", what, vec![Actor::Node(node as u32)]);
            return;
        };
        let (key, checksum) = (written[at].key, written[at].checksum);
        let first = written.iter().find(|written| written.is_first && written.key == key);
        let first = first.map_or(checksum, |first| first.checksum);
        if first == checksum {
            written[at].is_first = true;
        }
        if first != checksum {
            let what = format!("node {node} signed {first} and {checksum} for {key:?}");
            note_about(violations, now_us, "one report", what, vec![Actor::Node(node as u32)]);
        }
    }
}
