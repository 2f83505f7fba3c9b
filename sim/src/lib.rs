//! The simulator: whole networks of real brokers on a virtual clock, from one seed.
//!
//! ```text
//!                     ┌───────────────── World ─────────────────┐
//!   Scenario ──seed──►│ EventHeap: (virtual µs, order) ─► event │──► Report: digest, counts, violations
//!                     └───┬───────────┬───────────┬─────────┬───┘
//!                       nodes       links       chain    clients ──► oracles
//!              Engine + MemoryLog  loss, delay  contracts  publish, subscribe, read
//! ```
//!
//! A node here is what a node is in production: the same engine, the same follower, the same contracts in the same
//! EVM. Only what carries them is replaced: sockets by [`links`], the disk by a log in memory that forgets what was
//! not synced, clocks by the heap's. Everything random comes from streams split off the seed ([`random`]), so the
//! same seed and scenario give the same run, step for step; [`digest`] proves it.
//!
//! [`oracles`] restate the protocol's promises and share no code with the kernel but its types.
//!
//! ```
//! use weir_sim::{Scenario, run};
//!
//! let scenario = Scenario { duration_ms: 40_000, heal_ms: 10_000, ..Scenario::calm(4) };
//! let report = run(7, &scenario);
//! assert_eq!(report.violations, []);
//! assert!(report.stored_events > 0);
//! ```

pub mod audit;
pub mod chain;
pub mod clients;
pub mod digest;
pub mod faults;
pub mod heap;
pub mod links;
pub mod nodes;
pub mod observer;
pub mod oracles;
pub mod random;
mod report;
pub mod scenario;
mod simulation;
mod surroundings;
pub mod tape;
mod verifier;
mod world;

pub use faults::{Fault, FaultKind};
pub use observer::{Happening, Observer};
pub use report::{Report, Violation};
pub use scenario::{CrashAt, Forking, Join, LinkFaults, Moment, Scenario, ScenarioError};
pub use simulation::{Options, Outcome, Source, run, simulate};
pub use tape::{Tape, TapeError};
