//! The engine thread: takes in what is there, takes a turn, carries out what comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use weir_kernel::broker::{Command, Trace};
use weir_kernel::coordinator::State;
use weir_kernel::ids::Address;
use weir_kernel::signature::SecretKey;
use weir_kernel::time::Now;
use weir_kernel::wire::{FrameError, Received};
use weir_net::quic::QuicTransport;
use weir_net::{NetEvent, Peer, Transport};
use weir_queue::Share;
use weir_store::LogReader;

use super::commit::Committer;
use super::inbox::Inbox;
use super::reading::Reader;
use super::submit::Submitter;
use crate::engine::{Completion, Engine, Operation};
use crate::handle::{NodeEnd, NodeStatistics};
use crate::verifier::NativeVerifier;

/// Frames and commands taken in one turn: enough to work in batches, few enough that timers stay sharp.
const MAX_TAKEN: usize = 1024;

/// Bytes of frames, and of clients' batches, taken in one turn: a few milliseconds of verification, after which the disk gets what is verified
/// and peers hear what is on disk.
const MAX_TAKEN_BYTES: usize = 256 << 10;

/// Events taken from the transport at a time.
const POLLED: usize = 8;

/// The longest sleep: statistics are refreshed at least this often.
const MAX_SLEEP: Duration = Duration::from_millis(500);

/// How old statistics may be once something happened: who publishes and then looks should see it.
const STATISTICS_INTERVAL: Duration = Duration::from_millis(5);

/// But of the engine's time statistics take at most one part in so many: with many lanes they cost more to make.
const STATISTICS_SHARE: u32 = 20;

/// Bytes of frames below which verifying them is no work for several threads.
const SHARED_BYTES: usize = 16 << 10;

/// A frame and who sent it.
pub type Framed = (Address, Bytes);

/// What a frame was.
pub type Decoded = (Address, Result<Received, FrameError>);

/// What a turn takes in.
#[derive(Default)]
struct Taken {
    frames: Vec<Framed>,
    commands: Vec<Completion>,
    /// There may be more at once.
    more: bool,
}

/// Everything the engine thread owns.
pub struct Turns {
    /// The broker's name in logs.
    pub name: String,
    /// Signs reports.
    pub key: SecretKey,
    /// The kernel and its codec.
    pub engine: Engine<NativeVerifier>,
    /// Verification, with those that help.
    pub verifying: Arc<Share<Framed, Decoded>>,
    /// The sockets.
    pub transport: QuicTransport,
    /// Client sessions.
    pub end: NodeEnd,
    /// What other threads completed.
    pub inbox: Arc<Inbox>,
    /// To the disk.
    pub committer: Committer,
    /// From the disk.
    pub reader: Reader,
    /// To the chain.
    pub submitter: Submitter,
    /// Counts.
    pub log: Arc<dyn LogReader>,
    /// Bytes on disk from which on nothing new is taken from publishers; `None` for no limit.
    pub disk_limit_bytes: Option<u64>,
    /// Whether the kernel knows the disk as full.
    pub full: bool,
    /// Peers connected now.
    pub peers: u64,
}

