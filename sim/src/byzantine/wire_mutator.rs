//! Wire mutator: it changes bytes of what it sends before it sends them. Its transport vouches for the result, so what
//! still decodes is taken for its word.

use weir_node::engine::Operation;

use crate::random::Random;
use crate::world::World;

/// Frames, per million, that it changes.
const RATE: u32 = 250_000;

impl World<'_> {
    pub(super) fn say_as_wire_mutator(&mut self, node: usize, operation: Operation) -> Option<Operation> {
        let Operation::Send { to, channel, frame } = operation else { return Some(operation) };
        let Some(number) = self.lies_now(node, RATE).filter(|_| frame.len() > 1) else {
            return Some(Operation::Send { to, channel, frame });
        };
        let (mut random, mut bytes) = (Random::from_number(number), frame.to_vec());
        // Near the beginning are the fields, further on the batches.
        let reach = if random.chance(700_000) { bytes.len().min(80) } else { bytes.len() };
        for _ in 0..random.between((1, 3)) {
            let at = random.between((1, reach as u64 - 1)) as usize;
            bytes[at] = random.next_u64() as u8;
        }
        if random.chance(100_000) {
            bytes.truncate(random.index(bytes.len()));
        }
        Some(Operation::Send { to, channel, frame: bytes.into() })
    }
}
