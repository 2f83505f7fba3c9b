//! What faults of links make of a frame on its way: each fault says so in its own file.

use bytes::Bytes;

use super::FaultKind;
use crate::links::Delivery;
use crate::world::World;

impl World<'_> {
    /// A frame on its way under the faults of the time; a broker's word to itself is no traffic.
    pub(crate) fn shape(&mut self, from: u32, to: u32, frame: &mut Bytes, delivery: &mut Delivery) {
        if from == to {
            return;
        }
        for index in 0..self.active.len() {
            let fault = self.active[index];
            let (sends, takes_part) = (fault.broker == from, fault.broker == from || fault.broker == to);
            match &fault.kind {
                FaultKind::Bridge if self.is_across_bridge(fault.broker, from, to) => delivery.lose(),
                FaultKind::Ring if !self.are_neighbours(from, to) => delivery.lose(),
                FaultKind::Flapping { side, period_ms }
                    if self.is_down(fault, side, *period_ms, from, to) =>
                {
                    delivery.lose();
                }
                FaultKind::Corruption { rate } if sends => self.corrupt((from, to), *rate, frame, delivery),
                FaultKind::Bandwidth { bytes_per_s } if sends => {
                    self.squeeze((from, to), *bytes_per_s, frame.len(), delivery);
                }
                FaultKind::Clog if sends => delivery.hold_until(fault.end_us().saturating_sub(self.now_us)),
                FaultKind::LateLinks { by_ms } if takes_part => delivery.add_us(by_ms * 1_000),
                _ => {}
            }
        }
    }
}
