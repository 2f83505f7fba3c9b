//! Silent leader: it takes part in everything but leading; it proposes to nobody and submits no certificate.

use weir_kernel::broker::Message;
use weir_kernel::coordinator::Intent;
use weir_node::engine::Operation;

use crate::world::World;

impl World<'_> {
    pub(crate) fn say_as_silent_leader(&self, node: usize, operation: Operation) -> Option<Operation> {
        let leads = match &operation {
            Operation::Submit(intent) => matches!(intent, Intent::SubmitCertificate(_)),
            Operation::Send { frame, .. } => {
                let own = self.own_frame(node, frame);
                own.is_some_and(|received| matches!(received.message(), Message::Propose { .. }))
            }
            _ => false,
        };
        (!leads).then_some(operation)
    }
}
