//! An engine thread: takes in what is there, takes a turn, carries out what comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_kernel::broker::{Command, Trace};
use weir_kernel::coordinator::State;
use weir_kernel::signature::SecretKey;
use weir_kernel::time::Now;
use weir_net::quic::Sender;
use weir_store::LogReader;

use super::commit::Committer;
use super::disk::DiskLimit;
use super::door::Door;
use super::inbox::{Framed, Inbox, Taken};
use super::reading::Reader;
use super::shown::Shown;
use super::submit::Submitter;
use super::verifying::Verifying;
use crate::engine::{Completion, Engine, Operation};
use crate::handle::{NodeStatistics, Replies};
use crate::verifier::NativeVerifier;

/// The longest sleep: statistics are refreshed at least this often.
const MAX_SLEEP: Duration = Duration::from_millis(500);

/// How old statistics may be once something happened: who publishes and then looks should see it.
const STATISTICS_INTERVAL: Duration = Duration::from_millis(5);

/// But of the engine's time statistics take at most one part in so many: with many lanes they cost more to make.
const STATISTICS_SHARE: u32 = 20;

/// What the engine threads of a broker have in common.
pub struct Common {
    /// The broker's name in logs.
    pub name: String,
    /// Signs reports.
    pub key: SecretKey,
    /// Verification, with those that help.
    pub verifying: Arc<Verifying>,
    /// To other brokers.
    pub sender: Sender,
    /// To clients and status.
    pub replies: Replies,
    /// To the chain.
    pub submitter: Submitter,
    /// The inboxes of all engine threads, by shard.
    pub shards: Vec<Arc<Inbox>>,
    /// Which view of the chain is shown.
    pub shown: Shown,
    /// What they may keep on disk together.
    pub disk: DiskLimit,
}

/// With the last engine thread the threads that work for all of them end.
impl Drop for Common {
    fn drop(&mut self) {
        self.verifying.close();
        self.submitter.close();
    }
}

/// Where an engine's frames and commands come from.
pub enum Source {
    /// A broker's only engine takes them in itself.
    Door(Box<Door>),
    /// The front, whose inbox this is, brings them.
    Front(Arc<Inbox>),
}

/// Everything that an engine thread owns.
pub struct Turns {
    /// The number of its shard.
    pub number: u16,
    /// What it shares with the others.
    pub common: Arc<Common>,
    /// The kernel and its codec.
    pub engine: Engine<NativeVerifier>,
    /// What comes in from outside.
    pub source: Source,
    /// What other threads completed.
    pub inbox: Arc<Inbox>,
    /// To the disk.
    pub committer: Committer,
    /// From the disk.
    pub reader: Reader,
    /// Counts.
    pub log: Arc<dyn LogReader>,
    /// Whether the kernel knows the disk as full.
    pub full: bool,
}

