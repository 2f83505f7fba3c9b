//! The name of a lane: a hash of what its publisher chose when it was opened, so that whoever shows these parts shows
//! whose lane it is and where it lives.

use crate::ids::{Address, LaneId, StreamId};
use crate::typed_data::WordHasher;

/// What a lane's id is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneParts {
    /// The stream.
    pub stream: StreamId,
    /// Which of the stream's own partitions.
    pub stream_partition: u32,
    /// Kind of origin.
    pub origin_type: u8,
    /// The publisher.
    pub origin: Address,
    /// The block at which the publisher's permission is judged.
    pub opening_block: u64,
    /// Tells the lanes of one publisher apart.
    pub nonce: [u8; 16],
}

impl LaneParts {
    /// The lane's id.
    pub fn lane(&self) -> LaneId {
        let hash = WordHasher::new()
            .address(&self.stream.0)
            .uint(self.stream_partition)
            .uint(self.origin_type)
            .address(&self.origin.0)
            .uint(self.opening_block)
            .fixed_bytes(&self.nonce)
            .finish();
        LaneId(hash.0)
    }
}
