//! Who is there at the start of a run, and what is known in advance.

use std::collections::{BTreeMap, BTreeSet};

use weir_chain::wallet::Wallet;
use weir_kernel::broker::{From, Shards};
use weir_kernel::ids::{StreamId, StreamPartition};
use weir_kernel::signature::SecretKey;

use super::{Event, Seated, World};
use crate::audit::NodeAudit;
use crate::chain::{ChainActor, START_MS, guest};
use crate::clients::cheat::Lane;
use crate::clients::equivocator::Equivocator;
use crate::clients::guest::Guest;
use crate::clients::publisher::Publisher;
use crate::clients::reader::Reader;
use crate::clients::subscriber::Subscriber;
use crate::clients::{Client, Signer, debtor, gap, misdater};
use crate::heap::EventHeap;
use crate::links::Links;
use crate::nodes::Node;
use crate::random::Random;
use crate::report::Report;
use crate::scenario::{READERS, Scenario, key_bytes};
use crate::simulation::Options;
use crate::tape::{Actor, ActorDecider, Counts, Decider, Purpose, Role};
use crate::verifier::SimulationVerifier;

/// When equivocators begin, in virtual microseconds: after the network has been founded.
const FORKS_BEGIN_US: u64 = 30_000_000;

/// When other cheats begin at the earliest.
const CHEATS_BEGIN_US: u64 = 25_000_000;

/// When readers begin.
const READERS_BEGIN_US: u64 = 20_000_000;

/// Chance, per million and look, that a restless subscriber leaves for another edge.
const RESTLESS: u32 = 30_000;

/// The stream partitions and streams of a run, in order.
struct Subjects {
    streams: Vec<StreamId>,
    slots: Vec<StreamPartition>,
}

impl<'a> World<'a> {
    /// A world before its first event. The scenario must be explicit.
    pub fn new(scenario: &'a Scenario, decider: Decider, options: Options<'a>) -> Self {
        let seed = decider.seed();
        let shards = Shards::new(scenario.shards).expect("the scenario was checked");
        let mut nodes: Vec<Node> = (0..scenario.all_brokers())
            .map(|number| Node::new(seed, number, scenario.real_signatures, shards))
            .collect();
        for (number, node) in (0..).zip(&mut nodes) {
            node.audit = NodeAudit::new(number, options.audit);
        }
        let wallets: Vec<Wallet> = nodes.iter().map(|node| node.wallet.clone()).collect();
        let numbers = nodes.iter().enumerate().map(|(number, node)| (node.address, number)).collect();
        let mut world = Self {
            scenario,
            decider,
            observer: options.observer,
            progress: options.progress,
            stop_at: options.stop_at,
            now_us: 0,
            heap: EventHeap::default(),
            links: Links::new(nodes.len(), scenario.links.clone()),
            nodes,
            numbers,
            chain: ChainActor::new(seed, scenario, &wallets),
            clients: Vec::new(),
            connections: Vec::new(),
            edges: BTreeMap::new(),
            active: Vec::new(),
            lies: BTreeMap::new(),
            lost_disks: BTreeMap::new(),
            suspects: BTreeSet::new(),
            sessions: BTreeMap::new(),
            publications: Default::default(),
            oracles: Default::default(),
            verifier: SimulationVerifier::new(scenario.real_signatures),
            service: Default::default(),
            rules: options.rules,
            branches: BTreeMap::new(),
            healed: false,
            serving: BTreeSet::new(),
            operations: Vec::new(),
            transcript: Default::default(),
            report: Report::default(),
        };
        world.publications.retention_ms =
            (scenario.retention_s > 0).then_some(scenario.retention_s.saturating_mul(1_000));
        world.add_brokers();
        world.add_clients();
        world.add_faults();
        world
    }

    /// Engines see a view in which they are not registered yet before they act: a store without its marker whose
    /// broker the chain already counts on would be taken for a lost disk.
    fn add_brokers(&mut self) {
        // Those that a founder seats have equal stakes.
        let most = if self.scenario.founder { 1 } else { 4 };
        for node in 0..self.scenario.brokers {
            if self.scenario.has(Actor::Node(node)) {
                self.start(node as usize);
                let key = (Actor::Node(node), Purpose::Tickets, 0);
                let tickets = self.decider.choose(key, 1, |random| random.between((1, most))) as u8;
                let register = Event::Register { node: node as usize, tickets };
                self.heap.schedule(100_000 + u64::from(node), register);
            }
        }
        for (node, join) in (self.scenario.brokers..).zip(&self.scenario.joins) {
            if self.scenario.has(Actor::Node(node)) {
                let event = Event::Join { node: node as usize, tickets: join.tickets };
                self.heap.schedule(join.at_ms * 1_000, event);
            }
        }
        self.heap.schedule(self.scenario.block_ms * 1_000, Event::Block);
    }

