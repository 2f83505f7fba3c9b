//! Agreement on checksums (WP 2.4.6, 2.4.7): what replicas agree on, and how it is hashed.
//!
//! ```text
//!   lane heads ──join──► Cut ──root──► checksum = H(previous, partition, epoch, root) ──► Entry ──► report
//!                         ▲
//!   fork proofs ──────────┘
//! ```
//!
//! Replicas agree on the heads of lanes, not on events: a head commits to everything before it. A cut names the
//! heads that moved since the last sealed cut; together with the chain of earlier cuts it fixes every lane.

pub mod cut;
pub mod fork;
pub mod rounds;
pub mod signers;

pub use cut::{Cut, LaneHead};
pub use fork::Fork;
