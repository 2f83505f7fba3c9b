//! What the suites share: places to start nodes, and waiting with a limit.
#![allow(dead_code, reason = "each suite uses its part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Runtime;
use weir_kernel::ids::{Address, Hash};
use weir_net::memory::{MemoryNetwork, MemoryTransport};
use weir_net::quic::{QuicConfig, QuicTransport};
use weir_net::{Channel, NetEvent, Peer, SendError, TlsIdentity, Transport};

/// Longest wait for anything: far beyond what it takes, so that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub fn address(name: u8) -> Address {
    Address([name; 20])
}

/// Where nodes are started by name; a name keeps its address, key and port.
pub trait Lab {
    type Node: Transport;

    fn start(&mut self, name: u8) -> Self::Node;

    /// The directory entry of a node, which must have been started once or reserved.
    fn peer(&mut self, name: u8) -> Peer;

    fn peers(&mut self, names: &[u8]) -> Vec<Peer> {
        names.iter().map(|name| self.peer(*name)).collect()
    }
}

#[derive(Default)]
pub struct MemoryLab {
    pub network: MemoryNetwork,
}

impl Lab for MemoryLab {
    type Node = MemoryTransport;

    fn start(&mut self, name: u8) -> MemoryTransport {
        self.network.endpoint(address(name), Hash([name; 32]))
    }

    fn peer(&mut self, name: u8) -> Peer {
        Peer { address: address(name), endpoint: String::new(), tls_key_hash: Hash([name; 32]) }
    }
}

pub struct QuicLab {
    pub runtime: Runtime,
    pub chain_id: u64,
    identities: BTreeMap<u8, TlsIdentity>,
    listen: BTreeMap<u8, SocketAddr>,
}

impl Default for QuicLab {
    fn default() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
        Self { runtime, chain_id: 31337, identities: BTreeMap::new(), listen: BTreeMap::new() }
    }
}

impl QuicLab {
    pub fn identity(&mut self, name: u8) -> TlsIdentity {
        let made = || TlsIdentity::generate().expect("an identity");
        self.identities.entry(name).or_insert_with(made).clone()
    }

    pub fn start_on(&mut self, name: u8, runtime: tokio::runtime::Handle) -> QuicTransport {
        let listen = self.listen.get(&name).copied().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let (identity, chain_id) = (self.identity(name), self.chain_id);
        let config = QuicConfig { address: address(name), chain_id, listen, identity, runtime };
        let began = Instant::now();
        // The port of a former life is free as soon as its last connection has drained.
        let node = loop {
            match QuicTransport::bind(config.clone()) {
                Ok(node) => break node,
                Err(error) if began.elapsed() > PATIENCE => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        self.listen.insert(name, node.local_addr());
        node
    }
}

impl Lab for QuicLab {
    type Node = QuicTransport;

    fn start(&mut self, name: u8) -> QuicTransport {
        let handle = self.runtime.handle().clone();
        self.start_on(name, handle)
    }

    fn peer(&mut self, name: u8) -> Peer {
        // A node that never ran gets a port where nobody listens.
        let listen = self.listen.get(&name).copied().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9)));
        let tls_key_hash = self.identity(name).key_hash();
        Peer { address: address(name), endpoint: listen.to_string(), tls_key_hash }
    }
}

/// A node and everything it reported.
pub struct Station<T> {
    pub node: T,
    pub log: Vec<NetEvent>,
}

impl<T: Transport> Station<T> {
    pub fn new(node: T) -> Self {
        Self { node, log: Vec::new() }
    }

    pub fn pump(&mut self) {
        let events = self.node.poll(1000);
        self.log.extend(events);
    }

    pub fn connected(&self, name: u8) -> bool {
        let about = |event: &&NetEvent| match event {
            NetEvent::Connected(peer) | NetEvent::Disconnected(peer, _) => *peer == address(name),
            _ => false,
        };
        matches!(self.log.iter().rfind(about), Some(NetEvent::Connected(_)))
    }

    pub fn frames(&self, name: u8) -> Vec<Bytes> {
        let of = |event: &NetEvent| match event {
            NetEvent::Received { from, frame } if *from == address(name) => Some(frame.clone()),
            _ => None,
        };
        self.log.iter().filter_map(of).collect()
    }

    /// Sends, waiting out a full queue by pumping.
    pub fn send_all(&mut self, to: u8, channel: Channel, frames: Vec<Bytes>, other: &mut Self) {
        let began = Instant::now();
        for frame in frames {
            loop {
                match self.node.send(address(to), channel, frame.clone()) {
                    Ok(()) => break,
                    Err(SendError::Full { .. }) => {
                        assert!(began.elapsed() < PATIENCE, "the queue never drains");
                        self.pump();
                        other.pump();
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// Pumps the stations until the condition holds.
pub fn wait_until<T: Transport>(
    what: &str,
    stations: &mut [&mut Station<T>],
    done: impl Fn(&[&mut Station<T>]) -> bool,
) {
    let began = Instant::now();
    loop {
        stations.iter_mut().for_each(|station| station.pump());
        if done(stations) {
            return;
        }
        if began.elapsed() > PATIENCE {
            let logs: Vec<_> =
                stations.iter().map(|s| s.log.iter().rev().take(5).collect::<Vec<_>>()).collect();
            panic!("waited in vain: {what}; last events: {logs:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Two stations that know each other and are connected.
pub fn linked<L: Lab>(lab: &mut L, a: u8, b: u8) -> (Station<L::Node>, Station<L::Node>) {
    let (mut first, mut second) = (Station::new(lab.start(a)), Station::new(lab.start(b)));
    first.node.set_peers(lab.peers(&[a, b]));
    second.node.set_peers(lab.peers(&[a, b]));
    wait_until("both connect", &mut [&mut first, &mut second], |s| s[0].connected(b) && s[1].connected(a));
    (first, second)
}
