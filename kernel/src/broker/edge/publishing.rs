//! Publishing: from a client's batch to the acknowledgement it asked for (WP 2.4.3).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::Flow;
use crate::agreement::LaneHead;
use crate::batch::Batch;
use crate::broker::admission;
use crate::broker::context::Context;
use crate::broker::deposits;
use crate::broker::io::{Handed, Level, Reply, SessionId};
use crate::broker::message::Message;
use crate::broker::refusal::{Refusal, RefusalCode};
use crate::coordinator::State;
use crate::ids::{Address, Epoch, LaneId, PartitionId};
use crate::limits::{
    MAX_FRESH, MAX_PENDING_BYTES, PUBLISH_TIMEOUT_US, RETRY_US, SEAL_RETRY_US, SEAL_TIMEOUT_US,
};
use crate::marks::Rare;
use crate::rules::{Bug, Rules};
use crate::verify::Verified;

/// Times that a batch is offered again to replicas that lag behind the quorum; sealing repairs the rest.
const OFFERS_AFTER_STORED: u32 = 3;

/// How far a replica's epoch may be from this edge's for its word to be kept: their views of the chain differ.
const EPOCHS_APART: u64 = 8;

/// Requests that wait for one batch: a client that sends it again has one, and moves between a few sessions.
const MAX_WAITERS: usize = 64;

/// Overdue batches are looked for no more often than this: the search goes through all of them.
const SEARCH_US: u64 = RETRY_US / 4;

/// Batches on their way to a quorum.
#[derive(Clone, Debug, Default)]
pub struct Publishing {
    /// By lane and the sequence after the batch.
    pending: BTreeMap<(LaneId, u64), Pending>,
    bytes: usize,
    /// Who held the batch that this edge last saw stored in a stream partition: asked first by readers, who so find
    /// what was stored through this edge before they came.
    fresh: BTreeMap<Flow, BTreeSet<Address>>,
    /// Nothing is overdue before this time, in monotonic microseconds.
    next_due_us: u64,
}

#[derive(Clone, Debug)]
struct Pending {
    batch: Verified<Batch>,
    partition: PartitionId,
    waiters: Vec<(SessionId, u64, Level)>,
    /// Who says that it is on its disk, and in which epoch.
    receipts: BTreeSet<(Epoch, Address)>,
    refusals: BTreeMap<Address, Refusal>,
    sealed_by: BTreeSet<Address>,
    stored: bool,
    offers: u32,
    since_us: u64,
    offered_us: u64,
}

impl Pending {
    fn acknowledged_by(&self, replica: &Address) -> bool {
        self.receipts.iter().any(|(_, from)| from == replica)
    }

    /// `stored` needs q replicas of one epoch's set naming that epoch. An epoch that has not begun in this edge's view,
    /// or is long sealed, may have another set than the view says.
    fn is_stored(&self, view: &State, rules: Rules) -> bool {
        let enough = view.quorum() - usize::from(rules.has(Bug::QuorumOffByOne));
        if self.receipts.len() < enough {
            return false;
        }
        let known = |epoch: Epoch| {
            let partition = view.partition(self.partition);
            let oldest = partition.map_or(0, |p| p.since_epoch.min(p.sealed_epoch));
            (oldest..=view.epoch()).contains(&epoch)
        };
        let epochs: BTreeSet<Epoch> =
            self.receipts.iter().map(|(epoch, _)| *epoch).filter(|epoch| known(*epoch)).collect();
        epochs.into_iter().any(|epoch| {
            let members = |from: &Address| is_member(view, self.partition, epoch, *from);
            let named = |e: &Epoch| *e == epoch || rules.has(Bug::CountsVoteTwice);
            let count = self.receipts.iter().filter(|(e, from)| named(e) && members(from)).count();
            count >= enough
        })
    }

    fn wants_seal(&self) -> bool {
        self.waiters.iter().any(|(_, _, level)| *level == Level::Sealed)
    }

