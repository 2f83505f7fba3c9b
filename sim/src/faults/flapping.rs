//! Flapping: a side is cut off for a period, joined for the next, and so on, beginning with a cut.

use super::Fault;
use crate::world::World;

impl World<'_> {
    pub(super) fn is_down(&self, fault: &Fault, side: &[u32], period_ms: u64, from: u32, to: u32) -> bool {
        let crosses = side.contains(&from) != side.contains(&to);
        let periods = self.now_us.saturating_sub(fault.at_ms * 1_000) / (period_ms * 1_000);
        crosses && periods.is_multiple_of(2)
    }
}