    /// A broker registers, or tries again after the next block.
    pub(super) fn register(&mut self, node: usize, tickets: u8) {
        if !self.chain.register(&self.nodes[node].wallet, node as u32, tickets) {
            let next_us = self.now_us + self.scenario.block_ms * 1_000;
            self.heap.schedule(next_us, Event::Register { node, tickets });
        }
    }

    fn add_clients(&mut self) {
        let private = self.chain.private_stream();
        let mut streams: Vec<StreamId> = self.chain.view().streams.keys().copied().collect();
        streams.retain(|stream| Some(*stream) != private);
        let partitions = 0..self.scenario.stream_partitions;
        let slots_of =
            |stream: StreamId| partitions.clone().map(move |partition| StreamPartition { stream, partition });
        let slots: Vec<StreamPartition> = streams.iter().copied().flat_map(slots_of).collect();
        let all: Vec<StreamPartition> =
            slots.iter().copied().chain(private.into_iter().flat_map(slots_of)).collect();
        for number in 0..self.scenario.publishers {
            self.add_publisher(number, &all);
        }
        for number in 0..self.scenario.guests {
            private.into_iter().for_each(|stream| self.add_guest(number, stream));
        }
        let subjects = Subjects { streams, slots };
        for number in 0..self.scenario.forks {
            self.add_equivocator(number, &subjects);
        }
        for (role, count) in self.scenario.cheats() {
            (0..count).for_each(|number| self.add_cheat(role, number, &subjects));
        }
        for number in 0..self.scenario.subscribers {
            self.add_subscriber(number, &subjects);
        }
        let healed_us = self.scenario.end_us() - self.scenario.heal_ms * 300;
        for number in 0..READERS {
            let mut seat = Seat::new(Role::Reader, number);
            seat.begin_us = READERS_BEGIN_US;
            self.add_client(seat, Client::Reader(Reader::new(subjects.slots.clone(), healed_us)));
        }
    }

