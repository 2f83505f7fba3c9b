//! An edge that a test plays: brings batches to a broker over QUIC and hears what the broker says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_kernel::agreement::LaneHead;
use weir_kernel::broker::Message;
use weir_kernel::ids::{Address, Hash, LaneId};
use weir_kernel::verify::Verifier;
use weir_kernel::wire::{self, Domain};
use weir_net::quic::{QuicConfig, QuicTransport};
use weir_net::{Channel, NetEvent, Peer, SendError, TlsIdentity, Transport};

/// How long anything may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A test compares bytes with those that it signed itself.
struct Unchecked;

impl Verifier for Unchecked {
    fn verify(&self, _: u8, _: &Address, _: &Hash, _: &[u8]) -> bool {
        true
    }
}

/// The edge's end.
pub struct Link {
    transport: QuicTransport,
    domain: Domain,
    to: Address,
    /// Whether there is a session.
    pub connected: bool,
    /// By lane: what the broker says is on its disk.
    pub acknowledged: BTreeMap<LaneId, LaneHead>,
    /// By lane: what the broker says is sealed.
    pub sealed: BTreeMap<LaneId, LaneHead>,
    /// Batches of the answers to fetches, by lane.
    pub fetched: BTreeMap<LaneId, Vec<weir_kernel::batch::Batch>>,
}

impl Link {
    /// Listens; [`Link::meet`] names the broker.
    pub fn new(address: Address, listen: SocketAddr, identity: TlsIdentity, domain: Domain) -> Self {
        let runtime = tokio::runtime::Handle::current();
        let config = QuicConfig { address, chain_id: domain.chain_id, listen, identity, runtime };
        let transport = QuicTransport::bind(config).expect("the address is free");
        let (acknowledged, sealed, fetched) = Default::default();
        Self { transport, domain, to: Address::ZERO, connected: false, acknowledged, sealed, fetched }
    }

    /// Waits for a session with a broker.
    pub fn meet(&mut self, to: Address, endpoint: SocketAddr, tls_key_hash: Hash) {
        self.to = to;
        self.transport.set_peers(vec![Peer { address: to, endpoint: endpoint.to_string(), tls_key_hash }]);
        self.until("a session", |link| link.connected);
    }

    /// Hands a message to the transport; `false` if it has no room or no session.
    pub fn send(&mut self, message: &Message, batches: &[std::sync::Arc<[u8]>]) -> bool {
        self.send_frame(wire::encode(message, batches).into())
    }

    /// The same of a frame.
    pub fn send_frame(&mut self, frame: Bytes) -> bool {
        match self.transport.send(self.to, Channel::Live, frame) {
            Ok(()) => true,
            Err(SendError::Full { .. } | SendError::Closed(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Hears what has come.
    pub fn hear(&mut self) {
        for event in self.transport.poll(1024) {
            match event {
                NetEvent::Connected(_) => self.connected = true,
                NetEvent::Disconnected(..) => self.connected = false,
                NetEvent::Received { from, frame } => self.take(from, &frame),
                NetEvent::Refused { .. } => {}
            }
        }
    }

    fn take(&mut self, from: Address, frame: &Bytes) {
        let received =
            wire::decode(frame, from, self.domain, &Unchecked).expect("the broker's frames are whole");
        match received.message() {
            Message::Acknowledge { heads, .. } => {
                self.acknowledged.extend(heads.iter().map(|head| (head.lane, *head)));
            }
            Message::Sealed { heads, .. } => {
                for head in heads {
                    let held = self.acknowledged.get(&head.lane).map_or(0, |held| held.next_sequence);
                    assert!(
                        head.next_sequence <= held,
                        "sealed to {} what is acknowledged to {held}",
                        head.next_sequence
                    );
                    self.sealed.insert(head.lane, *head);
                }
            }
            Message::Repair { lane, .. } => {
                let batches = received.batches().iter().map(|batch| (**batch).clone());
                self.fetched.entry(*lane).or_default().extend(batches);
            }
            Message::Refuse { reason, .. } => panic!("refused: {reason}"),
            _ => {}
        }
    }

    /// The broker has shown that it holds a lane up to here.
    pub fn hold(&mut self, head: LaneHead) {
        self.acknowledged.insert(head.lane, head);
    }

    /// Ends it, whether the broker is there or not.
    pub fn close(mut self) {
        self.transport.close();
    }

    /// Sequence up to which a lane is acknowledged.
    pub fn acknowledged_to(&self, lane: &LaneId) -> u64 {
        self.acknowledged.get(lane).map_or(0, |head| head.next_sequence)
    }

    /// Hears until something is so.
    pub fn until(&mut self, what: &str, ready: impl Fn(&Self) -> bool) {
        assert!(self.waits_for(ready), "{what} did not come");
    }

    /// The same; `false` if it does not come.
    pub fn waits_for(&mut self, ready: impl Fn(&Self) -> bool) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            self.hear();
            if ready(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }
}
