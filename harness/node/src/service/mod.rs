//! The client service: what every outer interface (HTTP, WebSocket, later others) is a thin skin of.
//!
//! ```text
//!   Publisher ─┐
//!   Reader ────┼──► Gateway ──► NodeHandle ──► broker
//!   Subscriber ┘        │
//!   Status, SignIn ◄────┘ chain view, statistics
//! ```
//!
//! A [`Gateway`] knows the brokers of this process and opens sessions on one that runs; a publisher, reader or
//! subscriber whose broker stops goes on at another, with nothing lost and nothing twice.

pub mod batches;
pub mod economy;
pub mod event;
pub mod gateway;
pub mod idempotency;
pub mod lanes;
pub mod limits;
pub mod publisher;
mod publishing;
pub mod reader;
pub mod rendering;
pub mod sign_in;
pub mod siwe;
pub mod status;
pub mod subscriber;

pub use batches::{BatchPart, BatchReader};
pub use event::EventView;
pub use gateway::Gateway;
pub use publisher::{PublishEvent, Publisher, Receipt};
pub use reader::{ReadRequest, Reader};
pub use rendering::{Renderings, Run};
pub use sign_in::SignIn;
pub use subscriber::{Delivery, Subscriber};
