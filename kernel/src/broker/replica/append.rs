//! Appending: from an offered batch to an acknowledged one.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::Replica;
use crate::agreement::{Fork, LaneHead};
use crate::batch::{Batch, Header, SignedHeader};
use crate::broker::admission;
use crate::broker::context::{After, Context};
use crate::broker::io::Trace;
use crate::broker::lane::{Lane, Mark, Offer, lane_key};
use crate::broker::message::Message;
use crate::broker::refusal::{Refusal, RefusalCode};
use crate::broker::rows;
use crate::ids::{Address, LaneId};
use crate::limits::{MAX_AHEAD_BYTES, MAX_OPEN_LANES};
use crate::log::{Record, StoredBatch, Table};
use crate::marks::Rare;
use crate::rules::Bug;
use crate::verify::Verified;

/// Batches that wait for what comes before them; bounded in bytes. When it is full it is emptied: what waits for a gap
/// that is never filled keeps nothing else out for long, and edges offer again what is not acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Ahead {
    batches: BTreeMap<(LaneId, u64), (Verified<Batch>, Source)>,
    bytes: usize,
}

impl Ahead {
    fn put(&mut self, batch: Verified<Batch>, source: Source) {
        let key = (batch.lane(), batch.header().sequence);
        if !self.batches.contains_key(&key) {
            if self.bytes + batch.bytes().len() > MAX_AHEAD_BYTES {
                *self = Self::default();
            }
            self.bytes += batch.bytes().len();
            self.batches.insert(key, (batch, source));
        }
    }

    pub(super) fn get(&self, lane: LaneId, sequence: u64) -> Option<&Verified<Batch>> {
        self.batches.get(&(lane, sequence)).map(|(batch, _)| batch)
    }

    fn take(&mut self, lane: LaneId, sequence: u64) -> Option<(Verified<Batch>, Source)> {
        let taken = self.batches.remove(&(lane, sequence))?;
        self.bytes -= taken.0.bytes().len();
        Some(taken)
    }

    pub(super) fn forget(&mut self, lane: LaneId) {
        let keys: Vec<_> = self.batches.range((lane, 0)..=(lane, u64::MAX)).map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|(lane, sequence)| drop(self.take(lane, sequence)));
    }
}

/// Who brought a batch, and so which rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An edge, for a publisher: admission applies, and the edge is told.
    Edge(Address),
    /// A replica that already holds it: only validity applies.
    Peer(Address),
}

impl Source {
    fn address(self) -> Address {
        match self {
            Self::Edge(address) | Self::Peer(address) => address,
        }
    }
}

impl Replica {
    /// Takes batches that somebody brought. A replaced replica takes nothing new in: it could not acknowledge it, and
    /// no cut that it signs would name it.
    pub fn on_batches(&mut self, ctx: &mut Context<'_>, source: Source, batches: Vec<Verified<Batch>>) {
        let is_replaced = matches!(source, Source::Edge(_)) && self.is_replaced(ctx);
        if is_replaced || self.has_left() {
            return ctx.mark(Rare::BatchAfterHandover);
        }
        let mut held: BTreeMap<Address, Vec<LaneHead>> = BTreeMap::new();
        for batch in batches {
            let lane = batch.lane();
            if let Err(refusal) = self.take(ctx, source, batch.clone()) {
                refuse(ctx, self, source, batch.header(), refusal);
            }
            self.take_ahead(ctx, lane);
            self.note_held(ctx, source, batch.header(), lane, &mut held);
        }
        self.acknowledge(ctx, held);
        self.adopt(ctx);
    }

    /// What an edge brings again may be on disk already, or sealed: then it is told again.
    fn note_held(
        &self,
        ctx: &mut Context<'_>,
        source: Source,
        header: &Header,
        id: LaneId,
        held: &mut BTreeMap<Address, Vec<LaneHead>>,
    ) {
        let (Source::Edge(edge), Some(lane)) = (source, self.lanes.get(&id)) else { return };
        if header.next_sequence() <= lane.durable && lane.fork.is_none() {
            let (head, heads) = (lane.durable_head(), held.entry(edge).or_default());
            if !heads.contains(&head) {
                heads.push(head);
            }
        }
        if header.next_sequence() <= lane.sealed.next_sequence {
            ctx.mark(Rare::BatchSealedAlready);
            let (partition, epoch, heads) = (self.partition, self.sealed_epoch, alloc::vec![lane.sealed]);
            ctx.send(edge, Message::Sealed { partition, epoch, heads }, &[]);
        }
    }