    /// Whether nobody needs it any more: neither a client nor any of so many replicas.
    fn is_over(&self, replicas: impl FnOnce() -> usize) -> bool {
        let all_hold = || {
            let replicas = replicas();
            let holders = || self.receipts.iter().map(|(_, from)| from).collect::<BTreeSet<_>>();
            // Each names several epochs at most.
            self.receipts.len() >= replicas && holders().len() >= replicas
        };
        self.stored && !self.wants_seal() && (self.offers > OFFERS_AFTER_STORED || all_hold())
    }
}

impl Publishing {
    /// Takes a client's batch.
    pub fn publish(
        &mut self,
        ctx: &mut Context<'_>,
        (session, request): (SessionId, u64),
        batch: Verified<Batch>,
        level: Level,
    ) {
        let header = *batch.header();
        let key = (batch.lane(), header.next_sequence());
        let home = match self.check(ctx, &batch, key) {
            Ok(home) => home,
            Err(refusal) => {
                self.show_branch(ctx, &batch, key);
                return ctx.reply(session, Reply::Refused { request, refusal });
            }
        };
        if level == Level::Accepted {
            published(ctx, session, request, key, Level::Accepted);
        }
        let is_new = !self.pending.contains_key(&key);
        let pending = self.pending.entry(key).or_insert_with(|| {
            self.bytes += batch.bytes().len();
            Pending {
                partition: home,
                batch,
                waiters: Vec::new(),
                receipts: BTreeSet::new(),
                refusals: BTreeMap::new(),
                sealed_by: BTreeSet::new(),
                stored: false,
                offers: 0,
                since_us: ctx.now.monotonic_us,
                offered_us: 0,
            }
        });
        if level > Level::Accepted {
            if pending.stored {
                published(ctx, session, request, key, Level::Stored);
            }
            let waits = pending.waiters.iter().any(|(s, r, _)| (*s, *r) == (session, request));
            if !waits && (!pending.stored || level == Level::Sealed) {
                if pending.waiters.len() >= MAX_WAITERS {
                    let reason = "too many requests wait for this batch: wait for one of them";
                    let refusal = Refusal::new(RefusalCode::RateLimited, reason);
                    ctx.reply(session, Reply::Refused { request, refusal });
                    return;
                }
                pending.waiters.push((session, request, level));
            }
        }
        pending.since_us = ctx.now.monotonic_us;
        // A client that repeats itself does not make this edge repeat itself to every replica.
        if is_new || pending.stored || ctx.now.monotonic_us >= pending.offered_us + RETRY_US {
            offer(ctx, pending);
        }
        self.next_due_us = self.next_due_us.min(pending.offered_us + RETRY_US);
    }

    /// A second branch of a lane is refused here, and shown to the replicas: they have the other one, and with both the
    /// proof that closes the lane. Else what the publisher sends next would find it open.
    fn show_branch(&self, ctx: &mut Context<'_>, batch: &Verified<Batch>, key: (LaneId, u64)) {
        let Some(pending) = self.pending.get(&key).filter(|other| other.batch.digest() != batch.digest())
        else {
            return;
        };
        for replica in replicas(ctx, pending.partition) {
            ctx.send(replica, Message::Append { partition: pending.partition }, core::slice::from_ref(batch));
        }
    }

