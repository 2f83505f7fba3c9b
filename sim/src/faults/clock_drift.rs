//! Clock drift: a broker's wall clock runs too fast or too slow, until it is set right when the fault is over.

use super::Fault;
use crate::world::World;

impl World<'_> {
    pub(super) fn drift_ms(&self, fault: &Fault, per_million: i32) -> i64 {
        let passed_ms = (self.now_us / 1_000).saturating_sub(fault.at_ms) as i64;
        passed_ms * i64::from(per_million) / 1_000_000
    }
}
