//! Withholder: it passes on nothing of every other lane to those who follow it, and hides that it does (WP 2.4.4).
//!
//! It keeps everything, acknowledges and signs as it should, and answers readers. Of what is live it leaves those lanes
//! out, and says of the others that nothing came in between: no later batch shows what is missing.

use std::collections::BTreeMap;

use weir_kernel::broker::Message;
use weir_kernel::ids::{Address, LaneId, PartitionId, StreamPartition};
use weir_kernel::wire;
use weir_node::engine::Operation;

use crate::world::World;

/// The last append index that it told each follower.
#[derive(Debug, Default)]
pub(crate) struct Told {
    indexes: BTreeMap<(Address, PartitionId, StreamPartition), u64>,
}

/// Whether this broker leaves a lane out.
fn withholds(node: usize, lane: &LaneId) -> bool {
    usize::from(lane.0[0]) % 2 == node % 2
}

impl World<'_> {
    pub(super) fn say_as_withholder(&mut self, node: usize, operation: Operation) -> Option<Operation> {
        let Operation::Send { to, channel, frame } = operation else { return Some(operation) };
        let Some(received) = self.own_frame(node, &frame) else {
            return Some(Operation::Send { to, channel, frame });
        };
        let told = &mut self.lies.entry(node).or_default().told.indexes;
        let lie = match received.message().clone() {
            Message::Live { partition, slot, index, .. } => {
                if received.batches().iter().any(|batch| withholds(node, &batch.lane())) {
                    return None;
                }
                told.insert((to, partition, slot), index);
                Message::Live { partition, slot, previous_index: 0, index }
            }
            Message::Following { partition, slot, index } => {
                let index = *told.entry((to, partition, slot)).or_insert(index);
                Message::Following { partition, slot, index }
            }
            _ => return Some(Operation::Send { to, channel, frame }),
        };
        let batches: Vec<_> = received.batches().iter().map(|batch| batch.bytes().clone()).collect();
        Some(Operation::Send { to, channel, frame: wire::encode(&lie, &batches).into() })
    }
}
