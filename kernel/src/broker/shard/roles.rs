//! Where a broker has something to do, found without looking at every partition in every block.

use alloc::collections::BTreeSet;

use super::Machines;
use crate::broker::context::Context;
use crate::coordinator::Partition;
use crate::ids::{BrokerIndex, PartitionId};
use crate::rules::{Bug, Rules};

impl Machines {
    /// The partitions that this broker has or may have a role in: those it knows, and those whose seats have changed
    /// since it looked last. A role comes with a change of seats alone.
    pub(super) fn concerned(&mut self, ctx: &Context<'_>, me: BrokerIndex) -> BTreeSet<PartitionId> {
        let view = ctx.view;
        let seen = self.reseatings_seen.replace(view.reseated.total());
        let known = self.partitions.ids();
        let is_mine = |id: &PartitionId| {
            ctx.share.owns(*id)
                && view.partition(*id).is_some_and(|partition| has_role(partition, me, ctx.rules))
        };
        match seen.and_then(|seen| view.reseated.since(seen)) {
            Some(changed) => known.chain(changed.filter(is_mine)).collect(),
            None => known.chain((0..view.partition_count()).map(PartitionId).filter(is_mine)).collect(),
        }
    }
}

/// Whether a broker has anything to do in a partition: it acts, is proposed, or was replaced and no epoch of the new
/// set is sealed yet.
pub(super) fn has_role(partition: &Partition, me: BrokerIndex, rules: Rules) -> bool {
    let unsealed = partition.sealed_epoch < partition.since_epoch;
    let rests_early = rules.has(Bug::RestsBeforeHandover) || rules.has(Bug::DropsBeforeHandover);
    let replaced = partition.previous_members.contains(me) && unsealed && !rests_early;
    partition.members.contains(me) || partition.target.contains(me) || replaced
}
