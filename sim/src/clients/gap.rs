//! A publisher that leaves a gap in its lane: it signs one batch that it never sends. What comes before it is stored,
//! what comes after it never is.

use super::cheat::{Cheat, Due, Lane};

/// Batches of the lane.
const BATCHES: usize = 12;

/// The one that is never sent.
const MISSING: usize = 5;

/// The publisher of a lane with a gap.
pub fn publisher(mut lane: Lane<'_>) -> Cheat {
    for number in 0..BATCHES {
        let batch = lane.next(3, lane.wall_ms());
        match number {
            MISSING => {}
            _ if number < MISSING => lane.offer(batch, Due::Stored),
            _ => lane.offer(batch, Due::Nothing),
        }
    }
    lane.publisher()
}
