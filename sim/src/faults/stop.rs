//! A process that stops of itself, because its disk failed it: it says why, and is started again when that is mended.

use weir_store::LogError;

use super::FaultKind;
use crate::world::World;

/// How long it takes to start a process again.
const RESTART_MS: u64 = 500;

impl World<'_> {
    /// A log took no more: nothing may be built on what came after, so the process ends as if it had crashed.
    pub(crate) fn stop(&mut self, node: usize, error: &LogError) {
        let name = match error {
            LogError::Full { .. } => "no space left",
            LogError::Io { .. } => "the device failed",
            LogError::Damaged { .. } => "damaged",
            other => panic!("the kernel broke the log's rules at {}: {other}", self.nodes[node].address),
        };
        *self.report.stops.entry(name.to_string()).or_default() += 1;
        let trouble = |kind: &FaultKind| matches!(kind, FaultKind::FailedSync | FaultKind::FullDisk);
        let mended_us =
            self.active_at(node).filter(|fault| trouble(&fault.kind)).map(|fault| fault.end_us()).max();
        let wait_us = mended_us.unwrap_or(0).saturating_sub(self.now_us);
        self.crash(node, false, wait_us / 1_000 + RESTART_MS);
    }

    pub(super) fn end_disk_trouble(&mut self, node: usize) {
        let full = self.active_at(node).any(|fault| fault.kind == FaultKind::FullDisk);
        self.nodes[node].fill_disk(full);
        self.nodes[node].fail_sync(false);
    }
}
