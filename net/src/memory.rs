//! A network in memory, for tests and simulation: deterministic, bounded, without tasks or sockets.
//!
//! A frame is in the receiver's queue when `send` returns; what happens depends on the calls alone. Two endpoints
//! are linked while both live, each lists the other with the right key, and the link is not cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use weir_kernel::ids::{Address, Hash};

use crate::close::{CloseCode, CloseReason};
use crate::counters::{Counters, CountersSnapshot, add};
use crate::inbound::{Inbound, SessionId};
use crate::limits::{self, FRAME_COST_BYTES};
use crate::{Channel, NetEvent, Peer, SendError, Transport, Waker};

/// The network: makes endpoints and breaks links.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
struct World {
    nodes: BTreeMap<Address, Node>,
    links: BTreeMap<(Address, Address), SessionId>,
    cut: BTreeSet<(Address, Address)>,
    sessions: SessionId,
}

struct Node {
    key_hash: Hash,
    peers: BTreeMap<Address, Hash>,
    inbound: Arc<Inbound>,
}

fn pair(a: Address, b: Address) -> (Address, Address) {
    if a < b { (a, b) } else { (b, a) }
}

impl World {
    fn wanted(&self, link: (Address, Address)) -> bool {
        let (Some(a), Some(b)) = (self.nodes.get(&link.0), self.nodes.get(&link.1)) else { return false };
        !self.cut.contains(&link)
            && a.peers.get(&link.1) == Some(&b.key_hash)
            && b.peers.get(&link.0) == Some(&a.key_hash)
    }

    /// Opens what `address` and its peers want.
    fn link_up(&mut self, address: Address) {
        let others: Vec<_> = self.nodes.keys().copied().filter(|other| *other != address).collect();
        for link in others.into_iter().map(|other| pair(address, other)) {
            if !self.links.contains_key(&link) && self.wanted(link) {
                self.sessions += 1;
                self.links.insert(link, self.sessions);
                self.nodes[&link.0].inbound.open(link.1, self.sessions);
                self.nodes[&link.1].inbound.open(link.0, self.sessions);
            }
        }
    }

    /// Closes the links of `address` that `gone` names; each end learns its own reason.
    fn link_down(
        &mut self,
        address: Address,
        here: &CloseReason,
        there: &CloseReason,
        gone: impl Fn(&Self, (Address, Address)) -> bool,
    ) {
        let links: Vec<_> = self.links.iter().map(|(link, session)| (*link, *session)).collect();
        for (link, session) in links {
            let other = match link {
                (a, b) if a == address => b,
                (a, b) if b == address => a,
                _ => continue,
            };
            if !gone(self, link) {
                continue;
            }
            self.links.remove(&link);
            if let Some(node) = self.nodes.get(&address) {
                node.inbound.end(other, session, here.clone(), true);
            }
            if let Some(node) = self.nodes.get(&other) {
                node.inbound.end(address, session, there.clone(), false);
            }
        }
    }
}

impl MemoryNetwork {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a node with the given address and key. A node of the same address that still lives is replaced, as if
    /// it had been dropped.
    pub fn endpoint(&self, address: Address, key_hash: Hash) -> MemoryTransport {
        let counters = Arc::<Counters>::default();
        let inbound = Arc::new(Inbound::new(Arc::clone(&counters)));
        let mut world = self.lock();
        leave(&mut world, address);
        world.nodes.insert(address, Node { key_hash, peers: BTreeMap::new(), inbound: Arc::clone(&inbound) });
        MemoryTransport { network: self.clone(), address, inbound, counters }
    }

    /// Cuts the link between two nodes, present or future, until [`reconnect`](Self::reconnect). Frames already
    /// sent on it are lost.
    pub fn disconnect(&self, a: Address, b: Address) {
        let mut world = self.lock();
        let cut = pair(a, b);
        world.cut.insert(cut);
        if let Some(session) = world.links.remove(&cut) {
            for (here, there) in [(a, b), (b, a)] {
                if let Some(node) = world.nodes.get(&here) {
                    node.inbound.end(there, session, CloseReason::TimedOut, true);
                }
            }
        }
    }

    /// Mends a cut link.
    pub fn reconnect(&self, a: Address, b: Address) {
        let mut world = self.lock();
        world.cut.remove(&pair(a, b));
        world.link_up(a);
    }
}

fn leave(world: &mut World, address: Address) {
    let (here, there) = (CloseReason::Local(CloseCode::Shutdown), CloseReason::Remote(CloseCode::Shutdown));
    world.link_down(address, &here, &there, |_, _| true);
    world.nodes.remove(&address);
}

/// One node's end of a [`MemoryNetwork`]. Dropping it is a clean stop.
pub struct MemoryTransport {
    network: MemoryNetwork,
    address: Address,
    inbound: Arc<Inbound>,
    counters: Arc<Counters>,
}

impl MemoryTransport {
    /// What was counted so far.
    pub fn counters(&self) -> CountersSnapshot {
        self.counters.snapshot()
    }

    /// Whether the network still knows this very endpoint.
    fn is_current(&self, world: &World) -> bool {
        world.nodes.get(&self.address).is_some_and(|node| Arc::ptr_eq(&node.inbound, &self.inbound))
    }
}

impl Transport for MemoryTransport {
    fn set_peers(&mut self, peers: Vec<Peer>) {
        let mut world = self.network.lock();
        if !self.is_current(&world) {
            return;
        }
        let peers = peers.into_iter().filter(|peer| peer.address != self.address);
        world.nodes.get_mut(&self.address).expect("it is current").peers =
            peers.map(|peer| (peer.address, peer.tls_key_hash)).collect();
        let (here, there) = (CloseReason::Local(CloseCode::Removed), CloseReason::Remote(CloseCode::Removed));
        world.link_down(self.address, &here, &there, |world, link| !world.wanted(link));
        world.link_up(self.address);
    }

    fn send(&mut self, to: Address, channel: Channel, frame: Bytes) -> Result<(), SendError> {
        let world = self.network.lock();
        if !self.is_current(&world) {
            return Err(SendError::Closed(to));
        }
        if !world.nodes[&self.address].peers.contains_key(&to) {
            return Err(SendError::UnknownPeer(to));
        }
        if frame.len() > limits::MAX_FRAME_BYTES {
            return Err(SendError::TooLarge { to, bytes: frame.len(), limit: limits::MAX_FRAME_BYTES });
        }
        let (Some(session), Some(node)) = (world.links.get(&pair(self.address, to)), world.nodes.get(&to))
        else {
            return Err(SendError::Closed(to));
        };
        let queued = node.inbound.queued(self.address, channel);
        if queued + frame.len() + FRAME_COST_BYTES > limits::out_bytes(channel) {
            add(&self.counters.frames_full, 1);
            return Err(SendError::Full { to, channel, queued });
        }
        add(&self.counters.frames_sent, 1);
        add(&self.counters.bytes_sent, frame.len());
        node.inbound.push(self.address, *session, channel, vec![frame]);
        Ok(())
    }

    fn poll(&mut self, max: usize) -> Vec<NetEvent> {
        self.inbound.poll(max)
    }

    fn set_waker(&mut self, waker: Waker) {
        self.inbound.set_waker(waker);
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        let mut world = self.network.lock();
        if self.is_current(&world) {
            leave(&mut world, self.address);
        }
    }
}
