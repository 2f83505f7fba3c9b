//! The outer interfaces: HTTP and WebSocket, thin skins of [`crate::service`].
//!
//! ```text
//!   :7171 ─┐                ┌─ publish, batches, read, streams ──► service ──► broker
//!          ├─► one router ──┼─ subscribe, publish (WebSocket)
//!   :7170 ─┘                └─ info, status, health, metrics, sign-in, JSON-RPC, admin
//! ```
//!
//! Both ports serve the same routes: the second is where today's Streamr clients look for WebSockets. Every error
//! is JSON `{"code":…,"reason":…}`; [`error`] is the one place that turns refusals into statuses.

mod auth;
mod batches;
mod body;
pub mod caller;
mod counters;
pub mod error;
mod payload;
mod publish;
mod query;
mod read;
mod router;
pub mod server;
mod services;
mod socket;
mod socket_publish;
mod socket_subscribe;
mod streams;
mod system;
#[cfg(test)]
mod tests;

pub use server::{Bind, ServeError, Servers, serve};
pub use services::{BrokerSwitch, InterfaceConfig, Services};
