//! Late inclusion: transactions of all brokers wait before a block takes them.

use super::FaultKind;
use crate::tape::{Actor, Purpose};
use crate::world::World;

impl World<'_> {
    /// For how long a transaction waits that a broker sends now, in microseconds.
    pub(crate) fn inclusion_us(&mut self, node: usize) -> u64 {
        let late = self.active.iter().filter_map(|fault| match fault.kind {
            FaultKind::LateInclusion { by_ms } => Some(by_ms * 1_000),
            _ => None,
        });
        let Some(most_us) = late.max() else { return 0 };
        let mut decide = self.decider.of(Actor::Node(node as u32), &mut self.nodes[node].counts);
        decide.between(Purpose::Inclusion, (0, most_us))
    }
}
