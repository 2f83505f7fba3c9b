//! Corruption: bits of frames are flipped on the way.
//!
//! In production no such frame reaches a broker: the transport's encryption refuses the packet, and the frame is lost
//! or sent again. Here what the frame decoder refuses is delivered, so that refusing is tried; what would still decode,
//! which under encryption is as impossible as a forged frame, is lost.

use bytes::Bytes;
use weir_kernel::wire;

use crate::links::Delivery;
use crate::tape::{Actor, Purpose};
use crate::world::World;

impl World<'_> {
    pub(super) fn begin_corruption(&mut self, node: usize) {
        self.suspects.insert(self.nodes[node].address);
    }

    pub(super) fn corrupt(
        &mut self,
        (from, to): (u32, u32),
        rate: u32,
        frame: &mut Bytes,
        delivery: &mut Delivery,
    ) {
        let key = (Actor::Link(from, to), Purpose::Corruption, delivery.ordinal);
        let flipped = self.decider.happens(key, |random| random.chance(rate).then(|| random.next_u64()));
        let Some(flipped) = flipped.filter(|_| !frame.is_empty()) else { return };
        let mut bytes = frame.to_vec();
        let bit = flipped % (bytes.len() as u64 * 8);
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        let sender = self.nodes[from as usize].address;
        if wire::decode(&bytes, sender, self.domain(), &self.verifier).is_ok() {
            return delivery.lose();
        }
        *frame = bytes.into();
    }
}
