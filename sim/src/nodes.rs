//! Nodes: an engine, its disk, and what outlives its process.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_chain::wallet::Wallet;
use weir_kernel::broker::Shards;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, PartitionId, StreamPartition};
use weir_kernel::log::{Expiry, Record};
use weir_kernel::marks::Marks;
use weir_kernel::rules::Rules;
use weir_kernel::signature::SecretKey;
use weir_kernel::time::Now;
use weir_node::engine::{Completion, Operation};
use weir_store::{EventLog, Fault, FaultLog, FaultPlan, LogError, MemoryDisk, MemoryLog};

use crate::audit::NodeAudit;
use crate::broker::Broker;
use crate::digest::Transcript;
use crate::scenario::key_bytes;
use crate::tape::Counts;
use crate::verifier::SimulationVerifier;

/// Syncs between two steps in which a log drops what is of a partition that was left: slow enough that its broker may
/// be back before everything is gone.
const LET_GO_SYNCS: u64 = 100;

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
    shards: Shards,
    disk: MemoryDisk,
    /// What the disk refuses to do next.
    trouble: FaultPlan,
    process: Option<Process>,
    /// Marks of processes that have ended.
    marks: Marks,
    /// A crash that the next step's transcript begins with.
    wiped: Option<bool>,
}

/// What ends with a crash.
struct Process {
    broker: Broker,
    log: FaultLog<MemoryLog>,
    /// Writes that the log took and has not synced.
    unsynced: Vec<u64>,
    /// The last write that is synced.
    synced: u64,
    /// Writes that came while others are being synced: they go to the disk together, with the next sync.
    waiting: Vec<(u64, Vec<Record>)>,
    /// Syncs that there were.
    syncs: u64,
    /// Partitions that were left, of which the log may still hold something, and how far it has come with each.
    left: BTreeMap<PartitionId, (Expiry, Option<StreamPartition>)>,
    syncing: bool,
    wake_us: Option<u64>,
    height: u64,
}

impl Process {
    fn apply(&mut self, index: u64, records: &[Record]) -> Result<(), LogError> {
        self.log.write(index, records)?;
        self.unsynced.push(index);
        Ok(())
    }

    fn let_go(&mut self, expiry: &Expiry, done: &mut Option<StreamPartition>) -> Result<u64, LogError> {
        let batches = self.log.let_go(expiry, done)?;
        if batches > 0 {
            // A crash may take it back as it may a write, and with it none that was acknowledged.
            self.unsynced.push(self.unsynced.last().copied().unwrap_or(self.synced));
        }
        Ok(batches)
    }
}

impl Node {
    /// A machine with an empty disk, not started yet.
    pub fn new(seed: u64, number: u32, real_signatures: bool, shards: Shards) -> Self {
        let bytes = key_bytes(seed, "broker", u64::from(number));
        let key = SecretKey::from_bytes(&bytes).expect("the key is in range");
        let wallet = Wallet::from_bytes(&bytes).expect("the key is in range");
        Self {
            address: key.address(),
            key,
            wallet: if real_signatures { wallet } else { wallet.standing_in() },
            audit: NodeAudit::default(),
            counts: Counts::default(),
            incarnation: 0,
            shards,
            disk: MemoryDisk::new(),
            trouble: FaultPlan::default(),
            process: None,
            marks: Marks::default(),
            wiped: None,
        }
    }

    /// Whether its process runs.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// The broker, while the process runs.
    pub fn broker(&self) -> Option<&Broker> {
        self.process.as_ref().map(|process| &process.broker)
    }

    /// The log, while the process runs.
    pub fn log(&self) -> Option<&FaultLog<MemoryLog>> {
        self.process.as_ref().map(|process| &process.log)
    }

    /// Rare branches that its processes went through.
    pub fn marks(&self) -> Marks {
        let mut marks = self.marks.clone();
        self.process.iter().for_each(|process| process.broker.add_marks(&mut marks));
        marks
    }

    /// Starts the process from what its disk holds.
    pub fn start(&mut self, view: Arc<State>, verifier: SimulationVerifier, rules: Rules) {
        assert!(self.process.is_none(), "a process is started once");
        let log = FaultLog::new(self.disk.open(), self.trouble);
        let checkpoint = log.load().expect("a disk in memory does not fail");
        let broker = Broker::open(self.address, view, &checkpoint, (verifier, rules), self.shards);
        let broker = broker.expect("what a broker wrote it can take up");
        self.incarnation += 1;
        self.process = Some(Process {
            broker,
            log,
            unsynced: Vec::new(),
            synced: 0,
            waiting: Vec::new(),
            syncs: 0,
            left: BTreeMap::new(),
            syncing: false,
            wake_us: None,
            height: 0,
        });
    }

