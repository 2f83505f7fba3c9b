//! Following the chain: a sealed cut settles every lane that it names (WP 2.4.6).
//!
//! The chain holds only checksums. A replica that signed the cut has it; any other asks its peers for all cuts since
//! the last one it adopted. The checksum rolls, so the whole run is proven by the one value on chain. Then it fetches
//! what it lacks of each lane, and only when everything that a cut names is on its disk does it adopt the cut. The
//! same path serves a replica that missed a seal, one that was down for a week, and a newcomer.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::Replica;
use crate::agreement::{Cut, LaneHead};
use crate::broker::admission::may_still_grow;
use crate::broker::context::Context;
use crate::broker::duties::lateness::Adopted;
use crate::broker::io::Trace;
use crate::broker::lane::{Lane, Relation, lane_key};
use crate::broker::message::Message;
use crate::broker::rows::{self, LaneRow};
use crate::coordinator::State;
use crate::ids::{Address, Epoch, LaneId};
use crate::limits::{MAX_PENDING_CUTS, RETRY_US};
use crate::log::{Record, Table};
use crate::marks::Rare;
use crate::rules::Bug;

/// Cuts on the way from the last adopted one to the one on chain.
#[derive(Clone, Debug)]
pub struct CatchUp {
    pub(super) cuts: VecDeque<Cut>,
    /// Lanes of which nobody keeps anything up to this sequence, and which nothing can be added to.
    pub(super) gone: BTreeMap<LaneId, u64>,
    /// The run reaches the checksum on chain: every cut in it is proven.
    pub(super) proven: bool,
    source: usize,
    asked_us: u64,
}

impl CatchUp {
    pub(super) fn deadline(&self) -> u64 {
        self.asked_us + RETRY_US
    }
}

/// The row that remembers a lane.
pub fn lane_row(lane: &Lane) -> LaneRow {
    LaneRow {
        slot: lane.slot,
        origin: lane.origin,
        opening_block: lane.opening_block,
        sealed: lane.sealed,
        sealed_epoch: lane.sealed_epoch,
        sealed_header: lane.sealed_header,
        closed: lane.closed,
    }
}

impl Replica {
    /// A cut that this replica signed for may be the sealed one: remembers it as a candidate.
    pub fn offer_cut(&mut self, ctx: &mut Context<'_>, cut: &Cut) {
        let Some(on_chain) = ctx.view.partition(self.partition) else { return };
        let is_next = cut.previous == self.checksum && cut.epoch > self.sealed_epoch;
        let is_sealed = cut.epoch <= on_chain.sealed_epoch && cut.checksum() == on_chain.checksum
            || ctx.rules.has(Bug::AdoptsWhatItSigned);
        if is_next && is_sealed && !self.catch_up.as_ref().is_some_and(|c| c.proven) {
            self.catch_up = Some(CatchUp {
                cuts: VecDeque::from([cut.clone()]),
                gone: BTreeMap::new(),
                proven: true,
                source: 0,
                asked_us: ctx.now.monotonic_us,
            });
            self.adopt(ctx);
        }
    }

    /// Adopts as far as everything is at hand; asks for what is not.
    pub fn adopt(&mut self, ctx: &mut Context<'_>) {
        self.follow_lost_quorum(ctx);
        if self.is_behind(ctx.view) && self.catch_up.is_none() {
            self.catch_up = Some(CatchUp {
                cuts: VecDeque::new(),
                gone: BTreeMap::new(),
                proven: false,
                source: 0,
                asked_us: ctx.now.monotonic_us,
            });
            self.ask_for_cuts(ctx);
        }
        while let Some(cut) = self.take_proven_cut() {
            if !self.holds_all_of(ctx, &cut) {
                ctx.mark(Rare::SealedDataMissing);
                self.catch_up.iter_mut().for_each(|catch_up| catch_up.cuts.push_front(cut.clone()));
                return;
            }
            self.adopt_cut(ctx, &cut);
        }
        self.follow_lost_quorum(ctx);
    }