    /// Whether a batch is taken, and which partition it goes to.
    fn check(
        &self,
        ctx: &mut Context<'_>,
        batch: &Verified<Batch>,
        key: (LaneId, u64),
    ) -> Result<PartitionId, Refusal> {
        if let Some(pending) = self.pending.get(&key) {
            let same = pending.batch.digest() == batch.digest();
            return if same {
                Ok(pending.partition)
            } else {
                ctx.mark(Rare::BranchAtEdge);
                Err(Refusal::new(
                    RefusalCode::Forked,
                    "another batch with these sequences of this lane is on its way: a lane has one branch",
                ))
            };
        }
        admission::admission(ctx.view, ctx.now, &batch.signed_header())?;
        deposits::check_alone(ctx.view, batch.header(), batch.lane())?;
        if self.bytes + batch.bytes().len() > MAX_PENDING_BYTES {
            return Err(Refusal::new(
                RefusalCode::RateLimited,
                "this broker waits for its replicas with all it can hold: send again in a moment",
            ));
        }
        let home = match ctx.rules.has(Bug::SendsToNewestHome) {
            true => ctx.view.home(batch.header().slot()),
            false => admission::home(ctx.view, batch.header())?,
        };
        if !ctx.share.owns(home) {
            // The shard that it belongs to was not known when it came.
            let reason = "the lane's home has just come to be known here: send it again in a moment";
            return Err(Refusal::new(RefusalCode::Unavailable, reason));
        }
        if replicas(ctx, home).is_empty() {
            return Err(Refusal::new(RefusalCode::Unavailable, "no broker has a seat in this partition yet"));
        }
        Ok(home)
    }

    /// A replica says what is on its disk.
    pub fn on_acknowledge(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        partition: PartitionId,
        epoch: Epoch,
        heads: &[LaneHead],
    ) {
        // Only a member's word in an epoch of its own counts; anything else would only fill memory.
        let apart = epoch.abs_diff(ctx.view.epoch()) > EPOCHS_APART;
        ctx.mark_if(epoch > ctx.view.epoch(), Rare::ReceiptAhead);
        if apart || !is_member(ctx.view, partition, epoch, from) {
            return ctx.mark(Rare::ReceiptRefused);
        }
        for head in heads {
            for key in self.covered_by(partition, head) {
                let Some(pending) = self.pending.get_mut(&key) else { continue };
                if pending.receipts.insert((epoch, from)) {
                    pending.receipts.retain(|(named, _)| named.abs_diff(ctx.view.epoch()) <= EPOCHS_APART);
                    self.settle(ctx, key);
                }
            }
        }
    }

    /// Tells whoever waits for a batch if it is stored by now, and forgets it if nobody needs it any more.
    fn settle(&mut self, ctx: &mut Context<'_>, key: (LaneId, u64)) {
        let Some(pending) = self.pending.get_mut(&key) else { return };
        if !pending.stored && pending.is_stored(ctx.view, ctx.rules) {
            let [first, last] =
                [pending.receipts.first(), pending.receipts.last()].map(|r| r.map(|(e, _)| e));
            ctx.mark_if(first < last, Rare::ReceiptsOfTwoEpochs);
            pending.stored = true;
            pending.offers = 0;
            let holders = pending.receipts.iter().map(|(_, from)| *from).collect();
            let flow = Flow { slot: pending.batch.header().slot(), home: pending.partition };
            let told = core::mem::take(&mut pending.waiters);
            // Before anybody hears that it is stored: who then reads finds it.
            self.tell_readers(ctx, flow, holders);
            for (session, request, level) in told {
                published(ctx, session, request, key, Level::Stored);
                let waits = self.pending.get_mut(&key).filter(|_| level == Level::Sealed);
                waits.into_iter().for_each(|pending| pending.waiters.push((session, request, level)));
            }
        }
        self.drop_if_over(ctx, key);
    }

    fn tell_readers(&mut self, ctx: &mut Context<'_>, flow: Flow, holders: BTreeSet<Address>) {
        if ctx.share.of().of_stream(flow.slot.stream) == ctx.share.number() {
            self.note_holders(flow, holders);
        } else {
            ctx.hand(Handed::Stored { slot: flow.slot, home: flow.home, holders });
        }
    }

    /// These replicas hold what was last stored in a stream partition through this edge.
    pub fn note_holders(&mut self, flow: Flow, holders: BTreeSet<Address>) {
        if self.fresh.len() >= MAX_FRESH {
            self.fresh.pop_first();
        }
        self.fresh.insert(flow, holders);
    }

