//! Nodes: an engine, its disk, and what outlives its process.

use std::sync::Arc;

use weir_chain::wallet::Wallet;
use weir_kernel::coordinator::State;
use weir_kernel::ids::Address;
use weir_kernel::log::Record;
use weir_kernel::marks::Marks;
use weir_kernel::rules::Rules;
use weir_kernel::signature::SecretKey;
use weir_kernel::time::Now;
use weir_node::engine::{Completion, Engine, Operation};
use weir_store::EventLog;
use weir_store::{MemoryDisk, MemoryLog};

use crate::audit::NodeAudit;
use crate::digest::Transcript;
use crate::scenario::key_bytes;
use crate::tape::Counts;
use crate::verifier::SimulationVerifier;

/// A broker's machine: runs or is down.
pub struct Node {
    /// The broker's account.
    pub address: Address,
    /// Its key for reports.
    pub key: SecretKey,
    /// The same key for transactions.
    pub wallet: Wallet,
    /// Everything that it saw and did.
    pub audit: NodeAudit,
    /// How much its own machine has decided so far.
    pub counts: Counts,
    /// Rises with each start: what was begun by an earlier process does not reach a later one.
    pub incarnation: u32,
    disk: MemoryDisk,
    process: Option<Process>,
    /// Marks of processes that have ended.
    marks: Marks,
    /// A crash that the next step's transcript begins with.
    wiped: Option<bool>,
}

/// What ends with a crash.
struct Process {
    engine: Engine<SimulationVerifier>,
    log: MemoryLog,
    /// Writes that came while others are being synced: they go to the disk together, with the next sync.
    waiting: Vec<(u64, Vec<Record>)>,
    syncing: bool,
    wake_us: Option<u64>,
    height: u64,
}

/// A sync is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The highest write that is durable now.
    pub index: u64,
    /// More was written meanwhile: the next sync has to be begun.
    pub more: bool,
}

impl Process {
    fn apply(&mut self, who: Address, index: u64, records: &[Record]) {
        self.log.write(index, records).unwrap_or_else(|error| {
            panic!("the kernel broke the log's rules at {who}: {error}");
        });
    }
}

impl Node {
    /// A machine with an empty disk, not started yet.
    pub fn new(seed: u64, number: u32) -> Self {
        let bytes = key_bytes(seed, "broker", u64::from(number));
        let key = SecretKey::from_bytes(&bytes).expect("the key is in range");
        Self {
            address: key.address(),
            key,
            wallet: Wallet::from_bytes(&bytes).expect("the key is in range"),
            audit: NodeAudit::default(),
            counts: Counts::default(),
            incarnation: 0,
            disk: MemoryDisk::new(),
            process: None,
            marks: Marks::default(),
            wiped: None,
        }
    }

    /// Whether its process runs.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// The engine, while the process runs.
    pub fn engine(&self) -> Option<&Engine<SimulationVerifier>> {
        self.process.as_ref().map(|process| &process.engine)
    }

    /// The log, while the process runs.
    pub fn log(&self) -> Option<&MemoryLog> {
        self.process.as_ref().map(|process| &process.log)
    }

    /// Rare branches that its processes went through.
    pub fn marks(&self) -> Marks {
        let mut marks = self.marks.clone();
        self.process.iter().for_each(|process| marks.add(process.engine.shard().marks()));
        marks
    }

    /// Starts the process from what its disk holds.
    pub fn start(&mut self, view: Arc<State>, verifier: SimulationVerifier, rules: Rules) {
        assert!(self.process.is_none(), "a process is started once");
        let log = self.disk.open();
        let checkpoint = log.load().expect("a disk in memory does not fail");
        let engine = Engine::open_with(self.address, view, &checkpoint, verifier, rules);
        let engine = engine.expect("what a broker wrote it can take up");
        self.incarnation += 1;
        self.process =
            Some(Process { engine, log, waiting: Vec::new(), syncing: false, wake_us: None, height: 0 });
    }

    /// Ends the process. What was not synced is gone; with `wipe`, everything is.
    pub fn crash(&mut self, wipe: bool) {
        self.marks = self.marks();
        self.process = None;
        self.disk.crash();
        if wipe {
            self.disk = MemoryDisk::new();
        }
        self.wiped = Some(wipe);
    }

    /// One turn of the engine. Returns false when the process is down, or the view is not newer than the last.
    pub fn turn(
        &mut self,
        now: Now,
        completion: Option<Completion>,
        operations: &mut Vec<Operation>,
        transcript: &mut Transcript,
    ) -> bool {
        let Some(process) = &mut self.process else { return false };
        if let Some(Completion::Chain(view)) = &completion {
            if view.height <= process.height {
                return false;
            }
            process.height = view.height;
        }
        transcript.number(now.monotonic_us);
        if let Some(wipe) = self.wiped.take() {
            transcript.number(u64::from(wipe) + 40);
        }
        if let Some(completion) = &completion {
            transcript.completion(completion);
        }
        process.engine.turn(now, completion, operations);
        operations.iter().for_each(|operation| transcript.operation(operation));
        self.audit.step(now.monotonic_us, transcript);
        true
    }

    /// When the engine wants its next turn at the latest, if no such turn is on the way already.
    pub fn next_wake(&mut self, now_us: u64) -> Option<u64> {
        let process = self.process.as_mut()?;
        let (at_us, _) = process.engine.deadline()?;
        // Time moves on even if the engine asks for a turn in the past.
        let at_us = at_us.max(now_us + 1);
        let sooner = process.wake_us.is_none_or(|planned| at_us < planned || planned <= now_us);
        sooner.then(|| {
            process.wake_us = Some(at_us);
            at_us
        })
    }

    /// Takes a write; true if a sync has to be begun for it. As in production, what comes while a sync runs waits
    /// for the next.
    pub fn write(&mut self, index: u64, records: Vec<Record>) -> bool {
        let Some(process) = &mut self.process else { return false };
        if process.syncing {
            process.waiting.push((index, records));
            return false;
        }
        process.syncing = true;
        process.apply(self.address, index, &records);
        true
    }

    /// Ends a sync, and hands the disk what waited for that.
    pub fn sync(&mut self) -> Option<Synced> {
        let process = self.process.as_mut()?;
        let index = process.log.sync().expect("a disk in memory does not fail");
        let waiting = std::mem::take(&mut process.waiting);
        waiting.iter().for_each(|(index, records)| process.apply(self.address, *index, records));
        process.syncing = !waiting.is_empty();
        Some(Synced { index, more: process.syncing })
    }
}
