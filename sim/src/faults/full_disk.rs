//! Full disk: no write finds room. The process stops, and whenever it is started before somebody made room it stops
//! again.

use crate::world::World;

impl World<'_> {
    pub(super) fn begin_full_disk(&mut self, node: usize) {
        self.nodes[node].fill_disk(true);
    }
}
