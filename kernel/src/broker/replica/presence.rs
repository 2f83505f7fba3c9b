//! Coming back: a replica that was away learns what was stored without it before it answers readers.
//!
//! Whatever is `stored` lies on q replicas, so any R−q others of them include one that holds it, and any R−q+f an
//! honest one. A replica that starts asks all its peers for their heads and serves readers once what R−q+f of them
//! named has come: a liar that names what nobody has is not waited for.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Replica;
use crate::agreement::LaneHead;
use crate::broker::context::Context;
use crate::broker::lane::Relation;
use crate::broker::message::Message;
use crate::coordinator::State;
use crate::ids::Address;
use crate::limits::RETRY_US;
use crate::marks::Rare;

/// What a replica still has to hear before it serves readers.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    /// What each peer named last; one message's worth a peer.
    answers: BTreeMap<Address, Vec<LaneHead>>,
    asked_us: Option<u64>,
    complete: bool,
}

impl Presence {
    pub(super) fn deadline(&self) -> Option<u64> {
        (!self.complete).then(|| self.asked_us.map_or(0, |asked| asked + RETRY_US))
    }
}

impl Replica {
    /// Whether this replica can answer readers: it has adopted the last seal and missed nothing since.
    pub fn may_serve(&self, view: &State) -> bool {
        let adopted = view.partition(self.partition).is_some_and(|p| p.sealed_epoch == self.sealed_epoch);
        adopted && self.presence.complete
    }

    /// Asks peers for what was stored without this replica, until enough have answered.
    pub(super) fn seek_presence(&mut self, ctx: &mut Context<'_>) {
        let now_us = ctx.now.monotonic_us;
        let due = self.presence.asked_us.is_none_or(|asked| now_us >= asked + RETRY_US);
        if self.presence.complete || !due {
            return;
        }
        let asked = self.presence.asked_us.replace(now_us);
        ctx.mark_if(asked.is_some(), Rare::PresenceAskedAgain);
        for peer in self.peers(ctx.view, ctx.me) {
            if !self.has_all_of(&peer) {
                ctx.send(peer, Message::HeadsWanted { partition: self.partition }, &[]);
            }
        }
        self.check_presence(ctx);
    }

    /// A peer wants to know what is here. Whoever has no seat is not answered, and a store that lost its memory says
    /// nothing: its silence counts among the R−q that may lack what is stored, its word would not. Nor does a former
    /// member, which is not of the R that what is stored lies on.
    pub fn on_heads_wanted(&self, ctx: &mut Context<'_>, from: Address) {
        let seated = ctx.view.broker_index(from).zip(ctx.view.partition(self.partition)).is_some_and(
            |(index, partition)| {
                [partition.members, partition.previous_members, partition.target]
                    .iter()
                    .any(|seats| seats.contains(index))
            },
        );
        if !seated || self.resting || self.quarantine.is_some() {
            return ctx.mark(Rare::PresenceRefused);
        }
        let heads = self.unsealed_heads();
        ctx.send(from, Message::Heads { partition: self.partition, heads }, &[]);
    }

    /// A peer says what it holds.
    pub fn on_heads(&mut self, ctx: &mut Context<'_>, from: Address, heads: Vec<LaneHead>) {
        if self.presence.complete || !self.peers(ctx.view, ctx.me).contains(&from) {
            return;
        }
        self.look_for(ctx, from, &heads);
        self.presence.answers.insert(from, heads);
        self.check_presence(ctx);
    }

    /// Whether a peer has answered and everything that it named is here, or was forked.
    fn has_all_of(&self, peer: &Address) -> bool {
        let is_here = |head: &LaneHead| {
            self.lanes
                .get(&head.lane)
                .is_some_and(|lane| lane.fork.is_some() || lane.head().next_sequence >= head.next_sequence)
        };
        self.presence.answers.get(peer).is_some_and(|heads| heads.iter().all(is_here))
    }

    /// Whether enough peers have answered and what they named is here.
    pub(super) fn check_presence(&mut self, ctx: &mut Context<'_>) {
        let view = ctx.view;
        let enough = view.params.seats() - view.quorum() + view.params.liars();
        if self.presence.complete
            || self.presence.answers.keys().filter(|peer| self.has_all_of(peer)).count() < enough
        {
            return;
        }
        ctx.mark(Rare::PresenceKnown);
        self.presence.complete = true;
        self.presence.answers.clear();
    }

    /// Fetches what a peer's heads name and this replica lacks; asks for the peer's side where branches differ.
    pub fn look_for(&mut self, ctx: &mut Context<'_>, from: Address, heads: &[LaneHead]) {
        for head in heads.iter().filter(|head| head.next_sequence > 0) {
            match self.lanes.get(&head.lane).map(|lane| (lane.relation(head), lane.fork.is_some())) {
                Some((_, true)) | Some((Relation::Held, _)) => {}
                None | Some((Relation::Further, _)) => self.want(ctx, head.lane, head.next_sequence, from),
                Some((Relation::OtherBranch, _)) => self.probe(ctx, head.lane, from),
            }
        }
    }
}