    /// Takes what waited for what is there now.
    pub(super) fn take_ahead(&mut self, ctx: &mut Context<'_>, lane: LaneId) {
        while let Some((next, from)) = self.next_ahead(lane) {
            ctx.mark(Rare::GapFilled);
            if let Err(refusal) = self.take(ctx, from, next.clone()) {
                refuse(ctx, self, from, next.header(), refusal);
            }
        }
    }

    fn next_ahead(&mut self, lane: LaneId) -> Option<(Verified<Batch>, Source)> {
        let next = self.lanes.get(&lane)?.head().next_sequence;
        self.ahead.take(lane, next)
    }

    fn take(&mut self, ctx: &mut Context<'_>, source: Source, batch: Verified<Batch>) -> Result<(), Refusal> {
        let header = *batch.header();
        let id = batch.lane();
        let signed = (*batch).signed_header();
        self.check_place(ctx, source, &signed, id)?;
        let from_peer = matches!(source, Source::Peer(_));
        let offer = match self.lanes.get(&id) {
            Some(lane) => lane.offer(&signed, batch.content_bytes(), from_peer),
            None => Lane::open(&header).offer(&signed, batch.content_bytes(), from_peer),
        };
        match offer {
            Offer::Next => {
                self.check_lane_count(source, &header)?;
                self.append(ctx, source, batch, signed);
            }
            Offer::Held => {
                if let (Source::Edge(edge), Some(lane)) = (source, self.lanes.get_mut(&id)) {
                    ctx.mark(Rare::BatchHeldAlready);
                    lane.note_edge(edge);
                }
            }
            Offer::Ahead => {
                ctx.mark(Rare::BatchAhead);
                self.ahead.put(batch, source);
                self.want(ctx, id, header.sequence, source.address());
            }
            Offer::Fork(fork) => {
                ctx.mark(Rare::ForkInBatch);
                self.note_fork(ctx, *fork);
                if from_peer {
                    self.yield_to_sealed(ctx, id);
                }
                return Err(Refusal::new(
                    RefusalCode::Forked,
                    "this batch contradicts a signed one of its lane",
                ));
            }
            Offer::Closed => {
                ctx.mark(Rare::ForkedLaneRefused);
                return Err(Refusal::new(
                    RefusalCode::Forked,
                    "the lane was forked by its publisher and is closed: open a new lane",
                ));
            }
            Offer::Broken(rule) => return Err(Refusal::new(RefusalCode::Invalid, rule)),
        }
        Ok(())
    }

    fn check_place(
        &mut self,
        ctx: &Context<'_>,
        source: Source,
        signed: &SignedHeader,
        id: LaneId,
    ) -> Result<(), Refusal> {
        let header = &signed.header;
        let known = self.lanes.get(&id);
        // Where a lane lives never changes, so one that is here lives here.
        let home = if known.is_some() { self.partition } else { admission::home(ctx.view, header)? };
        if home != self.partition {
            return Err(Refusal::new(
                RefusalCode::Invalid,
                format!("the lane lives in partition {home}, not {}", self.partition),
            ));
        }
        let held = known.is_some_and(|lane| header.next_sequence() <= lane.head().next_sequence);
        if matches!(source, Source::Edge(_)) && !held {
            admission::admission(ctx.view, ctx.now, signed)?;
            admission::room(ctx.is_full())?;
            return self.deposits.check(ctx.view, &self.lanes, header, id);
        }
        admission::validity(ctx.view, header)?;
        let opening = ctx.view.epoch_of(header.opening_block);
        if !held && !admission::may_still_grow(opening, self.cut_epoch) {
            return Err(Refusal::new(RefusalCode::Invalid, "the lane was past its life at the last seal"));
        }
        Ok(())
    }

    fn check_lane_count(&self, source: Source, header: &Header) -> Result<(), Refusal> {
        if header.sequence > 0 || matches!(source, Source::Peer(_)) {
            return Ok(());
        }
        let slot = header.slot();
        let same = |lane: &&Lane| lane.origin == header.origin && lane.slot == slot;
        if self.lanes.values().filter(same).count() >= MAX_OPEN_LANES {
            return Err(Refusal::new(
                RefusalCode::RateLimited,
                format!("{} has {MAX_OPEN_LANES} open lanes here: reuse one, or wait", header.origin),
            ));
        }
        Ok(())
    }

