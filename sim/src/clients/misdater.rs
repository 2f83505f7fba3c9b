//! A publisher whose events have times that they cannot have: before those of the events before them, or a day from
//! now. Such a batch is refused by name, and what comes after it in the lane is stored nowhere.

use weir_kernel::broker::RefusalCode;

use super::cheat::{Cheat, Due, Lane};

/// Batches of the lane.
const BATCHES: usize = 10;

/// The one with wrong times.
const WRONG: usize = 4;

/// How far they are off, in milliseconds: further than clocks are under any fault.
const OFF_MS: u64 = 24 * 3_600 * 1_000;

/// The publisher of a lane that goes back in time, or ahead of it.
pub fn publisher(mut lane: Lane<'_>, ahead: bool) -> Cheat {
    for number in 0..BATCHES {
        let wall_ms = lane.wall_ms();
        match number {
            WRONG if ahead => {
                let batch = lane.next(3, wall_ms + OFF_MS);
                lane.offer(batch, Due::Refused(RefusalCode::OutOfOrder));
            }
            WRONG => {
                let batch = lane.next_back_in_time(3, wall_ms - OFF_MS);
                lane.offer(batch, Due::Refused(RefusalCode::Invalid));
            }
            _ => {
                let batch = lane.next(3, wall_ms);
                lane.offer(batch, if number < WRONG { Due::Stored } else { Due::Nothing });
            }
        }
    }
    lane.publisher()
}
