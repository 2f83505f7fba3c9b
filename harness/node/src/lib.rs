//! A running broker: the kernel between real sockets, a real disk and a chain, and the interfaces that people and
//! programs use it by.
//!
//! ```text
//!   curl, WebSocket clients, wallets
//!        │ HTTP, WebSocket, JSON-RPC
//!   ┌────▼─────── tokio ────────┐        ┌────────────── one broker, its threads ──────────────┐
//!   │ interfaces ─► service ────┼─Command┼─► engine ──records──► store ──► disk                │
//!   │                      ◄────┼─ Reply ┼── engine ──queries──► reads ──► disk                │
//!   │ QUIC to other brokers ◄───┼─frames─┼─► engine ──intents──► chain ──► transactions        │
//!   └───────────────────────────┘        └──────▲──────────────────────────────────────────────┘
//!                                   follower ───┘ the chain's confirmed blocks as one shared view
//! ```
//!
//! - [`engine`]: kernel and codecs as one function from completions to operations. No clock, no I/O: the simulator runs
//!   the same.
//! - [`node`]: the threads around a broker's engines, one for each of its shards. Only an engine's own thread touches
//!   its kernel, so nothing in it is locked. It never waits for anything but its inbox; disk, reads and transactions
//!   have threads of their own, and their results come back as completions. Shards own disjoint partitions, each with a
//!   log of its own, and share no state: more cores do more work.
//! - [`verifier`]: checks signatures with libsecp256k1, held equal to the kernel's own.
//! - [`follower`]: the chain's logs as the state that brokers act on, computed once a process.
//! - [`handle`]: the border between the two halves of the picture. A session is a bounded queue of commands to the
//!   broker and a bounded queue of replies back.
//! - [`service`]: publishing, reading and subscribing, which outlive the broker that they began at.
//! - [`interfaces`]: HTTP and WebSocket, one router on two ports.
//! - [`network`]: a whole network on one machine, which is what `weir up` starts.
//!
//! # Bounds
//!
//! Whatever is slow holds up only what feeds it. A client that takes nothing stops its own replies and is closed with
//! a reason; a disk that is behind stops the engine from taking frames and commands, so senders meet full queues and
//! QUIC's flow control. What clients can fill is bounded in [`service::limits`], what peers can fill in the kernel's
//! and the transport's limits.
//!
//! A failed write or sync ends the broker, named in its status: nothing is acknowledged after it.
//!
//! # Example
//!
//! A network of one broker in a directory, as a test would start it:
//!
//! ```
//! use weir_node::network::{Network, Options};
//! use weir_node::service::status::status_of;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let directory = tempfile::tempdir()?;
//! let any_port = "127.0.0.1:0".parse()?;
//! let options = Options {
//!     brokers: Some(1),
//!     replicas: Some(1),
//!     http: any_port,
//!     websocket: any_port,
//!     samples: false,
//!     ..Options::new(directory.path())
//! };
//! let network = Network::start(options).await?;
//!
//! let status = status_of(network.gateway()).expect("the broker runs");
//! assert_eq!((status.brokers.len(), status.partitions.len()), (1, 2));
//! assert_eq!(status.brokers[0].running, Some(true));
//! network.stop().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod engine;
pub mod follower;
pub mod handle;
pub mod interfaces;
pub mod network;
pub mod node;
pub mod service;
pub mod verifier;
