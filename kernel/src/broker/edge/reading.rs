//! Readings: a query answered by one replica, chunk by chunk, each asked for when the last was taken.
//!
//! A client's query goes to any replica of each home, and to the next one when that stalls; the answers are merged. A
//! subscription's reading goes to the source of its feed and nowhere else, because append indexes are a replica's own;
//! if that stalls, the feed moves on.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::answers::is_sound;
use super::merge::{Part, merge, skip};
use super::{Edge, Flow, Request, fresh_source, sources};
use crate::broker::context::Context;
use crate::broker::io::{Reading, Reply, SessionId};
use crate::broker::message::Message;
use crate::broker::refusal::{Refusal, RefusalCode};
use crate::ids::{Address, PartitionId, StreamId, StreamPartition};
use crate::limits::{CHUNK_BYTES, FEED_READ_ATTEMPTS, READ_ATTEMPTS, READ_TIMEOUT_US};
use crate::log::{Chunk, Query};
use crate::marks::Rare;
use crate::rules::Bug;

/// A client's reading that is not over.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    slot: StreamPartition,
    homes: BTreeMap<PartitionId, AtHome>,
    /// How many events of all that the homes found are wanted: the last ones. Settled when each has answered once.
    last: Option<u64>,
    /// How many events are still to be left out.
    skipped: u64,
}

/// What one home has answered of a reading.
#[derive(Clone, Debug, Default)]
struct AtHome {
    asked: bool,
    part: Part,
    /// How many events the home has found, if it said so.
    total: u64,
    /// The next question, and the replica whose answers it continues.
    next: Option<(Query, Address)>,
}

impl ReadRequest {
    pub(super) fn stream(&self) -> StreamId {
        self.slot.stream
    }

    /// The next of the answer, as far as it is known while no home is being asked: nothing if one must be first.
    fn merged(&mut self) -> Chunk {
        if self.homes.values().any(|home| home.part.is_empty() && home.next.is_some()) {
            return Chunk::default();
        }
        if let Some(count) = self.last.take() {
            let found: u64 = self.homes.values().map(|home| home.total).sum();
            self.skipped = found.saturating_sub(count);
        }
        let parts = self.homes.values_mut().map(|home| &mut home.part).filter(|part| !part.is_empty());
        let mut chunk = merge(parts.collect());
        self.skipped = skip(&mut chunk, self.skipped);
        let open = self.homes.values().find_map(|home| home.next.as_ref().map(|(next, _)| next.clone()));
        chunk.next = open;
        chunk
    }

    fn is_asking(&self) -> bool {
        self.homes.values().any(|home| home.asked)
    }

    fn is_over(&self) -> bool {
        self.homes.values().all(|home| !home.asked && home.part.is_empty() && home.next.is_none())
    }

    /// What homes must be asked before the next event is known.
    fn questions(&mut self) -> Vec<(PartitionId, Query, Address)> {
        let used_up = self.homes.iter_mut().filter(|(_, home)| home.part.is_empty() && !home.asked);
        let ask = |(id, home): (&PartitionId, &mut AtHome)| {
            let (query, replica) = home.next.take()?;
            home.asked = true;
            Some((*id, query, replica))
        };
        used_up.filter_map(ask).collect()
    }
}

/// Questions that replicas have not answered yet.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// Questions so far.
    count: u64,
    asked: BTreeMap<u64, Asked>,
}

/// One question to a replica.
#[derive(Clone, Debug)]
struct Asked {
    id: (SessionId, u64),
    flow: Flow,
    query: Query,
    /// Who is asked, and the only one to be heard; `None` while the partition has no replicas.
    replica: Option<Address>,
    /// Whether nobody else can answer.
    bound: bool,
    attempt: u32,
    asked_us: u64,
}

impl Asked {
    fn send(&self, ctx: &mut Context<'_>, token: u64) {
        let Some(replica) = self.replica else { return };
        let message = match self.query.clone() {
            Query::Lane { lane, from } => Message::ReadLane { token, partition: self.flow.home, lane, from },
            query => Message::Read { token, query, budget_bytes: CHUNK_BYTES },
        };
        ctx.send(replica, message, &[]);
    }
}

