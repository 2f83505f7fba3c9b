//! The world: everything of a run, moved on by one event after the other.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use weir_kernel::broker::{Reply, SessionId, Token, Trace};
use weir_kernel::coordinator::Intent;
use weir_kernel::ids::{Address, Epoch, Hash, PartitionId};
use weir_kernel::log::{Query, Record, Table};
use weir_kernel::rules::Rules;
use weir_kernel::time::Now;
use weir_node::engine::{Completion, Operation};
use weir_store::EventLog;

use crate::audit::Audit;
use crate::by_address::ByAddress;
use crate::byzantine;
use crate::chain::branch::Branch;
use crate::chain::{ChainActor, START_MS};
use crate::clients::Client;
use crate::clients::published::Publications;
use crate::digest::Transcript;
use crate::faults::Fault;
use crate::heap::EventHeap;
use crate::links::Links;
use crate::nodes::Node;
use crate::observer::{Happening, Observer};
use crate::oracles::Oracles;
use crate::report::{Progress, Report};
use crate::scenario::{Moment, Scenario};
use crate::surroundings::note_about;
use crate::tape::{Actor, Counts, Decider, Purpose};
use crate::verifier::SimulationVerifier;

mod blocks;
mod end;
mod population;
mod progress;
mod service;
mod sessions;

use self::service::Service;

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    Frame { from: u32, to: u32, ordinal: u64, sent_us: u64, frame: Bytes },
    Completion { node: usize, incarnation: u32, completion: Completion },
    Sync { node: usize, incarnation: u32 },
    Read { node: usize, incarnation: u32, token: Token, query: Query, budget_bytes: u32 },
    Sign { node: usize, incarnation: u32, token: Token, digest: Hash },
    Wake { node: usize, incarnation: u32 },
    Block,
    Transaction { node: usize, intent: Intent },
    Register { node: usize, tickets: u8 },
    Join { node: usize, tickets: u8 },
    FaultBegins { index: usize },
    FaultEnds { index: usize },
    Start { node: usize },
    Heal,
    ClientWake { client: usize },
    Reply { client: usize, session: SessionId, reply: Reply },
    Disconnected { client: usize, session: SessionId },
    Connect { client: usize },
    Served { node: usize },
}

/// A client's session with an edge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub node: usize,
    pub incarnation: u32,
    pub session: SessionId,
    /// When the last command arrives: those of one session stay in order.
    pub down_us: u64,
    /// The same for replies.
    pub up_us: u64,
}

/// A client, and how much it has decided so far.
pub(crate) struct Seated {
    pub actor: Actor,
    pub counts: Counts,
    /// Sessions so far.
    pub sessions: u32,
    pub client: Client,
}

/// Everything of a run. Faults and Byzantine nodes act on it from their own files.
pub(crate) struct World<'a> {
    pub scenario: &'a Scenario,
    pub decider: Decider,
    pub observer: Option<&'a mut dyn Observer>,
    /// Told at each block.
    pub progress: Option<&'a mut dyn FnMut(Progress)>,
    /// The run ends at the first violation of this oracle.
    pub stop_at: Option<&'a str>,
    pub now_us: u64,
    pub heap: EventHeap<Event>,
    pub nodes: Vec<Node>,
    pub numbers: ByAddress<usize>,
    pub chain: ChainActor,
    pub links: Links,
    pub clients: Vec<Seated>,
    pub connections: Vec<Option<Connection>>,
    /// Clients that connect to one node and no other.
    pub edges: BTreeMap<usize, usize>,
    /// Faults that last, in the order in which they began.
    pub active: Vec<&'a Fault>,
    /// Brokers that lost a disk, and the epoch in which they last started since.
    pub lost_disks: BTreeMap<usize, Epoch>,
    /// What liars remember.
    pub lies: BTreeMap<usize, byzantine::Memory>,
    /// Brokers of which frames may have to be refused: they lied, or their links corrupt.
    pub suspects: BTreeSet<Address>,
    pub sessions: BTreeMap<SessionId, usize>,
    pub publications: Publications,
    pub oracles: Oracles,
    pub verifier: SimulationVerifier,
    pub service: Service,
    pub rules: Rules,
    /// Brokers whose provider of the chain is on a branch of its own.
    pub branches: BTreeMap<usize, Branch>,
    pub healed: bool,
    /// Replicas that were ready to serve readers at a block near the end.
    pub serving: BTreeSet<(Address, PartitionId)>,
    pub operations: Vec<Operation>,
    pub transcript: Transcript,
    pub report: Report,
}

/// Until a client notices that its edge is gone.
pub(crate) const NOTICE_US: u64 = 200_000;

/// What is left of a world when its run is over.
pub(crate) struct Ended {
    pub report: Report,
    pub audit: Audit,
    pub decider: Decider,
}

