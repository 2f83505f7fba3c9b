//! The engine thread: takes in what is there, takes a turn, carries out what comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_kernel::broker::{Command, Trace};
use weir_kernel::coordinator::State;
use weir_kernel::ids::Address;
use weir_kernel::signature::SecretKey;
use weir_kernel::time::Now;
use weir_net::quic::QuicTransport;
use weir_net::{NetEvent, Peer, Transport};
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

/// The longest sleep: statistics are refreshed at least this often.
const MAX_SLEEP: Duration = Duration::from_millis(500);

/// How old statistics may be once something happened: who publishes and then looks should see it.
const STATISTICS_INTERVAL: Duration = Duration::from_millis(5);

/// But of the engine's time statistics take at most one part in so many: with many lanes they cost more to make.
const STATISTICS_SHARE: u32 = 20;

/// Everything the engine thread owns.
pub struct Turns {
    /// The broker's name in logs.
    pub name: String,
    /// Signs reports.
    pub key: SecretKey,
    /// The kernel and its codec.
    pub engine: Engine<NativeVerifier>,
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
            let mut completions = self.inbox.take(sleep);
            busy = self.take_in(&mut completions);
            let view = completions.iter().rev().find_map(|completion| match completion {
                Completion::Chain(view) => Some(Arc::clone(view)),
                _ => None,
            });
            self.engine.turn(now(started), completions, &mut operations);
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

    /// Takes frames and commands, unless the disk is behind; says whether there may be more at once.
    fn take_in(&mut self, completions: &mut Vec<Completion>) -> bool {
        if !self.committer.has_room() {
            return false;
        }
        let events = self.transport.poll(MAX_TAKEN);
        let mut more = events.len() == MAX_TAKEN;
        for event in events {
            match event {
                NetEvent::Received { from, frame } => completions.push(Completion::Frame(from, frame)),
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
        }
        for taken in 0.. {
            if taken == MAX_TAKEN {
                more = true;
                break;
            }
            let Some((session, command)) = self.end.try_command() else { break };
            completions.push(Completion::Client(session, command));
        }
        more
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

    fn refresh_statistics(&self) {
        let counted = self.log.statistics();
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