    fn add_publisher(&mut self, number: u32, slots: &[StreamPartition]) {
        if !self.scenario.has(Actor::Client(Role::Publisher, number)) {
            return;
        }
        let signer = self.signer("publisher", u64::from(number));
        let mut seat = Seat::new(Role::Publisher, number);
        let mut decide = seat.decide(&mut self.decider);
        let count = slots.len() as u64;
        // The first decision says how many slots there are more than one.
        let most = match self.scenario.publisher_partitions {
            0 => count,
            most => count.min(u64::from(most)),
        };
        let more = decide.choose(Purpose::Subject, 0, |random| random.below(most)).min(most - 1);
        let slot = |decide: &mut ActorDecider<'_>| {
            slots[decide.choose(Purpose::Subject, 0, |random| random.below(count)).min(count - 1) as usize]
        };
        let mine = (0..=more).map(|_| slot(&mut decide)).collect();
        let begin_us = decide.choose(Purpose::Begin, 0, |random| random.below(3_000_000));
        seat.begin_us = begin_us;
        self.add_client(seat, Client::Publisher(Publisher::new(signer, mine, self.scenario)));
    }

    fn add_subscriber(&mut self, number: u32, subjects: &Subjects) {
        if !self.scenario.has(Actor::Client(Role::Subscriber, number)) {
            return;
        }
        let mut seat = Seat::new(Role::Subscriber, number);
        let mut decide = seat.decide(&mut self.decider);
        let active_ms = self.scenario.duration_ms.saturating_sub(self.scenario.clients_from_ms);
        let (half_ms, streams) = (active_ms / 2, subjects.streams.len() as u64);
        let from = decide.choose(Purpose::From, 0, |random| match number % 3 {
            0 => 0,
            1 => 1,
            _ => 2 + random.below(half_ms),
        });
        let from = match from {
            0 => From::All,
            1 => From::Latest,
            at_ms => From::Time(START_MS + at_ms),
        };
        let stream = decide.choose(Purpose::Subject, 0, |random| random.below(streams)).min(streams - 1);
        let slow = decide.chance(Purpose::Slow, 250_000);
        let restless = if decide.chance(Purpose::Restless, 500_000) { RESTLESS } else { 0 };
        let (from, slow, restless) =
            if self.scenario.steady { (From::Latest, false, 0) } else { (from, slow, restless) };
        let within_us = if self.scenario.steady { 3_000_000 } else { half_ms * 1_000 };
        let begin_us = decide.choose(Purpose::Begin, 0, |random| random.below(within_us));
        seat.begin_us = begin_us;
        let subscriber = Subscriber::new(subjects.streams[stream as usize], from, slow, restless);
        self.add_client(seat, Client::Subscriber(subscriber));
    }

    fn add_guest(&mut self, number: u32, stream: StreamId) {
        let mut seat = Seat::new(Role::Guest, number);
        seat.begin_us = READERS_BEGIN_US / 4;
        let until_s = (START_MS * 1_000 + self.scenario.guest_until_us(number)) / 1_000_000;
        let guest = Guest::new(guest(self.decider.seed(), number), stream, until_s);
        self.add_client(seat, Client::Guest(guest));
    }

    fn signer(&self, role: &str, number: u64) -> Signer {
        let key = SecretKey::from_bytes(&key_bytes(self.decider.seed(), role, number));
        Signer::new(key.expect("the key is in range"), self.scenario.real_signatures)
    }

    /// Two clients, one a branch: `2 * number` and the next.
    fn add_equivocator(&mut self, number: u32, subjects: &Subjects) {
        let opening_block = self.chain.view().height;
        let count = subjects.slots.len() as u64;
        let first = Actor::Client(Role::Equivocator, 2 * number);
        let key = (first, Purpose::Subject, 0);
        let slot = self.decider.choose(key, 0, |random| random.below(count)).min(count - 1);
        for branch in 0..2 {
            let signer = self.signer("equivocator", u64::from(number));
            let client = Equivocator::new(
                &signer,
                (subjects.slots[slot as usize], opening_block),
                FORKS_BEGIN_US,
                (branch, self.scenario.forking.batches[branch as usize]),
                Random::of(self.decider.seed(), first, Purpose::Identity, 0),
                &self.verifier,
            );
            let mut seat = Seat::new(Role::Equivocator, 2 * number + branch as u32);
            seat.begin_us = FORKS_BEGIN_US + branch * 137_000;
            seat.edge = self.scenario.forking.edges.map(|edges| edges[branch as usize] as usize);
            self.add_client(seat, Client::Equivocator(client));
        }
    }

    fn add_cheat(&mut self, role: Role, number: u32, subjects: &Subjects) {
        let opening_block = self.chain.view().height;
        let (mut seat, count) = (Seat::new(role, number), subjects.slots.len() as u64);
        let mut decide = seat.decide(&mut self.decider);
        let slot = decide.choose(Purpose::Subject, 0, |random| random.below(count)).min(count - 1);
        let later_us = decide.choose(Purpose::Begin, 0, |random| random.below(5_000_000));
        let random = decide.identity(0);
        seat.begin_us = CHEATS_BEGIN_US + later_us;
        let signer = self.signer(role.name(), u64::from(number));
        let place = (subjects.slots[slot as usize], opening_block);
        let lane =
            |interval_us| Lane::open(&signer, &self.verifier, place, (seat.begin_us, interval_us), random);
        let cheat = match role {
            Role::Gap => gap::publisher(lane(1_000_000)),
            Role::Misdater => misdater::publisher(lane(1_000_000), number % 2 == 1),
            _ => debtor::publisher(lane(300_000), self.scenario.free_events.unwrap_or(0)),
        };
        self.add_client(seat, Client::Cheat(cheat));
    }

    fn add_client(&mut self, seat: Seat, client: Client) {
        if !self.scenario.has(seat.actor) {
            return;
        }
        let number = self.clients.len();
        if let Some(edge) = seat.edge {
            self.edges.insert(number, edge);
        }
        self.clients.push(Seated { actor: seat.actor, counts: seat.counts, sessions: 0, client });
        self.connections.push(None);
        let begin_us = self.scenario.clients_from_ms * 1_000 + seat.begin_us;
        self.heap.schedule(begin_us, Event::Connect { client: number });
        self.heap.schedule(begin_us + 1_000, Event::ClientWake { client: number });
    }
}

/// Where a client will sit.
struct Seat {
    actor: Actor,
    counts: Counts,
    begin_us: u64,
    edge: Option<usize>,
}

impl Seat {
    fn new(role: Role, number: u32) -> Self {
        Self { actor: Actor::Client(role, number), counts: Counts::default(), begin_us: 0, edge: None }
    }

    fn decide<'a>(&'a mut self, decider: &'a mut Decider) -> ActorDecider<'a> {
        decider.of(self.actor, &mut self.counts)
    }
}
