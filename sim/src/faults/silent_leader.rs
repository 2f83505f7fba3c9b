//! Silent leader: it takes part in everything but leading; it proposes to nobody and submits no certificate.

use weir_kernel::broker::Message;
use weir_kernel::coordinator::Intent;
use weir_kernel::wire;
use weir_node::engine::Operation;

use crate::world::World;

impl World<'_> {
    pub(super) fn begin_silent_leader(&mut self, node: usize) {
        *self.silent.entry(node).or_default() += 1;
    }

    pub(super) fn end_silent_leader(&mut self, node: usize) {
        if let Some(times) = self.silent.get_mut(&node) {
            *times -= 1;
            if *times == 0 {
                self.silent.remove(&node);
            }
        }
    }

    /// Whether an operation goes nowhere, because its node keeps silent when it leads.
    pub(crate) fn is_silenced(&self, node: usize, operation: &Operation) -> bool {
        if !self.silent.contains_key(&node) {
            return false;
        }
        match operation {
            Operation::Submit(intent) => matches!(intent, Intent::SubmitCertificate(_)),
            Operation::Send { frame, .. } => {
                let view = self.chain.view();
                let domain =
                    wire::Domain { chain_id: view.chain_id, coordinator: view.contracts.coordinator };
                let received = wire::decode(frame, self.nodes[node].address, domain, &self.verifier);
                received.is_ok_and(|received| matches!(received.message(), Message::Propose { .. }))
            }
            _ => false,
        }
    }
}
