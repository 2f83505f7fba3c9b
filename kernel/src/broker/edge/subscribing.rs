//! Subscriptions: history, then what came meanwhile, then the live flow, with no seam (WP 2.4.4).
//!
//! What was delivered, and so what is next, is the matter of [`tails`](super::tails); here it is asked for, taken in
//! and passed on.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::answers::END;
use super::merge::Part;
use super::tails::{History, Phase, Subscription, Tail, Track};
use super::{Edge, Flow, Request, is_quiet};
use crate::batch::Batch;
use crate::broker::context::Context;
use crate::broker::io::{From, Reply, SessionId};
use crate::broker::retention::is_bounded;
use crate::coordinator::State;
use crate::ids::{LaneId, StreamId, StreamPartition};
use crate::limits::LATEST_SLACK_MS;
use crate::log::{Chunk, Query};
use crate::marks::Rare;
use crate::rules::Bug;
use crate::verify::Verified;

impl Edge {
    pub(super) fn begin_subscription(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        stream: StreamId,
        partitions: Vec<u32>,
        from: From,
    ) {
        let count = ctx.view.stream(stream).map_or(0, |s| s.partitions);
        let wanted: Vec<u32> = if partitions.is_empty() { (0..count).collect() } else { partitions };
        let track = |partition| {
            let slot = StreamPartition { stream, partition };
            let homes = ctx.view.homes(slot);
            let begun_ms = believed_ms(ctx.now.wall_ms, ctx.view).saturating_sub(LATEST_SLACK_MS);
            let mut track = Track::new(from, begun_ms, ctx.view.height);
            for home in &homes {
                track.add_home(home.partition, is_quiet(ctx.view, &homes, home.partition));
            }
            (slot, track)
        };
        let tracks = wanted.into_iter().map(track).collect();
        let subscription = Subscription { stream, tracks, outstanding_bytes: 0 };
        let flows: Vec<Flow> = subscription.flows().collect();
        self.session(id.0).requests.insert(id.1, Request::Subscribe(subscription));
        flows.into_iter().for_each(|flow| self.join(ctx, id, flow));
    }