    /// The chain gave up epochs that nobody sealed: it counts them as sealed, under the checksum of the last cut, and
    /// the partition has new members. What is here above the cut stays and goes into their first cut. Whoever lost its
    /// memory promised those epochs' sets something, and they are not asked any more: it may sign again.
    fn follow_lost_quorum(&mut self, ctx: &mut Context<'_>) {
        let Some(on_chain) = ctx.view.partition(self.partition).filter(|p| p.founded) else { return };
        if on_chain.sealed_epoch <= self.sealed_epoch || on_chain.checksum != self.checksum {
            return;
        }
        self.sealed_epoch = on_chain.sealed_epoch;
        self.catch_up = None;
        if self.quarantine.is_some_and(|epoch| self.sealed_epoch >= epoch) {
            self.quarantine = None;
        }
        self.write_own_row(ctx);
        ctx.trace(Trace::QuorumLost(self.partition, self.sealed_epoch));
    }

    fn is_behind(&self, view: &State) -> bool {
        view.partition(self.partition).is_some_and(|p| p.founded && p.sealed_epoch > self.sealed_epoch)
    }

    fn take_proven_cut(&mut self) -> Option<Cut> {
        self.catch_up.as_mut().filter(|c| c.proven).and_then(|c| c.cuts.pop_front())
    }

    fn ask_for_cuts(&mut self, ctx: &mut Context<'_>) {
        let Some(catch_up) = &mut self.catch_up else { return };
        let after_epoch = catch_up.cuts.back().map_or(self.sealed_epoch, |cut| cut.epoch);
        let source = catch_up.source;
        catch_up.asked_us = ctx.now.monotonic_us;
        let peers = self.peers(ctx.view, ctx.me);
        if let Some(peer) = peers.get(source % peers.len().max(1)) {
            ctx.mark(Rare::CutsAsked);
            ctx.send(*peer, Message::CutsWanted { partition: self.partition, after_epoch }, &[]);
        }
    }

    /// A peer sent cuts. They are believed once they lead to the checksum on chain.
    pub fn on_cuts(&mut self, ctx: &mut Context<'_>, from: Address, after_epoch: Epoch, cuts: Vec<Cut>) {
        if !self.peers(ctx.view, ctx.me).contains(&from) {
            return;
        }
        let Some(catch_up) = self.catch_up.as_mut().filter(|c| !c.proven) else { return };
        let (mut epoch, mut checksum) = catch_up
            .cuts
            .back()
            .map_or((self.sealed_epoch, self.checksum), |cut| (cut.epoch, cut.checksum()));
        if after_epoch != epoch || cuts.is_empty() {
            return;
        }
        let on_chain = ctx.view.partition(self.partition).map(|p| (p.sealed_epoch, p.checksum));
        for cut in cuts {
            let fits = cut.partition == self.partition
                && cut.previous == checksum
                && cut.epoch > epoch
                && on_chain.is_some_and(|(sealed, checksum)| {
                    // A run that passes the sealed epoch, or meets it with another checksum, never proves itself.
                    cut.epoch < sealed || (cut.epoch, cut.checksum()) == (sealed, checksum)
                })
                && cut.is_canonical();
            if !fits || catch_up.cuts.len() >= MAX_PENDING_CUTS {
                // A lie, or another branch: forget it all and ask somebody else.
                ctx.mark(Rare::CutsRefused);
                catch_up.cuts.clear();
                catch_up.source += 1;
                return;
            }
            (epoch, checksum) = (cut.epoch, cut.checksum());
            catch_up.cuts.push_back(cut);
            // The last cut is older than the chain's epoch if the quorum was lost since.
            if on_chain.is_some_and(|(_, on_chain)| on_chain == checksum) {
                catch_up.proven = true;
                ctx.mark_if(catch_up.cuts.len() > 1, Rare::CutsOfManyEpochs);
                break;
            }
        }
        if catch_up.proven { self.adopt(ctx) } else { self.ask_for_cuts(ctx) }
    }

    pub(super) fn retry_catch_up(&mut self, ctx: &mut Context<'_>) {
        let Some(catch_up) = &mut self.catch_up else { return };
        if ctx.now.monotonic_us < catch_up.asked_us + RETRY_US {
            return;
        }
        ctx.mark(Rare::CatchUpRetried);
        catch_up.asked_us = ctx.now.monotonic_us;
        catch_up.source += 1;
        if catch_up.proven {
            self.adopt(ctx);
        } else {
            self.ask_for_cuts(ctx);
        }
    }

