//! Homes: which partition carries which lane of a stream partition, while partitions are added (WP 2.4.5).
//!
//! A stream partition has one home at a time, by jump hash over the partitions ([`score::homes`]). When there are more,
//! the hash sends a few of them to one of the new ones. What was stored stays where it is, so the question is which
//! replicas answer for a lane that goes on. The answer is: *those of the home that its opening block fixes*. A lane
//! lives its whole life there.
//!
//! ```text
//!   home(slot, epoch) = the last partition of the slot's jump sequence that is founded by that epoch,
//!                       or, if none of them was added later, its partition among the first ones
//!   home of a lane    = home(its slot, the epoch of its opening block)
//! ```
//!
//! - *Everybody agrees.* The epoch in which a founded partition's first members act is at least the next one, and
//!   never changes. So what is founded by an epoch is known before its first block, whoever looks and whenever.
//! - *Nothing is lost or stored twice.* One replica set at a time answers for a lane, from its first event to its
//!   seal; between the sets there are the handovers of one partition, by certificates, as ever. No event moves.
//! - *It ends by itself.* No new header is admitted [`LANE_LIFETIME_EPOCHS`](crate::limits::LANE_LIFETIME_EPOCHS) after
//!   a lane's opening epoch. So old homes fall quiet then, and hold the history of what was sealed there.
//! - *Never to nowhere.* A partition without members is nobody's home unless it is one of the first.
//! - *Never back.* Founded partitions stay founded, and jump sequences rise: so do homes.
//!
//! Readers look into all homes that a stream partition ever had ([`State::homes`]): a handful, because a jump sequence
//! over P partitions has about ln P members.
//!
//! An allotment covers (publisher, stream partition), and each replica set admits against the whole of it. While lanes
//! of one publisher live in two homes, the two together may admit twice what is covered. That lasts for the lifetime
//! of a lane and happens once a move; a settlement in either home shows in both.

use alloc::vec::Vec;

use super::score;
use super::state::State;
use crate::ids::{Epoch, PartitionId, StreamPartition};

/// A partition that is or was the home of a stream partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Home {
    /// Lanes opened from this epoch on live there, until there is a later home.
    pub from_epoch: Epoch,
    /// Which it is.
    pub partition: PartitionId,
}

/// The epoch from which a partition can be a home: the first ones are there from the beginning, founded or not.
fn begins(state: &State, id: PartitionId) -> Option<Epoch> {
    let founded = || state.partition(id).filter(|partition| partition.founded);
    if id.0 < state.params.partitions { Some(0) } else { founded().map(|partition| partition.founded_epoch) }
}

/// The home of the lanes that are opened in an epoch that has begun.
pub(super) fn home_in(state: &State, slot: StreamPartition, epoch: Epoch) -> PartitionId {
    let sequence = score::homes(slot, state.partition_count());
    let home = sequence.filter(|id| begins(state, *id).is_some_and(|begins| begins <= epoch)).last();
    home.expect("the first partitions are there from the beginning")
}

/// Every home that a stream partition had up to the newest block's epoch, oldest first; there is at least one.
pub(super) fn homes(state: &State, slot: StreamPartition) -> Vec<Home> {
    let mut homes: Vec<Home> = Vec::new();
    for partition in score::homes(slot, state.partition_count()) {
        let begins = begins(state, partition).filter(|begins| *begins <= state.epoch());
        let Some(from_epoch) = begins else { continue };
        // Whatever does not begin before it never was the last one that had begun.
        while homes.last().is_some_and(|home| home.from_epoch >= from_epoch) {
            homes.pop();
        }
        homes.push(Home { from_epoch, partition });
    }
    homes
}