    fn join(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), flow: Flow) {
        let from_now = self.tail(id, flow).is_some_and(|tail| tail.skips_history);
        if let Some(index) = self.feeds.join(ctx, id, flow, from_now) {
            self.on_feed_open(ctx, id, flow, index);
        }
    }

    /// An epoch begins: it may give stream partitions new homes, and end what old ones had to give; and other replicas
    /// are asked what moved.
    pub(super) fn enter_epoch(&mut self, ctx: &mut Context<'_>) {
        let epoch = ctx.view.epoch();
        if core::mem::replace(&mut self.entered_epoch, epoch) == epoch {
            return;
        }
        self.follow_homes(ctx);
        self.survey(ctx);
    }

    fn follow_homes(&mut self, ctx: &mut Context<'_>) {
        for (slot, subscriptions) in self.feeds.followed() {
            let homes = ctx.view.homes(slot);
            for id in subscriptions {
                for home in homes.iter().map(|home| home.partition) {
                    let flow = Flow { slot, home };
                    let Some(track) = self.track(id, slot) else { continue };
                    if !track.tails.contains_key(&home) {
                        track.add_new_home(home);
                        self.join(ctx, id, flow);
                    }
                    self.end_if_quiet(ctx, id, flow);
                }
            }
        }
    }

    /// A home that has given everything and gets no more is not followed.
    fn end_if_quiet(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), flow: Flow) {
        let quiet = is_quiet(ctx.view, &ctx.view.homes(flow.slot), flow.home);
        let is_live = |tail: &&mut Tail| matches!(tail.phase, Phase::Live { .. });
        let Some(tail) = self.tail(id, flow).filter(is_live).filter(|_| quiet) else { return };
        tail.phase = Phase::Over;
        self.feeds.leave(ctx, id, core::iter::once(flow));
    }

    fn subscription(&mut self, id: (SessionId, u64)) -> Option<&mut Subscription> {
        match self.sessions.get_mut(&id.0)?.requests.get_mut(&id.1)? {
            Request::Subscribe(subscription) => Some(subscription),
            Request::Read(_) => None,
        }
    }

    fn track(&mut self, id: (SessionId, u64), slot: StreamPartition) -> Option<&mut Track> {
        self.subscription(id)?.tracks.get_mut(&slot)
    }

    fn tail(&mut self, id: (SessionId, u64), flow: Flow) -> Option<&mut Tail> {
        self.track(id, flow.slot)?.tails.get_mut(&flow.home)
    }

    /// The feed says where it is: history up to there, then on.
    pub(super) fn on_feed_open(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        index: u64,
    ) {
        let drops = ctx.rules.has(Bug::MoveDropsTail)
            && self.track(id, flow.slot).is_some_and(|track| track.has_delivered());
        let Some(tail) = self.tail(id, flow) else { return };
        if tail.skips_history || drops {
            // From now on a move to another replica must look back to the start.
            tail.skips_history = false;
            return self.attach(ctx, id, flow);
        }
        let Flow { slot, home: partition } = flow;
        let query =
            Query::Range { partition, slot, from: tail.start, to: END, up_to_index: index, origin: None };
        let (part, next) = (Part::default(), Some(query));
        let history = History { part, next, asked: false, then_after: index };
        tail.phase = Phase::History(Box::new(history));
        self.pump_slot(ctx, id, slot);
    }

    /// A flow is live from here on.
    fn attach(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), flow: Flow) {
        let since_index = self.feeds.index(flow).unwrap_or(u64::MAX);
        let Some(track) = self.track(id, flow.slot) else { return };
        if let Some(tail) = track.tails.get_mut(&flow.home) {
            tail.phase = Phase::Live { since_index };
        }
        if track.is_caught_up() {
            track.note_caught_up(believed_ms(ctx.now.wall_ms, ctx.view));
            ctx.mark(Rare::CaughtUp);
            ctx.reply(id.0, Reply::CaughtUp { request: id.1, slot: flow.slot });
        }
        self.end_if_quiet(ctx, id, flow);
    }

    /// The feed moved to another replica: its indexes mean nothing here.
    pub(super) fn on_feed_lost(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), flow: Flow) {
        self.readings.forget_flow(id, flow);
        if let Some(tail) = self.tail(id, flow) {
            tail.phase = Phase::Opening;
        }
        if ctx.rules.has(Bug::DeliversTwiceAfterMove)
            && let Some(track) = self.track(id, flow.slot)
        {
            track.forget();
        }
        // The others need not wait for it.
        self.pump_slot(ctx, id, flow.slot);
    }

    /// Live batches after this index were missed.
    pub(super) fn on_missed(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        after_index: u64,
    ) {
        let Some(tail) = self.tail(id, flow) else { return };
        if matches!(tail.phase, Phase::Live { .. }) {
            tail.phase = Phase::Behind { after_index, asked: None };
            self.pump_slot(ctx, id, flow.slot);
        }
    }

    /// The client has room again.
    pub(super) fn pump(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64)) {
        let slots: Vec<_> =
            self.subscription(id).into_iter().flat_map(|s| s.tracks.keys().copied()).collect();
        slots.into_iter().for_each(|slot| self.pump_slot(ctx, id, slot));
    }

    /// Passes on what of the histories is in order, and asks for what is next.
    fn pump_slot(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), slot: StreamPartition) {
        self.deliver_history(ctx, id, slot);
        let Some(subscription) = self.subscription(id).filter(|s| s.has_room()) else { return };
        let Some(track) = subscription.tracks.get(&slot) else { return };
        let homes: Vec<_> = track.tails.keys().copied().collect();
        homes.into_iter().for_each(|home| self.ask_next(ctx, id, Flow { slot, home }));
    }

    fn deliver_history(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), slot: StreamPartition) {
        loop {
            let open = self.sessions.get_mut(&id.0).and_then(|session| session.requests.get_mut(&id.1));
            let Some(Request::Subscribe(subscription)) = open else { return };
            let Some(track) = subscription.tracks.get_mut(&slot) else { return };
            let feeds = &self.feeds;
            let chunk = track.next_history(|home| feeds.is_opening(Flow { slot, home }));
            track.end_histories();
            let Some(chunk) = chunk else { return };
            if !chunk.order.is_empty() {
                let bytes: u64 = chunk.batches.iter().map(|bytes| bytes.len() as u64).sum();
                subscription.outstanding_bytes += bytes;
                ctx.reply(id.0, Reply::Chunk { request: id.1, slot, chunk });
            }
        }
    }

    fn ask_next(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), flow: Flow) {
        let Some(source) = self.feeds.source(flow) else { return };
        let feed_index = self.feeds.index(flow);
        let Flow { slot, home: partition } = flow;
        let Some(track) = self.track(id, slot) else { return };
        let waits = track.has_history();
        let Some(tail) = track.tails.get_mut(&partition) else { return };
        let query = match &mut tail.phase {
            Phase::History(history) if history.part.is_empty() => {
                let next = history.next.take();
                history.asked |= next.is_some();
                next
            }
            Phase::Behind { after_index, asked } if asked.is_none() && !waits => {
                *asked = Some(feed_index.unwrap_or(*after_index));
                Some(Query::Append { partition, slot, after_index: *after_index })
            }
            _ => None,
        };
        if let Some(query) = query {
            self.ask_at(ctx, id, flow, query, source);
        }
    }

    /// A part of what a subscription lacks came.
    pub(super) fn on_history(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        chunk: Chunk,
    ) {
        let gaps = self.track(id, flow.slot).map_or_else(Vec::new, |track| track.gaps_in(&chunk));
        if !self.believes(ctx, id, flow, &gaps) {
            return self.leave_source(ctx, flow);
        }
        match self.tail(id, flow).map(|tail| &mut tail.phase) {
            Some(Phase::History(history)) => {
                history.next = chunk.next.clone();
                history.asked = false;
                history.part = Part::new(chunk);
            }
            Some(Phase::Behind { .. }) => self.on_appended(ctx, id, flow, chunk),
            _ => {}
        }
        self.pump_slot(ctx, id, flow.slot);
    }

    /// Batches came that were appended since the history was read, or since live ones were missed.
    fn on_appended(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), flow: Flow, chunk: Chunk) {
        let feed_index = self.feeds.index(flow);
        let (over, last_index) = (chunk.next.is_none(), chunk.last_index);
        let Some(subscription) = self.subscription(id) else { return };
        let Some(track) = subscription.tracks.get_mut(&flow.slot) else { return };
        let bytes: u64 = chunk.batches.iter().map(|bytes| bytes.len() as u64).sum();
        let offered = chunk.order.len();
        let fresh = track.cut_down(chunk, false);
        ctx.mark_if(fresh.order.len() < offered, Rare::DeliveredBefore);
        if !fresh.order.is_empty() {
            subscription.outstanding_bytes += bytes;
            ctx.reply(id.0, Reply::Chunk { request: id.1, slot: flow.slot, chunk: fresh });
        }
        let Some(tail) = self.tail(id, flow) else { return };
        let Phase::Behind { after_index, asked } = &mut tail.phase else { return };
        let all = asked.take().filter(|_| over).unwrap_or(0);
        *after_index = last_index.max(*after_index).max(all);
        if over && feed_index.is_some_and(|at| *after_index >= at) {
            self.attach(ctx, id, flow);
        }
    }

    /// A live batch goes to a subscription that is attached. False if it cannot, for something before it in its lane
    /// never came: then its source does not tell the truth.
    pub(super) fn deliver_live(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        index: u64,
        batch: &Verified<Batch>,
    ) -> bool {
        let Some(track) = self.track(id, flow.slot) else { return true };
        if !track.tails.get(&flow.home).is_some_and(|tail| matches!(tail.phase, Phase::Live { .. })) {
            return true;
        }
        if let Some(gap) = track.gap_before(batch)
            && !self.believes(ctx, id, flow, &[gap])
        {
            return false;
        }
        let Some(subscription) = self.subscription(id) else { return true };
        let Some(track) = subscription.tracks.get_mut(&flow.slot) else { return true };
        if let Some(first) = track.first_of_live(batch) {
            subscription.outstanding_bytes += batch.bytes().len() as u64;
            let (request, slot, batch) = (id.1, flow.slot, batch.clone());
            ctx.reply(id.0, Reply::Live { request, slot, batch, first });
        }
        if !subscription.has_room()
            && let Some(tail) = self.tail(id, flow)
        {
            ctx.mark(Rare::WindowFull);
            tail.phase = Phase::Behind { after_index: index, asked: None };
        }
        true
    }

    /// Whether what a flow's source leaves out is not kept any more, as far as that is known: without a bound on how
    /// long a stream is kept it never is.
    fn believes(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        gaps: &[(LaneId, u64)],
    ) -> bool {
        if gaps.is_empty() || trusts_sources(ctx) {
            return true;
        }
        let bounded = ctx.view.stream(flow.slot.stream).is_some_and(|stream| is_bounded(stream.retention()));
        let Some(source) = self.feeds.source(flow).filter(|_| bounded) else { return false };
        let liars = ctx.view.params.liars();
        let gone = self.track(id, flow.slot).is_some_and(|track| track.believes_gone(source, gaps, liars));
        ctx.mark_if(gone, Rare::GapBelieved);
        gone
    }

    /// A forked lane's events are withdrawn; its sealed ones stay.
    pub(super) fn withdraw(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        lane: LaneId,
        from: u64,
    ) {
        if self.track(id, flow.slot).is_some_and(|track| track.withdraw(lane, from)) {
            ctx.mark(Rare::WithdrawalTold);
            ctx.reply(id.0, Reply::Withdrawn { request: id.1, lane, from });
        }
    }
}

