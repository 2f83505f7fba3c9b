//! The broker as small machines (WP 2.4.3–2.4.8), each with its own inputs and outputs.
//!
//! ```text
//!                        ┌──────────────────────── Shard ───────────────────────┐
//!   peers   ── Peer ───► │  Replica + Sealer, one of each a partition           │ ── Send, Write, Read, Sign
//!   clients ── Client ─► │  Edge: sessions, publishing, readings, subscriptions │ ── Reply
//!   chain   ── Chain ──► │  Agent: what this broker asks of the chain           │ ── Submit
//!                        └──────────────────────────────────────────────────────┘
//! ```
//!
//! A [`Shard`] only routes between them. It is driven by [`Shard::step`]: one input, some outputs, no waiting. A
//! broker's messages to itself take the same path within the same step.
//!
//! A broker may be several shards, one a core, each with the machines of its partitions and nothing shared:
//! [`sharding`] says which is whose, and what one says to another leaves it as [`Output::Hand`].

pub mod admission;
mod agent;
pub mod context;
pub mod deposits;
pub mod duties;
mod edge;
pub mod former;
mod io;
pub mod lane;
mod message;
mod open_error;
mod refusal;
mod replica;
pub mod retention;
pub mod rows;
mod sealer;
mod shard;
pub mod sharding;

pub use io::{Command, From, Handed, Input, Level, Output, Reading, Reply, SessionId, Token, Trace};
pub use message::{Message, MovedLane, SignedEntry};
pub use open_error::OpenError;
pub use refusal::{Refusal, RefusalCode};
pub use shard::{Shard, Summary, Why};
pub use sharding::{Addressee, Shards, Share};
