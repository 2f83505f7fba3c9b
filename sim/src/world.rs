//! The world: everything of a run, moved on by one event after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use weir_kernel::broker::{Command, Reply, SessionId, Token, Trace};
use weir_kernel::coordinator::{Intent, State};
use weir_kernel::ids::{Address, Hash, PartitionId};
use weir_kernel::log::Query;
use weir_kernel::time::Now;
use weir_node::engine::{Completion, Operation};
use weir_store::EventLog;

use crate::chain::{ChainActor, START_MS};
use crate::clients::Client;
use crate::clients::published::Publications;
use crate::digest::Chain;
use crate::heap::EventHeap;
use crate::links::Links;
use crate::nodes::Node;
use crate::oracles::{Oracles, durability};
use crate::random::Random;
use crate::report::Report;
use crate::scenario::{FaultKind, Moment, Scenario};
use crate::surroundings::{Effect, Surroundings, note};
use crate::verifier::SimulationVerifier;

mod faults;
mod population;

/// Runs a scenario from a seed. The same two give the same report.
pub fn run(seed: u64, scenario: &Scenario) -> Report {
    let mut world = World::new(seed, scenario);
    world.run();
    world.finish()
}

/// What happens.
#[derive(Debug)]
enum Event {
    Frame { from: Address, to: usize, frame: Bytes },
    Completion { node: usize, incarnation: u32, completion: Completion },
    Sync { node: usize, incarnation: u32 },
    Read { node: usize, incarnation: u32, token: Token, query: Query, budget_bytes: u32 },
    Sign { node: usize, incarnation: u32, token: Token, digest: Hash },
    Wake { node: usize, incarnation: u32 },
    Block,
    Transaction { node: usize, intent: Intent },
    Register { node: usize, tickets: u8 },
    Join { node: usize, tickets: u8 },
    CrashSomewhere,
    LoseSomeDisk,
    CutSomewhere,
    Mend { links: Vec<(u32, u32)> },
    Fault { node: usize, kind: FaultKind, down_us: u64 },
    Start { node: usize },
    Heal,
    ClientWake { client: usize },
    Reply { client: usize, session: SessionId, reply: Reply },
    Disconnected { client: usize, session: SessionId },
    Connect { client: usize },
}

/// A client's session with an edge.
#[derive(Clone, Copy, Debug)]
struct Connection {
    node: usize,
    incarnation: u32,
    session: SessionId,
    /// When the last command arrives: those of one session stay in order.
    down_us: u64,
    /// The same for replies.
    up_us: u64,
}

struct World<'a> {
    seed: u64,
    scenario: &'a Scenario,
    now_us: u64,
    heap: EventHeap<Event>,
    nodes: Vec<Node>,
    numbers: BTreeMap<Address, usize>,
    chain: ChainActor,
    links: Links,
    clients: Vec<Client>,
    client_randoms: Vec<Random>,
    connections: Vec<Option<Connection>>,
    /// Clients that connect to one node and no other.
    edges: BTreeMap<usize, usize>,
    /// Nodes that keep silent when they lead.
    silent_until_us: BTreeMap<usize, u64>,
    moments_random: Random,
    sessions: BTreeMap<SessionId, usize>,
    next_session: u64,
    publications: Publications,
    oracles: Oracles,
    verifier: SimulationVerifier,
    crashes_random: Random,
    cuts_random: Random,
    disks_random: Random,
    transaction_loss: u32,
    healed: bool,
    /// Replicas that were ready to serve readers at a block near the end.
    serving: BTreeSet<(Address, PartitionId)>,
    operations: Vec<Operation>,
    report: Report,
}

/// Between a client and its edge, in microseconds.
const CLIENT_DELAY_US: (u64, u64) = (100, 5_000);

/// Until a client notices that its edge is gone.
const NOTICE_US: u64 = 200_000;

/// When no edge is up, a client tries again after this.
const RECONNECT_US: u64 = 500_000;