    /// Whether a replica is known to hold what this edge last saw stored in a stream partition.
    pub(super) fn is_fresh(&self, flow: &Flow, replica: &Address) -> bool {
        self.fresh.get(flow).is_none_or(|holders| holders.contains(replica))
    }

    fn drop_if_over(&mut self, ctx: &Context<'_>, key: (LaneId, u64)) {
        let over = |pending: &Pending| pending.is_over(|| replicas(ctx, pending.partition).len());
        let over = self.pending.get(&key).is_some_and(over);
        if over {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: (LaneId, u64)) -> Option<Pending> {
        let removed = self.pending.remove(&key)?;
        self.bytes -= removed.batch.bytes().len();
        Some(removed)
    }

    /// A replica refuses a batch. When so many do that no quorum can come, the client is told.
    pub fn on_refuse(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        lane: LaneId,
        sequence: u64,
        refusal: Refusal,
    ) {
        let found = self
            .pending
            .range((lane, sequence)..=(lane, u64::MAX))
            .find(|(_, pending)| pending.batch.header().sequence == sequence);
        let Some((key, _)) = found else { return };
        let key = *key;
        let replicas = replicas(ctx, self.pending[&key].partition);
        let Some(pending) = self.pending.get_mut(&key) else { return };
        // A replica whose chain view is behind says so, and is asked again.
        if refusal.code == RefusalCode::Unavailable || !replicas.contains(&from) || pending.stored {
            return;
        }
        pending.refusals.insert(from, refusal.clone());
        if replicas.len().saturating_sub(pending.refusals.len()) < ctx.view.quorum() {
            ctx.mark(Rare::RefusedByQuorum);
            self.refuse(ctx, key, &refusal);
        }
    }

    fn refuse(&mut self, ctx: &mut Context<'_>, key: (LaneId, u64), refusal: &Refusal) {
        for (session, request, _) in self.remove(key).into_iter().flat_map(|pending| pending.waiters) {
            ctx.reply(session, Reply::Refused { request, refusal: refusal.clone() });
        }
    }

    /// A replica says that heads are in a certificate on chain. One more than f must say so.
    pub fn on_sealed(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        partition: PartitionId,
        heads: &[LaneHead],
    ) {
        let enough = ctx.view.params.liars() + 1;
        let now = ctx.view.epoch();
        let member = |epoch| is_member(ctx.view, partition, epoch, from);
        if !member(now) && !member(now.saturating_sub(1)) {
            return;
        }
        for head in heads {
            for key in self.covered_by(partition, head) {
                let Some(pending) = self.pending.get_mut(&key) else { continue };
                pending.sealed_by.insert(from);
                if pending.sealed_by.len() < enough {
                    continue;
                }
                ctx.mark_if(!pending.stored, Rare::SealedBeforeStored);
                for (session, request, level) in self.remove(key).into_iter().flat_map(|p| p.waiters) {
                    let reached = if level == Level::Sealed { Level::Sealed } else { Level::Stored };
                    published(ctx, session, request, key, reached);
                }
            }
        }
    }

    /// Pending batches of a partition that a head covers; one that ends at the head must be what it names.
    fn covered_by(&self, partition: PartitionId, head: &LaneHead) -> Vec<(LaneId, u64)> {
        self.pending
            .range((head.lane, 0)..=(head.lane, head.next_sequence))
            .filter(|(key, pending)| {
                let named = key.1 != head.next_sequence || pending.batch.digest() == head.digest;
                pending.partition == partition && named
            })
            .map(|(key, _)| *key)
            .collect()
    }

    /// Nobody waits at this session any more; its batches still go where they belong.
    pub fn forget_session(&mut self, session: SessionId) {
        for pending in self.pending.values_mut() {
            pending.waiters.retain(|(waiting, _, _)| *waiting != session);
        }
    }

    /// The chain moved on: another epoch may have another set, and a seal may be long overdue.
    pub fn on_view(&mut self, ctx: &mut Context<'_>) {
        let now_us = ctx.now.monotonic_us;
        let overdue: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, p)| p.stored && p.wants_seal() && now_us >= p.since_us + SEAL_TIMEOUT_US)
            .map(|(key, _)| *key)
            .collect();
        let refusal =
            Refusal::new(RefusalCode::Unavailable, "stored, but not sealed in time: ask for its status");
        overdue.into_iter().for_each(|key| self.refuse(ctx, key, &refusal));
        // Receipts of an epoch that has just begun here count from now on.
        let keys: Vec<_> = self.pending.keys().copied().collect();
        keys.into_iter().for_each(|key| self.settle(ctx, key));
    }

    /// When something is overdue, in monotonic microseconds.
    pub fn deadline(&self) -> Option<u64> {
        (!self.pending.is_empty() && self.next_due_us != u64::MAX).then_some(self.next_due_us)
    }

    /// Offers again what replicas have not acknowledged, and gives up what is too old.
    pub fn on_elapsed(&mut self, ctx: &mut Context<'_>) {
        let now_us = ctx.now.monotonic_us;
        if now_us < self.next_due_us {
            return;
        }
        let due: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, p)| next_offer_us(p).is_some_and(|at_us| now_us >= at_us))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let Some(pending) = self.pending.get_mut(&key) else { continue };
            if !pending.stored && now_us >= pending.since_us + PUBLISH_TIMEOUT_US {
                let refusal = pending.refusals.values().next().cloned().unwrap_or_else(|| {
                    Refusal::new(
                        RefusalCode::Unavailable,
                        format!("no quorum of partition {} answered in time: send again", pending.partition),
                    )
                });
                ctx.mark(Rare::PublishTimedOut);
                self.refuse(ctx, key, &refusal);
                continue;
            }
            ctx.mark(Rare::OfferRepeated);
            pending.offers += 1;
            offer(ctx, pending);
            self.drop_if_over(ctx, key);
        }
        let next_us = self.pending.values().filter_map(next_offer_us).min();
        self.next_due_us = next_us.map_or(u64::MAX, |at_us| at_us.max(now_us + SEARCH_US));
    }
}

