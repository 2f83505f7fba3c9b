//! Subscriptions: history, then what came meanwhile, then the live flow, with no seam (WP 2.4.4).
//!
//! ```text
//!   Opening ─ feed open at index i ─► History up to i ─► Behind: append order after i ─► Live
//!                                                          ▲                              │
//!                                                          └── window full, message lost ─┘
//!   feed moved to another replica: back to Opening; positions keep every event from coming twice
//! ```
//!
//! For each lane the subscription knows the next sequence to deliver. Whatever comes from wherever is cut down to
//! what is at or after it: so nothing is delivered twice, and within a lane nothing out of order.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Edge, Request};
use crate::batch::{Batch, Header};
use crate::broker::context::Context;
use crate::broker::io::{From, Reply, SessionId};
use crate::ids::{LaneId, StreamId, StreamPartition};
use crate::limits::{HEADER_BYTES, LATEST_SLACK_MS, SUBSCRIPTION_WINDOW_BYTES};
use crate::log::{Chunk, Position, Query, Slice};
use crate::marks::Rare;
use crate::rules::Bug;
use crate::verify::Verified;

/// One client's subscription to partitions of a stream.
#[derive(Clone, Debug)]
pub struct Subscription {
    stream: StreamId,
    tails: BTreeMap<StreamPartition, Tail>,
    outstanding_bytes: u64,
}

/// How far one stream partition of a subscription is.
#[derive(Clone, Debug)]
struct Tail {
    phase: Phase,
    from: From,
    /// A little before the subscription began, for lanes that one from now on has got nothing of yet: events on their
    /// way when it began are rather delivered than lost when the feed moves.
    begun_ms: u64,
    /// Where history begins: never after an event that was delivered, for what follows it must not be missed.
    start: Position,
    /// Whether the first history is skipped, because only what is new is wanted.
    skips_history: bool,
    positions: BTreeMap<LaneId, u64>,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The feed has not said where it is.
    Opening,
    /// Reading events in canonical order, up to the feed's index at opening.
    History { next: Option<Query>, then_after: u64 },
    /// Reading batches in append order after this index. While an answer is on the way, `asked` is the feed's index
    /// when it was asked for: the answer holds everything up to there.
    Behind { after_index: u64, asked: Option<u64> },
    /// Attached to the feed.
    Live,
}

impl Subscription {
    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = StreamPartition> + '_ {
        self.tails.keys().copied()
    }

    pub(super) fn taken(&mut self, bytes: u64) {
        self.outstanding_bytes = self.outstanding_bytes.saturating_sub(bytes);
    }

    fn has_room(&self) -> bool {
        self.outstanding_bytes < SUBSCRIPTION_WINDOW_BYTES
    }
}

impl Tail {
    /// How many of a batch's events the client has already, counted from `first`; moves the position past them all.
    fn skip(&mut self, lane: LaneId, first_sequence: u64, count: u64) -> u64 {
        let position = self.positions.entry(lane).or_insert(first_sequence);
        let skipped = position.saturating_sub(first_sequence).min(count);
        *position = (*position).max(first_sequence + count);
        skipped
    }

    /// Events before this time are not delivered. What is asked for from a time begins there wherever it comes from;
    /// what is asked for from now on is whatever arrives, so that only history, of lanes not seen yet, is too old.
    fn oldest_ms(&self, lane: &LaneId) -> u64 {
        match self.from {
            From::All => 0,
            From::Time(ms) => ms,
            From::Latest => {
                let in_history = matches!(self.phase, Phase::History { .. });
                if in_history && !self.positions.contains_key(lane) { self.begun_ms } else { 0 }
            }
        }
    }

    fn note_delivered(&mut self, header: &Header) {
        self.start = self.start.min(Position::at(header.first_time_ms));
    }
}