    /// Whether everything that a sealed cut names is on disk here; what is not is fetched. A branch of this replica's
    /// own that the cut overrides goes, once the fork is proven: adopting the sealed one is not a second
    /// acknowledgement.
    fn holds_all_of(&mut self, ctx: &mut Context<'_>, cut: &Cut) -> bool {
        let peers = self.peers(ctx.view, ctx.me);
        let source = self.catch_up.as_ref().map_or(0, |c| c.source);
        let peer = peers.get(source % peers.len().max(1)).copied();
        let mut all = true;
        for head in &cut.heads {
            if self.holds_durably(head) || self.is_gone(head) {
                continue;
            }
            all = false;
            self.doubt_beginning(ctx, head);
            let Some(peer) = peer else { continue };
            match self.lanes.get(&head.lane).map(|lane| (lane.relation(head), lane.fork.is_some())) {
                Some((Relation::Held, _)) => {}
                Some((Relation::OtherBranch, false)) => self.probe(ctx, head.lane, peer),
                Some((Relation::OtherBranch, true)) => {
                    self.give_up_branch(ctx, head.lane);
                    self.want(ctx, head.lane, head.next_sequence, peer);
                }
                None | Some((Relation::Further, _)) => self.want(ctx, head.lane, head.next_sequence, peer),
            }
        }
        all
    }

    /// A peer's batch contradicts this replica's branch of a lane. If the cut that is being adopted names more of the
    /// lane than is here, this branch may be the wrong one, however short it is: it goes, and the lane is fetched anew
    /// from its sealed head.
    pub(super) fn yield_to_sealed(&mut self, ctx: &mut Context<'_>, id: LaneId) {
        let cut = self.catch_up.as_ref().filter(|c| c.proven).and_then(|c| c.cuts.front());
        let named = cut.and_then(|cut| cut.head(&id).copied());
        let lacks =
            named.zip(self.lanes.get(&id)).is_some_and(|(head, lane)| lane.relation(&head) != Relation::Held);
        if lacks {
            self.give_up_branch(ctx, id);
        }
    }

    /// Drops a lane above its sealed head and says so to whoever got it; what is sealed comes in its place.
    fn give_up_branch(&mut self, ctx: &mut Context<'_>, id: LaneId) {
        let Some(lane) = self.lanes.get(&id).filter(|lane| !lane.marks.is_empty()) else { return };
        let (slot, from) = (lane.slot, lane.sealed.next_sequence);
        ctx.mark(Rare::BranchGivenUp);
        self.drop_branch(ctx, id);
        self.say_withdrawn(ctx, slot, id, from);
    }

    /// Whether this head is on this replica's branch and on its disk.
    pub fn holds_durably(&self, head: &LaneHead) -> bool {
        self.lanes
            .get(&head.lane)
            .is_some_and(|lane| lane.relation(head) == Relation::Held && lane.durable >= head.next_sequence)
    }

    fn adopt_cut(&mut self, ctx: &mut Context<'_>, cut: &Cut) {
        let checksum = cut.checksum();
        assert_eq!(cut.previous, self.checksum, "cuts are adopted in their order");
        assert!(cut.epoch > self.sealed_epoch, "seals only rise");
        for head in &cut.heads {
            if !self.is_gone(head) {
                self.seal_lane(ctx, head, cut.epoch);
            }
        }
        for fork in &cut.forks {
            self.note_fork(ctx, fork.clone());
            self.close_forked(ctx, fork.lane());
        }
        self.sealed_epoch = cut.epoch;
        self.checksum = checksum;
        self.cut_epoch = cut.epoch;
        self.adopted = Some(Adopted { epoch: cut.epoch, previous: cut.previous, checksum });
        if self.quarantine.is_some_and(|epoch| cut.epoch >= epoch) {
            ctx.mark(Rare::QuarantineEnded);
            self.quarantine = None;
        }
        self.write_own_row(ctx);
        ctx.write(rows::put(Table::Cut, rows::cut_key(self.partition, cut.epoch), cut));
        self.tell_edges(ctx, cut);
        self.forget_expired(ctx);
        ctx.trace(Trace::SealAdopted(self.partition, cut.epoch, checksum));
        if self.catch_up.as_ref().is_none_or(|catch_up| catch_up.cuts.is_empty()) {
            self.catch_up = None;
            self.repeat_acknowledgements(ctx);
        }
    }