impl Turns {
    /// Runs until the broker is stopped or fails.
    pub fn run(mut self) {
        let started = Instant::now();
        let waker = {
            let inbox = Arc::clone(&self.inbox);
            Arc::new(move || inbox.wake())
        };
        self.transport.set_waker(waker.clone());
        self.end.set_waker(waker);
        let mut operations = Vec::new();
        let mut refreshed = Instant::now();
        let (mut busy, mut stale, mut patience) = (false, false, STATISTICS_INTERVAL);
        while !self.inbox.is_stopping() {
            let sleep = match (busy, stale) {
                (true, _) => Duration::ZERO,
                (false, true) => self.sleep(started).min(patience),
                (false, false) => self.sleep(started),
            };
            let completions = self.inbox.take(sleep);
            let taken = self.take_in();
            busy = taken.more;
            let view = completions.iter().rev().find_map(|completion| match completion {
                Completion::Chain(view) => Some(Arc::clone(view)),
                _ => None,
            });
            self.engine.turn(now(started), completions, &mut operations);
            self.receive(now(started), taken.frames, &mut operations);
            if !taken.commands.is_empty() {
                self.engine.turn(now(started), taken.commands, &mut operations);
            }
            busy |= !operations.is_empty();
            stale |= !operations.is_empty();
            self.carry_out(&mut operations);
            // A new view is shown together with what the broker made of it: a seal with its adoption.
            let due = if stale { patience } else { MAX_SLEEP };
            if view.is_some() || refreshed.elapsed() >= due {
                let begin = Instant::now();
                self.refresh_statistics();
                refreshed = Instant::now();
                patience = ((refreshed - begin) * STATISTICS_SHARE).clamp(STATISTICS_INTERVAL, MAX_SLEEP);
                stale = false;
            }
            if let Some(view) = view {
                self.transport.set_peers(directory(&view));
                self.end.set_view(view);
            }
        }
    }

    fn sleep(&self, started: Instant) -> Duration {
        let now_us = now(started).monotonic_us;
        let until =
            self.engine.deadline().map(|(at_us, _)| Duration::from_micros(at_us.saturating_sub(now_us)));
        until.map_or(MAX_SLEEP, |until| until.min(MAX_SLEEP))
    }

    /// Takes frames and commands, unless the disk is behind.
    fn take_in(&mut self) -> Taken {
        let mut all = Taken::default();
        if !self.committer.has_room() {
            return all;
        }
        let (mut taken, mut bytes) = (0, 0);
        all.more = true;
        while all.more && taken < MAX_TAKEN && bytes < MAX_TAKEN_BYTES {
            let events = self.transport.poll(POLLED);
            all.more = events.len() == POLLED;
            taken += events.len();
            for event in events {
                if let NetEvent::Received { frame, .. } = &event {
                    bytes += frame.len();
                }
                all.frames.extend(self.heard(event));
            }
        }
        let (mut taken, mut bytes) = (0, 0);
        while let Some((session, command)) = self.end.try_command() {
            taken += 1;
            if let Command::Publish { batch, .. } = &command {
                bytes += batch.bytes().len();
            }
            all.commands.push(Completion::Client(session, command));
            if taken == MAX_TAKEN || bytes >= MAX_TAKEN_BYTES {
                all.more = true;
                break;
            }
        }
        all
    }

    /// Verifies frames, on several cores where there is enough to do, and takes them in, in their order.
    fn receive(&mut self, at: Now, frames: Vec<Framed>, operations: &mut Vec<Operation>) {
        let decoder = self.engine.decoder();
        let decode = |(from, frame): Framed| (from, decoder.decode(from, &frame));
        let bytes: usize = frames.iter().map(|(_, frame)| frame.len()).sum();
        let decoded: Vec<Decoded> = if frames.len() > 1 && bytes >= SHARED_BYTES {
            self.verifying.run(frames, decode)
        } else {
            frames.into_iter().map(decode).collect()
        };
        for (from, received) in decoded {
            match received {
                Ok(received) => self.engine.receive(at, from, received, operations),
                Err(error) => operations.push(Operation::Refused(from, error)),
            }
        }
    }

    fn heard(&mut self, event: NetEvent) -> Option<Framed> {
        match event {
            NetEvent::Received { from, frame } => return Some((from, frame)),
            NetEvent::Connected(peer) => {
                self.peers += 1;
                tracing::debug!(broker = self.name, %peer, "connected");
            }
            NetEvent::Disconnected(peer, reason) => {
                self.peers = self.peers.saturating_sub(1);
                tracing::info!(broker = self.name, %peer, %reason, "disconnected");
            }
            NetEvent::Refused { remote, reason } => {
                tracing::warn!(broker = self.name, %remote, %reason, "connection refused");
            }
        }
        None
    }

