//! Bounties: what moving partitions to their targets earns (WP 2.4.6).
//!
//! A useful change helps everybody and costs its caller gas. So the broker whose account proposes it *sponsors* the
//! seat, and when the candidate is installed the sponsor earns `seat_bounty`: out of the join fees that the newcomer
//! paid and, where that has too little left and takes the seat of an offender, out of the offender's. An offender left
//! or is suspended. Fees are in the pool already and are spent once, so a bounty mints nothing, and who joins and
//! leaves in circles pays for it. Other accounts may propose too, and earn nothing; nor does clearing a seat. The
//! sponsor of a seat is who proposed last: a better ticket of the same broker counts.

use alloc::vec::Vec;

use super::fact::Fact;
use super::seats::Seats;
use super::state::State;
use crate::ids::{BrokerIndex, PartitionId};

/// The newcomers of the last change of a partition's members, by their seats in the target.
pub(super) fn newcomers(state: &State, id: PartitionId) -> Vec<BrokerIndex> {
    let Some(partition) = state.partition(id) else { return Vec::new() };
    let is_new = |broker: &BrokerIndex| {
        partition.members.contains(*broker) && !partition.previous_members.contains(*broker)
    };
    partition.target.brokers().filter(is_new).collect()
}

/// What a newcomer's sponsor earns, now that it is a member; nothing if there is no sponsor or no fee left. `sponsors`
/// are those of the target before the newcomers were installed; `offender` is whose seat this one took.
pub(super) fn reward(
    state: &State,
    id: PartitionId,
    sponsors: Seats,
    newcomer: BrokerIndex,
    offender: Option<BrokerIndex>,
) -> Option<Fact> {
    let partition = state.partition(id)?;
    let seat = partition.target.position(newcomer)?;
    let sponsor = sponsors.get(seat)?.broker;
    let bounty = state.params.seat_bounty;
    let from_newcomer = bounty.min(state.broker(newcomer)?.fee);
    let offends = |index: &BrokerIndex| {
        state.broker(*index).is_some_and(|broker| broker.left.is_some() || broker.is_suspended())
    };
    let fee = offender.filter(offends).and_then(|index| state.broker(index)).map_or(0, |broker| broker.fee);
    let from_offender = fee.min(bounty - from_newcomer);
    let fact = Fact::SeatRewarded { partition: id, broker: newcomer, sponsor, from_newcomer, from_offender };
    (from_newcomer + from_offender > 0).then_some(fact)
}

/// Whose seat a newcomer of the last change of members took.
pub(super) fn replaced(state: &State, id: PartitionId, newcomer: BrokerIndex) -> Option<BrokerIndex> {
    let partition = state.partition(id)?;
    let seat = partition.members.position(newcomer)?;
    partition.previous_members.get(seat).map(|seat| seat.broker)
}

/// Fees become a sponsor's reward.
pub(super) fn apply(
    state: &mut State,
    (id, newcomer, sponsor): (PartitionId, BrokerIndex, BrokerIndex),
    (from_newcomer, from_offender): (u128, u128),
) {
    spend(state, newcomer, from_newcomer);
    if from_offender > 0 {
        let offender = replaced(state, id, newcomer).expect("the newcomer took an offender's seat");
        spend(state, offender, from_offender);
    }
    super::tallies::pay(state, sponsor, from_newcomer + from_offender);
}

fn spend(state: &mut State, index: BrokerIndex, amount: u128) {
    let broker = state.broker_mut(index);
    broker.fee = broker.fee.checked_sub(amount).expect("no more than a broker's fee is spent");
    state.pool = state.pool.checked_sub(amount).expect("the pool holds the fees");
}