    fn append(
        &mut self,
        ctx: &mut Context<'_>,
        source: Source,
        batch: Verified<Batch>,
        signed: SignedHeader,
    ) {
        let header = signed.header;
        let id = batch.lane();
        self.last_index += 1;
        let index = self.last_index;
        let mark = Mark { header: signed, index };
        self.make_way(ctx, &header, id);
        ctx.write(Record::Batch(StoredBatch {
            partition: self.partition,
            index,
            slot: header.slot(),
            lane: id,
            origin: header.origin,
            sequence: header.sequence,
            count: header.count,
            first_time_ms: header.first_time_ms,
            last_time_ms: header.last_time_ms,
            bytes: batch.bytes().clone(),
        }));
        let key = rows::mark_key(self.partition, &id, header.next_sequence());
        ctx.write(rows::put(Table::Mark, key, &mark));
        ctx.after_write(After::Appended(self.partition, id, index));
        let lane = self.lanes.entry(id).or_insert_with(|| Lane::open(&header));
        self.deposits.note(ctx.view, &lane.head(), &header);
        let head = LaneHead {
            lane: id,
            next_sequence: header.next_sequence(),
            volume: header.volume,
            digest: batch.digest(),
        };
        lane.append_to(signed, head, index);
        if ctx.rules.has(Bug::AcknowledgesBeforeWrite) {
            lane.durable = header.next_sequence();
        }
        if let Source::Edge(edge) = source {
            lane.note_edge(edge);
        }
        self.push_live(ctx, header.slot(), index, &batch);
    }

    /// Batches up to this append index are on disk: the edges that wait for them are told (WP 2.4.3).
    pub fn on_appended(&mut self, ctx: &mut Context<'_>, appended: &[(LaneId, u64)]) {
        // Heads are cumulative: of a group commit each lane's last batch says it all.
        let last: BTreeMap<LaneId, u64> = appended.iter().copied().collect();
        let mut by_edge: BTreeMap<Address, Vec<LaneHead>> = BTreeMap::new();
        for (id, index) in last {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            let Some(durable) = lane.next_sequence_at(index) else { continue };
            lane.durable = lane.durable.max(durable);
            if lane.fork.is_none() {
                let head = lane.durable_head();
                lane.edges.iter().for_each(|edge| by_edge.entry(*edge).or_default().push(head));
            }
        }
        self.acknowledge(ctx, by_edge);
        self.adopt(ctx);
    }

    /// Keeps the proof of a fork and closes the lane (publisher fraud). Idempotent.
    pub fn note_fork(&mut self, ctx: &mut Context<'_>, fork: Fork) {
        assert!(fork.is_proof(), "only proofs are kept");
        let id = fork.lane();
        let header = &fork.first.header;
        let lives_here = admission::home(ctx.view, header) == Ok(self.partition);
        if !lives_here || admission::validity(ctx.view, header).is_err() {
            return;
        }
        let lane = self.lanes.entry(id).or_insert_with(|| Lane::open(header));
        if lane.fork.is_some() {
            return;
        }
        lane.fork = Some(fork.clone());
        if lane.sealed_header.is_none() && lane.marks.is_empty() {
            // Nothing of the lane is here; its row makes the proof findable after a restart.
            ctx.mark(Rare::ForkOfUnseenLane);
            ctx.write(rows::put(
                Table::Lane,
                lane_key(self.partition, &id),
                &super::adoption::lane_row(lane),
            ));
        }
        ctx.write(rows::put(Table::Evidence, lane_key(self.partition, &id), &fork));
        ctx.trace(Trace::ForkFound(self.partition, id));
        self.ahead.forget(id);
        self.fetching.forget(id);
    }
}

fn refuse(ctx: &mut Context<'_>, replica: &Replica, source: Source, header: &Header, refusal: Refusal) {
    ctx.mark_if(refusal.code == RefusalCode::Unavailable, Rare::LaneOpensAhead);
    match source {
        Source::Edge(edge) => ctx.send(
            edge,
            Message::Refuse {
                partition: replica.partition,
                lane: header.lane(),
                sequence: header.sequence,
                code: refusal.code,
                reason: refusal.reason,
            },
            &[],
        ),
        Source::Peer(peer) => ctx.trace(Trace::PeerRefused(peer, format!("{refusal}"))),
    }
}
