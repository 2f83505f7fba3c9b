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
