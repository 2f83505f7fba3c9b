//! Whose turn it is: what anybody may do is done by one broker at a time, without a word between them.
//!
//! Turns go by block height among all brokers, or by epoch among the members of a partition. A turn that passes
//! unused, because its broker is away or its transaction was lost, is simply followed by the next one's.

use crate::coordinator::{Seats, State};
use crate::ids::{BrokerIndex, Epoch};

/// Whether it is this broker's turn among all that ever registered, by the newest block.
pub fn among_all(view: &State, me: BrokerIndex) -> bool {
    let brokers = view.brokers.len().max(1) as u64;
    view.height % brokers == u64::from(me.0) % brokers
}

/// Whether it is this broker's turn among those in `seats`, in `epoch`, with the thing of this number: different
/// things are different brokers' at the same time.
pub fn among_members(seats: &Seats, number: u64, epoch: Epoch, me: BrokerIndex) -> bool {
    let count = seats.len() as u64;
    if count == 0 {
        return false;
    }
    let turn = (number % count + epoch % count) % count;
    seats.brokers().nth(turn as usize) == Some(me)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_has_its_turn_once_in_as_many_epochs() {
        let seats = Seats::of_brokers([4, 7, 9].map(BrokerIndex));
        for number in [0, 1, u64::MAX] {
            let turns: alloc::vec::Vec<usize> = [4, 7, 9, 5]
                .map(|me| (10..13).filter(|e| among_members(&seats, number, *e, BrokerIndex(me))).count())
                .into();
            assert_eq!(turns, [1, 1, 1, 0], "{number}");
        }
        assert!(!among_members(&Seats::VACANT, 0, 0, BrokerIndex(4)));
    }
}
