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
