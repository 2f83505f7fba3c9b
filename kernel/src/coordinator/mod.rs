//! The twin of the contracts: what the chain holds, computed from its logs.

pub mod certificates;
mod evolve;
mod fact;
pub mod params;
pub mod permissions;
pub mod reliability;
pub mod score;
pub mod seats;
mod state;

pub use certificates::{Certificate, Entry};
pub use evolve::evolve;
pub use fact::{Change, Fact, Intent};
pub use params::Params;
pub use permissions::Permission;
pub use seats::{Seat, Seats};
pub use state::{Broker, Contracts, Partition, State, Stream};

use bincode::{Decode, Encode};

/// A block as its facts see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its time in Unix seconds.
    pub timestamp_s: u64,
}

/// A block begins, with facts or without.
pub fn begin_block(state: &mut State, number: u64, timestamp_s: u64) {
    assert!(number >= state.height, "blocks come in order: {number} after {}", state.height);
    state.height = number;
    state.timestamp_s = timestamp_s;
}