/// How many of the first of these event times lie before `oldest_ms`; times never go back.
fn too_old(oldest_ms: u64, times: impl Iterator<Item = Option<u64>>) -> u32 {
    let before = times.take_while(|time| time.is_some_and(|ms| ms < oldest_ms)).count();
    u32::try_from(before).expect("a batch has fewer events than 2^32")
}

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
        let begun_ms = ctx.now.wall_ms.saturating_sub(LATEST_SLACK_MS);
        let start = match from {
            From::Latest => Position::at(begun_ms),
            From::All => Position::default(),
            From::Time(ms) => Position::at(ms),
        };
        let tails = wanted
            .into_iter()
            .map(|partition| {
                let tail = Tail {
                    phase: Phase::Opening,
                    from,
                    begun_ms,
                    start,
                    skips_history: from == From::Latest,
                    positions: BTreeMap::new(),
                };
                (StreamPartition { stream, partition }, tail)
            })
            .collect::<BTreeMap<_, _>>();
        let slots: Vec<StreamPartition> = tails.keys().copied().collect();
        let subscription = Subscription { stream, tails, outstanding_bytes: 0 };
        self.session(id.0).requests.insert(id.1, Request::Subscribe(subscription));
        for slot in slots {
            if let Some(index) = self.feeds.join(ctx, id, slot) {
                self.on_feed_open(ctx, id, slot, index);
            }
        }
    }

    fn subscription(&mut self, id: (SessionId, u64)) -> Option<&mut Subscription> {
        match self.sessions.get_mut(&id.0)?.requests.get_mut(&id.1)? {
            Request::Subscribe(subscription) => Some(subscription),
            Request::Read(_) => None,
        }
    }

    fn tail(&mut self, id: (SessionId, u64), slot: StreamPartition) -> Option<&mut Tail> {
        self.subscription(id)?.tails.get_mut(&slot)
    }

    /// The feed says where it is: history up to there, then on.
    pub(super) fn on_feed_open(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slot: StreamPartition,
        index: u64,
    ) {
        let partition = ctx.view.home(slot);
        let Some(tail) = self.tail(id, slot) else { return };
        if tail.skips_history || ctx.rules.has(Bug::MoveDropsTail) && !tail.positions.is_empty() {
            // From now on a move to another replica must look back to the start.
            tail.skips_history = false;
            tail.phase = Phase::Live;
            ctx.reply(id.0, Reply::CaughtUp { request: id.1, slot });
            return;
        }
        let to = Position { timestamp_ms: u64::MAX, lane: LaneId([0xff; 32]), sequence: u64::MAX };
        let query = Query::Range { partition, slot, from: tail.start, to, up_to_index: index, origin: None };
        tail.phase = Phase::History { next: Some(query), then_after: index };
        self.pump_slot(ctx, id, slot);
    }

    /// The feed moved to another replica: its indexes mean nothing here.
    pub(super) fn on_feed_lost(&mut self, ctx: &Context<'_>, id: (SessionId, u64), slot: StreamPartition) {
        self.readings.forget_slot(id, slot);
        if let Some(tail) = self.tail(id, slot) {
            tail.phase = Phase::Opening;
            if ctx.rules.has(Bug::DeliversTwiceAfterMove) {
                tail.positions.clear();
            }
        }
    }

    /// Live batches after this index were missed.
    pub(super) fn on_missed(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slot: StreamPartition,
        after_index: u64,
    ) {
        let Some(tail) = self.tail(id, slot) else { return };
        if matches!(tail.phase, Phase::Live) {
            tail.phase = Phase::Behind { after_index, asked: None };
            self.pump_slot(ctx, id, slot);
        }
    }

    /// The client has room again.
    pub(super) fn pump(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64)) {
        let slots: Vec<_> = self.subscription(id).into_iter().flat_map(|s| s.tails.keys().copied()).collect();
        slots.into_iter().for_each(|slot| self.pump_slot(ctx, id, slot));
    }

    fn pump_slot(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), slot: StreamPartition) {
        let partition = ctx.view.home(slot);
        let Some(source) = self.feeds.source(slot) else { return };
        let feed_index = self.feeds.index(slot);
        let Some(subscription) = self.subscription(id).filter(|s| s.has_room()) else { return };
        let Some(tail) = subscription.tails.get_mut(&slot) else { return };
        let query = match &mut tail.phase {
            Phase::History { next, .. } => next.take(),
            Phase::Behind { after_index, asked } if asked.is_none() => {
                *asked = Some(feed_index.unwrap_or(*after_index));
                Some(Query::Append { partition, slot, after_index: *after_index })
            }
            _ => None,
        };
        if let Some(query) = query {
            self.ask_at(ctx, id, slot, query, source);
        }
    }

    /// A part of the history came.
    pub(super) fn on_history(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slot: StreamPartition,
        chunk: Chunk,
    ) {
        let feed_index = self.feeds.index(slot);
        let Some(subscription) = self.subscription(id) else { return };
        let Some(tail) = subscription.tails.get_mut(&slot) else { return };
        let (next, last_index) = (chunk.next.clone(), chunk.last_index);
        let bytes: u64 = chunk.batches.iter().map(|bytes| bytes.len() as u64).sum();
        let offered = chunk.order.len();
        let fresh = cut_down(tail, chunk);
        ctx.mark_if(fresh.order.len() < offered, Rare::DeliveredBefore);
        if !fresh.order.is_empty() {
            subscription.outstanding_bytes += bytes;
            ctx.reply(id.0, Reply::Chunk { request: id.1, slot, chunk: fresh });
        }
        let Some(tail) = self.tail(id, slot) else { return };
        tail.phase = match tail.phase.clone() {
            Phase::History { then_after, .. } => match next {
                Some(next) => Phase::History { next: Some(next), then_after },
                None => Phase::Behind { after_index: then_after, asked: None },
            },
            Phase::Behind { after_index, asked } => {
                let all = asked.filter(|_| next.is_none()).unwrap_or(0);
                let reached = last_index.max(after_index).max(all);
                if next.is_none() && feed_index.is_some_and(|at| reached >= at) {
                    ctx.mark(Rare::CaughtUp);
                    ctx.reply(id.0, Reply::CaughtUp { request: id.1, slot });
                    Phase::Live
                } else {
                    Phase::Behind { after_index: reached, asked: None }
                }
            }
            other => other,
        };
        self.pump_slot(ctx, id, slot);
    }

    /// A live batch goes to a subscription that is attached.
    pub(super) fn deliver_live(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slot: StreamPartition,
        index: u64,
        batch: &Verified<Batch>,
    ) {
        let Some(subscription) = self.subscription(id) else { return };
        let Some(tail) = subscription.tails.get_mut(&slot) else { return };
        if !matches!(tail.phase, Phase::Live) {
            return;
        }
        let header = batch.header();
        let oldest_ms = tail.oldest_ms(&batch.lane());
        let old = too_old(oldest_ms, (0..header.count).map(|index| batch.timestamp_ms(index)));
        let held = tail.skip(batch.lane(), header.sequence, u64::from(header.count));
        let first = old.max(u32::try_from(held).expect("at most the batch's 32-bit count"));
        if first < header.count {
            tail.note_delivered(header);
            ctx.reply(id.0, Reply::Live { request: id.1, slot, batch: batch.clone(), first });
            subscription.outstanding_bytes += batch.bytes().len() as u64;
        }
        if !subscription.has_room()
            && let Some(tail) = subscription.tails.get_mut(&slot)
        {
            ctx.mark(Rare::WindowFull);
            tail.phase = Phase::Behind { after_index: index, asked: None };
        }
    }

    /// A forked lane's events are withdrawn; its sealed ones stay.
    pub(super) fn withdraw(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slot: StreamPartition,
        lane: LaneId,
        from: u64,
    ) {
        let Some(tail) = self.tail(id, slot) else { return };
        if tail.positions.get(&lane).is_some_and(|next| *next > from) {
            tail.positions.insert(lane, from);
            ctx.mark(Rare::WithdrawalTold);
            ctx.reply(id.0, Reply::Withdrawn { request: id.1, lane, from });
        }
    }
}

