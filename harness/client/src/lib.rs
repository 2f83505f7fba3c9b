//! Publishing to, subscribing to and reading from a weir network: what the command line and other programs
//! use.
//!
//! ```text
//!   files, pipes ──► input ──► Event ──► PublishSession ──┐
//!                                                         ├──► a node: HTTP, WebSocket, JSON-RPC
//!   Subscription, query, status ◄── Client ◄──────────────┘
//!                                     └──► contract: streams and permissions on the chain
//! ```
//!
//! A publisher signs its own batches with its own key: the node it talks to is a carrier, not an authority.
//! Streams are created by transactions that the same key signs.
//!
//! # Example
//!
//! Reading events needs no network:
//!
//! ```
//! use weir_client::input::{Fields, Reader};
//!
//! let fields = Fields { timestamp: Some("time".parse().expect("a path")), partition_key: None };
//! let csv = "time,celsius\n2018-02-07T01:26:13.840Z,21.50\n";
//! let events: Vec<_> = Reader::open(csv.as_bytes(), None, fields)
//!     .expect("the format is told from the first line")
//!     .collect::<Result<_, _>>()
//!     .expect("one good row");
//! assert_eq!(events[0].timestamp_ms, Some(1_517_966_773_840));
//! assert_eq!(events[0].content, r#"{"time":"2018-02-07T01:26:13.840Z","celsius":"21.50"}"#);
//! ```

mod batches;
mod client;
mod contract;
mod event;
mod http;
mod info;
pub mod input;
pub mod key;
mod publish;
mod query;
mod sign_in;
mod socket;
mod subscribe;
pub mod time;

pub use batches::{Batches, Part};
pub use client::{Client, ConnectError, StreamInfo};
pub use contract::{EVERYBODY, Grant, NewStream, RpcError, TransactionError};
pub use event::Event;
pub use http::RequestError;
pub use info::Info;
pub use key::{DEVELOPMENT_CHAIN_ID, Key, KeyError};
pub use publish::{
    Fate, Level, Outcome, Progress, PublishError, PublishFailure, PublishOptions, PublishSession, Refusal,
    Report,
};
pub use query::{Lines, Query};
pub use subscribe::{Delivery, Start, SubscribeError, SubscribeOptions, Subscription};
