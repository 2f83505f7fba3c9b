//! Ring: each broker can talk to the one before it and the one after it, and to nobody else.

use crate::world::World;

impl World<'_> {
    pub(super) fn are_neighbours(&self, from: u32, to: u32) -> bool {
        let count = self.nodes.len() as u32;
        let apart = from.abs_diff(to);
        apart == 1 || apart + 1 == count
    }
}
