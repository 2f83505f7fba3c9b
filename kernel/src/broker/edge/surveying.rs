//! Surveying: in each epoch an edge compares what its subscriptions have with what other replicas than their source
//! hold, and leaves a source that leaves something out. The rule is [`survey`](super::survey)'s.

use alloc::collections::{BTreeMap, BTreeSet};

use super::subscribing::trusts_sources;
use super::survey::{Question, Testimony, Verdict};
use super::tails::Phase;
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
        let is_lacking =
            |moved: &MovedLane| judge(&self.sessions, &feed.subscribers, flow, moved) != Verdict::Settled;
        let doubted = feed.survey.hear(from, ctx.now.monotonic_us, testimony, is_lacking);
        ctx.mark_if(doubted, Rare::OmissionDoubted);
    }

    /// What others hold and has not come for a while has to be shown.
    pub(super) fn check_doubts(&mut self, ctx: &mut Context<'_>, flow: Flow) {
        let Some(feed) = self.feeds.get_mut(flow).filter(|feed| feed.index.is_some()) else { return };
        let judged = |moved: &MovedLane| judge(&self.sessions, &feed.subscribers, flow, moved);
        let due = feed.survey.due(ctx.now.monotonic_us, feed.source, judged);
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
        let is_lacking =
            matches!(judge(&self.sessions, &feed.subscribers, flow, &moved), Verdict::Lacking(_));
        let place = replicas.iter().position(|replica| *replica == witness);
        let Some(place) = place.filter(|_| is_lacking && feed.source != Some(witness)) else { return };
        if feed.survey.may_move(epoch, most) {
            ctx.mark(Rare::OmissionShown);
            feed.turn_to(place as u32, replicas.len() as u32);
            self.restart_feed(ctx, flow);
        }
    }
}

/// What a feed's subscriptions say of a lane that moved.
fn judge(
    sessions: &BTreeMap<SessionId, Session>,
    subscribers: &BTreeSet<(SessionId, u64)>,
    flow: Flow,
    moved: &MovedLane,
) -> Verdict<(SessionId, u64)> {
    let mut verdict = Verdict::Settled;
    for id in subscribers {
        let request = sessions.get(&id.0).and_then(|session| session.requests.get(&id.1));
        let Some(Request::Subscribe(subscription)) = request else { continue };
        let Some(track) = subscription.tracks.get(&flow.slot).filter(|track| track.lacks(moved)) else {
            continue;
        };
        match track.tails.get(&flow.home).map(|tail| &tail.phase) {
            Some(Phase::Live) => return Verdict::Lacking(*id),
            Some(Phase::Over) | None => {}
            Some(_) => verdict = Verdict::Open,
        }
    }
    verdict
}
