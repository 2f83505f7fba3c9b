//! Sorted maps and sets whose copies share what they have in common.
//!
//! A node hands its view of the chain to many readers and changes its own copy with the next block. A map of a
//! million streams that is copied for one new stream would take longer than the block; here a change copies
//! the way from the root to the one leaf that it is in, and the rest stays the readers' as well as the
//! writer's:
//!
//! ```text
//!   before ──► branch ──┬─► leaf a, b, c
//!                       ├─► leaf d, e ◄──┐         one leaf and one branch are copied for `g`
//!                       └─► leaf f       │
//!   after ───► branch ──┬─► (a, b, c) ───┘ shared
//!                       ├─► (d, e)         shared
//!                       └─► leaf f, g
//! ```
//!
//! It is a B-tree: leaves hold up to [`WIDTH`] entries, branches up to [`WIDTH`] children, and all leaves lie equally
//! deep. A leaf is one allocation of exactly its entries, so that a map of one or two costs little more than what is
//! in it. Full leaves to which keys come in rising order stay full. What a map holds decides what it equals, however
//! it came to be.

mod iter;
mod map;
mod node;
mod set;
#[cfg(test)]
mod tests;

pub use iter::{Iter, Keys, Values};
pub use map::Map;
pub use set::Set;

/// Entries of a leaf and children of a branch, at most. A change copies one leaf and a branch a level, so that this
/// many times the depth is what a block pays for each; the narrower, the more of the memory is pointers.
const WIDTH: usize = 32;
