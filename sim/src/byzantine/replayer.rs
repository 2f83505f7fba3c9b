//! Replayer: it says again what it said long ago, to whom it said it, and sends transactions a second time.

use weir_node::engine::Operation;

use crate::world::{Event, World};

/// Frames and transactions that it remembers.
const REMEMBERED: usize = 512;

/// Frames, per million, with which it sends an old one.
const RATE: u32 = 150_000;

/// After how long it sends a transaction again, in microseconds.
const AGAIN_US: u64 = 1_500_000;

impl World<'_> {
    pub(super) fn say_as_replayer(&mut self, node: usize, operation: Operation) -> Option<Operation> {
        match &operation {
            Operation::Send { to, frame, .. } => {
                let replayed = self.lies_now(node, RATE);
                let frames = &mut self.lies.entry(node).or_default().frames;
                if frames.len() >= REMEMBERED {
                    frames.pop_front();
                }
                frames.push_back((*to, frame.clone()));
                let old = replayed.map(|number| frames[number as usize % frames.len()].clone());
                if let Some((to, frame)) = old {
                    self.send(node, to, frame);
                }
            }
            Operation::Submit(intent) => {
                let intents = &mut self.lies.entry(node).or_default().intents;
                if intents.len() >= REMEMBERED {
                    intents.pop_front();
                }
                intents.push_back(intent.clone());
                let first = intents[intents.len() / 2].clone();
                self.heap.schedule(self.now_us + AGAIN_US, Event::Transaction { node, intent: first });
            }
            _ => {}
        }
        Some(operation)
    }
}
