//! How brokers talk to each other: the [`Transport`] port and its two implementations.
//!
//! ```text
//!   engine thread (synchronous)                         tasks on tokio: bytes only
//!  ┌───────────────────────────┐
//!  │ set_peers(directory) ─────┼──► directory ──────────► TLS verifiers, diallers
//!  │ send(to, channel, frame) ─┼──► outbox live ≤ 8 MiB ─► stream ─┐
//!  │                           │    outbox bulk ≤ 16 MiB ► stream ─┤   QUIC, one
//!  │                           │                                   ├── connection ◄──► peer
//!  │ poll(max) ◄───────────────┼─── inbox live ◄───────── stream ◄─┤    a peer
//!  │ waker() ◄─ ─ ─ ─ ─ ─ ─ ─ ─│─   inbox bulk ◄───────── stream ◄─┘
//!  └───────────────────────────┘    full: the stream is not read, flow control stops the sender
//! ```
//!
//! - [`quic::QuicTransport`]: production. QUIC with mutual TLS 1.3; a peer is whoever holds the key that the chain's
//!   broker directory binds to its address.
//! - [`memory::MemoryNetwork`]: tests. Deterministic, with links that can be cut.
//!
//! One suite (`tests/conformance.rs`) runs over both.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use weir_kernel::ids::{Address, Hash};
//! use weir_net::memory::MemoryNetwork;
//! use weir_net::{Channel, NetEvent, Peer, Transport};
//!
//! let network = MemoryNetwork::new();
//! let (alice, bob) = (Address([0xa1; 20]), Address([0xb0; 20]));
//! let mut at_alice = network.endpoint(alice, Hash([1; 32]));
//! let mut at_bob = network.endpoint(bob, Hash([2; 32]));
//!
//! // Both follow the same directory, so they connect.
//! let entry = |address, key| Peer { address, endpoint: "unused:1".into(), tls_key_hash: Hash([key; 32]) };
//! let directory = vec![entry(alice, 1), entry(bob, 2)];
//! at_alice.set_peers(directory.clone());
//! at_bob.set_peers(directory);
//! assert_eq!(at_alice.poll(10), [NetEvent::Connected(bob)]);
//!
//! at_alice.send(bob, Channel::Live, Bytes::from_static(b"an event")).unwrap();
//! let frame = Bytes::from_static(b"an event");
//! assert_eq!(at_bob.poll(10), [NetEvent::Connected(alice), NetEvent::Received { from: alice, frame }]);
//! ```
//!
//! # Wire format
//!
//! All numbers are big-endian. QUIC version 1, TLS 1.3, ALPN `weir/1`; Ed25519 certificates in both directions, of
//! which only the key counts: SHA-256 of its SubjectPublicKeyInfo (DER) must be in the directory. No resumption, no
//! 0-RTT, no datagrams, no bidirectional streams.
//!
//! Between two brokers the one with the lower address dials. Each end opens exactly two unidirectional streams, live
//! first, and never ends them:
//!
//! ```text
//! live stream    01 │ length u32 │ hello │ frame │ frame │ …
//! bulk stream    02 │ frame │ frame │ …
//! frame          length u32, at most 8 388 608 │ that many bytes
//!
//! hello   offset  bytes
//!              0      4  "weir"
//!              4      2  oldest protocol version the sender speaks
//!              6      2  newest protocol version the sender speaks
//!              8      8  chain id (EIP-155)
//!             16     20  sender's broker address
//!             36     20  address the sender dialled; zero from the end that was dialled
//!             56      4  longest frame the sender accepts, at least 65 536
//!             60      …  later versions; ignored. The whole hello has at most 1024 bytes
//! ```
//!
//! Both ends send their hello at once and read nothing else of the peer before they have accepted its hello: same
//! chain, a common version (the newest is used), the sender's address bound to the proven key, each end the one that
//! the other meant, and the dialler's address the lower. A connection ends with one of the application error codes of
//! [`CloseCode`]:
//!
//! ```text
//!  0 shutdown            4 version mismatch     8 limits refused
//!  1 removed             5 chain mismatch       9 frame too large
//!  2 replaced            6 identity mismatch   10 stream misuse
//!  3 hello malformed     7 wrong dialler       11 hello timeout
//! ```
//!
//! A node that restarts answers packets of forgotten connections with QUIC stateless resets under a key derived from
//! its TLS key, so its peers notice at their next packet. Every bound is in [`limits`].

pub mod close;
pub mod counters;
pub mod identity;
mod inbound;
pub mod limits;
pub mod memory;
pub mod quic;
pub mod transport;
pub mod wire;

pub use close::{CloseCode, CloseReason, RefuseReason};
pub use counters::CountersSnapshot;
pub use identity::TlsIdentity;
pub use transport::{Channel, NetEvent, Peer, SendError, Transport, Waker};
