//! Clock step: a broker's wall clock is off by so much, and steps back when the fault is over. The clock that timers
//! use never steps.

use super::FaultKind;
use crate::chain::START_MS;
use crate::world::World;

impl World<'_> {
    /// What a broker's wall clock shows, in milliseconds since 1970 UTC.
    pub(crate) fn wall_ms(&self, node: usize) -> u64 {
        let right_ms = START_MS + self.now_us / 1_000;
        let off_ms = self.active_at(node).map(|fault| match fault.kind {
            FaultKind::ClockStep { by_ms } => by_ms,
            FaultKind::ClockDrift { per_million } => self.drift_ms(fault, per_million),
            _ => 0,
        });
        right_ms.saturating_add_signed(off_ms.sum())
    }
}
