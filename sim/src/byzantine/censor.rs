//! Censor: for every other lane it behaves as if the lane did not exist (WP 2.4.3, 2.4.4).
//!
//! As replica it takes none of the lane's batches, keeps and acknowledges none, and passes none on; as edge it forwards
//! none; as leader it proposes cuts without the lane's head.

use bytes::Bytes;
use weir_kernel::broker::Message;
use weir_kernel::ids::{Address, LaneId};
use weir_kernel::wire::{self, Received};
use weir_node::engine::Operation;

use crate::world::World;

/// Whether this broker suppresses a lane.
fn suppresses(node: usize, lane: &LaneId) -> bool {
    usize::from(lane.0[0]) % 2 == node % 2
}

fn carries_suppressed(node: usize, received: &Received) -> bool {
    received.batches().iter().any(|batch| suppresses(node, &batch.lane()))
}

impl World<'_> {
    pub(super) fn hear_as_censor(&mut self, node: usize, from: Address, frame: &Bytes) -> bool {
        let received = self.open(from, frame);
        received.is_none_or(|received| match received.message() {
            Message::Append { .. } | Message::Repair { .. } => !carries_suppressed(node, &received),
            _ => true,
        })
    }

    pub(super) fn say_as_censor(&mut self, node: usize, operation: Operation) -> Option<Operation> {
        let Operation::Send { to, channel, frame } = operation else { return Some(operation) };
        let Some(received) = self.own_frame(node, &frame) else {
            return Some(Operation::Send { to, channel, frame });
        };
        match received.message() {
            Message::Append { .. } | Message::Live { .. } | Message::Repair { .. } => {
                (!carries_suppressed(node, &received)).then_some(Operation::Send { to, channel, frame })
            }
            Message::Propose { round, cut } => {
                let mut shorter = cut.clone();
                shorter.heads.retain(|head| !suppresses(node, &head.lane));
                let frame = wire::encode(&Message::Propose { round: *round, cut: shorter }, &[]).into();
                Some(Operation::Send { to, channel, frame })
            }
            _ => Some(Operation::Send { to, channel, frame }),
        }
    }
}
