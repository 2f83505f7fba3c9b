//! Leaving: a former member gives back what it holds of a partition, once the members hold all of it
//! ([`former`], WP 2.4.8).
//!
//! ```text
//!   one write: "leaving" in the partition's row, reports go     the replica is empty from here on
//!     │ each block: rows of some lanes go
//!     │ then: cuts are read, and those that come are removed     until none comes
//!   one write: "leaving" is over                                 the log is told: batches up to here go
//! ```
//!
//! Each step may be repeated, so a crash in the middle does no harm: who starts with "leaving" in the row goes on, and
//! the log is told again at each start. It drops batches a few at a time, beside what is more urgent, and nothing waits
//! for it: should this broker come back before they are gone, then each lane that it takes in anew makes way for itself
//! first.

use super::Replica;
use crate::batch::Header;
use crate::broker::context::{After, Context, Purpose};
use crate::broker::former;
use crate::broker::io::Trace;
use crate::broker::lane::lane_key;
use crate::broker::rows;
use crate::broker::sealer::Sealer;
use crate::coordinator::Partition;
use crate::ids::{BrokerIndex, Epoch, LaneId};
use crate::limits::{CUTS_BYTES, FORMER_LANES};
use crate::log::{Expiry, Query, Record, Table};
use crate::marks::Rare;
use crate::rules::Bug;

impl Replica {
    /// This broker has no part in the partition, and the chain moved on: gives back what is here, if that is
    /// superfluous, or goes on with it.
    pub fn leave(
        &mut self,
        ctx: &mut Context<'_>,
        sealer: &mut Sealer,
        (partition, me): (&Partition, BrokerIndex),
    ) {
        if self.leaving {
            return self.go_on_leaving(ctx);
        }
        self.tell_left(ctx);
        let holds_nothing = self.sealed_epoch == 0 && self.lanes.is_empty();
        let is_superfluous = || {
            former::is_superfluous(ctx.view, partition, me)
                && sealer.is_settled(ctx.view, partition.sealed_epoch)
                && former::holds_nothing_open(ctx.view, partition.sealed_epoch, self.lanes.values())
        };
        if holds_nothing || !(ctx.rules.has(Bug::DropsBeforeHandover) || is_superfluous()) {
            return;
        }
        ctx.mark(Rare::PartitionLeft);
        ctx.trace(Trace::PartitionLeft(self.partition));
        sealer.forget_up_to(ctx, Epoch::MAX);
        // What was promised stays promised: earlier epochs are closed, and no append index is given out again.
        *self = Self {
            lanes: core::mem::take(&mut self.lanes),
            open_epoch: self.open_epoch,
            opened_epoch: self.opened_epoch,
            quarantine: self.quarantine,
            last_index: self.last_index,
            counts_anew: self.counts_anew,
            resting: true,
            leaving: true,
            left_index: self.last_index,
            ..Self::empty(self.partition)
        };
        self.write_own_row(ctx);
    }

    /// Whether rows of what was given back are still here. Until they are gone nothing is taken in.
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Whether everything was given back and nothing has come since.
    pub fn has_left(&self) -> bool {
        self.leaving || self.resting && self.left_index > 0 && self.sealed_epoch == 0 && self.lanes.is_empty()
    }

    /// Has some more rows go; the cuts once all others are gone.
    pub fn go_on_leaving(&mut self, ctx: &mut Context<'_>) {
        let partition = self.partition;
        for _ in 0..FORMER_LANES {
            let Some((id, lane)) = self.lanes.pop_first() else { break };
            ctx.write(Record::Remove { table: Table::Lane, key: lane_key(partition, &id) });
            ctx.write(Record::Remove { table: Table::Evidence, key: lane_key(partition, &id) });
            for mark in &lane.marks {
                let key = rows::mark_key(partition, &id, mark.header.header.next_sequence());
                ctx.write(Record::Remove { table: Table::Mark, key });
            }
        }
        if self.lanes.is_empty() {
            ctx.after_write(After::RowsLeft(partition));
        }
    }

    /// Every write so far is on disk: what cuts are left there?
    pub fn look_for_cuts(&self, ctx: &mut Context<'_>) {
        let prefix = rows::partition_key(self.partition);
        let query = Query::Rows { table: Table::Cut, prefix, after: alloc::vec::Vec::new() };
        ctx.read(Purpose::Leaving(self.partition), query, CUTS_BYTES);
    }

    /// The cuts of these epochs are still on disk. If none is, that was all, and the log may drop the batches.
    pub fn drop_cuts(&mut self, ctx: &mut Context<'_>, epochs: &[Epoch]) {
        if !self.leaving || !self.lanes.is_empty() {
            return;
        }
        for epoch in epochs {
            ctx.write(Record::Remove { table: Table::Cut, key: rows::cut_key(self.partition, *epoch) });
        }
        if epochs.is_empty() {
            self.leaving = false;
            self.write_own_row(ctx);
            self.tell_left(ctx);
        }
    }

    /// Tells the log, once a process, to drop what was given back.
    pub(super) fn tell_left(&mut self, ctx: &mut Context<'_>) {
        if self.left_index > 0 && !self.leaving && !self.left_told {
            self.left_told = true;
            let (partition, up_to_index) = (self.partition, self.left_index);
            ctx.expire(Expiry { partition, slot: None, before_ms: u64::MAX, up_to_index });
        }
    }

    /// A lane begins that may have been given back here, and the log may not have dropped it yet.
    pub(super) fn make_way(&self, ctx: &mut Context<'_>, first: &Header, lane: LaneId) {
        if self.left_index > 0 && first.sequence == 0 {
            ctx.mark(Rare::LaneAfterLeaving);
            ctx.write(Record::Truncate { partition: self.partition, lane, from: 0 });
        }
    }
}
