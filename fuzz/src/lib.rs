//! Fuzz targets: functions that take any bytes and fail only by panicking, so that any driver can run them.
//!
//! ```text
//!   corpus, seeded random and mutated inputs ─┐
//!                                             ├─► targets::* ─► the kernel's decoders, and a small network of brokers
//!   libFuzzer, for hours, on nightly ─────────┘
//! ```
//!
//! `tests/smoke.rs` runs every target over `corpus/` and over a fixed number of derived inputs with every test run;
//! `libfuzzer/` runs the same functions under coverage guidance. An input that ever failed belongs into `corpus/`.

pub mod derive;
pub mod input;
pub mod network;
pub mod seeds;
pub mod targets;
pub mod verifier;

pub use targets::{TARGETS, Target};
