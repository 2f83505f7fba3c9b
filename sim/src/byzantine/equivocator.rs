//! Equivocator: it tells different brokers different things under one name (WP 2.4.6).
//!
//! Beside each report it signs a second one with another checksum for the same epoch and round, and sends it to
//! everybody. When it leads, it proposes one cut to some replicas and another cut to the others. Two reports that
//! contradict each other are a proof: whoever leads keeps it and has the chain take the equivocator's stake.

use weir_kernel::broker::Message;
use weir_kernel::wire;
use weir_node::engine::Operation;

use super::twisted;
use crate::world::World;

impl World<'_> {
    pub(super) fn say_as_equivocator(&mut self, node: usize, operation: Operation) -> Option<Operation> {
        let Operation::Send { to, channel, frame } = operation else { return Some(operation) };
        let own = self.own_frame(node, &frame);
        match own.as_ref().map(|received| received.message()) {
            Some(Message::Report(report)) => {
                let mut entry = report.entry;
                entry.checksum = twisted(entry.checksum);
                let second = self.signed(node, entry);
                for other in self.others(node) {
                    self.tell(node, other, &second);
                }
                Some(Operation::Send { to, channel, frame })
            }
            Some(Message::Propose { round, cut }) if self.numbers.get(&to).is_some_and(|to| to % 2 == 1) => {
                let mut other = cut.clone();
                other.heads.pop();
                let frame = wire::encode(&Message::Propose { round: *round, cut: other }, &[]).into();
                Some(Operation::Send { to, channel, frame })
            }
            _ => Some(Operation::Send { to, channel, frame }),
        }
    }
}
