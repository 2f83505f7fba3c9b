//! Who is there at the start of a run, and what is known in advance.

use std::collections::{BTreeMap, BTreeSet};

use weir_chain::wallet::Wallet;
use weir_kernel::broker::From;
use weir_kernel::ids::{StreamId, StreamPartition};
use weir_kernel::signature::SecretKey;

use super::{Event, World};
use crate::chain::{ChainActor, START_MS};
use crate::clients::equivocator::Equivocator;
use crate::clients::publisher::Publisher;
use crate::clients::reader::Reader;
use crate::clients::subscriber::Subscriber;
use crate::clients::{Client, Signer};
use crate::heap::EventHeap;
use crate::links::Links;
use crate::nodes::Node;
use crate::random::Random;
use crate::report::Report;
use crate::scenario::{Scenario, key_bytes};
use crate::verifier::SimulationVerifier;

/// When equivocators begin, in virtual microseconds: after the network has been founded.
const FORKS_BEGIN_US: u64 = 30_000_000;

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, scenario: &'a Scenario) -> Self {
        let nodes: Vec<Node> = (0..scenario.all_brokers()).map(|number| Node::new(seed, number)).collect();
        let wallets: Vec<Wallet> = nodes.iter().map(|node| node.wallet.clone()).collect();
        let numbers = nodes.iter().enumerate().map(|(number, node)| (node.address, number)).collect();
        let mut world = Self {
            seed,
            scenario,
            now_us: 0,
            heap: EventHeap::default(),
            nodes,
            numbers,
            chain: ChainActor::new(seed, scenario, &wallets),
            links: Links::new(seed, scenario.links.clone()),
            clients: Vec::new(),
            client_randoms: Vec::new(),
            connections: Vec::new(),
            edges: BTreeMap::new(),
            silent_until_us: BTreeMap::new(),
            moments_random: Random::stream(seed, "moments", &[]),
            sessions: BTreeMap::new(),
            next_session: 0,
            publications: Default::default(),
            oracles: Default::default(),
            verifier: SimulationVerifier::default(),
            crashes_random: Random::stream(seed, "crashes", &[]),
            cuts_random: Random::stream(seed, "cuts", &[]),
            disks_random: Random::stream(seed, "disks", &[]),
            transaction_loss: scenario.transaction_loss,
            healed: false,
            serving: BTreeSet::new(),
            operations: Vec::new(),
            report: Report::default(),
        };
        world.add_brokers();
        world.add_clients();
        world.add_faults();
        world
    }

    /// Engines see a view in which they are not registered yet before they act: a store without its marker whose
    /// broker the chain already counts on would be taken for a lost disk.
    fn add_brokers(&mut self) {
        let mut random = Random::stream(self.seed, "stakes", &[]);
        for node in 0..self.scenario.brokers as usize {
            self.start(node);
            let tickets = random.between((1, 4)) as u8;
            self.heap.schedule(100_000 + node as u64, Event::Register { node, tickets });
        }
        for (number, join) in self.scenario.joins.iter().enumerate() {
            let node = self.scenario.brokers as usize + number;
            self.heap.schedule(join.at_ms * 1_000, Event::Join { node, tickets: join.tickets });
        }
        self.heap.schedule(self.scenario.block_ms * 1_000, Event::Block);
    }

    fn add_faults(&mut self) {
        for fault in &self.scenario.faults {
            let (node, kind, down_us) = (fault.broker as usize, fault.kind, fault.down_ms * 1_000);
            self.heap.schedule(fault.at_ms * 1_000, Event::Fault { node, kind, down_us });
        }
        if self.scenario.crash_interval_ms > 0 {
            let first_us = self.crashes_random.around(self.scenario.crash_interval_ms * 1_000);
            self.heap.schedule(first_us, Event::CrashSomewhere);
        }
        if self.scenario.cut_interval_ms > 0 {
            let first_us = self.cuts_random.around(self.scenario.cut_interval_ms * 1_000);
            self.heap.schedule(first_us, Event::CutSomewhere);
        }
        if self.scenario.disk_loss_interval_ms > 0 {
            let first_us = self.disks_random.around(self.scenario.disk_loss_interval_ms * 1_000);
            self.heap.schedule(first_us, Event::LoseSomeDisk);
        }
        self.heap.schedule(self.scenario.heal_at_us(), Event::Heal);
    }

    fn add_clients(&mut self) {
        let streams: Vec<StreamId> = self.chain.view().streams.keys().copied().collect();
        let slots: Vec<StreamPartition> = streams
            .iter()
            .flat_map(|stream| (0..self.scenario.stream_partitions).map(|p| (*stream, p)))
            .map(|(stream, partition)| StreamPartition { stream, partition })
            .collect();
        let mut random = Random::stream(self.seed, "population", &[]);
        for number in 0..u64::from(self.scenario.publishers) {
            let signer = self.signer("publisher", number);
            let wanted = 1 + random.index(slots.len());
            let mine = (0..wanted).map(|_| slots[random.index(slots.len())]).collect();
            let publisher = Publisher::new(signer, mine, self.scenario);
            self.add_client("publisher", number, Client::Publisher(publisher), random.below(3_000_000));
        }
        for number in 0..u64::from(self.scenario.forks) {
            self.add_equivocator(number, slots[random.index(slots.len())]);
        }
        for number in 0..u64::from(self.scenario.subscribers) {
            let from = match number % 3 {
                0 => From::All,
                1 => From::Latest,
                _ => From::Time(START_MS + random.below(self.scenario.duration_ms / 2)),
            };
            let stream = streams[random.index(streams.len())];
            let (slow, restless) = (random.chance(250_000), if random.chance(500_000) { 30_000 } else { 0 });
            let subscriber = Client::Subscriber(Subscriber::new(stream, from, slow, restless));
            self.add_client("subscriber", number, subscriber, random.below(self.scenario.duration_ms * 500));
        }
        let healed_us = self.scenario.end_us() - self.scenario.heal_ms * 300;
        for number in 0..2 {
            let reader = Client::Reader(Reader::new(slots.clone(), healed_us));
            self.add_client("reader", number, reader, 20_000_000);
        }
    }

    fn signer(&self, role: &str, number: u64) -> Signer {
        let key = SecretKey::from_bytes(&key_bytes(self.seed, role, number)).expect("the key is in range");
        Signer::new(key, self.scenario.real_signatures)
    }

    fn add_equivocator(&mut self, number: u64, slot: StreamPartition) {
        let opening_block = self.chain.view().height;
        for branch in 0..2 {
            let signer = self.signer("equivocator", number);
            let random = Random::stream(self.seed, "fork", &[number]);
            let client = Equivocator::new(
                &signer,
                slot,
                opening_block,
                FORKS_BEGIN_US,
                (branch, self.scenario.forking.batches[branch as usize]),
                random,
                &self.verifier,
            );
            let client = Client::Equivocator(client);
            if let Some(edges) = self.scenario.forking.edges {
                self.edges.insert(self.clients.len(), edges[branch as usize] as usize);
            }
            self.add_client("equivocator", number * 2 + branch, client, FORKS_BEGIN_US + branch * 137_000);
        }
    }

    fn add_client(&mut self, role: &str, number: u64, client: Client, begin_us: u64) {
        self.clients.push(client);
        self.client_randoms.push(Random::stream(self.seed, role, &[number]));
        self.connections.push(None);
        let client = self.clients.len() - 1;
        self.heap.schedule(begin_us, Event::Connect { client });
        self.heap.schedule(begin_us + 1_000, Event::ClientWake { client });
    }
}
