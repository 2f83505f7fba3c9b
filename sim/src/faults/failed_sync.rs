//! Failed sync: the device reports an error to one sync. What was to be synced may or may not be there, so nothing is
//! written after it: the log is poisoned, the process stops and is started again from what the disk holds.

use crate::world::World;

impl World<'_> {
    pub(super) fn begin_failed_sync(&mut self, node: usize) {
        self.nodes[node].fail_sync(true);
    }
}
