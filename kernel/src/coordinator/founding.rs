//! Founding: how a partition gets its first members (WP 2.4.6).
//!
//! Newcomers otherwise come in through certificates, and an empty partition can have none. So it is founded
//! at once by the change that fills its last seat; or, where brokers are fewer than seats, by anybody's call
//! once a quorum of seats is filled and an epoch boundary has passed since the target last changed, so that
//! whoever wants to fill the rest had the time. Seats whose ticket is no longer valid do not count and stay
//! vacant. The target becomes the members from the next epoch on, and there is nothing to seal before.
//! Founders are newcomers: on probation, and their sponsors are paid.

use super::Partition;
use super::fact::Fact;
use super::refusal::Refusal;
use super::seats::Seats;
use super::state::State;
use super::targets::seat_score;
use crate::ids::PartitionId;

/// The brokers of the target whose tickets are valid, in their places: nobody is bound, or acts, after leaving.
pub fn first_members(state: &State, partition: &Partition) -> Seats {
    let mut members = partition.target.without_tickets();
    for (at, seat) in partition.target.taken() {
        if seat_score(state, partition, seat).is_none() {
            members.set(at, None);
        }
    }
    members
}

/// Whether the last seat of a partition without members is filled, so that it is founded at once.
pub fn is_due(state: &State, partition: &Partition) -> bool {
    !partition.founded && first_members(state, partition).len() == state.params.seats()
}

/// Whether anybody may `found` a partition now.
pub(super) fn check(state: &State, id: PartitionId) -> Result<(), Refusal> {
    let partition = state.known_partition(id)?;
    if partition.founded {
        return Err(Refusal::AlreadyFounded { partition: id, since_epoch: partition.since_epoch });
    }
    let (seats, quorum) = (first_members(state, partition).len(), state.quorum());
    if seats < quorum {
        return Err(Refusal::TooFewSeats { partition: id, seats, quorum });
    }
    let target_epoch = partition.target_changed_epoch;
    if target_epoch >= state.epoch() {
        return Err(Refusal::TargetStillMoving { partition: id, target_epoch });
    }
    Ok(())
}

/// The fact of a founding in the newest block.
pub(super) fn founded(state: &State, id: PartitionId, partition: &Partition) -> Fact {
    let members = first_members(state, partition);
    Fact::MembersInstalled { partition: id, since_epoch: state.epoch() + 1, members }
}
