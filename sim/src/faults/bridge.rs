//! Bridge: two halves, even brokers and odd ones, and one broker that both can talk to.

use crate::world::World;

impl World<'_> {
    pub(super) fn is_across_bridge(&self, bridge: u32, from: u32, to: u32) -> bool {
        from != bridge && to != bridge && from % 2 != to % 2
    }
}
