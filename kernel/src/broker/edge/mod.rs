//! The edge: what a broker does for the clients connected to it (WP 2.4.3, 2.4.4).
//!
//! ```text
//!   client ── Publish ──► checks, Append to all replicas ◄── Acknowledge ── q of one epoch ──► Published(Stored)
//!   client ── Read ─────► one replica, chunk by chunk, each when the client has taken the last
//!   client ── Subscribe ► history by chunks ─► what came meanwhile ─► the live flow
//! ```
//!
//! The edge trusts no single replica with `stored`, asks one replica for data, and moves to another when it stalls, or
//! when others show what it leaves out ([`survey`]).
//!
//! A batch goes to the home that its lane's opening block fixes. A reader gets what all homes of a stream partition
//! hold: the edge has a [`Flow`] for each, asks each for history and for what is live, and [`merge`]s.
//!
//! In a broker of several shards each has an edge: batches are published through that of their partition's shard, and a
//! stream's readers are at that of the stream's ([`sharding`](super::sharding)).

mod answers;
mod feeds;
mod merge;
mod publishing;
mod reached;
mod reading;
mod subscribing;
mod survey;
mod surveying;
mod tails;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use self::feeds::Feeds;
use self::publishing::Publishing;
use self::reading::{ReadRequest, Readings};
pub use self::survey::Testimony;
use self::tails::Subscription;
use super::admission::may_still_grow;
use super::context::Context;
use super::io::{Command, Reply, SessionId};
use super::refusal::{Refusal, RefusalCode};
use crate::coordinator::{Home, State, Stream};
use crate::ids::{Address, Epoch, PartitionId, StreamId, StreamPartition};
use crate::limits::{LANE_LIFETIME_EPOCHS, MAX_REQUESTS};
use crate::marks::Rare;
use crate::rules::Bug;

/// What one shard does for the clients of its broker.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    sessions: BTreeMap<SessionId, Session>,
    publishing: Publishing,
    readings: Readings,
    feeds: Feeds,
    /// The epoch for which subscriptions follow every home and replicas were asked what moved.
    entered_epoch: Epoch,
}

/// A stream partition at one of its homes: what a reader asks one replica for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// The stream partition.
    pub slot: StreamPartition,
    /// The partition that holds some of its lanes.
    pub home: PartitionId,
}

#[derive(Clone, Debug, Default)]
struct Session {
    identity: Option<Address>,
    requests: BTreeMap<u64, Request>,
}

/// A request that is not over yet.
#[derive(Clone, Debug)]
enum Request {
    Read(ReadRequest),
    Subscribe(Subscription),
}

impl Edge {
    /// A client wants something.
    pub fn on_command(&mut self, ctx: &mut Context<'_>, session: SessionId, command: Command) {
        match command {
            Command::Identify(identity) => self.session(session).identity = identity,
            Command::Publish { request, batch, level } => {
                self.publishing.publish(ctx, (session, request), batch, level);
            }
            Command::Read { request, slot, reading } => {
                if self.admit(ctx, session, request, slot.stream, &[slot.partition]) {
                    self.begin_read(ctx, (session, request), slot, reading);
                }
            }
            Command::Subscribe { request, stream, partitions, from } => {
                if self.admit(ctx, session, request, stream, &partitions) {
                    self.begin_subscription(ctx, (session, request), stream, partitions, from);
                }
            }
            Command::More { request, bytes } => self.more(ctx, (session, request), bytes),
            Command::Cancel { request } => self.cancel(ctx, (session, request)),
            Command::Close => {
                let requests: Vec<u64> = self
                    .sessions
                    .get(&session)
                    .into_iter()
                    .flat_map(|s| s.requests.keys().copied())
                    .collect();
                requests.into_iter().for_each(|request| self.cancel(ctx, (session, request)));
                self.sessions.remove(&session);
                self.publishing.forget_session(session);
            }
        }
    }

    fn session(&mut self, session: SessionId) -> &mut Session {
        self.sessions.entry(session).or_default()
    }

    /// Whether a session may read a stream's partitions; tells it if not.
    fn admit(
        &mut self,
        ctx: &mut Context<'_>,
        session: SessionId,
        request: u64,
        stream: StreamId,
        partitions: &[u32],
    ) -> bool {
        let state = self.session(session);
        let refusal = if state.requests.len() >= MAX_REQUESTS {
            Some(Refusal::new(
                RefusalCode::RateLimited,
                format!("{MAX_REQUESTS} requests are open in this session: end one"),
            ))
        } else if state.requests.contains_key(&request) {
            Some(Refusal::new(RefusalCode::Invalid, format!("request {request} is open already")))
        } else {
            may_read(ctx.view, state.identity, stream, partitions).err()
        };
        let admitted = refusal.is_none();
        if let Some(refusal) = refusal {
            ctx.reply(session, Reply::Refused { request, refusal });
        }
        admitted
    }

