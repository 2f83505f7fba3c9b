//! Lost disk: as a crash, and the disk comes back empty.

use crate::world::World;

impl World<'_> {
    pub(super) fn begin_lost_disk(&mut self, node: usize, down_ms: u64) {
        self.crash(node, true, down_ms);
    }

    /// A lost disk is survived where nothing else is missing: with a seat vacant, or a handover under way, the network
    /// promises no more than that somebody notices.
    pub(super) fn begin_survivable_lost_disk(&mut self, node: usize, down_ms: u64) {
        let view = self.chain.view();
        let survivable = view.partitions.iter().all(|partition| {
            let full = partition.members.len() == view.params.seats();
            partition.founded && full && partition.sealed_epoch >= partition.since_epoch
        });
        if survivable {
            self.begin_lost_disk(node, down_ms);
        }
    }
}