/// The time by this broker's clock; by the newest block where the clock is further ahead of that than blocks are late.
/// What a subscription from now on has missed is looked for from there: a clock that is fast must not hide it.
fn believed_ms(wall_ms: u64, view: &State) -> u64 {
    let block_ms = view.timestamp_s.saturating_mul(1_000);
    if wall_ms > block_ms.saturating_add(LATEST_SLACK_MS) { block_ms } else { wall_ms }
}

/// Whether what a source leaves out goes unnoticed: with mistakes that the look would hide.
pub(super) fn trusts_sources(ctx: &Context<'_>) -> bool {
    let blind =
        [Bug::DeliversPastGap, Bug::DeliversTwiceAfterMove, Bug::MoveDropsTail, Bug::CountsOnFromDisk];
    blind.into_iter().any(|bug| ctx.rules.has(bug))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::{Contracts, Params};

    #[test]
    fn a_clock_is_believed_that_is_not_far_ahead_of_the_chain() {
        let view = State { timestamp_s: 5_000, ..State::new(1, Contracts::default(), Params::default()) };
        let latest_ms = 5_000_000 + LATEST_SLACK_MS;
        assert_eq!(believed_ms(4_000_000, &view), 4_000_000, "what is too early is only read in vain");
        assert_eq!(believed_ms(latest_ms, &view), latest_ms);
        assert_eq!(believed_ms(latest_ms + 1, &view), 5_000_000);
    }
}
