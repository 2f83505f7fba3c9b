//! Surveying: in each epoch an edge compares what its subscriptions have with what other replicas than their source
//! hold, and leaves a source that leaves something out. The rule is [`survey`](super::survey)'s.

use alloc::collections::{BTreeMap, BTreeSet};
use core::cell::LazyCell;

use super::feeds::Feed;
use super::reached::{Audience, Listener, Reached};
use super::subscribing::trusts_sources;
use super::survey::{Question, Testimony, Verdict};
use super::{Edge, Flow, Request, Session, sources};
use crate::batch::Header;
use crate::broker::context::Context;
use crate::broker::io::SessionId;
use crate::broker::message::{Message, MovedLane};
use crate::ids::{Address, LaneId};
use crate::log::{Chunk, Query};
use crate::marks::Rare;
use crate::rules::Bug;

impl Edge {
    /// An epoch began: f+1 replicas say what moved in each stream partition that is followed.
    pub(super) fn survey(&mut self, ctx: &mut Context<'_>) {
        if trusts_sources(ctx) || ctx.rules.has(Bug::NeverSurveys) {
            return;
        }
        let count = ctx.view.params.liars() + 1;
        for (flow, feed) in self.feeds.surveyed() {
            let mut others = sources(ctx, flow.home);
            others.retain(|replica| Some(*replica) != feed.source);
            for Question { witness, since, after } in feed.survey.questions(&others, count) {
                let (partition, slot) = (flow.home, flow.slot);
                ctx.send(witness, Message::Survey { partition, slot, since, after }, &[]);
            }
        }
    }

    /// A replica says what moved.
    pub fn on_surveyed(&mut self, ctx: &mut Context<'_>, from: Address, flow: Flow, testimony: Testimony) {
        let Some(feed) = self.feeds.get_mut(flow) else { return };
        let Feed { survey, subscribers, reached, .. } = feed;
        // Most of what comes has been heard, so that nobody has to be looked at.
        let audience = LazyCell::new(|| audience(&self.sessions, subscribers, flow));
        let is_lacking = |moved: &MovedLane| judge(&audience, reached, moved) != Verdict::Settled;
        let doubted = survey.hear(from, ctx.now.monotonic_us, testimony, is_lacking);
        ctx.mark_if(doubted, Rare::OmissionDoubted);
    }

    /// What others hold and has not come for a while has to be shown.
    pub(super) fn check_doubts(&mut self, ctx: &mut Context<'_>, flow: Flow) {
        let Some(feed) = self.feeds.get_mut(flow).filter(|feed| feed.index.is_some()) else { return };
        let Feed { survey, subscribers, reached, source, .. } = feed;
        let audience = LazyCell::new(|| audience(&self.sessions, subscribers, flow));
        let judged = |moved: &MovedLane| judge(&audience, reached, moved);
        let due = survey.due(ctx.now.monotonic_us, *source, judged);
        for (witness, id, lane, from) in due {
            self.ask_at(ctx, id, flow, Query::Lane { lane, from }, witness);
        }
    }

    /// A replica shows a batch that it says is left out. Who has signed it is checked, so it exists; a subscription
    /// that is live and has not got it by now does not get it from its source.
    pub(super) fn on_shown(
        &mut self,
        ctx: &mut Context<'_>,
        witness: Address,
        flow: Flow,
        lane: LaneId,
        chunk: &Chunk,
    ) {
        let replicas = sources(ctx, flow.home);
        let (epoch, most) = (ctx.view.epoch(), ctx.view.params.liars() + 1);
        let Some(feed) = self.feeds.get_mut(flow) else { return };
        let shown = chunk.batches.first().and_then(|bytes| Header::of_batch(bytes));
        let Some(header) = shown.filter(|header| header.lane() == lane) else {
            return feed.survey.drop_doubt(witness, &lane);
        };
        let moved = MovedLane {
            lane,
            next_sequence: header.next_sequence(),
            opening_block: header.opening_block,
            last_time_ms: header.last_time_ms,
        };
        let audience = audience(&self.sessions, &feed.subscribers, flow);
        let is_lacking = matches!(judge(&audience, &feed.reached, &moved), Verdict::Lacking(_));
        let place = replicas.iter().position(|replica| *replica == witness);
        let Some(place) = place.filter(|_| is_lacking && feed.source != Some(witness)) else { return };
        if feed.survey.may_move(epoch, most) {
            ctx.mark(Rare::OmissionShown);
            feed.turn_to(place as u32, replicas.len() as u32);
            self.restart_feed(ctx, flow);
        }
    }
}

/// A feed's subscriptions.
fn audience<'a>(
    sessions: &'a BTreeMap<SessionId, Session>,
    subscribers: &BTreeSet<(SessionId, u64)>,
    flow: Flow,
) -> Audience<'a> {
    let listener = |id: &(SessionId, u64)| {
        let Request::Subscribe(subscription) = sessions.get(&id.0)?.requests.get(&id.1)? else { return None };
        Listener::of(*id, subscription.tracks.get(&flow.slot)?, flow.home)
    };
    Audience::new(subscribers.iter().filter_map(listener))
}

/// What a feed's subscriptions say of a lane that moved.
fn judge(audience: &Audience<'_>, reached: &Reached, moved: &MovedLane) -> Verdict<(SessionId, u64)> {
    let mut verdict = Verdict::Settled;
    for listener in audience.in_question(reached, moved).iter().filter(|listener| listener.track.lacks(moved))
    {
        if listener.is_live {
            return Verdict::Lacking(listener.id);
        }
        verdict = Verdict::Open;
    }
    verdict
}
