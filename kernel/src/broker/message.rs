//! What brokers say to each other. Batches travel beside a message, whole and as signed, never inside it.
//!
//! | message | attached | answered by |
//! | --- | --- | --- |
//! | `Append` | batches | `Acknowledge`, `Refuse` |
//! | `Fetch` | | `Repair` with batches, `Gone` |
//! | `Closing` | | `Propose` to all, `Report` back |
//! | `Propose` | | `Report`, `Decline` |
//! | `CutsWanted`, `HeadsWanted` | | `Cuts`, `Heads` |
//! | `Read` | | `Answer` with batches, `ReadFailed` |
//! | `ReadLane` | | `Answer` with the batch, `ReadFailed` |
//! | `Follow` | | `Following`, then `Live` with one batch each |
//! | `Survey` | | `Surveyed` |
//!
//! Every message may be lost, repeated, late or out of order: each is idempotent, and whoever waits asks again.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::refusal::RefusalCode;
use crate::agreement::{Cut, Fork, LaneHead};
use crate::batch::SignedHeader;
use crate::coordinator::Entry;
use crate::ids::{Epoch, LaneId, PartitionId, StreamPartition};
use crate::log::{Query, Slice};

/// A message between brokers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Message {
    /// Edge to replica: keep these batches and tell me when they are on disk (WP 2.4.3).
    Append {
        /// The partition that all attached batches belong to.
        partition: PartitionId,
    },
    /// Replica to edge: everything up to these heads is on this replica's disk, and it says so in `epoch`.
    Acknowledge {
        /// The partition.
        partition: PartitionId,
        /// The epoch that `stored` counts this in.
        epoch: Epoch,
        /// Cumulative heads.
        heads: Vec<LaneHead>,
    },
    /// Replica to edge: this batch is refused.
    Refuse {
        /// The partition.
        partition: PartitionId,
        /// The batch's lane.
        lane: LaneId,
        /// The batch's first sequence.
        sequence: u64,
        /// Machine-readable reason.
        code: RefusalCode,
        /// What was wrong and what to do.
        reason: String,
    },
    /// Send me this lane from this sequence on.
    Fetch {
        /// The partition.
        partition: PartitionId,
        /// The lane.
        lane: LaneId,
        /// First sequence wanted.
        from: u64,
    },
    /// Consecutive batches of one lane, attached; none when the sender holds no more.
    Repair {
        /// The partition.
        partition: PartitionId,
        /// The lane.
        lane: LaneId,
    },
    /// Replica to leader: the epoch is over, these are my closing heads above the last sealed cut.
    Closing {
        /// The partition.
        partition: PartitionId,
        /// The epoch that ended.
        epoch: Epoch,
        /// The round of the leader addressed.
        round: u32,
        /// Checksum of the last sealed cut that the heads are above.
        previous: crate::ids::Hash,
        /// The sender's heads that moved since.
        heads: Vec<LaneHead>,
        /// Forks that the sender knows of.
        forks: Vec<Fork>,
    },
    /// Leader to replicas: sign this cut.
    Propose {
        /// The round.
        round: u32,
        /// The proposed cut.
        cut: Cut,
    },
    /// Replica to leader: my signature under the entry.
    Report(SignedEntry),
    /// Replica to leader: I cannot sign your cut; here is what I hold.
    Decline {
        /// The partition.
        partition: PartitionId,
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: u32,
        /// Closing heads that the cut is below of or in conflict with.
        heads: Vec<LaneHead>,
        /// Forks that the cut does not name.
        forks: Vec<Fork>,
    },
    /// Replica to edge: these heads are in a certificate on chain.
    Sealed {
        /// The partition.
        partition: PartitionId,
        /// The sealed epoch.
        epoch: Epoch,
        /// Sealed heads of lanes that the edge brought.
        heads: Vec<LaneHead>,
    },
    /// What do you hold above the last sealed cut? Asked by a replica that was away.
    HeadsWanted {
        /// The partition.
        partition: PartitionId,
    },
    /// What the sender holds on disk above the last sealed cut.
    Heads {
        /// The partition.
        partition: PartitionId,
        /// Its heads.
        heads: Vec<LaneHead>,
    },
    /// Send me the sealed cuts after this epoch.
    CutsWanted {
        /// The partition.
        partition: PartitionId,
        /// The last epoch whose cut the asker holds.
        after_epoch: Epoch,
    },
    /// Sealed cuts in rising epochs.
    Cuts {
        /// The partition.
        partition: PartitionId,
        /// The epoch asked about.
        after_epoch: Epoch,
        /// The cuts; empty when the sender holds none after that epoch.
        cuts: Vec<Cut>,
    },
    /// Edge to replica: answer this query.
    Read {
        /// Names the answer.
        token: u64,
        /// The query.
        query: Query,
        /// About how many bytes of batches to answer with.
        budget_bytes: u32,
    },
    /// Replica to edge: a chunk; its batches are attached.
    Answer {
        /// The reading's token.
        token: u64,
        /// Which events of which attached batch, in order.
        order: Vec<Slice>,
        /// As in [`crate::log::Chunk`].
        last_index: u64,
        /// As in [`crate::log::Chunk`].
        total: u64,
        /// As in [`crate::log::Chunk`].
        next: Option<Query>,
    },
    /// Replica to edge: the query cannot be answered here.
    ReadFailed {
        /// The reading's token.
        token: u64,
        /// Why.
        reason: String,
    },
    /// Edge to replica: send me every batch of this stream partition that is appended in this partition from now on.
    Follow {
        /// The partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
    },
    /// Replica to edge: you follow from after this append index on.
    Following {
        /// The partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
        /// Append index of the stream partition's last batch so far; 0 when it has none.
        index: u64,
    },
    /// Edge to replica: no more of it.
    Unfollow {
        /// The partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
    },
    /// Replica to edge: one batch, attached, just appended.
    Live {
        /// The partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
        /// Append index of the batch of this stream partition before this one: shows a lost message.
        previous_index: u64,
        /// This batch's append index.
        index: u64,
    },
    /// Replica to edge: a lane forked; events from this sequence on are withdrawn.
    Withdrawn {
        /// The partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
        /// The forked lane.
        lane: LaneId,
        /// First sequence that does not count.
        from: u64,
    },
    /// Replica to replica: retention let the beginning of a lane go that was asked for (WP 2.4.8).
    Gone {
        /// The partition.
        partition: PartitionId,
        /// The lane.
        lane: LaneId,
        /// The last sealed epoch that the sender has adopted: it speaks of lanes that cuts up to then name.
        epoch: Epoch,
        /// Nothing before this sequence is here; `u64::MAX` if nothing at all is.
        before: u64,
        /// The header of the lane's sealed head, while the lane is remembered.
        header: Option<Box<SignedHeader>>,
    },
    /// Edge to replica: which lanes of this stream partition moved? Asked of those that the edge does not follow.
    Survey {
        /// The partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
        /// Only lanes that a cut after this epoch moved, or none yet.
        since: Epoch,
        /// Only lanes after this one.
        after: LaneId,
    },
    /// Replica to edge: these lanes moved.
    Surveyed {
        /// The partition.
        partition: PartitionId,
        /// The stream partition.
        slot: StreamPartition,
        /// As asked.
        since: Epoch,
        /// As asked.
        after: LaneId,
        /// The last sealed epoch that the sender has adopted.
        up_to: Epoch,
        /// The lanes, rising; at most [`MAX_SURVEYED_LANES`](crate::limits::MAX_SURVEYED_LANES).
        lanes: Vec<MovedLane>,
        /// Whether there are more after the last of them.
        more: bool,
    },
    /// Edge to replica: show me the batch of this lane that has this sequence, as answer to a reading.
    ReadLane {
        /// Names the answer.
        token: u64,
        /// The partition.
        partition: PartitionId,
        /// The lane.
        lane: LaneId,
        /// The sequence.
        from: u64,
    },
}

/// How far a lane has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MovedLane {
    /// The lane.
    pub lane: LaneId,
    /// The sequence after its last event on the sender's disk that counts.
    pub next_sequence: u64,
    /// The block that it opened at.
    pub opening_block: u64,
    /// Time of its last event, in milliseconds since 1970 UTC.
    pub last_time_ms: u64,
}

/// An entry with its signer's signature over its report (65 bytes r, s, v).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedEntry {
    /// What is reported.
    pub entry: Entry,
    /// The signature.
    pub signature: Vec<u8>,
}
