//! Reorganisation: the newest blocks are replaced by as many others, fewer than brokers wait for. The transactions in
//! them wait again and come in other blocks, perhaps in another order. Nobody has acted on what is gone.

use crate::chain::START_MS;
use crate::world::World;

impl World<'_> {
    pub(super) fn begin_reorg(&mut self, blocks: u32) {
        let timestamp_s = (START_MS + self.now_us / 1_000) / 1_000;
        self.chain.reorganise(u64::from(blocks), timestamp_s);
    }
}
