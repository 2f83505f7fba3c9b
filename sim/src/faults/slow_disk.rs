//! Slow disk: syncs and reads take so many times as long.

use super::FaultKind;
use crate::world::World;

impl World<'_> {
    /// How many times as long as usual a broker's disk takes.
    pub(crate) fn slowness(&self, node: usize) -> u64 {
        let factors = self.active_at(node).filter_map(|fault| match fault.kind {
            FaultKind::SlowDisk { factor } => Some(u64::from(factor)),
            _ => None,
        });
        factors.max().unwrap_or(1)
    }
}
