//! Succession: when another coordinator has taken over, nothing is sealed here any more (WP 2.5.3).
//!
//! Stakes, rewards and bounties are paid here as ever, so a broker goes on running until it has claimed them.

use crate::coordinator::State;
use crate::ids::{Address, Epoch};

/// The coordinator to which `epoch` belongs, if it is not the one that this broker serves, and since when.
pub fn successor(view: &State, epoch: Epoch) -> Option<(Address, Epoch)> {
    view.succession.accepted.filter(|(_, from_epoch)| epoch >= *from_epoch)
}