    fn seal_lane(&mut self, ctx: &mut Context<'_>, head: &LaneHead, epoch: Epoch) {
        let partition = self.partition;
        let lane = self.lanes.get_mut(&head.lane).expect("a held head has a lane");
        let before = lane.sealed.volume;
        // A fork found later than this cut was proposed does not undo it; the proof goes into the next one.
        let marks = lane.seal(head);
        if let Some(first) = marks.first() {
            let retention =
                ctx.view.stream(lane.slot.stream).map_or_else(Default::default, |s| s.retention());
            let bytes = lane.sealed.volume.saturating_sub(before);
            self.sealed_content.note(retention, lane.slot, bytes, first.header.header.first_time_ms);
        }
        for mark in marks {
            let key = rows::mark_key(partition, &head.lane, mark.header.header.next_sequence());
            ctx.write(Record::Remove { table: Table::Mark, key });
            lane.sealed_epoch = epoch;
        }
        ctx.write(rows::put(Table::Lane, lane_key(partition, &head.lane), &lane_row(lane)));
    }

    fn close_forked(&mut self, ctx: &mut Context<'_>, id: LaneId) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let (slot, from) = (lane.slot, lane.sealed.next_sequence);
        let withdrawn = !lane.marks.is_empty();
        self.drop_branch(ctx, id);
        if let Some(lane) = self.lanes.get_mut(&id) {
            ctx.mark(Rare::ForkSealed);
            lane.closed = true;
            ctx.write(rows::put(Table::Lane, lane_key(self.partition, &id), &lane_row(lane)));
        }
        if withdrawn {
            ctx.mark(Rare::EventsWithdrawn);
            self.push_withdrawn(ctx, slot, id, from);
        }
    }

    fn drop_branch(&mut self, ctx: &mut Context<'_>, id: LaneId) {
        let partition = self.partition;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let from = lane.sealed.next_sequence;
        let marks = lane.cut_back();
        if marks.is_empty() {
            return;
        }
        let from = if ctx.rules.has(Bug::ForkDropsSealed) { 0 } else { from };
        ctx.write(Record::Truncate { partition, lane: id, from });
        for mark in marks {
            let key = rows::mark_key(partition, &id, mark.header.header.next_sequence());
            ctx.write(Record::Remove { table: Table::Mark, key });
        }
        ctx.write(rows::put(Table::Lane, lane_key(partition, &id), &lane_row(lane)));
    }

    fn tell_edges(&self, ctx: &mut Context<'_>, cut: &Cut) {
        let mut by_edge: alloc::collections::BTreeMap<Address, Vec<LaneHead>> = Default::default();
        for head in &cut.heads {
            let edges = self.lanes.get(&head.lane).map(|lane| lane.edges.iter());
            edges.into_iter().flatten().for_each(|edge| by_edge.entry(*edge).or_default().push(*head));
        }
        for (edge, heads) in by_edge {
            ctx.send(edge, Message::Sealed { partition: self.partition, epoch: cut.epoch, heads }, &[]);
        }
    }

    /// Lanes past their life and sealed to their end are forgotten: nothing of them can come back.
    fn forget_expired(&mut self, ctx: &mut Context<'_>) {
        let (sealed_epoch, partition, view) = (self.sealed_epoch, self.partition, ctx.view);
        let expired = |lane: &Lane| {
            lane.marks.is_empty() && !may_still_grow(view.epoch_of(lane.opening_block), sealed_epoch)
        };
        let gone: Vec<LaneId> =
            self.lanes.iter().filter(|(_, lane)| expired(lane)).map(|(id, _)| *id).collect();
        for id in gone {
            let Some(lane) = self.lanes.remove(&id) else { continue };
            if let Some(withdrawn) = self.withdrawn.get_mut(&lane.slot) {
                withdrawn.remove(&id);
            }
            if lane.fork.is_some() {
                ctx.write(Record::Remove { table: Table::Evidence, key: lane_key(partition, &id) });
            }
            ctx.write(Record::Remove { table: Table::Lane, key: lane_key(partition, &id) });
        }
    }
}
