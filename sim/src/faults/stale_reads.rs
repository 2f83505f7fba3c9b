//! Stale reads: a broker's provider of the chain is behind. It sees every block, each of them late by so many.

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
        let stale = self.active_at(node).filter_map(|fault| match fault.kind {
            FaultKind::StaleReads { blocks } => Some(blocks),
            _ => None,
        });
        if let Some(branch) = self.branches.get(&node) {
            return Some(branch.view());
        }
        Some(self.chain.view_before(stale.max().unwrap_or(0)))
    }
}
