//! Bandwidth: what a broker sends to each other goes through a narrow pipe. Its queue is short; what finds it full is
//! lost, as a sender's bounded queue loses it.

use crate::links::Delivery;
use crate::world::World;

/// What a queue holds, in microseconds of sending.
const QUEUE_US: u64 = 3_000_000;

impl World<'_> {
    pub(super) fn squeeze(
        &mut self,
        link: (u32, u32),
        bytes_per_s: u64,
        bytes: usize,
        delivery: &mut Delivery,
    ) {
        let now_us = self.now_us;
        let busy_us = self.links.busy_us.entry(link).or_insert(0);
        let begin_us = now_us.max(*busy_us);
        if begin_us - now_us > QUEUE_US {
            return delivery.lose();
        }
        *busy_us = begin_us + (bytes as u64).saturating_mul(1_000_000) / bytes_per_s;
        delivery.add_us(*busy_us - now_us);
    }
}