    /// The disk takes no write from now on, or does again.
    pub fn fill_disk(&mut self, full: bool) {
        self.trouble.write = full.then_some((1, Fault::Full));
        self.plan();
    }

    /// The next sync fails, or does not.
    pub fn fail_sync(&mut self, fails: bool) {
        self.trouble.sync = fails.then_some((1, Fault::Device));
        self.plan();
    }

    /// The next read finds that what it reads is damaged.
    pub fn damage_next_read(&mut self) {
        let plan = FaultPlan { read: Some((1, Fault::Damage)), ..self.trouble };
        self.process.iter_mut().for_each(|process| process.log.plan(plan));
    }

    fn plan(&mut self) {
        let plan = self.trouble;
        self.process.iter_mut().for_each(|process| process.log.plan(plan));
    }

    /// How many writes the log took and has not synced.
    pub fn unsynced(&self) -> usize {
        self.process.as_ref().map_or(0, |process| process.unsynced.len())
    }

    /// So many of the unsynced writes are on the disk all the same; the index of the last of them.
    pub fn keep(&mut self, writes: usize) -> Option<u64> {
        let process = self.process.as_ref()?;
        let last = process.unsynced.get(writes.checked_sub(1)?).copied()?;
        self.disk.keep(writes);
        Some(last)
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
        if !self.audit.is_on() {
            process.broker.turn(now, completion, operations);
            return true;
        }
        transcript.number(now.monotonic_us);
        if let Some(wipe) = self.wiped.take() {
            transcript.number(u64::from(wipe) + 40);
        }
        if let Some(completion) = &completion {
            transcript.completion(completion);
        }
        process.broker.turn(now, completion, operations);
        operations.iter().for_each(|operation| transcript.operation(operation));
        self.audit.step(now.monotonic_us, transcript);
        true
    }

    /// When the broker wants its next turn at the latest, if no such turn is on the way already.
    pub fn next_wake(&mut self, now_us: u64) -> Option<u64> {
        let process = self.process.as_mut()?;
        let at_us = process.broker.deadline()?;
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
    ///
    /// # Errors
    ///
    /// The log's: then it takes nothing any more.
    pub fn write(&mut self, index: u64, records: Vec<Record>) -> Result<bool, LogError> {
        let Some(process) = &mut self.process else { return Ok(false) };
        if process.syncing {
            process.waiting.push((index, records));
            return Ok(false);
        }
        process.syncing = true;
        process.apply(index, &records)?;
        Ok(true)
    }

    /// Lets go of what is too old, all of it; how many batches that were. What is of a partition that was left goes
    /// with [`Node::go_on_letting_go`].
    ///
    /// # Errors
    ///
    /// The log's: then it takes nothing any more.
    pub fn expire(&mut self, expiry: &Expiry) -> Result<u64, LogError> {
        let Some(process) = &mut self.process else { return Ok(0) };
        if expiry.slot.is_none() {
            process.left.insert(expiry.partition, (*expiry, None));
            return Ok(0);
        }
        let mut all = 0;
        loop {
            let batches = process.let_go(expiry, &mut None)?;
            if batches == 0 {
                return Ok(all);
            }
            all += batches;
        }
    }

    /// Lets go of some batches of a partition that was left, as a log does between two groups of writes: others come
    /// while some are still there.
    ///
    /// # Errors
    ///
    /// The log's: then it takes nothing any more.
    pub fn go_on_letting_go(&mut self) -> Result<u64, LogError> {
        let Some(process) = &mut self.process else { return Ok(0) };
        if !process.syncs.is_multiple_of(LET_GO_SYNCS) {
            return Ok(0);
        }
        let Some((partition, (expiry, mut done))) = process.left.pop_first() else { return Ok(0) };
        let batches = process.let_go(&expiry, &mut done)?;
        if batches > 0 {
            process.left.insert(partition, (expiry, done));
        }
        Ok(batches)
    }

    /// Ends a sync.
    ///
    /// # Errors
    ///
    /// The log's: then it takes nothing any more.
    pub fn sync(&mut self) -> Result<Option<u64>, LogError> {
        let Some(process) = &mut self.process else { return Ok(None) };
        let index = process.log.sync()?;
        process.syncs += 1;
        process.unsynced.clear();
        process.synced = index;
        Ok(Some(index))
    }

    /// Hands the disk what waited for a sync to end; true if the next has to be begun.
    ///
    /// # Errors
    ///
    /// The log's: then it takes nothing any more.
    pub fn write_waiting(&mut self) -> Result<bool, LogError> {
        let Some(process) = &mut self.process else { return Ok(false) };
        let waiting = std::mem::take(&mut process.waiting);
        process.syncing = !waiting.is_empty();
        waiting.iter().try_for_each(|(index, records)| process.apply(*index, records))?;
        Ok(process.syncing)
    }
}