/// Until one shard of a broker hears what another says, in microseconds.
const HANDOVER_US: (u64, u64) = (1, 2_000);

/// What a signature takes, in microseconds.
const SIGN_US: (u64, u64) = (50, 500);

impl World<'_> {
    /// Runs to the end, or to the violation that was asked for.
    pub fn run(&mut self) {
        let end_us = self.scenario.end_us();
        while let Some((at_us, event)) = self.heap.pop() {
            if at_us > end_us {
                break;
            }
            self.now_us = at_us;
            let known = self.report.violations.len();
            self.serve(event);
            if self.report.violations.len() > known && self.on_violations(known) {
                return;
            }
        }
        self.now_us = end_us;
        let known = self.report.violations.len();
        self.check_end();
        self.on_violations(known);
    }

    /// Tells of violations; whether the run is to stop at one of them.
    fn on_violations(&mut self, known: usize) -> bool {
        let violations = std::mem::take(&mut self.report.violations);
        violations[known..].iter().for_each(|violation| self.observe(&Happening::Violated(violation)));
        let stop = violations[known..].iter().any(|violation| self.stop_at == Some(violation.oracle));
        self.report.violations = violations;
        stop
    }

    /// Tells whoever watches.
    pub fn observe(&mut self, happening: &Happening<'_>) {
        if let Some(observer) = &mut self.observer {
            observer.observe(self.now_us, happening);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Frame { from, to, ordinal, sent_us, frame } => {
                self.report.frames += 1;
                self.observe(&Happening::Received { from, to, ordinal, sent_us });
                let from = self.nodes[from as usize].address;
                self.turn(to as usize, Some(Completion::Frame(from, frame)));
            }
            Event::Completion { node, incarnation, completion } => {
                if self.nodes[node].incarnation == incarnation {
                    self.turn(node, Some(completion));
                }
            }
            Event::Sync { node, incarnation } => {
                if self.nodes[node].incarnation == incarnation {
                    self.on_sync(node);
                }
            }
            Event::Read { node, incarnation, token, query, budget_bytes } => {
                self.on_read(node, incarnation, token, &query, budget_bytes);
            }
            Event::Sign { node, incarnation, token, digest } => {
                if self.nodes[node].incarnation == incarnation && self.nodes[node].is_up() {
                    let violations = &mut self.report.violations;
                    self.oracles.cuts.on_sign(self.now_us, node, digest, violations);
                    let signer = &self.nodes[node];
                    let signature = self.verifier.sign(&signer.key, signer.address, &digest);
                    self.turn(node, Some(Completion::Signed(token, signature)));
                }
            }
            Event::Wake { node, incarnation } => {
                if self.nodes[node].incarnation == incarnation {
                    self.turn(node, None);
                }
            }
            Event::Block => self.on_block(),
            Event::Transaction { node, intent } => {
                if !self.is_without_chain(node) {
                    self.chain.submit(&self.nodes[node].wallet, &intent);
                }
            }
            Event::Register { node, tickets } => self.register(node, tickets),
            Event::Join { node, tickets } => {
                self.start(node);
                self.heap.schedule(self.now_us + 300_000, Event::Register { node, tickets });
            }
            Event::FaultBegins { index } => {
                let scenario = self.scenario;
                self.begin(&scenario.faults[index]);
            }
            Event::FaultEnds { index } => {
                let scenario = self.scenario;
                self.end(&scenario.faults[index]);
            }
            Event::Start { node } => self.start(node),
            Event::Heal => self.on_heal(),
            Event::ClientWake { client } => self.with_client(client, Client::on_wake),
            Event::Reply { client, session, reply } => self.on_reply(client, session, reply),
            Event::Disconnected { client, session } => {
                if self.connections[client].is_some_and(|connection| connection.session == session) {
                    self.connect(client);
                }
            }
            Event::Connect { client } => self.connect(client),
            Event::Served { node } => self.on_served(node),
        }
    }

    // ---- Nodes ----------------------------------------------------------------------------------------------

    fn turn(&mut self, node: usize, completion: Option<Completion>) {
        let mut wall_ms = START_MS + self.now_us / 1_000;
        if !self.active.is_empty() {
            if let Some(until_us) = self.paused_until(node) {
                return self.postpone(node, completion, until_us);
            }
            if completion.as_ref().is_some_and(|completion| !self.hears(node, completion)) {
                return;
            }
            wall_ms = self.wall_ms(node);
        }
        let mut operations = std::mem::take(&mut self.operations);
        let now = Now { monotonic_us: self.now_us, wall_ms };
        completion.iter().for_each(|completion| self.oracles.brokers.on_completion(completion));
        let seen = if self.observer.is_some() { completion.clone() } else { None };
        if self.nodes[node].turn(now, completion, &mut operations, &mut self.transcript) {
            self.report.steps += 1;
            self.check_turn(node, &operations);
            if self.observer.is_some() {
                let step = self.nodes[node].audit.steps() - 1;
                let (node, input) = (node as u32, seen.as_ref());
                self.observe(&Happening::Turn { node, step, input, operations: &operations });
            }
            for operation in operations.drain(..) {
                self.perform(node, operation);
            }
            let incarnation = self.nodes[node].incarnation;
            if let Some(at_us) = self.nodes[node].next_wake(self.now_us) {
                self.heap.schedule(at_us, Event::Wake { node, incarnation });
            }
        }
        self.operations = operations;
    }

    fn check_turn(&mut self, node: usize, operations: &[Operation]) {
        let here = &self.nodes[node];
        let Some(broker) = here.broker() else { return };
        let (who, violations) = ((node as u32, here.address), &mut self.report.violations);
        self.oracles.brokers.on_turn(self.now_us, who, broker.view(), operations, violations);
    }

    /// A delay of a node's own machine.
    fn delay_us(&mut self, node: usize, purpose: Purpose, range_us: (u64, u64)) -> u64 {
        self.decider.of(Actor::Node(node as u32), &mut self.nodes[node].counts).between(purpose, range_us)
    }

    fn perform(&mut self, node: usize, operation: Operation) {
        let said = if self.active.is_empty() { Some(operation) } else { self.says(node, operation) };
        let Some(operation) = said else { return };
        let now_us = self.now_us;
        let incarnation = self.nodes[node].incarnation;
        match operation {
            Operation::Send { to, frame, .. } => self.send(node, to, frame),
            Operation::Write { index, records } => {
                self.on_written(node, &records);
                self.occupy(node, &records);
                match self.nodes[node].write(index, records) {
                    Ok(true) => self.begin_sync(node),
                    Ok(false) => {}
                    Err(error) => self.stop(node, &error),
                }
            }
            Operation::Expire(expiry) => {
                self.report.expired_batches += match self.nodes[node].expire(&expiry) {
                    Ok(batches) => batches,
                    Err(error) => return self.stop(node, &error),
                };
            }
            Operation::Read { token, query, budget_bytes } => {
                let delay_us =
                    self.delay_us(node, Purpose::Read, self.scenario.read_us) * self.slowness(node);
                let event = Event::Read { node, incarnation, token, query, budget_bytes };
                self.heap.schedule(now_us + delay_us, event);
            }
            Operation::Sign { token, digest } => {
                let delay_us = self.delay_us(node, Purpose::Sign, SIGN_US);
                self.heap.schedule(now_us + delay_us, Event::Sign { node, incarnation, token, digest });
                self.at(Moment::ReportDurable, node);
            }
            Operation::Submit(intent) => {
                let delay_us = self.delay_us(node, Purpose::Transaction, self.scenario.transaction_us);
                let loss = self.transaction_loss();
                let mut decide = self.decider.of(Actor::Node(node as u32), &mut self.nodes[node].counts);
                if !decide.chance(Purpose::TransactionLoss, loss) {
                    let at_us = now_us + delay_us + self.inclusion_us(node);
                    self.heap.schedule(at_us, Event::Transaction { node, intent });
                }
            }
            Operation::Reply(session, reply) => self.send_reply(session, reply),
            Operation::Hand(_, handed) => {
                let delay_us = self.delay_us(node, Purpose::Handover, HANDOVER_US);
                let loss = if self.healed { 0 } else { self.scenario.links.loss };
                let mut decide = self.decider.of(Actor::Node(node as u32), &mut self.nodes[node].counts);
                if !decide.chance(Purpose::HandoverLoss, loss) {
                    let completion = Completion::Handed(handed);
                    self.heap
                        .schedule(now_us + delay_us, Event::Completion { node, incarnation, completion });
                }
            }
            Operation::Trace(trace) => self.on_trace(node, &trace),
            Operation::Refused(from, _) if self.suspects.contains(&from) => self.report.refused_frames += 1,
            Operation::Refused(from, error) => {
                let what = format!("a frame of honest broker {from} was refused: {error}");
                let about = vec![Actor::Node(node as u32)];
                note_about(&mut self.report.violations, now_us, "frames", what, about);
            }
        }
    }

    fn begin_sync(&mut self, node: usize) {
        let incarnation = self.nodes[node].incarnation;
        let delay_us = self.delay_us(node, Purpose::Sync, self.scenario.sync_us) * self.slowness(node);
        self.heap.schedule(self.now_us + delay_us, Event::Sync { node, incarnation });
    }

    fn on_sync(&mut self, node: usize) {
        let index = match self.nodes[node].sync() {
            Ok(Some(index)) => index,
            Ok(None) => return,
            Err(error) => return self.stop(node, &error),
        };
        self.oracles.brokers.on_synced(self.nodes[node].address, index);
        match self.nodes[node].go_on_letting_go() {
            Ok(batches) => self.report.expired_batches += batches,
            Err(error) => return self.stop(node, &error),
        }
        match self.nodes[node].write_waiting() {
            Ok(true) => self.begin_sync(node),
            Ok(false) => {}
            Err(error) => return self.stop(node, &error),
        }
        self.turn(node, Some(Completion::Durable(index)));
    }

    pub fn send(&mut self, node: usize, to: Address, mut frame: Bytes) {
        let Some(to) = self.numbers.get(&to).map(|to| *to as u32) else { return };
        let from = node as u32;
        let mut delivery = self.links.deliver(from, to, &mut self.decider);
        if !self.active.is_empty() {
            self.shape(from, to, &mut frame, &mut delivery);
        }
        let (ordinal, sent_us) = (delivery.ordinal, self.now_us);
        self.report.frame_bytes += frame.len() as u64;
        let delays_us = delivery.delays_us();
        self.observe(&Happening::Sent { from, to, ordinal, frame: &frame, delays_us });
        for delay_us in delays_us {
            let frame = frame.clone();
            self.heap.schedule(sent_us + delay_us, Event::Frame { from, to, ordinal, sent_us, frame });
        }
    }

    fn on_written(&mut self, node: usize, records: &[Record]) {
        let view = self.chain.view();
        let known = (view.as_ref(), &self.publications);
        self.oracles.cuts.on_write(self.now_us, node, records, known, &mut self.report.violations);
        let is_report = |record: &Record| matches!(record, Record::Put { table: Table::Report, .. });
        if records.iter().any(is_report) {
            self.at(Moment::ReportWritten, node);
        }
    }

    fn on_trace(&mut self, node: usize, trace: &Trace) {
        let violations = &mut self.report.violations;
        match trace {
            Trace::SealAdopted(partition, epoch, checksum) => {
                self.oracles.seals.on_adopted(self.now_us, (*partition, *epoch), *checksum, violations);
            }
            Trace::Quarantined(..) => self.report.quarantines += 1,
            Trace::ForkFound(..) => self.report.forks_found += 1,
            Trace::PartitionLeft(partition) => {
                self.report.left += 1;
                let here = &self.nodes[node];
                let Some(broker) = here.broker() else { return };
                let (who, known) = ((here.address, *partition), (&**broker.view(), &self.publications));
                self.oracles.brokers.on_left(self.now_us, who, known, violations);
            }
            Trace::RowDamaged(what) => {
                let what = format!("node {node}: {what}");
                note_about(violations, self.now_us, "rows", what, vec![Actor::Node(node as u32)]);
            }
            Trace::PeerRefused(_, reason) => {
                *self.report.refusals.entry(format!("peer: {reason}")).or_default() += 1;
            }
            Trace::DutyRefused(what) => {
                let what = format!("node {node}: {what}");
                note_about(violations, self.now_us, "duties", what, vec![Actor::Node(node as u32)]);
            }
            Trace::EpochEntered(..) | Trace::Succeeded(..) | Trace::QuorumLost(..) => {}
            Trace::MisconductFound(partition, who) => {
                self.report.misconducts += 1;
                if !self.oracles.brokers.liars.contains(who) {
                    let what =
                        format!("honest broker {who} is accused of two reports on partition {partition}");
                    note_about(violations, self.now_us, "accusations", what, vec![Actor::Node(node as u32)]);
                }
            }
        }
    }

    fn on_read(&mut self, node: usize, incarnation: u32, token: Token, query: &Query, budget_bytes: u32) {
        if self.nodes[node].incarnation != incarnation {
            return;
        }
        if self.is_rotten(node) {
            self.nodes[node].damage_next_read();
        }
        let Some(log) = self.nodes[node].log() else { return };
        let completion = match log.read(query, budget_bytes as usize) {
            Ok(chunk) => Completion::Loaded(token, chunk),
            Err(error) => {
                self.report.damaged_reads += 1;
                Completion::LoadFailed(token, error.to_string())
            }
        };
        self.turn(node, Some(completion));
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].is_up() {
            return;
        }
        let view = self.seen_by(node).unwrap_or_else(|| self.chain.view());
        self.start_on_lost_disk(node);
        self.nodes[node].start(view.clone(), self.verifier.clone(), self.rules);
        self.observe(&Happening::Start { node: node as u32 });
        self.turn(node, Some(Completion::Chain(view)));
    }

    fn on_heal(&mut self) {
        self.healed = true;
        self.links.heal();
        self.end_all();
        self.observe(&Happening::Heal);
        self.oracles.seals.on_heal(&self.chain.view());
        let down: Vec<usize> = (0..self.nodes.len())
            .filter(|node| !self.nodes[*node].is_up() && self.nodes[*node].incarnation > 0)
            .collect();
        down.into_iter().for_each(|node| self.start(node));
    }
}