impl Readings {
    pub(super) fn forget(&mut self, id: (SessionId, u64)) {
        self.asked.retain(|_, asked| asked.id != id);
    }

    pub(super) fn forget_flow(&mut self, id: (SessionId, u64), flow: Flow) {
        self.asked.retain(|_, asked| asked.id != id || asked.flow != flow);
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.asked.values().map(|asked| asked.asked_us + READ_TIMEOUT_US).min()
    }
}

impl Edge {
    pub(super) fn begin_read(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slot: StreamPartition,
        reading: Reading,
    ) {
        let query = |partition| match reading {
            Reading::Last(count) => Query::Last { partition, slot, count, up_to_index: u64::MAX },
            Reading::Range { from, to, origin } => {
                Query::Range { partition, slot, from, to, up_to_index: u64::MAX, origin }
            }
        };
        let mut homes: Vec<PartitionId> = ctx.view.homes(slot).iter().map(|home| home.partition).collect();
        if ctx.rules.has(Bug::ReadsNewestHome) {
            homes.drain(..homes.len() - 1);
        }
        if homes.len() > 1 {
            // What never had members holds nothing.
            homes.retain(|home| ctx.view.partition(*home).is_some_and(|partition| partition.founded));
        }
        let asked = || AtHome { asked: true, ..AtHome::default() };
        let request = ReadRequest {
            slot,
            homes: homes.iter().map(|home| (*home, asked())).collect(),
            last: if let Reading::Last(count) = reading { Some(count) } else { None },
            skipped: 0,
        };
        self.session(id.0).requests.insert(id.1, Request::Read(request));
        for home in homes {
            let flow = Flow { slot, home };
            let replica = fresh_source(ctx, &self.publishing, flow, 0);
            self.ask(ctx, id, flow, query(home), replica, false);
        }
    }

    fn reading(&mut self, id: (SessionId, u64)) -> Option<&mut ReadRequest> {
        match self.sessions.get_mut(&id.0)?.requests.get_mut(&id.1)? {
            Request::Read(reading) => Some(reading),
            Request::Subscribe(_) => None,
        }
    }