    fn cancel(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64)) {
        let Some(session) = self.sessions.get_mut(&id.0) else { return };
        if let Some(Request::Subscribe(subscription)) = session.requests.remove(&id.1) {
            self.feeds.leave(ctx, id, subscription.flows());
        }
        self.readings.forget(id);
    }

    fn more(&mut self, ctx: &mut Context<'_>, id: (SessionId, u64), bytes: u64) {
        match self.sessions.get_mut(&id.0).and_then(|session| session.requests.get_mut(&id.1)) {
            Some(Request::Read(_)) => self.continue_read(ctx, id),
            Some(Request::Subscribe(subscription)) => {
                subscription.taken(bytes);
                self.pump(ctx, id);
            }
            None => {}
        }
    }

    /// The chain moved on: permissions may have ended, replicas changed, partitions been added.
    pub fn on_view(&mut self, ctx: &mut Context<'_>) {
        if !ctx.rules.has(Bug::CachesPermission) {
            self.end_unauthorized(ctx);
        }
        self.enter_epoch(ctx);
        self.publishing.on_view(ctx);
    }

    fn end_unauthorized(&mut self, ctx: &mut Context<'_>) {
        let mut ended = Vec::new();
        for (session, state) in &self.sessions {
            for (request, open) in &state.requests {
                let stream = match open {
                    Request::Read(reading) => reading.stream(),
                    Request::Subscribe(subscription) => subscription.stream,
                };
                if let Err(refusal) = may_read(ctx.view, state.identity, stream, &[]) {
                    ended.push(((*session, *request), refusal));
                }
            }
        }
        for (id, refusal) in ended {
            ctx.mark(Rare::PermissionEnded);
            self.cancel(ctx, id);
            ctx.reply(id.0, Reply::Refused { request: id.1, refusal });
        }
    }

    /// When this edge wants to be woken, in monotonic microseconds.
    pub fn deadline(&self) -> Option<u64> {
        [self.publishing.deadline(), self.readings.deadline(), self.feeds.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Asks again where an answer is overdue.
    pub fn on_elapsed(&mut self, ctx: &mut Context<'_>) {
        self.publishing.on_elapsed(ctx);
        self.retry_readings(ctx);
        self.retry_feeds(ctx);
    }

    /// What publishing hears from replicas.
    pub fn publishing(&mut self) -> &mut Publishing {
        &mut self.publishing
    }
}

/// Whether somebody may read these partitions of a stream now (WP 2.4.2).
fn may_read(
    view: &State,
    identity: Option<Address>,
    stream: StreamId,
    partitions: &[u32],
) -> Result<(), Refusal> {
    let known: &Stream = view.stream(stream).filter(|s| s.exists_at(view.height)).ok_or_else(|| {
        Refusal::new(RefusalCode::NotFound, format!("there is no stream {stream}: check the id"))
    })?;
    if let Some(partition) = partitions.iter().find(|partition| **partition >= known.partitions) {
        return Err(Refusal::new(
            RefusalCode::Invalid,
            format!("stream {stream} has partitions 0 to {}, not {partition}", known.partitions - 1),
        ));
    }
    let reader = identity.unwrap_or(Address::ZERO);
    if !known.can_subscribe_at(reader, view.height, view.timestamp_s) {
        return Err(Refusal::new(
            RefusalCode::Unauthorized,
            match identity {
                Some(reader) => {
                    format!("{reader} may not read stream {stream}: ask its owner for permission")
                }
                None => format!("stream {stream} is not public: sign in as somebody who may read it"),
            },
        ));
    }
    Ok(())
}

/// Replicas to ask for a partition's data, best first: this broker itself, then the others, starting with a
/// different one at each broker so that load spreads.
fn sources(ctx: &Context<'_>, partition: PartitionId) -> Vec<Address> {
    let set = ctx.view.acting_set(partition, ctx.view.epoch());
    let mut replicas: Vec<Address> = set.brokers().filter_map(|index| ctx.view.address_of(index)).collect();
    replicas.sort();
    let spread = usize::from(ctx.me.0[19]);
    if !replicas.is_empty() {
        let shift = spread % replicas.len();
        replicas.rotate_left(shift);
    }
    if let Some(mine) = replicas.iter().position(|address| *address == ctx.me) {
        replicas[..=mine].rotate_right(1);
    }
    replicas
}

/// Whether a home gets no events any more, and every replica that serves has handed on the last ones: the lanes that
/// opened there have been past their life for as long again.
fn is_quiet(view: &State, homes: &[Home], home: PartitionId) -> bool {
    let next = homes.iter().skip_while(|h| h.partition != home).nth(1);
    let sealed = view.partition(home).map_or(0, |partition| partition.sealed_epoch);
    next.is_some_and(|next| !may_still_grow(next.from_epoch - 1 + LANE_LIFETIME_EPOCHS, sealed))
}

/// The replica to ask at this attempt.
fn source(ctx: &Context<'_>, flow: Flow, attempt: u32) -> Option<Address> {
    nth(&sources(ctx, flow.home), attempt)
}

/// The replica to ask at this attempt, those first that hold what this edge last saw stored.
fn fresh_source(ctx: &Context<'_>, publishing: &Publishing, flow: Flow, attempt: u32) -> Option<Address> {
    let mut replicas = sources(ctx, flow.home);
    replicas.sort_by_key(|replica| !publishing.is_fresh(&flow, replica));
    nth(&replicas, attempt)
}

fn nth(replicas: &[Address], attempt: u32) -> Option<Address> {
    (!replicas.is_empty()).then(|| replicas[attempt as usize % replicas.len()])
}
