//! Feeds: one live flow for each stream partition and home that this edge's clients want, from one replica.
//!
//! A replica numbers what it sends; a gap, a silence or another replica in its place makes the edge's subscriptions
//! read what they missed from disk, so a lost message is never a lost event.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::reached::Reached;
use super::survey::Survey;
use super::{Edge, Flow, source};
use crate::batch::Batch;
use crate::broker::context::Context;
use crate::broker::io::SessionId;
use crate::broker::message::Message;
use crate::ids::{Address, LaneId, StreamPartition};
use crate::limits::{FEED_HEARTBEAT_US, FEED_MISSES};
use crate::marks::Rare;
use crate::rules::Bug;
use crate::verify::Verified;

/// Every feed of an edge.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    feeds: BTreeMap<Flow, Feed>,
}

#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) source: Option<Address>,
    attempt: u32,
    /// Append index, at the source, of the last batch seen; `None` until the source has said where it is.
    pub(super) index: Option<u64>,
    misses: u32,
    asked_us: u64,
    pub(super) subscribers: BTreeSet<(SessionId, u64)>,
    pub(super) survey: Survey,
    /// What everybody attached has got from this source.
    pub(super) reached: Reached,
}

impl Feed {
    /// Has the replica with this number of so many be the next one that is followed.
    pub(super) fn turn_to(&mut self, number: u32, of: u32) {
        // A feed that moves takes the one after its last attempt.
        let next = self.attempt + 1;
        self.attempt += (number + of - next % of) % of;
    }

    fn follow(&mut self, ctx: &mut Context<'_>, flow: Flow) {
        self.asked_us = ctx.now.monotonic_us;
        // Once it has said where it is, a source stays the same until the feed moves on: seats may change meanwhile.
        if self.index.is_none() {
            self.source = source(ctx, flow, self.attempt);
        }
        if let Some(source) = self.source {
            ctx.send(source, Message::Follow { partition: flow.home, slot: flow.slot }, &[]);
        }
    }
}

impl Feeds {
    /// A subscription wants a flow; `Some` says from where the running feed goes on.
    pub(super) fn join(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        from_now: bool,
    ) -> Option<u64> {
        let feed = self.feeds.entry(flow).or_insert_with(|| {
            let mut feed = Feed {
                source: None,
                attempt: 0,
                index: None,
                misses: 0,
                asked_us: 0,
                subscribers: BTreeSet::new(),
                survey: Survey::new(),
                reached: Reached::default(),
            };
            feed.follow(ctx, flow);
            feed
        });
        feed.subscribers.insert(id);
        feed.survey.concerns(from_now, ctx.view.epoch());
        feed.index
    }

    pub(super) fn leave(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flows: impl Iterator<Item = Flow>,
    ) {
        for flow in flows {
            let Some(feed) = self.feeds.get_mut(&flow) else { continue };
            feed.subscribers.remove(&id);
            if feed.subscribers.is_empty() {
                if let Some(source) = feed.source {
                    ctx.send(source, Message::Unfollow { partition: flow.home, slot: flow.slot }, &[]);
                }
                self.feeds.remove(&flow);
            }
        }
    }

    /// A feed, if anybody wants it.
    pub(super) fn get_mut(&mut self, flow: Flow) -> Option<&mut Feed> {
        self.feeds.get_mut(&flow)
    }

    /// Feeds that have opened: what they bring can be compared.
    pub(super) fn surveyed(&mut self) -> impl Iterator<Item = (Flow, &mut Feed)> {
        self.feeds.iter_mut().filter(|(_, feed)| feed.index.is_some()).map(|(flow, feed)| (*flow, feed))
    }

    /// Where a feed is, for a subscription about to join the live flow.
    pub(super) fn index(&self, flow: Flow) -> Option<u64> {
        self.feeds.get(&flow).and_then(|feed| feed.index)
    }

    /// Whether a feed has not opened and its first replica may still answer.
    pub(super) fn is_opening(&self, flow: Flow) -> bool {
        self.feeds.get(&flow).is_some_and(|feed| feed.index.is_none() && feed.attempt == 0)
    }

    /// The stream partitions that are followed, and who wants them.
    pub(super) fn followed(&self) -> BTreeMap<StreamPartition, BTreeSet<(SessionId, u64)>> {
        let mut followed: BTreeMap<StreamPartition, BTreeSet<_>> = BTreeMap::new();
        for (flow, feed) in &self.feeds {
            followed.entry(flow.slot).or_default().extend(&feed.subscribers);
        }
        followed
    }