    /// The client wants the next chunk.
    pub(super) fn continue_read(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64)) {
        self.ask_used_up(ctx, id);
        self.deliver_reading(ctx, id);
    }

    fn ask_used_up(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64)) {
        let Some(reading) = self.reading(id) else { return };
        let (slot, to_ask) = (reading.slot, reading.questions());
        for (home, query, replica) in to_ask {
            self.ask(ctx, id, Flow { slot, home }, query, Some(replica), false);
        }
    }

    /// Passes on what of a reading is in order by now: one chunk that is not empty, or the end.
    fn deliver_reading(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64)) {
        while let Some(reading) = self.reading(id).filter(|reading| !reading.is_asking()) {
            let (slot, chunk, over) = (reading.slot, reading.merged(), reading.is_over());
            let is_empty = chunk.order.is_empty();
            if over || !is_empty {
                ctx.reply(id.0, Reply::Chunk { request: id.1, slot, chunk });
            }
            if over {
                self.session(id.0).requests.remove(&id.1);
                ctx.reply(id.0, Reply::End { request: id.1 });
            }
            if !is_empty {
                return;
            }
            self.ask_used_up(ctx, id);
        }
    }

    /// Asks one replica and no other; it may be this broker itself.
    pub(super) fn ask_at(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        query: Query,
        replica: Address,
    ) {
        self.ask(ctx, id, flow, query, Some(replica), true);
    }

    fn ask(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        flow: Flow,
        query: Query,
        replica: Option<Address>,
        bound: bool,
    ) {
        self.readings.count += 1;
        let token = ctx.share.token(self.readings.count);
        let asked = Asked { id, flow, query, replica, bound, attempt: 0, asked_us: ctx.now.monotonic_us };
        asked.send(ctx, token);
        self.readings.asked.insert(token, asked);
    }

    /// A replica answered. Anybody can guess a token, so only who was asked is heard; and what does not hold together
    /// goes to no client: the next replica is asked.
    pub fn on_answer(&mut self, ctx: &mut Context<'_>, from: Address, token: u64, chunk: Chunk) {
        let Some(asked) = self.readings.asked.get(&token).filter(|asked| asked.replica == Some(from)) else {
            return;
        };
        if !is_sound(&asked.query, asked.flow.slot, &chunk) {
            self.on_read_failed(ctx, from, token, "an answer did not hold together");
            return;
        }
        let Some(asked) = self.readings.asked.remove(&token) else { return };
        let (session, request) = asked.id;
        let open = self.sessions.get_mut(&session).and_then(|s| s.requests.get_mut(&request));
        match open {
            Some(Request::Read(reading)) => {
                let answered = AtHome {
                    asked: false,
                    total: chunk.total,
                    next: chunk.next.clone().map(|next| (next, from)),
                    part: Part::new(chunk),
                };
                reading.homes.insert(asked.flow.home, answered);
                self.deliver_reading(ctx, asked.id);
            }
            Some(Request::Subscribe(_)) => match asked.query {
                Query::Lane { lane, .. } => self.on_shown(ctx, from, asked.flow, lane, &chunk),
                _ => self.on_history(ctx, asked.id, asked.flow, chunk),
            },
            None => {}
        }
    }

    /// A replica cannot answer: the next one is asked. After a full turn through the replicas the question waits for
    /// its time-out, so that replicas that are catching up are not asked in circles.
    pub fn on_read_failed(&mut self, ctx: &mut Context<'_>, from: Address, token: u64, reason: &str) {
        let Some(asked) = self.readings.asked.get(&token).filter(|asked| asked.replica == Some(from)) else {
            return;
        };
        let replicas = sources(ctx, asked.flow.home).len() as u32;
        let at_once = !asked.bound && !(asked.attempt + 1).is_multiple_of(replicas.max(1));
        self.try_again(ctx, token, reason, at_once);
    }

    pub(super) fn retry_readings(&mut self, ctx: &mut Context<'_>) {
        let now_us = ctx.now.monotonic_us;
        let overdue = |asked: &Asked| now_us >= asked.asked_us + READ_TIMEOUT_US;
        let due: Vec<u64> =
            self.readings.asked.iter().filter(|(_, asked)| overdue(asked)).map(|(token, _)| *token).collect();
        due.into_iter().for_each(|token| self.try_again(ctx, token, "no answer in time", true));
    }

    fn try_again(&mut self, ctx: &mut Context<'_>, token: u64, reason: &str, at_once: bool) {
        let Some(mut asked) = self.readings.asked.remove(&token) else { return };
        asked.attempt += 1;
        asked.asked_us = ctx.now.monotonic_us;
        if asked.bound && asked.attempt >= FEED_READ_ATTEMPTS {
            // Who does not show what it claims says nothing about the source.
            if !matches!(asked.query, Query::Lane { .. }) {
                self.restart_feed(ctx, asked.flow);
            }
            return;
        }
        if asked.attempt >= READ_ATTEMPTS {
            ctx.mark(Rare::ReadRefused);
            let (session, request) = asked.id;
            self.cancel(ctx, asked.id);
            let reason = format!("no replica could answer ({reason}): try again in a moment");
            let refusal = Refusal::new(RefusalCode::Unavailable, reason);
            ctx.reply(session, Reply::Refused { request, refusal });
            return;
        }
        if !asked.bound {
            ctx.mark(Rare::ReadMoved);
            asked.replica = fresh_source(ctx, &self.publishing, asked.flow, asked.attempt);
            asked.query = asked.query.unpinned();
        }
        if at_once {
            asked.send(ctx, token);
        }
        self.readings.asked.insert(token, asked);
    }
}