/// What of a chunk the client does not have yet.
fn cut_down(tail: &mut Tail, chunk: Chunk) -> Chunk {
    let headers: Vec<Option<(LaneId, Header)>> = chunk
        .batches
        .iter()
        .map(|bytes| Header::decode(bytes.get(..HEADER_BYTES)?).ok())
        .map(|header| header.map(|header| (header.lane(), header)))
        .collect();
    let mut order: Vec<Slice> = Vec::with_capacity(chunk.order.len());
    for slice in &chunk.order {
        let Some(Some((lane, header))) = headers.get(slice.batch as usize) else { continue };
        let old = old_of_slice(tail.oldest_ms(lane), header, slice, &chunk);
        if old >= slice.count {
            continue;
        }
        let first_sequence = header.sequence + u64::from(slice.first);
        let held = tail.skip(*lane, first_sequence, u64::from(slice.count));
        let skipped = old.max(u32::try_from(held).expect("at most the slice's 32-bit count"));
        if skipped < slice.count {
            tail.note_delivered(header);
            order.push(Slice {
                batch: slice.batch,
                first: slice.first + skipped,
                count: slice.count - skipped,
            });
        }
    }
    Chunk { order, ..chunk }
}

/// How many events of a slice are too old. The batch is only looked into where its times reach across the bound.
fn old_of_slice(oldest_ms: u64, header: &Header, slice: &Slice, chunk: &Chunk) -> u32 {
    if header.first_time_ms >= oldest_ms {
        return 0;
    }
    if header.last_time_ms < oldest_ms {
        return slice.count;
    }
    let Ok(batch) = Batch::decode(chunk.batches[slice.batch as usize].clone()) else { return slice.count };
    let end = slice.first.saturating_add(slice.count);
    too_old(oldest_ms, (slice.first..end).map(|index| batch.timestamp_ms(index))).min(slice.count)
}
