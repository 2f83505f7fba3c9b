//! An honest broker of a fuzzed network: a shard, its disk in memory, and what its surroundings have not done yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use weir_kernel::broker::{Command, Input, Output, Reply, SessionId, Shard, Token};
use weir_kernel::coordinator::{Intent, State};
use weir_kernel::ids::{Address, Hash, LaneId};
use weir_kernel::log::{Query, Record};
use weir_kernel::signature::{KeyedReportVerifier, keyed_report};
use weir_kernel::time::Now;
use weir_kernel::wire;
use weir_store::{EventLog, MemoryDisk, MemoryLog};

use crate::verifier::DOMAIN;

/// What one step of a broker did to the world.
#[derive(Debug, Default)]
pub struct Effects {
    /// Frames to peers.
    pub frames: Vec<(Address, Vec<u8>)>,
    /// Transactions.
    pub intents: Vec<Intent>,
    /// Answers to clients.
    pub replies: Vec<(SessionId, Reply)>,
    /// Things told to the operator.
    pub traces: Vec<weir_kernel::broker::Trace>,
}

/// One honest broker.
pub struct Broker {
    /// Its account.
    pub address: Address,
    shard: Shard,
    disk: MemoryDisk,
    log: MemoryLog,
    view: Arc<State>,
    /// The place in the chain's list of views that it has seen.
    pub seen: usize,
    reads: VecDeque<(Token, Query, u32)>,
    signs: VecDeque<(Token, Hash)>,
    /// Writes since the last sync.
    unsynced: Vec<Vec<Record>>,
    /// For each lane, the events that were ever on this disk and were not truncated.
    pub durable: BTreeMap<LaneId, u64>,
}

impl Broker {
    /// A new broker with an empty disk.
    pub fn new(address: Address, view: Arc<State>) -> Self {
        let disk = MemoryDisk::new();
        let log = disk.open();
        let shard = open(address, &view, &log);
        Self {
            address,
            shard,
            disk,
            log,
            view,
            seen: 0,
            reads: VecDeque::new(),
            signs: VecDeque::new(),
            unsynced: Vec::new(),
            durable: BTreeMap::new(),
        }
    }

    /// What it holds.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// A frame arrives: decoded as a node decodes it.
    pub fn deliver(&mut self, now: Now, from: Address, frame: &[u8]) -> Effects {
        match wire::decode(frame, from, DOMAIN, &KeyedReportVerifier) {
            Ok(received) => self.step(now, Input::Peer(from, received)),
            Err(_) => Effects::default(),
        }
    }

    /// A client's command.
    pub fn command(&mut self, now: Now, session: SessionId, command: Command) -> Effects {
        self.step(now, Input::Client(session, command))
    }

    /// A later view of the chain.
    pub fn see(&mut self, now: Now, place: usize, view: Arc<State>) -> Effects {
        assert!(place >= self.seen, "views only move on");
        self.seen = place;
        self.view = Arc::clone(&view);
        self.step(now, Input::Chain(view))
    }

    /// Time has passed.
    pub fn elapse(&mut self, now: Now) -> Effects {
        self.step(now, Input::Elapsed)
    }

    /// Everything written so far reaches the disk.
    pub fn sync(&mut self, now: Now) -> Effects {
        let synced = self.log.sync().expect("a disk in memory syncs");
        for record in self.unsynced.drain(..).flatten() {
            match record {
                Record::Batch(batch) => {
                    self.durable.insert(batch.lane, batch.sequence + u64::from(batch.count));
                }
                Record::Truncate { lane, from, .. } => {
                    self.durable.insert(lane, from);
                }
                Record::Put { .. } | Record::Remove { .. } => {}
            }
        }
        self.step(now, Input::Durable(synced))
    }

    /// The oldest read is answered, or fails.
    pub fn answer_read(&mut self, now: Now, fails: bool) -> Option<Effects> {
        let (token, query, budget_bytes) = self.reads.pop_front()?;
        if fails {
            return Some(self.step(now, Input::LoadFailed(token, "the disk is busy".to_string())));
        }
        let chunk = self.log.read(&query, budget_bytes as usize).expect("a disk in memory is not damaged");
        Some(self.step(now, Input::Loaded(token, chunk)))
    }

    /// The oldest signature is made.
    pub fn answer_sign(&mut self, now: Now) -> Option<Effects> {
        let (token, hash) = self.signs.pop_front()?;
        let signature = keyed_report(&self.address, &hash);
        Some(self.step(now, Input::Signed(token, signature)))
    }

    /// Whether its surroundings owe it something.
    pub fn is_waited_for(&self) -> bool {
        !(self.reads.is_empty() && self.signs.is_empty() && self.unsynced.is_empty())
    }

    /// Power fails: what was not synced is gone, and the broker starts again from its disk.
    pub fn crash(&mut self) {
        self.log.crash();
        self.restart();
    }

    /// The disk is replaced by an empty one.
    pub fn lose_disk(&mut self) {
        self.disk = MemoryDisk::new();
        self.log = self.disk.open();
        self.durable.clear();
        self.restart();
    }

    fn restart(&mut self) {
        self.reads.clear();
        self.signs.clear();
        self.unsynced.clear();
        self.shard = open(self.address, &self.view, &self.log);
    }

    fn step(&mut self, now: Now, input: Input) -> Effects {
        let mut outputs = Vec::new();
        self.shard.step(now, input, &mut outputs);
        let mut effects = Effects::default();
        for output in outputs {
            match output {
                Output::Send(to, message, batches) => {
                    effects.frames.push((to, wire::encode(&message, &batches)));
                }
                Output::Write(index, records) => {
                    self.log.write(index, &records).expect("the kernel keeps the log's rules");
                    self.unsynced.push(records);
                }
                Output::Read(token, query, budget_bytes) => {
                    self.reads.push_back((token, query, budget_bytes))
                }
                Output::Expire(expiry) => {
                    let mut done = None;
                    while self.log.let_go(&expiry, &mut done).expect("the log in memory takes it") > 0 {}
                }
                Output::Sign(token, hash) => self.signs.push_back((token, hash)),
                Output::Submit(intent) => effects.intents.push(intent),
                Output::Hand(..) => unreachable!("a broker of one shard has nobody to hand anything to"),
                Output::Reply(session, reply) => effects.replies.push((session, reply)),
                Output::Event(trace) => effects.traces.push(trace),
            }
        }
        effects
    }
}

fn open(address: Address, view: &Arc<State>, log: &MemoryLog) -> Shard {
    let checkpoint = log.load().expect("a disk in memory loads");
    Shard::open(address, Arc::clone(view), &checkpoint).expect("a broker's own rows are taken up")
}
