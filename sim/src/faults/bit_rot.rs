//! Bit rot: what is read is not what was written, and the log's checksums say so. The broker goes on without what it
//! cannot read; then its disk is exchanged for an empty one, as the error tells its operator to. Where the protocol
//! does not survive that just now, the sectors are read well after all.

use super::FaultKind;
use crate::world::World;

/// How long it takes to exchange a disk.
const EXCHANGE_MS: u64 = 1_000;

impl World<'_> {
    /// Whether a broker's disk gives nothing back as it was written.
    pub(crate) fn is_rotten(&self, node: usize) -> bool {
        self.active_at(node).any(|fault| fault.kind == FaultKind::BitRot)
    }

    pub(super) fn end_bit_rot(&mut self, node: usize) {
        if !self.healed {
            self.begin_survivable_lost_disk(node, EXCHANGE_MS);
        }
    }
}
