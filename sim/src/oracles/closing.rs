//! Closing heads: nobody signs a cut below what was on its disk when it entered the next epoch (WP 2.4.6).

use std::collections::BTreeMap;

use weir_kernel::agreement::Cut;
use weir_kernel::coordinator::Entry;
use weir_kernel::ids::{Address, Epoch, LaneId, PartitionId};
use weir_kernel::log::{Record, Table};
use weir_kernel::wire;

use super::disks::Disks;
use crate::report::Violation;
use crate::surroundings::note;

/// Heads at the end of the epoch before the one that was entered, by broker and partition.
#[derive(Debug, Default)]
pub struct Closing {
    heads: BTreeMap<(Address, PartitionId), (Epoch, BTreeMap<LaneId, u64>)>,
}

impl Closing {
    /// A broker is about to hand its disk these records.
    pub fn on_write(
        &mut self,
        now_us: u64,
        who: Address,
        records: &[Record],
        disks: &Disks,
        violations: &mut Vec<Violation>,
    ) {
        for record in records {
            match record {
                Record::Put { table: Table::Marker, key, value } => self.on_marker(who, key, value, disks),
                Record::Put { table: Table::Report, value, .. } => {
                    if let Some((entry, cut)) = wire::decode_row::<(Entry, Cut)>(value) {
                        self.on_report(now_us, who, &entry, &cut, disks, violations);
                    }
                }
                _ => {}
            }
        }
    }

    fn on_marker(&mut self, who: Address, key: &[u8], value: &[u8], disks: &Disks) {
        use weir_kernel::broker::rows::PartitionRow;
        let Ok(partition) = <[u8; 4]>::try_from(key).map(|key| PartitionId(u32::from_be_bytes(key))) else {
            return;
        };
        let Some(row) = wire::decode_row::<PartitionRow>(value) else { return };
        let known = self.heads.get(&(who, partition)).map(|(epoch, _)| *epoch);
        if known.is_none_or(|known| row.open_epoch > known) {
            let heads = disks.of(&who).map(|disk| disk.synced.unsealed(partition)).unwrap_or_default();
            self.heads.insert((who, partition), (row.open_epoch, heads));
        }
    }

    fn on_report(
        &self,
        now_us: u64,
        who: Address,
        entry: &Entry,
        cut: &Cut,
        disks: &Disks,
        violations: &mut Vec<Violation>,
    ) {
        let Some((entered, heads)) = self.heads.get(&(who, entry.partition)) else { return };
        let Some(disk) = disks.of(&who).filter(|_| *entered == entry.epoch + 1) else { return };
        let named: BTreeMap<LaneId, u64> =
            cut.heads.iter().map(|head| (head.lane, head.next_sequence)).collect();
        for (lane, closed) in heads {
            let forked =
                cut.forks.iter().any(|fork| fork.lane() == *lane) || disk.handed.forks.contains_key(lane);
            let settled = *closed <= disk.handed.sealed(lane) || forked;
            let next = named.get(lane).copied().unwrap_or(0);
            if !settled && next < *closed {
                let what = format!(
                    "{who} signs for partition {}, epoch {}: lane {lane} up to {next}, and it had {closed}",
                    entry.partition, entry.epoch
                );
                note(violations, now_us, "closing heads", what);
                return;
            }
        }
    }

    /// A broker's disk is lost, and with it what it closed with.
    pub fn on_crash(&mut self, who: Address, wiped: bool) {
        if wiped {
            self.heads.retain(|(closed, _), _| *closed != who);
        }
    }
}
