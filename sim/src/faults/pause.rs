//! Pause: a process does nothing for a long while, as when its machine swaps or is suspended. What comes for it waits,
//! and its disk goes on with what it was handed.

use weir_node::engine::Completion;

use super::FaultKind;
use crate::world::{Event, World};

impl World<'_> {
    /// Until when a broker's process is stalled, if it is.
    pub(crate) fn paused_until(&self, node: usize) -> Option<u64> {
        let pauses = self.active_at(node).filter(|fault| fault.kind == FaultKind::Pause);
        pauses.map(|fault| fault.end_us()).max()
    }

    /// What would happen to a stalled process happens when it goes on.
    pub(crate) fn postpone(&mut self, node: usize, completion: Option<Completion>, until_us: u64) {
        let incarnation = self.nodes[node].incarnation;
        let event = match completion {
            Some(completion) => Event::Completion { node, incarnation, completion },
            None => Event::Wake { node, incarnation },
        };
        self.heap.schedule(until_us.max(self.now_us + 1), event);
    }
}