impl World<'_> {
    fn run(&mut self) {
        let end_us = self.scenario.end_us();
        while let Some((at_us, event)) = self.heap.pop() {
            if at_us > end_us {
                break;
            }
            self.now_us = at_us;
            self.on_event(event);
        }
        self.now_us = end_us;
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Frame { from, to, frame } => {
                self.report.frames += 1;
                self.turn(to, Some(Completion::Frame(from, frame)));
            }
            Event::Completion { node, incarnation, completion } => {
                if self.nodes[node].incarnation == incarnation {
                    self.turn(node, Some(completion));
                }
            }
            Event::Sync { node, incarnation } => {
                if self.nodes[node].incarnation == incarnation
                    && let Some(index) = self.nodes[node].sync()
                {
                    self.turn(node, Some(Completion::Durable(index)));
                }
            }
            Event::Read { node, incarnation, token, query, budget_bytes } => {
                self.on_read(node, incarnation, token, &query, budget_bytes);
            }
            Event::Sign { node, incarnation, token, digest } => {
                if self.nodes[node].incarnation == incarnation && self.nodes[node].is_up() {
                    let violations = &mut self.report.violations;
                    self.oracles.cuts.on_sign(self.now_us, node, digest, violations);
                    let signature = self.nodes[node].key.sign_hash(&digest);
                    self.verifier.signed(self.nodes[node].address, digest, signature);
                    self.turn(node, Some(Completion::Signed(token, signature)));
                }
            }
            Event::Wake { node, incarnation } => {
                if self.nodes[node].incarnation == incarnation {
                    self.turn(node, None);
                }
            }
            Event::Block => self.on_block(),
            Event::Transaction { node, intent } => self.chain.submit(&self.nodes[node].wallet, &intent),
            Event::Register { node, tickets } => {
                self.chain.register(&self.nodes[node].wallet, node as u32, tickets);
            }
            Event::Join { node, tickets } => {
                self.start(node);
                self.heap.schedule(self.now_us + 300_000, Event::Register { node, tickets });
            }
            Event::CrashSomewhere => self.on_crash_somewhere(),
            Event::LoseSomeDisk => self.on_lose_some_disk(),
            Event::CutSomewhere => self.on_cut_somewhere(),
            Event::Mend { links } => self.links.mend(&links),
            Event::Fault { node, kind, down_us } => self.on_fault(node, kind, down_us),
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
        }
    }

    // ---- Nodes ----------------------------------------------------------------------------------------------

    fn turn(&mut self, node: usize, completion: Option<Completion>) {
        let mut operations = std::mem::take(&mut self.operations);
        let now = Now { monotonic_us: self.now_us, wall_ms: START_MS + self.now_us / 1_000 };
        if self.nodes[node].turn(now, completion, &mut operations) {
            self.report.steps += 1;
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

    fn perform(&mut self, node: usize, operation: Operation) {
        if self.is_silenced(node, &operation) {
            return;
        }
        let now_us = self.now_us;
        let here = &mut self.nodes[node];
        let incarnation = here.incarnation;
        match operation {
            Operation::Send { to, frame, .. } => {
                let Some(to) = self.numbers.get(&to).copied() else { return };
                let from = here.address;
                for delay_us in self.links.deliver(node as u32, to as u32) {
                    self.heap.schedule(now_us + delay_us, Event::Frame { from, to, frame: frame.clone() });
                }
            }
            Operation::Write { index, records } => {
                if here.write(index, &records) {
                    let delay_us = here.random.between(self.scenario.sync_us);
                    self.heap.schedule(now_us + delay_us, Event::Sync { node, incarnation });
                }
                self.on_written(node, &records);
            }
            Operation::Read { token, query, budget_bytes } => {
                let delay_us = here.random.between(self.scenario.read_us);
                let event = Event::Read { node, incarnation, token, query, budget_bytes };
                self.heap.schedule(now_us + delay_us, event);
            }
            Operation::Sign { token, digest } => {
                let delay_us = here.random.between((50, 500));
                self.heap.schedule(now_us + delay_us, Event::Sign { node, incarnation, token, digest });
                self.at(Moment::ReportDurable, node);
            }
            Operation::Submit(intent) => {
                let delay_us = here.random.between(self.scenario.transaction_us);
                if !here.random.chance(self.transaction_loss) {
                    self.heap.schedule(now_us + delay_us, Event::Transaction { node, intent });
                }
            }
            Operation::Reply(session, reply) => self.send_reply(session, reply),
            Operation::Trace(trace) => self.on_trace(node, &trace),
            Operation::Refused(from, error) => {
                let what = format!("a frame of honest broker {from} was refused: {error}");
                note(&mut self.report.violations, now_us, "frames", what);
            }
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
            Trace::RowDamaged(what) => {
                let what = format!("node {node}: {what}");
                note(violations, self.now_us, "rows", what);
            }
            Trace::PeerRefused(_, reason) => {
                *self.report.refusals.entry(format!("peer: {reason}")).or_default() += 1;
            }
            Trace::DutyRefused(what) => {
                let what = format!("node {node}: {what}");
                note(violations, self.now_us, "duties", what);
            }
            Trace::EpochEntered(..)
            | Trace::Succeeded(..)
            | Trace::QuorumLost(..)
            | Trace::MisconductFound(..) => {}
        }
    }

    fn on_read(&mut self, node: usize, incarnation: u32, token: Token, query: &Query, budget_bytes: u32) {
        if self.nodes[node].incarnation != incarnation {
            return;
        }
        let Some(log) = self.nodes[node].log() else { return };
        let completion = match log.read(query, budget_bytes as usize) {
            Ok(chunk) => Completion::Loaded(token, chunk),
            Err(error) => Completion::LoadFailed(token, error.to_string()),
        };
        self.turn(node, Some(completion));
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].is_up() {
            return;
        }
        let view = self.chain.view();
        self.nodes[node].start(view.clone(), self.verifier.clone());
        self.turn(node, Some(Completion::Chain(view)));
    }

    // ---- Chain ----------------------------------------------------------------------------------------------

    fn on_block(&mut self) {
        let timestamp_s = (START_MS + self.now_us / 1_000) / 1_000;
        let (view, facts) = self.chain.produce(timestamp_s);
        let replaced = self.replaced(&view, &facts);
        self.oracles.on_block(self.now_us, &view, &facts, &mut self.report.violations);
        replaced.into_iter().for_each(|node| self.at(Moment::Replaced, node));
        if self.now_us + self.scenario.heal_ms * 250 > self.scenario.end_us() {
            self.note_serving();
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_up() {
                let here = &mut self.nodes[node];
                let incarnation = here.incarnation;
                let delay_us = here.random.between(self.scenario.view_us);
                let completion = Completion::Chain(Arc::clone(&view));
                let event = Event::Completion { node, incarnation, completion };
                self.heap.schedule(self.now_us + delay_us, event);
            }
        }
        self.heap.schedule(self.now_us + self.scenario.block_ms * 1_000, Event::Block);
    }

    fn note_serving(&mut self) {
        for node in &self.nodes {
            let summaries = node.engine().into_iter().flat_map(|engine| engine.shard().summaries());
            let ready = summaries.filter(|summary| summary.serves);
            self.serving.extend(ready.map(|summary| (node.address, summary.partition)));
        }
    }

    // ---- Clients --------------------------------------------------------------------------------------------

    fn connect(&mut self, client: usize) {
        if let Some(mut old) = self.connections[client].take() {
            self.sessions.remove(&old.session);
            self.send_command(&mut old, Command::Close);
        }
        let wanted = self.edges.get(&client).copied();
        let up: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].is_up() && wanted.is_none_or(|wanted| wanted == *node))
            .collect();
        if up.is_empty() {
            self.heap.schedule(self.now_us + RECONNECT_US, Event::Connect { client });
            return;
        }
        let node = up[self.client_randoms[client].index(up.len())];
        self.next_session += 1;
        let session = SessionId(self.next_session);
        let incarnation = self.nodes[node].incarnation;
        let connection = Connection { node, incarnation, session, down_us: self.now_us, up_us: self.now_us };
        self.connections[client] = Some(connection);
        self.sessions.insert(session, client);
        self.with_client(client, Client::on_connected);
    }

    fn with_client(&mut self, client: usize, act: impl FnOnce(&mut Client, &mut Surroundings<'_>)) {
        let view: Arc<State> = self.chain.view();
        let mut surroundings = Surroundings {
            now_us: self.now_us,
            wall_ms: START_MS + self.now_us / 1_000,
            heal_at_us: self.scenario.heal_at_us(),
            view: &view,
            random: &mut self.client_randoms[client],
            publications: &mut self.publications,
            verifier: &self.verifier,
            effects: Vec::new(),
            violations: &mut self.report.violations,
        };
        act(&mut self.clients[client], &mut surroundings);
        let effects = surroundings.effects;
        for effect in effects {
            match effect {
                Effect::WakeIn(us) => {
                    self.heap.schedule(self.now_us + us.max(1), Event::ClientWake { client })
                }
                Effect::Move => self.connect(client),
                Effect::Command(command) => {
                    if let Some(mut connection) = self.connections[client] {
                        self.send_command(&mut connection, command);
                        self.connections[client] = Some(connection);
                    }
                }
            }
        }
    }

    fn send_command(&mut self, connection: &mut Connection, command: Command) {
        let Connection { node, incarnation, session, .. } = *connection;
        let delay_us = self.nodes[node].random.between(CLIENT_DELAY_US);
        connection.down_us = connection.down_us.max(self.now_us + delay_us);
        let completion = Completion::Client(session, command);
        self.heap.schedule(connection.down_us, Event::Completion { node, incarnation, completion });
    }

    fn send_reply(&mut self, session: SessionId, reply: Reply) {
        let Some(client) = self.sessions.get(&session).copied() else { return };
        let Some(connection) = &mut self.connections[client] else { return };
        let delay_us = self.nodes[connection.node].random.between(CLIENT_DELAY_US);
        connection.up_us = connection.up_us.max(self.now_us + delay_us);
        self.heap.schedule(connection.up_us, Event::Reply { client, session, reply });
    }

    fn on_reply(&mut self, client: usize, session: SessionId, reply: Reply) {
        if self.connections[client].is_none_or(|connection| connection.session != session) {
            return;
        }
        if let Reply::Refused { refusal, .. } = &reply {
            let reason = format!("{}: {}", refusal.code.as_str(), words(&refusal.reason));
            *self.report.refusals.entry(reason).or_default() += 1;
        }
        self.with_client(client, |client, surroundings| client.on_reply(surroundings, reply));
    }

    // ---- The end --------------------------------------------------------------------------------------------

    fn finish(mut self) -> Report {
        let view = self.chain.view();
        let (now_us, mut violations) = (self.now_us, std::mem::take(&mut self.report.violations));
        let epoch_us = self.scenario.epoch_blocks * self.scenario.block_ms * 1_000;
        let late_epochs = (4 * self.scenario.view_us.1).div_ceil(epoch_us);
        self.oracles.seals.on_end(now_us, &view, late_epochs, &mut violations);
        let (nodes, serving) = (&self.nodes, &self.serving);
        durability::on_end(now_us, &view, nodes, serving, &self.publications, &mut violations);
        for client in &self.clients {
            match client {
                Client::Subscriber(subscriber) => {
                    self.report.delivered_events += subscriber.delivered;
                    self.report.withdrawals += subscriber.withdrawals;
                    for what in subscriber.missing(&self.publications) {
                        note(&mut violations, now_us, "delivery", what);
                    }
                }
                Client::Publisher(publisher) if publisher.outstanding() > 0 => {
                    let what = format!("{} batches were never acknowledged", publisher.outstanding());
                    note(&mut violations, now_us, "liveness", what);
                }
                Client::Reader(reader) => {
                    self.report.read_events += reader.read;
                    if reader.complete == 0 {
                        let what = "no reading came to its end after the faults".to_string();
                        note(&mut violations, now_us, "liveness", what);
                    }
                }
                Client::Publisher(_) | Client::Equivocator(_) => {}
            }
        }
        let mut digest = Chain::default();
        for node in &self.nodes {
            digest.bytes(&node.chain.value().to_be_bytes());
        }
        let events = |sequence: u64, next: u64| next - sequence;
        for (_, sequence, publication) in self.publications.honest() {
            let count = events(sequence, publication.next_sequence);
            self.report.published_events += count;
            self.report.stored_events += if publication.stored_us.is_some() { count } else { 0 };
            self.report.sealed_events += if publication.sealed { count } else { 0 };
        }
        Report {
            digest: digest.value(),
            virtual_ms: now_us / 1_000,
            seals: self.oracles.seals.accepted,
            handovers: self.oracles.seals.handovers,
            partitions: view.partition_count(),
            moved: self.publications.moved(&view),
            epochs: self.oracles.seals.epochs,
            reverts: std::mem::take(&mut self.chain.reverts),
            violations,
            ..self.report
        }
    }
}

/// A reason without the numbers and names in it, so that equal reasons are counted together.
fn words(reason: &str) -> String {
    let plain = |word: &&str| !word.chars().any(|c| c.is_ascii_digit());
    reason.split(' ').filter(plain).collect::<Vec<_>>().join(" ")
}
