//! A publisher that floods a lane without a deposit: what is free is stored, everything beyond is refused (WP 2.4.7).

use weir_kernel::broker::RefusalCode;

use super::cheat::{Cheat, Due, Lane};

/// Events of a batch.
const EVENTS: u64 = 8;

/// Batches beyond what is free.
const BEYOND: u64 = 12;

/// The publisher of a lane of which so many events are free.
pub fn publisher(mut lane: Lane<'_>, free_events: u64) -> Cheat {
    for _ in 0..free_events / EVENTS + BEYOND {
        let batch = lane.next(EVENTS, lane.wall_ms());
        let free = lane.events() <= free_events;
        lane.offer(batch, if free { Due::Stored } else { Due::Refused(RefusalCode::PaymentRequired) });
    }
    lane.publisher()
}
