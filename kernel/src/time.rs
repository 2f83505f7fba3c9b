//! Time as an argument: the kernel never reads a clock.

use bincode::{Decode, Encode};

/// The two clocks that a step is given. Only the first never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Now {
    /// Microseconds on a monotonic clock with an arbitrary start: for timers.
    pub monotonic_us: u64,
    /// Milliseconds since 1970 UTC. Two uses, neither of which safety rests on: comparing with event timestamps at
    /// admission, and beginning a process's append indexes above those of the process before.
    pub wall_ms: u64,
}
