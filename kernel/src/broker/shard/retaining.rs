//! What is too old is let go, partition by partition, once an epoch (WP 2.4.8).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Machines;
use crate::broker::context::Context;
use crate::coordinator::Retention;
use crate::ids::{PartitionId, StreamPartition};

impl Machines {
    /// Looks at the streams whose turn it is, in the partitions that hold something of them.
    pub(super) fn expire(&mut self, ctx: &mut Context<'_>) {
        let mut due: BTreeMap<PartitionId, Vec<(StreamPartition, Retention)>> = BTreeMap::new();
        for (slot, retention) in self.retention.next(ctx.view) {
            let homes = ctx.view.homes(slot).into_iter().map(|home| home.partition);
            for home in homes.filter(|home| self.partitions.contains(*home)) {
                due.entry(home).or_default().push((slot, retention));
            }
        }
        for (partition, slots) in due {
            self.with(partition, |replica, _| replica.expire(ctx, &slots));
        }
    }
}