/// When a batch is offered again: soon while it is not stored or replicas lag behind, now and then while somebody
/// waits for its seal, for the word of the seal may have been lost.
fn next_offer_us(pending: &Pending) -> Option<u64> {
    if !pending.stored || pending.offers <= OFFERS_AFTER_STORED {
        Some(pending.offered_us + RETRY_US)
    } else {
        pending.wants_seal().then_some(pending.offered_us + SEAL_RETRY_US)
    }
}

/// Sends a batch to every replica of the present set that has not acknowledged it.
fn offer(ctx: &mut Context<'_>, pending: &mut Pending) {
    pending.offered_us = ctx.now.monotonic_us;
    let epoch = ctx.view.epoch();
    for replica in replicas(ctx, pending.partition) {
        let lacks = if pending.stored && pending.wants_seal() {
            !pending.sealed_by.contains(&replica)
        } else if pending.stored {
            !pending.acknowledged_by(&replica)
        } else {
            !pending.receipts.contains(&(epoch, replica))
        };
        if lacks {
            let message = Message::Append { partition: pending.partition };
            ctx.send(replica, message, core::slice::from_ref(&pending.batch));
        }
    }
}

fn is_member(view: &State, partition: PartitionId, epoch: Epoch, broker: Address) -> bool {
    view.broker_index(broker).is_some_and(|index| view.is_member(partition, index, epoch))
}

fn replicas(ctx: &Context<'_>, partition: PartitionId) -> Vec<Address> {
    let set = ctx.view.acting_set(partition, ctx.view.epoch());
    set.brokers().filter_map(|index| ctx.view.address_of(index)).collect()
}

fn published(
    ctx: &mut Context<'_>,
    session: SessionId,
    request: u64,
    (lane, next_sequence): (LaneId, u64),
    level: Level,
) {
    ctx.reply(session, Reply::Published { request, lane, next_sequence, level });
}
