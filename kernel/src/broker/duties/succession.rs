//! Succession: when another coordinator has taken over, nothing is sealed here any more (WP 2.5.3).
//!
//! Stakes, rewards and bounties are paid here as ever, so a broker goes on running until it has claimed them.

use crate::coordinator::State;
use crate::ids::{Address, Epoch};

/// The coordinator to which `epoch` belongs, if it is not the one that this broker serves, and since when.
pub fn successor(view: &State, epoch: Epoch) -> Option<(Address, Epoch)> {
    view.succession.accepted.filter(|(_, from_epoch)| epoch >= *from_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;

    #[test]
    fn epochs_are_the_successors_from_the_switch_on() {
        let mut view = fixture::view(1, 10);
        assert_eq!(successor(&view, 99), None);
        view.succession.accepted = Some((Address([9; 20]), 12));
        assert_eq!([11, 12].map(|epoch| successor(&view, epoch).is_some()), [false, true]);
    }
}
