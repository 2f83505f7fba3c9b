//! Coming back: a replica that was away learns what was stored without it before it answers readers.
//!
//! Whatever is `stored` lies on q of a set's replicas. R−q of them may lack it, and f more may lie: whoever hears one
//! more than that hears of it. A member that lacks it is one of the R−q itself, and needs to hear one less. A replica
//! that starts asks all its peers for their heads and serves readers once what so many named has come, of the members
//! and, while a seal of theirs is open, of those before them: a liar that names what nobody has is not waited for.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Replica;
use crate::agreement::LaneHead;
use crate::broker::context::Context;
use crate::broker::lane::Relation;
use crate::broker::message::Message;
use crate::coordinator::{Partition, Seats, State};
use crate::ids::{Address, BrokerIndex};
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
        if self.presence.complete || !self.has_heard_enough(ctx) {
            return;
        }
        ctx.mark(Rare::PresenceKnown);
        self.presence.complete = true;
        self.presence.answers.clear();
    }

    fn has_heard_enough(&self, ctx: &Context<'_>) -> bool {
        let Some(partition) = ctx.view.partition(self.partition) else { return false };
        let answered = self.presence.answers.keys().filter(|peer| self.has_all_of(peer));
        let heard: Vec<BrokerIndex> = answered.filter_map(|peer| ctx.view.broker_index(*peer)).collect();
        // A store that lost its memory may have been one of the q.
        let me = ctx.my_index.filter(|_| self.quarantine.is_none());
        sets_to_hear(partition).all(|set| {
            heard.iter().filter(|index| set.contains(**index)).count() >= voices_needed(ctx.view, &set, me)
        })
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

/// The sets in which something may be stored that is not sealed.
fn sets_to_hear(partition: &Partition) -> impl Iterator<Item = Seats> {
    let is_former_open = partition.sealed_epoch + 1 < partition.since_epoch;
    let former = is_former_open.then_some(partition.previous_members);
    former.into_iter().chain([partition.members])
}

/// How many of a set `me` has to hear, so that one of them holds what is stored there and says so.
fn voices_needed(view: &State, set: &Seats, me: Option<BrokerIndex>) -> usize {
    let Some(without_it) = set.len().checked_sub(view.quorum()) else { return 0 };
    let is_one_of_them = me.is_some_and(|me| set.contains(me));
    without_it + view.params.liars() + usize::from(!is_one_of_them)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;

    fn seats<const N: usize>(brokers: [u32; N]) -> Seats {
        Seats::of_brokers(brokers.map(BrokerIndex))
    }

    #[test]
    fn who_was_not_there_has_to_hear_one_more() {
        let view = fixture::view(5, 9);
        let set = seats([1, 2, 3, 4]);
        assert_eq!(voices_needed(&view, &set, Some(BrokerIndex(1))), 2, "the one liar and another");
        assert_eq!(voices_needed(&view, &set, Some(BrokerIndex(5))), 3, "one may have been away as well");
        assert_eq!(voices_needed(&view, &set, None), 3, "it may have lost what it held");
        assert_eq!(voices_needed(&view, &seats([1, 2]), None), 0, "nothing is stored without a quorum");
    }

    #[test]
    fn former_members_are_heard_until_their_last_epoch_is_sealed() {
        let (former, members) = (seats([1, 2, 3, 4]), seats([1, 2, 3, 5]));
        let mut view = fixture::view(5, 9);
        let partition = fixture::partition(&mut view, 1);
        (partition.previous_members, partition.members, partition.since_epoch) = (former, members, 7);
        let mut sets = |sealed_epoch| {
            partition.sealed_epoch = sealed_epoch;
            sets_to_hear(partition).collect::<Vec<_>>()
        };
        assert_eq!(sets(5), [former, members]);
        assert_eq!(sets(6), [members]);
    }
}
