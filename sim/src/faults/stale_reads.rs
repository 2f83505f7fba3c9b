//! Stale reads: a broker's provider of the chain is behind. It sees every block, each of them late by so many.
//!
//! Not so a broker that has lost its disk. It refrains from signing until the epoch is sealed in which it restarted,
//! and a provider that is behind would name an earlier one, in which it had not yet acknowledged what it then forgot.
//! So whoever exchanges a disk has to look at a provider that is not behind.

use std::sync::Arc;

use weir_kernel::coordinator::State;

use super::FaultKind;
use crate::world::World;

impl World<'_> {
    /// The chain as a broker gets to see it now; `None` if it cannot.
    pub(crate) fn seen_by(&self, node: usize) -> Option<Arc<State>> {
        if self.is_without_chain(node) {
            return None;
        }
        let has_lost_its_disk = self.lost_disks.contains_key(&node);
        let stale = self.active_at(node).filter_map(|fault| match fault.kind {
            FaultKind::StaleReads { blocks } if !has_lost_its_disk => Some(blocks),
            _ => None,
        });
        if let Some(branch) = self.branches.get(&node) {
            return Some(branch.view());
        }
        Some(self.chain.view_before(stale.max().unwrap_or(0)))
    }
}