    fn carry_out(&mut self, operations: &mut Vec<Operation>) {
        for operation in operations.drain(..) {
            match operation {
                Operation::Send { to, channel, frame } => {
                    if let Err(error) = self.transport.send(to, channel, frame) {
                        // Whoever waits for the answer asks again.
                        tracing::trace!(broker = self.name, %error, "not sent");
                    }
                }
                Operation::Write { index, records } => self.committer.write(index, records),
                Operation::Expire(expiry) => self.committer.expire(expiry),
                Operation::Read { token, query, budget_bytes } => {
                    self.reader.read(token, query, budget_bytes)
                }
                Operation::Sign { token, digest } => {
                    self.inbox.push(Completion::Signed(token, self.key.sign_hash(&digest)));
                }
                Operation::Submit(intent) => {
                    self.submitter.submit(&self.engine.shard().view().contracts, intent);
                }
                Operation::Reply(session, reply) => {
                    if !self.end.reply(session, reply) {
                        tracing::warn!(
                            broker = self.name,
                            ?session,
                            "session ended: it does not take its replies"
                        );
                        self.engine_close(session);
                    }
                }
                Operation::Trace(trace) => self.log_trace(&trace),
                Operation::Refused(peer, error) => {
                    tracing::warn!(broker = self.name, %peer, %error, "frame refused");
                }
            }
        }
    }

    fn engine_close(&self, session: weir_kernel::broker::SessionId) {
        self.inbox.push(Completion::Client(session, Command::Close));
    }

    fn log_trace(&self, trace: &Trace) {
        match trace {
            Trace::SealAdopted(..) | Trace::EpochEntered(..) => {
                tracing::debug!(broker = self.name, ?trace, "partition");
            }
            Trace::Succeeded(successor, from_epoch) => tracing::warn!(
                broker = self.name,
                "since epoch {from_epoch} the network is the coordinator {successor}: nothing is sealed here any more. \
                 Rewards are still claimed and the stake can be withdrawn; register there to go on"
            ),
            _ => tracing::warn!(broker = self.name, ?trace, "kernel"),
        }
    }

    fn refresh_statistics(&mut self) {
        let counted = self.log.statistics();
        let full = self.disk_limit_bytes.is_some_and(|limit| counted.disk_bytes >= limit);
        if std::mem::replace(&mut self.full, full) != full {
            tracing::warn!(broker = self.name, full, bytes = counted.disk_bytes, "disk limit");
            self.inbox.push(Completion::Full(full));
        }
        let mut statistics = NodeStatistics {
            events: counted.events,
            batches: counted.batches,
            bytes: counted.bytes,
            peers: self.peers,
            ..NodeStatistics::default()
        };
        let view = self.engine.shard().view();
        for summary in self.engine.shard().summaries() {
            let sealed = view.partition(summary.partition).map_or(0, |p| p.events);
            let events = u64::try_from(sealed).unwrap_or(u64::MAX).saturating_add(summary.unsealed_events);
            statistics.partition_events.insert(summary.partition, events);
            statistics.partition_seals.insert(summary.partition, (summary.sealed_epoch, summary.checksum));
        }
        self.end.set_statistics(statistics);
    }
}

/// However the engine thread ends, the broker's other threads end with it.
impl Drop for Turns {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.inbox.fail(String::from("the engine panicked: please report this with the log as a bug"));
        }
        self.committer.close();
        self.verifying.close();
        self.reader.close();
        self.submitter.close();
        self.transport.close();
    }
}

fn now(started: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        monotonic_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
    }
}

/// The peers that the chain lists.
fn directory(view: &State) -> Vec<Peer> {
    view.brokers
        .values()
        .filter(|broker| broker.left.is_none() || broker.seats > 0)
        .map(|broker| Peer {
            address: Address(broker.address.0),
            endpoint: broker.endpoint.clone(),
            tls_key_hash: broker.tls_key_hash,
        })
        .collect()
}
