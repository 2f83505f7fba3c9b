//! The door: where frames of other brokers and commands of clients come in.

use std::sync::Arc;

use weir_kernel::broker::Command;
use weir_kernel::coordinator::State;
use weir_kernel::ids::Address;
use weir_net::quic::QuicTransport;
use weir_net::{NetEvent, Peer, Transport, Waker};

use super::inbox::{Arrival, Framed, MAX_TAKEN, MAX_TAKEN_BYTES, Taken};
use crate::handle::NodeEnd;

/// Events taken from the transport at a time.
const POLLED: usize = 8;

/// The receiving ends of a broker's sockets and sessions, for one thread.
pub struct Door {
    name: String,
    transport: QuicTransport,
    end: NodeEnd,
    peers: u64,
}

impl Door {
    /// Takes over both ends; `waker` is called whenever something came.
    pub fn new(name: String, mut transport: QuicTransport, end: NodeEnd, waker: Waker) -> Self {
        transport.set_waker(waker.clone());
        end.set_waker(waker);
        Self { name, transport, end, peers: 0 }
    }

    /// Peers connected now.
    pub fn peers(&self) -> u64 {
        self.peers
    }

    /// Follows the chain's list of brokers.
    pub fn set_peers(&mut self, view: &State) {
        self.transport.set_peers(directory(view));
    }

    /// Takes what is there, of frames and of commands a turn's share each.
    pub fn take_in(&mut self) -> Taken {
        let mut all = Taken { more: true, ..Taken::default() };
        let (mut taken, mut bytes) = (0, 0);
        while all.more && taken < MAX_TAKEN && bytes < MAX_TAKEN_BYTES {
            let events = self.transport.poll(POLLED);
            all.more = events.len() == POLLED;
            taken += events.len();
            for event in events {
                if let NetEvent::Received { frame, .. } = &event {
                    bytes += frame.len();
                }
                all.frames.extend(self.heard(event));
            }
        }
        let (mut taken, mut bytes) = (0, 0);
        while let Some((session, command)) = self.end.try_command() {
            taken += 1;
            if let Command::Publish { batch, .. } = &command {
                bytes += batch.bytes().len();
            }
            all.put(Arrival::Command(session, command));
            if taken == MAX_TAKEN || bytes >= MAX_TAKEN_BYTES {
                all.more = true;
                break;
            }
        }
        all
    }

    fn heard(&mut self, event: NetEvent) -> Option<Framed> {
        match event {
            NetEvent::Received { from, frame } => return Some((from, frame)),
            NetEvent::Connected(peer) => {
                self.peers += 1;
                tracing::debug!(broker = self.name, %peer, "connected");
            }
            NetEvent::Disconnected(peer, reason) => {
                self.peers = self.peers.saturating_sub(1);
                tracing::info!(broker = self.name, %peer, %reason, "disconnected");
            }
            NetEvent::Refused { remote, reason } => {
                tracing::warn!(broker = self.name, %remote, %reason, "connection refused");
            }
        }
        None
    }
}

/// Peers are told.
impl Drop for Door {
    fn drop(&mut self) {
        self.transport.close();
    }
}

/// What wakes a thread.
pub fn waker(inbox: &Arc<super::inbox::Inbox>) -> Waker {
    let inbox = Arc::clone(inbox);
    Arc::new(move || inbox.wake())
}

/// The peers that the chain lists.
fn directory(view: &State) -> Vec<Peer> {
    view.brokers
        .values()
        .filter(|broker| broker.left.is_none() || broker.seats > 0)
        .map(|broker| Peer {
            address: Address(broker.address.0),
            endpoint: broker.endpoint.clone(),
            tls_key_hash: broker.tls_key_hash,
        })
        .collect()
}
