//! Lost disk: as a crash, and the disk comes back empty.

use crate::world::World;

impl World<'_> {
    pub(super) fn begin_lost_disk(&mut self, node: usize, down_ms: u64) {
        if self.nodes[node].is_up() {
            self.lost_disks.insert(node, self.chain.view().epoch());
        }
        self.crash(node, true, down_ms);
    }

    /// A broker without its disk signs nothing until the chain has sealed the epoch in which it restarts, which may be
    /// later than the one in which the disk was lost.
    pub(crate) fn start_on_lost_disk(&mut self, node: usize) {
        let epoch = self.chain.view().epoch();
        if let Some(lost) = self.lost_disks.get_mut(&node) {
            *lost = epoch;
        }
    }

    /// Whether whoever lost its disk before has fetched everything again and may sign: the chain has sealed an epoch
    /// since it restarted, and it answers readers of all that it holds. Until then its disk counts as lost.
    fn all_recovered(&self) -> bool {
        let view = self.chain.view();
        let sealed_since = |epoch| view.partitions.iter().all(|partition| partition.sealed_epoch > epoch);
        self.lost_disks.iter().all(|(node, epoch)| {
            let index = view.broker_index(self.nodes[*node].address);
            let is_member = |id| {
                let members = view.partition(id).map(|partition| partition.members);
                members.zip(index).is_some_and(|(members, index)| members.contains(index))
            };
            let serves = self.nodes[*node].broker().is_some_and(|broker| {
                broker.summaries().all(|summary| summary.serves || !is_member(summary.partition))
            });
            sealed_since(*epoch) && serves
        })
    }

    /// A lost disk is survived where nothing else is missing: with a seat vacant, or a handover under way, the network
    /// promises no more than that somebody notices.
    pub(super) fn begin_survivable_lost_disk(&mut self, node: usize, down_ms: u64) {
        let view = self.chain.view();
        let survivable = view.partitions.iter().all(|partition| {
            let full = partition.members.len() == view.params.seats();
            partition.founded && full && partition.sealed_epoch >= partition.since_epoch
        });
        if survivable && self.all_recovered() {
            self.begin_lost_disk(node, down_ms);
        }
    }
}
