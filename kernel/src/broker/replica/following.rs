//! The live flow from a replica to the edges that follow a stream partition (WP 2.4.4).

use super::Replica;
use crate::batch::Batch;
use crate::broker::context::Context;
use crate::broker::message::Message;
use crate::ids::{Address, LaneId, StreamPartition};
use crate::limits::{FOLLOWER_LIFE_US, MAX_FOLLOWERS};
use crate::log::Query;
use crate::verify::Verified;

impl Replica {
    /// A question as this replica answers it: from what it has now.
    pub fn pinned(&self, query: Query) -> Query {
        query.pinned(self.last_index)
    }

    /// An edge wants every batch of a stream partition from now on. Idempotent: the answer says from where.
    /// A replica that may have missed something does not answer, nor does one asked for what is not kept here.
    pub fn on_follow(&mut self, ctx: &mut Context<'_>, edge: Address, slot: StreamPartition) {
        let exists = ctx.view.stream(slot.stream).is_some_and(|stream| slot.partition < stream.partitions);
        // Partitions are added and never taken away, so what was a home once is one for good.
        let is_home = self.followers.contains_key(&slot)
            || ctx.view.homes(slot).iter().any(|home| home.partition == self.partition);
        if !exists || !is_home || !self.may_serve(ctx.view) {
            return;
        }
        let now_us = ctx.now.monotonic_us;
        let followers = self.followers.entry(slot).or_default();
        followers.retain(|_, seen_us| now_us < *seen_us + FOLLOWER_LIFE_US);
        if followers.len() >= MAX_FOLLOWERS && !followers.contains_key(&edge) {
            return;
        }
        followers.insert(edge, now_us);
        let index = *self.slot_index.entry(slot).or_insert(self.last_index);
        let partition = self.partition;
        ctx.send(edge, Message::Following { partition, slot, index }, &[]);
        // Word of a withdrawal may have been lost: it is said again for as long as the lane is remembered.
        for (lane, from) in self.withdrawn.get(&slot).into_iter().flatten() {
            ctx.send(edge, Message::Withdrawn { partition, slot, lane: *lane, from: *from }, &[]);
        }
    }

    /// An edge wants no more of it.
    pub fn on_unfollow(&mut self, edge: Address, slot: StreamPartition) {
        if let Some(followers) = self.followers.get_mut(&slot) {
            followers.remove(&edge);
        }
    }

    /// Passes a batch on that was just appended.
    pub(super) fn push_live(
        &mut self,
        ctx: &mut Context<'_>,
        slot: StreamPartition,
        index: u64,
        batch: &Verified<Batch>,
    ) {
        let previous_index = self.slot_index.insert(slot, index).unwrap_or(index - 1);
        let Some(followers) = self.followers.get(&slot) else { return };
        for edge in followers.keys() {
            let message = Message::Live { partition: self.partition, slot, previous_index, index };
            ctx.send(*edge, message, core::slice::from_ref(batch));
        }
    }

    /// Tells followers that events of a forked lane do not count.
    pub(super) fn push_withdrawn(
        &mut self,
        ctx: &mut Context<'_>,
        slot: StreamPartition,
        lane: LaneId,
        from: u64,
    ) {
        self.withdrawn.entry(slot).or_default().insert(lane, from);
        self.say_withdrawn(ctx, slot, lane, from);
    }

    /// Tells followers, once, that events do not count: others of the same lane may come in their place.
    pub(super) fn say_withdrawn(
        &mut self,
        ctx: &mut Context<'_>,
        slot: StreamPartition,
        lane: LaneId,
        from: u64,
    ) {
        let Some(followers) = self.followers.get(&slot) else { return };
        for edge in followers.keys() {
            let message = Message::Withdrawn { partition: self.partition, slot, lane, from };
            ctx.send(*edge, message, &[]);
        }
    }
}
