//! Torn write: power fails while the disk works on what was not synced. The first of those writes may be there all the
//! same, and the one that was cut in the middle is not: a log's checksums find it and drop it when it is opened.

use crate::tape::{Actor, Purpose};
use crate::world::World;

impl World<'_> {
    pub(super) fn begin_torn_write(&mut self, node: usize, down_ms: u64) {
        let unsynced = self.nodes[node].unsynced() as u64;
        let mut decide = self.decider.of(Actor::Node(node as u32), &mut self.nodes[node].counts);
        let kept = decide.choose(Purpose::TornWrite, 0, |random| random.below(unsynced + 1)).min(unsynced);
        if let Some(index) = self.nodes[node].keep(kept as usize) {
            self.oracles.brokers.on_synced(self.nodes[node].address, index);
        }
        self.crash(node, false, down_ms);
    }
}
