//! Feeds: one live flow for each stream partition that this edge's clients want, from one replica.
//!
//! A replica numbers what it sends; a gap, a silence or another replica in its place makes the edge's subscriptions
//! read what they missed from disk, so a lost message is never a lost event.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Edge, source};
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
    feeds: BTreeMap<StreamPartition, Feed>,
}

#[derive(Clone, Debug)]
struct Feed {
    source: Option<Address>,
    attempt: u32,
    /// Append index, at the source, of the last batch seen; `None` until the source has said where it is.
    index: Option<u64>,
    misses: u32,
    asked_us: u64,
    subscribers: BTreeSet<(SessionId, u64)>,
}

impl Feed {
    fn follow(&mut self, ctx: &mut Context<'_>, slot: StreamPartition) {
        self.asked_us = ctx.now.monotonic_us;
        // Once it has said where it is, a source stays the same until the feed moves on: seats may change meanwhile.
        if self.index.is_none() {
            self.source = source(ctx, slot, self.attempt);
        }
        if let Some(source) = self.source {
            ctx.send(source, Message::Follow { slot }, &[]);
        }
    }
}

impl Feeds {
    /// A subscription wants a stream partition; `Some` says from where the running feed goes on.
    pub(super) fn join(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slot: StreamPartition,
    ) -> Option<u64> {
        let feed = self.feeds.entry(slot).or_insert_with(|| {
            let mut feed = Feed {
                source: None,
                attempt: 0,
                index: None,
                misses: 0,
                asked_us: 0,
                subscribers: BTreeSet::new(),
            };
            feed.follow(ctx, slot);
            feed
        });
        feed.subscribers.insert(id);
        feed.index
    }

    pub(super) fn leave(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slots: impl Iterator<Item = StreamPartition>,
    ) {
        for slot in slots {
            let Some(feed) = self.feeds.get_mut(&slot) else { continue };
            feed.subscribers.remove(&id);
            if feed.subscribers.is_empty() {
                if let Some(source) = feed.source {
                    ctx.send(source, Message::Unfollow { slot }, &[]);
                }
                self.feeds.remove(&slot);
            }
        }
    }

    /// Where a feed is, for a subscription about to join the live flow.
    pub(super) fn index(&self, slot: StreamPartition) -> Option<u64> {
        self.feeds.get(&slot).and_then(|feed| feed.index)
    }

    /// The replica that a feed's subscriptions read from: its indexes mean nothing at another one.
    pub(super) fn source(&self, slot: StreamPartition) -> Option<Address> {
        self.feeds.get(&slot).and_then(|feed| feed.source)
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.feeds.values().map(|feed| feed.asked_us + FEED_HEARTBEAT_US).min()
    }
}

impl Edge {
    /// A replica says from where it is followed.
    pub fn on_following(&mut self, ctx: &mut Context<'_>, from: Address, slot: StreamPartition, index: u64) {
        let Some(feed) = self.feeds.feeds.get_mut(&slot).filter(|feed| feed.source == Some(from)) else {
            return;
        };
        feed.misses = 0;
        let before = feed.index.replace(index);
        let subscribers: Vec<_> = feed.subscribers.iter().copied().collect();
        match before {
            None => subscribers.into_iter().for_each(|id| self.on_feed_open(ctx, id, slot, index)),
            Some(before) if before < index => {
                subscribers.into_iter().for_each(|id| self.on_missed(ctx, id, slot, before));
            }
            Some(before) if before > index => {
                // The source lost its count, as after a restart: what it says now does not continue what was.
                ctx.mark(Rare::FeedRestarted);
                self.restart_feed(ctx, slot);
            }
            Some(_) => {}
        }
    }

    /// A live batch came.
    pub fn on_live(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        slot: StreamPartition,
        previous_index: u64,
        index: u64,
        batch: &Verified<Batch>,
    ) {
        let Some(feed) = self.feeds.feeds.get_mut(&slot).filter(|feed| feed.source == Some(from)) else {
            return;
        };
        feed.misses = 0;
        let Some(at) = feed.index else { return };
        if index <= at || batch.header().slot() != slot {
            return;
        }
        feed.index = Some(index);
        let subscribers: Vec<_> = feed.subscribers.iter().copied().collect();
        for id in subscribers {
            if previous_index > at && !ctx.rules.has(Bug::DeliversPastGap) {
                ctx.mark(Rare::LiveMissed);
                self.on_missed(ctx, id, slot, at);
            } else {
                self.deliver_live(ctx, id, slot, index, batch);
            }
        }
    }

    /// A replica says that a lane forked.
    pub fn on_withdrawn(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        slot: StreamPartition,
        lane: LaneId,
        sequence: u64,
    ) {
        let Some(feed) = self.feeds.feeds.get(&slot).filter(|feed| feed.source == Some(from)) else { return };
        let subscribers: Vec<_> = feed.subscribers.iter().copied().collect();
        subscribers.into_iter().for_each(|id| self.withdraw(ctx, id, slot, lane, sequence));
    }

    /// Follows again, to hear of silence, and another replica where it lasts.
    pub(super) fn retry_feeds(&mut self, ctx: &mut Context<'_>) {
        let now_us = ctx.now.monotonic_us;
        let overdue = |feed: &Feed| now_us >= feed.asked_us + FEED_HEARTBEAT_US;
        let due: Vec<StreamPartition> =
            self.feeds.feeds.iter().filter(|(_, feed)| overdue(feed)).map(|(slot, _)| *slot).collect();
        for slot in due {
            let Some(feed) = self.feeds.feeds.get_mut(&slot) else { continue };
            feed.misses += 1;
            if feed.misses > FEED_MISSES {
                self.restart_feed(ctx, slot);
            } else {
                feed.follow(ctx, slot);
            }
        }
    }

    /// Follows the next replica; subscriptions begin again there, and get nothing twice.
    pub(super) fn restart_feed(&mut self, ctx: &mut Context<'_>, slot: StreamPartition) {
        let Some(feed) = self.feeds.feeds.get_mut(&slot) else { return };
        ctx.mark(Rare::FeedMoved);
        feed.attempt += 1;
        feed.misses = 0;
        feed.index = None;
        feed.follow(ctx, slot);
        let subscribers: Vec<_> = feed.subscribers.iter().copied().collect();
        subscribers.into_iter().for_each(|id| self.on_feed_lost(ctx, id, slot));
    }
}