impl Turns {
    /// Runs until the broker is stopped or fails.
    pub fn run(mut self) {
        let started = Instant::now();
        let common = Arc::clone(&self.common);
        let mut operations = Vec::new();
        let mut refreshed = Instant::now();
        let (mut busy, mut stale, mut patience) = (false, false, STATISTICS_INTERVAL);
        while !self.inbox.life().is_stopping() {
            let sleep = match (busy, stale) {
                (true, _) => Duration::ZERO,
                (false, true) => self.sleep(started).min(patience),
                (false, false) => self.sleep(started),
            };
            let (completions, taken) = self.take(sleep);
            let _awake = common.verifying.wake();
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
                self.show(view);
            }
        }
    }

    fn show(&mut self, view: Arc<State>) {
        if let Source::Door(door) = &mut self.source {
            door.set_peers(&view);
        }
        let Common { shown, replies, .. } = &*self.common;
        shown.taken_in(self.number, view, |view| replies.set_view(view));
    }

    fn sleep(&self, started: Instant) -> Duration {
        let now_us = now(started).monotonic_us;
        let until =
            self.engine.deadline().map(|(at_us, _)| Duration::from_micros(at_us.saturating_sub(now_us)));
        until.map_or(MAX_SLEEP, |until| until.min(MAX_SLEEP))
    }

    /// Takes what was completed, and frames and commands unless the disk is behind.
    fn take(&mut self, sleep: Duration) -> (Vec<Completion>, Taken) {
        match &mut self.source {
            Source::Door(door) => {
                let (completions, none) = self.inbox.take(sleep, false);
                let taken = if self.committer.has_room() { door.take_in() } else { none };
                (completions, taken)
            }
            Source::Front(front) => {
                let (completions, taken) = self.inbox.take(sleep, self.committer.has_room());
                if taken.freed {
                    front.wake();
                }
                (completions, taken)
            }
        }
    }

    /// Verifies frames and takes them in, in their order.
    fn receive(&mut self, at: Now, frames: Vec<Framed>, operations: &mut Vec<Operation>) {
        for (from, received) in self.common.verifying.decode(self.engine.decoder(), frames) {
            match received {
                Ok(received) => self.engine.receive(at, from, received, operations),
                Err(error) => operations.push(Operation::Refused(from, error)),
            }
        }
    }

    fn carry_out(&mut self, operations: &mut Vec<Operation>) {
        for operation in operations.drain(..) {
            match operation {
                Operation::Send { to, channel, frame } => {
                    if let Err(error) = self.common.sender.send(to, channel, frame) {
                        // Whoever waits for the answer asks again.
                        tracing::trace!(broker = self.common.name, %error, "not sent");
                    }
                }
                Operation::Write { index, records } => self.committer.write(index, records),
                Operation::Expire(expiry) => self.committer.expire(expiry),
                Operation::Read { token, query, budget_bytes } => {
                    self.reader.read(token, query, budget_bytes)
                }
                Operation::Sign { token, digest } => {
                    self.inbox.push(Completion::Signed(token, self.common.key.sign_hash(&digest)));
                }
                Operation::Submit(intent) => {
                    self.common.submitter.submit(&self.engine.shard().view().contracts, intent);
                }
                Operation::Reply(session, reply) => {
                    if !self.common.replies.reply(session, reply) {
                        tracing::warn!(
                            broker = self.common.name,
                            ?session,
                            "session ended: it does not take its replies"
                        );
                        self.engine_close(session);
                    }
                }
                Operation::Hand(shard, handed) => {
                    if !self.common.shards[usize::from(shard)].hand(handed) {
                        // As with a frame, whoever waits for it asks again.
                        tracing::trace!(broker = self.common.name, shard, "not handed over");
                    }
                }
                Operation::Trace(trace) => self.log_trace(&trace),
                Operation::Refused(peer, error) => {
                    tracing::warn!(broker = self.common.name, %peer, %error, "frame refused");
                }
            }
        }
    }

    fn engine_close(&self, session: weir_kernel::broker::SessionId) {
        let close = || Completion::Client(session, Command::Close);
        self.common.shards.iter().for_each(|shard| shard.push(close()));
    }

    fn log_trace(&self, trace: &Trace) {
        match trace {
            Trace::SealAdopted(..) | Trace::EpochEntered(..) => {
                tracing::debug!(broker = self.common.name, ?trace, "partition");
            }
            Trace::Succeeded(successor, from_epoch) => tracing::warn!(
                broker = self.common.name,
                "since epoch {from_epoch} the network is the coordinator {successor}: nothing is sealed here any more. \
                 Rewards are still claimed and the stake can be withdrawn; register there to go on"
            ),
            _ => tracing::warn!(broker = self.common.name, ?trace, "kernel"),
        }
    }

    fn refresh_statistics(&mut self) {
        let counted = self.log.statistics();
        let full = self.common.disk.is_reached(self.number, counted.disk_bytes);
        if std::mem::replace(&mut self.full, full) != full {
            tracing::warn!(broker = self.common.name, full, bytes = counted.disk_bytes, "disk limit");
            self.inbox.push(Completion::Full(full));
        }
        let mut statistics = NodeStatistics {
            events: counted.events,
            batches: counted.batches,
            bytes: counted.bytes,
            peers: match &self.source {
                Source::Door(door) => door.peers(),
                Source::Front(_) => 0,
            },
            ..NodeStatistics::default()
        };
        let view = self.engine.shard().view();
        for summary in self.engine.shard().summaries() {
            let sealed = view.partition(summary.partition).map_or(0, |p| p.events);
            let events = u64::try_from(sealed).unwrap_or(u64::MAX).saturating_add(summary.unsealed_events);
            statistics.partition_events.insert(summary.partition, events);
            statistics.partition_seals.insert(summary.partition, (summary.sealed_epoch, summary.checksum));
        }
        self.common.replies.set_statistics(self.number, statistics);
    }
}

/// However an engine thread ends, the broker's other threads end with it.
impl Drop for Turns {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the engine panicked: please report this with the log as a bug";
            self.inbox.life().fail(String::from(reason));
        }
        self.committer.close();
        self.reader.close();
    }
}

fn now(started: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        monotonic_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
    }
}
