//! Flooder: with much of what it says it asks everybody for everything, and claims what nobody has.

use weir_kernel::agreement::LaneHead;
use weir_kernel::broker::Message;
use weir_kernel::ids::{Hash, LaneId, PartitionId, StreamPartition};
use weir_kernel::log::{Position, Query};
use weir_node::engine::Operation;

use crate::random::Random;
use crate::world::World;

/// Frames, per million, with which it floods.
const RATE: u32 = 60_000;

/// Messages of one flood.
const MESSAGES: usize = 24;

/// Heads that it claims in one message.
const CLAIMED: usize = 40;

impl World<'_> {
    pub(super) fn say_as_flooder(&mut self, node: usize, operation: Operation) -> Option<Operation> {
        if !matches!(operation, Operation::Send { .. }) {
            return Some(operation);
        }
        if let Some(number) = self.lies_now(node, RATE) {
            let (mut random, others) = (Random::from_number(number), self.others(node));
            for _ in 0..if others.is_empty() { 0 } else { MESSAGES } {
                let to = others[random.index(others.len())];
                let message = self.demand(&mut random);
                self.tell(node, to, &message);
            }
        }
        Some(operation)
    }

    fn demand(&self, random: &mut Random) -> Message {
        let view = self.chain.view();
        let partition = PartitionId(random.below(u64::from(view.params.partitions.max(1))) as u32);
        let streams: Vec<_> = view.streams.keys().copied().collect();
        let stream = streams.get(random.index(streams.len().max(1))).copied().unwrap_or_default();
        let slot = StreamPartition { stream, partition: random.below(4) as u32 };
        let lane = LaneId(random.bytes());
        let claims = |random: &mut Random| -> Vec<LaneHead> {
            let head = |random: &mut Random| LaneHead {
                lane: LaneId(random.bytes()),
                next_sequence: random.below(1 << 40),
                volume: random.next_u64() >> 8,
                digest: Hash(random.bytes()),
            };
            (0..CLAIMED).map(|_| head(random)).collect()
        };
        match random.below(9) {
            0 => Message::Fetch { partition, lane, from: random.next_u64() },
            1 => Message::CutsWanted { partition, after_epoch: 0 },
            2 => Message::HeadsWanted { partition },
            3 => Message::Heads { partition, heads: claims(random) },
            4 => Message::Follow { partition, slot },
            5 => Message::Acknowledge { partition, epoch: view.epoch(), heads: claims(random) },
            6 => Message::Closing {
                partition,
                epoch: view.epoch().saturating_sub(1),
                round: random.below(3) as u32,
                previous: view.partition(partition).map_or(Hash::ZERO, |known| known.checksum),
                heads: claims(random),
                forks: Vec::new(),
            },
            7 => {
                let (epoch, round, heads) = (view.epoch().saturating_sub(1), 0, claims(random));
                Message::Decline { partition, epoch, round, heads, forks: Vec::new() }
            }
            _ => {
                let to = Position { timestamp_ms: u64::MAX, lane: LaneId([0xff; 32]), sequence: u64::MAX };
                let from = Position::default();
                let query = Query::Range { partition, slot, from, to, up_to_index: u64::MAX, origin: None };
                Message::Read { token: random.next_u64(), query, budget_bytes: u32::MAX }
            }
        }
    }
}
