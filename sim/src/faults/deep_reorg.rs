//! Deep reorganisation: a broker's provider shows it a branch that nobody else sees, longer than it waits for, and then
//! joins the others. That is beyond what the protocol survives at this broker, so it is detected and named: the process
//! stops before it signs anything more, and stays down until the fault is over. The others go on.

use weir_node::follower::FollowError;

use crate::world::World;

/// What a process that stops for this reason says.
pub const REORGANISED: &str = "the chain went back deeper than it is confirmed";

impl World<'_> {
    pub(super) fn begin_deep_reorg(&mut self, node: usize, blocks: u32) {
        let branch = self.chain.branch(u64::from(blocks));
        self.branches.insert(node, branch);
    }

    /// The chain has a new block: so have branches, and providers that are back on the chain show what is there.
    pub(crate) fn advance_branches(&mut self) {
        for (node, mut branch) in std::mem::take(&mut self.branches) {
            match branch.advance() {
                Ok(()) if self.chain.has_outgrown(&branch) => {}
                Ok(()) => drop(self.branches.insert(node, branch)),
                Err(FollowError::Reorganised { .. }) => self.stop_reorganised(node),
                Err(error) => panic!("a chain in memory can be read: {error}"),
            }
        }
    }

    fn stop_reorganised(&mut self, node: usize) {
        *self.report.stops.entry(REORGANISED.to_string()).or_default() += 1;
        let until_us = self.active_at(node).map(|fault| fault.end_us()).max().unwrap_or(0);
        self.crash(node, false, until_us.saturating_sub(self.now_us) / 1_000 + 1);
    }
}
