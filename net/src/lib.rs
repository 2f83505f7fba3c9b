//! weir-net

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
