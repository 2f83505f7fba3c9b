//! Exhaustion.

pub mod bounds;
mod disk;
mod explorer;
mod fingerprint;
mod items;
mod liar;
mod local;
mod progress;
pub mod properties;
mod search;
mod setting;
mod tidy;
mod tips;
mod trace;

pub use bounds::{Bounds, Publication, Sabotage};
pub use properties::{Broken, Property};
pub use search::{Failure, Found, Seen, search};