    /// The replica that a feed's subscriptions read from: its indexes mean nothing at another one.
    pub(super) fn source(&self, flow: Flow) -> Option<Address> {
        self.feeds.get(&flow).and_then(|feed| feed.source)
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.feeds.values().map(|feed| feed.asked_us + FEED_HEARTBEAT_US).min()
    }
}

impl Edge {
    /// A replica says from where it is followed.
    pub fn on_following(&mut self, ctx: &mut Context<'_>, from: Address, flow: Flow, index: u64) {
        let Some(feed) = self.feeds.feeds.get_mut(&flow).filter(|feed| feed.source == Some(from)) else {
            return;
        };
        feed.misses = 0;
        let before = feed.index.replace(index);
        let subscribers: Vec<_> = feed.subscribers.iter().copied().collect();
        match before {
            None => subscribers.into_iter().for_each(|id| self.on_feed_open(ctx, id, flow, index)),
            Some(before) if before < index => {
                subscribers.into_iter().for_each(|id| self.on_missed(ctx, id, flow, before));
            }
            Some(before) if before > index => {
                // The source lost its count, as after a restart: what it says now does not continue what was.
                ctx.mark(Rare::FeedRestarted);
                self.restart_feed(ctx, flow);
            }
            Some(_) => {}
        }
    }

    /// A live batch came.
    pub fn on_live(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        flow: Flow,
        previous_index: u64,
        index: u64,
        batch: &Verified<Batch>,
    ) {
        let Some(feed) = self.feeds.feeds.get_mut(&flow).filter(|feed| feed.source == Some(from)) else {
            return;
        };
        feed.misses = 0;
        let Some(at) = feed.index else { return };
        if index <= at || batch.header().slot() != flow.slot {
            return;
        }
        feed.index = Some(index);
        let subscribers: Vec<_> = feed.subscribers.iter().copied().collect();
        let mut truthful = true;
        for id in subscribers {
            if previous_index > at && !ctx.rules.has(Bug::DeliversPastGap) {
                ctx.mark(Rare::LiveMissed);
                self.on_missed(ctx, id, flow, at);
            } else {
                truthful &= self.deliver_live(ctx, id, flow, index, batch);
            }
        }
        if !truthful {
            self.leave_source(ctx, flow);
        } else if previous_index <= at
            && let Some(feed) = self.feeds.get_mut(flow)
        {
            feed.reached.note(batch.lane(), batch.header().next_sequence(), index);
        }
    }

    /// A replica says that a lane forked.
    pub fn on_withdrawn(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        flow: Flow,
        lane: LaneId,
        sequence: u64,
    ) {
        let Some(feed) = self.feeds.feeds.get_mut(&flow).filter(|feed| feed.source == Some(from)) else {
            return;
        };
        feed.reached.forget(&lane);
        let subscribers: Vec<_> = feed.subscribers.iter().copied().collect();
        subscribers.into_iter().for_each(|id| self.withdraw(ctx, id, flow, lane, sequence));
    }

    /// Follows again, to hear of silence, and another replica where it lasts.
    pub(super) fn retry_feeds(&mut self, ctx: &mut Context<'_>) {
        let now_us = ctx.now.monotonic_us;
        let overdue = |feed: &Feed| now_us >= feed.asked_us + FEED_HEARTBEAT_US;
        let due: Vec<Flow> =
            self.feeds.feeds.iter().filter(|(_, feed)| overdue(feed)).map(|(flow, _)| *flow).collect();
        for flow in due {
            let Some(feed) = self.feeds.feeds.get_mut(&flow) else { continue };
            feed.misses += 1;
            if feed.misses > FEED_MISSES {
                self.restart_feed(ctx, flow);
            } else {
                feed.follow(ctx, flow);
                self.check_doubts(ctx, flow);
            }
        }
    }

    /// The source leaves out what comes next in a lane: it does not tell the truth.
    pub(super) fn leave_source(&mut self, ctx: &mut Context<'_>, flow: Flow) {
        ctx.mark(Rare::FeedLied);
        self.restart_feed(ctx, flow);
    }

    /// Follows the next replica; subscriptions begin again there, and get nothing twice.
    pub(super) fn restart_feed(&mut self, ctx: &mut Context<'_>, flow: Flow) {
        let Some(feed) = self.feeds.feeds.get_mut(&flow) else { return };
        ctx.mark(Rare::FeedMoved);
        feed.attempt += 1;
        feed.misses = 0;
        feed.index = None;
        feed.reached = Reached::default();
        feed.follow(ctx, flow);
        let subscribers: Vec<_> = feed.subscribers.iter().copied().collect();
        subscribers.into_iter().for_each(|id| self.on_feed_lost(ctx, id, flow));
    }
}
