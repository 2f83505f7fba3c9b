//! Lost quorums: a partition that nobody has sealed for too long is reseated from its last sealed cut (WP 2.4.6).

use super::{Duty, Wanted, seating, succession, turns};
use crate::coordinator::founding::first_members;
use crate::coordinator::{Intent, Partition, State};
use crate::ids::BrokerIndex;

/// The partition whose quorum this broker declares lost now: one a turn.
pub fn wanted(view: &State, me: BrokerIndex) -> Option<Wanted> {
    if !turns::among_all(view, me) || succession::successor(view, view.epoch()).is_some() {
        return None;
    }
    let (partition, _) = seating::numbered(view).find(|(_, partition)| is_lost(view, partition))?;
    Some((Duty::QuorumLost(partition), Intent::DeclareQuorumLost { partition }))
}

/// Whether the contract takes the declaration: patience is over, and there is a quorum to go on with.
fn is_lost(view: &State, partition: &Partition) -> bool {
    let patience = view.params.quorum_lost_windows * view.params.window_epochs;
    let waited = view.epoch().saturating_sub(partition.sealed_epoch);
    partition.founded && waited > patience && first_members(view, partition).len() >= view.quorum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;
    use crate::ids::{Address, PartitionId};

    fn declared(view: &State) -> bool {
        let lost = |me: &BrokerIndex| {
            wanted(view, *me).is_some_and(|(duty, _)| duty == Duty::QuorumLost(PartitionId(1)))
        };
        view.brokers.keys().filter(|me| lost(me)).count() == 1
    }

    #[test]
    fn a_quorum_is_declared_lost_by_one_broker_after_the_patience_and_not_before() {
        let mut view = fixture::view(4, 500);
        let patience = view.params.quorum_lost_windows * view.params.window_epochs;
        fixture::partition(&mut view, 1).sealed_epoch = 500 - patience;
        assert!(!declared(&view));
        fixture::partition(&mut view, 1).sealed_epoch -= 1;
        assert!(declared(&view));
        for gone in [1, 2] {
            fixture::broker(&mut view, gone).left = Some(9);
        }
        assert!(!declared(&view), "two of four are no quorum to go on with");
    }

    #[test]
    fn with_a_successor_nobody_waits_for_seals() {
        let mut view = fixture::view(4, 500);
        fixture::partition(&mut view, 1).sealed_epoch = 1;
        view.succession.accepted = Some((Address([9; 20]), 501));
        assert!(declared(&view));
        view.succession.accepted = Some((Address([9; 20]), 500));
        assert!(!declared(&view));
    }
}
