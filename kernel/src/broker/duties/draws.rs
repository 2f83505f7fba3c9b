//! Draws: a broker records its own as soon as it can, and another's when that one did not (WP 2.4.6).

use super::{Duty, Wanted, turns};
use crate::coordinator::{Intent, State};
use crate::ids::BrokerIndex;
use crate::limits::DUTY_PATIENCE_BLOCKS;

/// The draws to record now: at most its own and one other.
pub fn wanted(view: &State, me: BrokerIndex) -> impl Iterator<Item = Wanted> {
    let due = |index: BrokerIndex, grace_blocks: u64| {
        view.broker(index).is_some_and(|broker| {
            broker.draw.is_none()
                && broker.left.is_none()
                && view.height >= broker.draw_block.saturating_add(grace_blocks)
        })
    };
    let mine = due(me, 0).then_some(me);
    let others = || view.brokers.keys().copied().filter(|index| *index != me);
    let other = turns::among_all(view, me)
        .then(|| others().find(|index| due(*index, 2 * DUTY_PATIENCE_BLOCKS)))
        .flatten();
    mine.into_iter().chain(other).map(|index| (Duty::Draw(index), Intent::RecordDraw { index }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;
    use alloc::vec::Vec;

    #[test]
    fn a_broker_draws_for_itself_and_in_turn_for_who_did_not() {
        let mut view = fixture::view(4, 10);
        assert!((1..=4).all(|me| wanted(&view, BrokerIndex(me)).next().is_none()));
        fixture::broker(&mut view, 2).draw = None;
        let due =
            |view: &State, me| -> Vec<Duty> { wanted(view, BrokerIndex(me)).map(|(duty, _)| duty).collect() };
        assert_eq!(due(&view, 2), [Duty::Draw(BrokerIndex(2))]);
        let helped: usize = (0..4)
            .map(|blocks| {
                view.height += u64::from(blocks > 0);
                [1, 3, 4].into_iter().filter(|me| !due(&view, *me).is_empty()).count()
            })
            .sum();
        assert_eq!(helped, 3, "each of the others has one turn in four blocks");
        fixture::broker(&mut view, 2).draw_block = view.height;
        assert_eq!(due(&view, 2).len(), 1);
        assert!([1, 3, 4].into_iter().all(|me| due(&view, me).is_empty()), "it has its time first");
    }
}
