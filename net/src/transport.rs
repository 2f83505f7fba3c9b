//! The `Transport` port: what an engine needs from a network, as a completion queue.
//!
//! Nothing here waits. The engine hands frames in with [`Transport::send`] and takes what happened out with
//! [`Transport::poll`]; between the two it may sleep until its [`Waker`] is called.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use weir_kernel::ids::{Address, Hash};

use crate::close::{CloseReason, RefuseReason};

/// What a frame is for. Channels are independent streams: a full or slow one never delays the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Events, acknowledgements and agreement: small and urgent.
    Live,
    /// Repair and catching up: large and patient.
    Bulk,
}

impl Channel {
    /// Both channels, in the order in which a connection opens their streams.
    pub const ALL: [Self; 2] = [Self::Live, Self::Bulk];

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Live => 0,
            Self::Bulk => 1,
        }
    }
}

/// A broker as the chain's directory lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The broker's Ethereum address: its name everywhere.
    pub address: Address,
    /// Where it listens: `host:port`, host a name or an IP address (IPv6 in brackets).
    pub endpoint: String,
    /// SHA-256 of its TLS key's SubjectPublicKeyInfo (DER), as registered on chain.
    pub tls_key_hash: Hash,
}

/// Something that happened on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetEvent {
    /// A session with this peer began: frames may be sent, the queues to it are empty.
    Connected(Address),
    /// The session ended; frames that were still on their way are lost in both directions. Follows every
    /// `Connected` before the next one of the same peer.
    Disconnected(Address, CloseReason),
    /// A frame came in. Between a peer's `Connected` and `Disconnected` the frames of one channel come in the
    /// order they were sent, none twice, none missing before the last.
    Received {
        /// Who sent it, proven by its TLS key.
        from: Address,
        /// Its bytes, at most [`crate::limits::MAX_FRAME_BYTES`].
        frame: Bytes,
    },
    /// Somebody did not become a session: a stranger, another version, another chain.
    Refused {
        /// Where it came from or where it was dialled; the address is not proven.
        remote: SocketAddr,
        /// Why.
        reason: RefuseReason,
    },
}

/// Why a frame was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The directory does not list the peer.
    #[error("no peer {0} in the directory: give it to set_peers first")]
    UnknownPeer(Address),
    /// The peer's queue has no room: it is slower than what is sent to it.
    #[error(
        "the {channel} queue to {to} is full ({queued} bytes waiting): send less or retry after it drained"
    )]
    Full {
        /// The peer.
        to: Address,
        /// The full channel.
        channel: Channel,
        /// Bytes that wait on it.
        queued: usize,
    },
    /// The frame is longer than this node or the peer accepts.
    #[error("a frame of {bytes} bytes is longer than the {limit} that {to} accepts: split the message")]
    TooLarge {
        /// The peer.
        to: Address,
        /// The frame's length.
        bytes: usize,
        /// The longest frame of this session.
        limit: usize,
    },
    /// There is no session with the peer now, or the transport was closed.
    #[error("no connection to {0} now: send again after its Connected event")]
    Closed(Address),
}

/// Called, from any thread and possibly while [`Transport::poll`] or [`Transport::send`] runs, when there is
/// something to poll. It may only signal: it must neither block nor call the transport.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// A network between brokers, seen by one of them.
pub trait Transport: Send {
    /// Replaces the directory of brokers. Sessions with peers that are gone or have another key close at once: no
    /// frame of theirs comes out of a later [`poll`](Self::poll). An entry with the own address is ignored.
    fn set_peers(&mut self, peers: Vec<Peer>);

    /// Queues a frame for a connected peer. Never blocks. An accepted frame arrives unless the session ends first.
    ///
    /// # Errors
    /// Each [`SendError`] leaves the queues as they were.
    fn send(&mut self, to: Address, channel: Channel, frame: Bytes) -> Result<(), SendError>;

    /// Takes at most `max` events. Never blocks; fewer than `max` mean that there are no more at the moment.
    fn poll(&mut self, max: usize) -> Vec<NetEvent>;

    /// Sets who is told that there is something to poll: once when something arrives after an emptying poll, and
    /// again after every poll that left something.
    fn set_waker(&mut self, waker: Waker);
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn set_peers(&mut self, peers: Vec<Peer>) {
        (**self).set_peers(peers);
    }

    fn send(&mut self, to: Address, channel: Channel, frame: Bytes) -> Result<(), SendError> {
        (**self).send(to, channel, frame)
    }

    fn poll(&mut self, max: usize) -> Vec<NetEvent> {
        (**self).poll(max)
    }

    fn set_waker(&mut self, waker: Waker) {
        (**self).set_waker(waker);
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Bulk => "bulk",
        })
    }
}
