//! RPC outage: a broker hears nothing of the chain, and its transactions get nowhere.

use super::FaultKind;
use crate::world::World;

impl World<'_> {
    /// Whether a broker cannot reach the chain.
    pub(crate) fn is_without_chain(&self, node: usize) -> bool {
        self.active_at(node).any(|fault| fault.kind == FaultKind::RpcOutage)
    }
}
