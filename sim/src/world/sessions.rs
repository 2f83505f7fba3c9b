//! Sessions of clients with their edges: commands go down and replies come up, each in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_kernel::broker::{Command, Reply, SessionId};
use weir_kernel::coordinator::{Seats, State};
use weir_kernel::ids::StreamPartition;
use weir_node::engine::Completion;

use super::{Connection, Event, World};
use crate::chain::START_MS;
use crate::clients::Client;
use crate::observer::Happening;
use crate::surroundings::{Effect, Surroundings};
use crate::tape::{Actor, Purpose};

/// Between a client and its edge, in microseconds.
const CLIENT_DELAY_US: (u64, u64) = (100, 5_000);

/// When no edge is up, a client tries again after this.
const RECONNECT_US: u64 = 500_000;

impl World<'_> {
    pub(super) fn connect(&mut self, client: usize) {
        if let Some(mut old) = self.connections[client].take() {
            self.sessions.remove(&old.session);
            self.send_command(client, &mut old, Command::Close);
        }
        let Some(node) = self.edge_for(client) else {
            self.heap.schedule(self.now_us + RECONNECT_US, Event::Connect { client });
            return;
        };
        let seated = &mut self.clients[client];
        seated.sessions += 1;
        let session = session_of(seated.actor, seated.sessions);
        let incarnation = self.nodes[node].incarnation;
        let connection = Connection { node, incarnation, session, down_us: self.now_us, up_us: self.now_us };
        self.connections[client] = Some(connection);
        self.sessions.insert(session, client);
        self.with_client(client, Client::on_connected);
    }

    pub(super) fn with_client(
        &mut self,
        client: usize,
        act: impl FnOnce(&mut Client, &mut Surroundings<'_>),
    ) {
        let view: Arc<State> = self.chain.view();
        let seated = &mut self.clients[client];
        let mut surroundings = Surroundings {
            now_us: self.now_us,
            wall_ms: START_MS + self.now_us / 1_000,
            heal_at_us: self.scenario.heal_at_us(),
            view: &view,
            decide: self.decider.of(seated.actor, &mut seated.counts),
            publications: &mut self.publications,
            verifier: &self.verifier,
            effects: Vec::new(),
            violations: &mut self.report.violations,
        };
        act(&mut seated.client, &mut surroundings);
        let effects = surroundings.effects;
        for effect in effects {
            match effect {
                Effect::WakeIn(us) => {
                    self.heap.schedule(self.now_us + us.max(1), Event::ClientWake { client })
                }
                Effect::Move => self.connect(client),
                Effect::Command(command) => {
                    if let Some(mut connection) = self.connections[client] {
                        self.send_command(client, &mut connection, command);
                        self.connections[client] = Some(connection);
                    }
                }
            }
        }
    }

    /// Any edge that is up, or the one that this client is bound to.
    fn edge_for(&mut self, client: usize) -> Option<usize> {
        if let Some(wanted) = self.edges.get(&client) {
            return self.nodes[*wanted].is_up().then_some(*wanted);
        }
        let (seated, count) = (&mut self.clients[client], self.nodes.len());
        let mut decide = self.decider.of(seated.actor, &mut seated.counts);
        let first = decide.choose(Purpose::Edge, 0, |random| random.below(count as u64)) as usize;
        let mut up = (first..count).chain(0..first.min(count)).filter(|node| self.nodes[*node].is_up());
        let near = if self.scenario.steady { self.seated_for(client) } else { BTreeSet::new() };
        let nearest = up.clone().next();
        up.find(|node| !near.contains(node)).or(nearest)
    }

    /// Brokers that have a seat where a publisher's events go.
    fn seated_for(&self, client: usize) -> BTreeSet<usize> {
        let Client::Publisher(publisher) = &self.clients[client].client else { return BTreeSet::new() };
        let view = self.chain.view();
        let members = |slot: &StreamPartition| view.acting_set(view.home(*slot), view.epoch());
        let sets: Vec<Seats> = publisher.slots().iter().map(members).collect();
        let brokers = sets.iter().flat_map(Seats::brokers).filter_map(|index| view.address_of(index));
        brokers.filter_map(|address| self.numbers.get(&address).copied()).collect()
    }

    fn send_command(&mut self, client: usize, connection: &mut Connection, command: Command) {
        let Connection { node, incarnation, session, .. } = *connection;
        let seated = &mut self.clients[client];
        let actor = seated.actor;
        let delay_us = self.decider.of(actor, &mut seated.counts).between(Purpose::Command, CLIENT_DELAY_US);
        connection.down_us = connection.down_us.max(self.now_us + delay_us);
        self.observe(&Happening::Asked { client: actor, node: node as u32, command: &command });
        let completion = Completion::Client(session, command);
        self.heap.schedule(connection.down_us, Event::Completion { node, incarnation, completion });
    }

    pub(super) fn send_reply(&mut self, session: SessionId, reply: Reply) {
        let Some(client) = self.sessions.get(&session).copied() else { return };
        let seated = &mut self.clients[client];
        let delay_us =
            self.decider.of(seated.actor, &mut seated.counts).between(Purpose::Reply, CLIENT_DELAY_US);
        let Some(connection) = &mut self.connections[client] else { return };
        connection.up_us = connection.up_us.max(self.now_us + delay_us);
        self.heap.schedule(connection.up_us, Event::Reply { client, session, reply });
    }

    pub(super) fn on_reply(&mut self, client: usize, session: SessionId, reply: Reply) {
        let Some(connection) = self.connections[client].filter(|known| known.session == session) else {
            return;
        };
        let (actor, node) = (self.clients[client].actor, connection.node as u32);
        self.observe(&Happening::Answered { client: actor, node, reply: &reply });
        if let Reply::Refused { refusal, .. } = &reply {
            let reason = format!("{}: {}", refusal.code.as_str(), words(&refusal.reason));
            *self.report.refusals.entry(reason).or_default() += 1;
        }
        self.with_client(client, |client, surroundings| client.on_reply(surroundings, reply));
    }
}

/// The n-th session of a client: no two clients have the same, and none depends on another's.
fn session_of(client: Actor, number: u32) -> SessionId {
    let Actor::Client(role, client) = client else { unreachable!("only clients have sessions") };
    SessionId((role as u64) << 60 | u64::from(client) << 32 | u64::from(number))
}

/// A reason without the numbers and names in it, so that equal reasons are counted together.
fn words(reason: &str) -> String {
    let plain = |word: &&str| !word.chars().any(|c| c.is_ascii_digit());
    reason.split(' ').filter(plain).collect::<Vec<_>>().join(" ")
}
