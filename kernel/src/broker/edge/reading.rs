//! Readings: a query answered by one replica, chunk by chunk, each asked for when the last was taken.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::{Edge, Request, source};
use crate::broker::context::Context;
use crate::broker::io::{Reading, Reply, SessionId};
use crate::broker::message::Message;
use crate::broker::refusal::{Refusal, RefusalCode};
use crate::ids::StreamPartition;
use crate::limits::{CHUNK_BYTES, READ_ATTEMPTS, READ_TIMEOUT_US};
use crate::log::{Chunk, Query};

/// A reading that is not over: where it goes on.
#[derive(Debug)]
pub struct ReadRequest {
    slot: StreamPartition,
    next: Option<Query>,
}

/// Questions that replicas have not answered yet.
#[derive(Debug, Default)]
pub struct Readings {
    next_token: u64,
    asked: BTreeMap<u64, Asked>,
}

/// One question to a replica.
#[derive(Debug)]
struct Asked {
    id: (SessionId, u64),
    slot: StreamPartition,
    query: Query,
    attempt: u32,
    first_attempt: u32,
    asked_us: u64,
}

impl Readings {
    /// Asks the replica of this attempt; it may be this broker itself.
    pub(super) fn ask(
        &mut self,
        ctx: &mut Context<'_>,
        id: (SessionId, u64),
        slot: StreamPartition,
        query: Query,
        attempt: u32,
    ) {
        self.next_token += 1;
        let token = self.next_token;
        let asked =
            Asked { id, slot, query, attempt, first_attempt: attempt, asked_us: ctx.now.monotonic_us };
        send(ctx, token, &asked);
        self.asked.insert(token, asked);
    }

    pub(super) fn forget(&mut self, id: (SessionId, u64)) {
        self.asked.retain(|_, asked| asked.id != id);
    }

    pub(super) fn forget_slot(&mut self, id: (SessionId, u64), slot: StreamPartition) {
        self.asked.retain(|_, asked| asked.id != id || asked.slot != slot);
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.asked.values().map(|asked| asked.asked_us + READ_TIMEOUT_US).min()
    }
}

fn send(ctx: &mut Context<'_>, token: u64, asked: &Asked) {
    if let Some(replica) = source(ctx, asked.slot, asked.attempt) {
        let message = Message::Read { token, query: asked.query.clone(), budget_bytes: CHUNK_BYTES };
        ctx.send(replica, message, &[]);
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
        let partition = ctx.view.home(slot);
        let query = match reading {
            Reading::Last(count) => Query::Last { partition, slot, count, up_to_index: u64::MAX },
            Reading::Range { from, to, origin } => {
                Query::Range { partition, slot, from, to, up_to_index: u64::MAX, origin }
            }
        };
        self.session(id.0).requests.insert(id.1, Request::Read(ReadRequest { slot, next: None }));
        self.readings.ask(ctx, id, slot, query, 0);
    }

    pub(super) fn continue_read(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64)) {
        let request = self.sessions.get_mut(&id.0).and_then(|session| session.requests.get_mut(&id.1));
        if let Some(Request::Read(reading)) = request
            && let Some(query) = reading.next.take()
        {
            let slot = reading.slot;
            self.readings.ask(ctx, id, slot, query, 0);
        }
    }

    /// A replica answered.
    pub fn on_answer(&mut self, ctx: &mut Context<'_>, token: u64, chunk: Chunk) {
        let Some(asked) = self.readings.asked.remove(&token) else { return };
        let (session, request) = asked.id;
        let open = self.sessions.get_mut(&session).and_then(|s| s.requests.get_mut(&request));
        match open {
            Some(Request::Read(reading)) => {
                reading.next = chunk.next.clone();
                let over = chunk.next.is_none();
                ctx.reply(session, Reply::Chunk { request, slot: asked.slot, chunk });
                if over {
                    self.session(session).requests.remove(&request);
                    ctx.reply(session, Reply::End { request });
                }
            }
            Some(Request::Subscribe(_)) => self.on_history(ctx, asked.id, asked.slot, chunk),
            None => {}
        }
    }

    /// A replica cannot answer: the next one is asked.
    pub fn on_read_failed(&mut self, ctx: &mut Context<'_>, token: u64, reason: &str) {
        if let Some(asked) = self.readings.asked.remove(&token) {
            self.ask_next(ctx, token, asked, reason);
        }
    }

    fn ask_next(&mut self, ctx: &mut Context<'_>, token: u64, mut asked: Asked, reason: &str) {
        asked.attempt += 1;
        if asked.attempt - asked.first_attempt >= READ_ATTEMPTS {
            let (session, request) = asked.id;
            self.cancel(ctx, asked.id);
            let reason = format!("no replica could answer ({reason}): try again in a moment");
            let refusal = Refusal::new(RefusalCode::Unavailable, reason);
            ctx.reply(session, Reply::Refused { request, refusal });
            return;
        }
        asked.asked_us = ctx.now.monotonic_us;
        // After a full turn through the replicas the question waits for its time-out, so that a replica that is
        // catching up is not asked in circles.
        let replicas = super::sources(ctx, ctx.view.home(asked.slot)).len() as u32;
        let full_turn = (asked.attempt - asked.first_attempt) % replicas.max(1) == 0;
        if !full_turn {
            send(ctx, token, &asked);
        }
        self.readings.asked.insert(token, asked);
    }

    pub(super) fn retry_readings(&mut self, ctx: &mut Context<'_>) {
        let now_us = ctx.now.monotonic_us;
        let overdue = |asked: &Asked| now_us >= asked.asked_us + READ_TIMEOUT_US;
        let due: alloc::vec::Vec<u64> =
            self.readings.asked.iter().filter(|(_, asked)| overdue(asked)).map(|(token, _)| *token).collect();
        for token in due {
            let Some(mut asked) = self.readings.asked.remove(&token) else { continue };
            asked.attempt += 1;
            asked.asked_us = now_us;
            if asked.attempt - asked.first_attempt >= READ_ATTEMPTS {
                self.ask_next(ctx, token, asked, &String::from("no answer in time"));
                continue;
            }
            send(ctx, token, &asked);
            self.readings.asked.insert(token, asked);
        }
    }
}
