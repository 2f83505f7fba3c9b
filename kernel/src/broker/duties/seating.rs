//! Seats: useful changes, foundings, evictions (WP 2.4.6). Anybody may; brokers take turns.

use alloc::vec::Vec;

use super::{Duty, Wanted, turns};
use crate::coordinator::targets::seat_score;
use crate::coordinator::{Intent, MAXIMUM_LIST, Partition, State, useful_changes};
use crate::ids::{BrokerIndex, PartitionId};

/// What this broker does about seats now: changes while there are any, then a founding, then an eviction.
pub fn wanted(view: &State, me: BrokerIndex) -> Vec<Wanted> {
    if !turns::among_all(view, me) {
        return Vec::new();
    }
    let mut wanted = Vec::new();
    let changes = useful_changes(view, MAXIMUM_LIST);
    // A seat without a valid ticket goes to whoever is better than nobody: only then is there anybody to evict.
    let evicted = if changes.is_empty() { evict(view) } else { None };
    if let Some(first) = changes.first() {
        wanted.push((Duty::Rebalance(first.partition, first.broker), Intent::Rebalance(changes)));
    }
    wanted.extend(found(view));
    wanted.extend(evicted);
    wanted
}

/// A partition that has a quorum of seats but not all of them, and whose target has come to rest.
fn found(view: &State) -> Option<Wanted> {
    let ready = |partition: &Partition| {
        let filled = partition.target.len();
        let full = filled == view.params.seats();
        !partition.founded
            && filled >= view.quorum()
            && !full
            && partition.target_changed_epoch < view.epoch()
    };
    let partition = numbered(view).find(|(_, partition)| ready(partition)).map(|(id, _)| id)?;
    Some((Duty::Found(partition), Intent::Found { partition }))
}

/// A target seat whose broker has left or lost the ticket, with nobody to take it.
fn evict(view: &State) -> Option<Wanted> {
    let invalid = |partition: &Partition| {
        partition.target.taken().find(|(_, seat)| seat_score(view, partition, *seat).is_none())
    };
    let (partition, (seat, _)) =
        numbered(view).find_map(|(id, partition)| invalid(partition).map(|found| (id, found)))?;
    let seat = u8::try_from(seat).expect("a partition has 8 seats at most");
    Some((Duty::Evict(partition, seat), Intent::Evict { partition, seat }))
}

/// The partitions with their numbers.
pub(super) fn numbered(view: &State) -> impl Iterator<Item = (PartitionId, &Partition)> {
    view.partitions.iter().enumerate().map(|(number, partition)| {
        (PartitionId(u32::try_from(number).expect("partitions are numbered with 32 bits")), partition)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;

    /// What is wanted by whoever has the turn.
    fn duties(view: &State) -> Vec<Duty> {
        let brokers = view.brokers.keys();
        brokers.flat_map(|me| wanted(view, *me)).map(|(duty, _)| duty).collect()
    }

    #[test]
    fn nothing_is_asked_of_a_chain_at_its_target() {
        assert!(duties(&fixture::view(4, 10)).is_empty());
    }

    #[test]
    fn who_left_is_replaced_if_somebody_can_be_and_evicted_otherwise() {
        let mut view = fixture::view(4, 10);
        fixture::broker(&mut view, 3).left = Some(9);
        assert!(matches!(duties(&view)[..], [Duty::Evict(PartitionId(0), _)]));
        let mut view = fixture::view(5, 10);
        let leaver = view.partitions[0].target.brokers().next().expect("a seat");
        fixture::broker(&mut view, leaver.0).left = Some(9);
        assert!(matches!(duties(&view)[..], [Duty::Rebalance(..)]));
    }

    #[test]
    fn a_quorum_of_seats_is_founded_once_it_rests() {
        let mut view = fixture::view(3, 10);
        fixture::partition(&mut view, 1).founded = false;
        assert_eq!(duties(&view), [Duty::Found(PartitionId(1))]);
        fixture::partition(&mut view, 1).target_changed_epoch = 10;
        assert!(duties(&view).is_empty());
    }
}
