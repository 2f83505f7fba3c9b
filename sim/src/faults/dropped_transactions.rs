//! Dropped transactions: the pools of the chain forget some of what all brokers send, and tell nobody.

use super::FaultKind;
use crate::world::World;

impl World<'_> {
    /// How many transactions of a million get lost now.
    pub(crate) fn transaction_loss(&self) -> u32 {
        let dropped = self.active.iter().filter_map(|fault| match fault.kind {
            FaultKind::DroppedTransactions { rate } => Some(rate),
            _ => None,
        });
        let usual = if self.healed { 0 } else { self.scenario.transaction_loss };
        dropped.fold(usual, u32::max)
    }
}
