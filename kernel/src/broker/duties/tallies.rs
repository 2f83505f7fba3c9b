//! Tallies: what a broker signed is counted and paid later (WP 2.4.7). Whoever wants to be paid has it settled first.
//!
//! A settlement pays every member of a partition, so one who asks for it spares the others the asking. It is asked for
//! when it, with what has accrued, is worth a claim.

use alloc::vec::Vec;

use super::{Duty, Wanted, claims, seating};
use crate::coordinator::tallies::Tally;
use crate::coordinator::{Intent, MAXIMUM_LIST, Partition, State};
use crate::ids::{BrokerIndex, PartitionId};

/// The settlement that this broker asks for now: of its own partitions, as many as a call takes.
pub fn wanted(view: &State, me: BrokerIndex, seated: impl Iterator<Item = PartitionId>) -> Option<Wanted> {
    let accrued = view.broker(me)?.accrued;
    let least = claims::least(view, me);
    if accrued >= least || view.earned_in(me, seated) < least {
        return None;
    }
    settlement(view, me, |tally, seat| tally.signed(seat) > 0)
}

/// The settlement of the tallies that have something to settle at this broker's seat, of as many as a call takes.
pub(super) fn settlement(
    view: &State,
    me: BrokerIndex,
    has: impl Fn(&Tally, usize) -> bool,
) -> Option<Wanted> {
    let is_due = |partition: &Partition| {
        partition.members.position(me).is_some_and(|seat| has(&partition.tally, seat))
    };
    let partitions: Vec<PartitionId> = seating::numbered(view)
        .filter(|(_, partition)| is_due(partition))
        .map(|(id, _)| id)
        .take(MAXIMUM_LIST)
        .collect();
    let first = *partitions.first()?;
    Some((Duty::SettleTallies(first), Intent::SettleTallies(partitions)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;
    use crate::coordinator::rewards::share;
    use crate::limits::CLAIM_MINIMUM;

    /// A chain where every seat signed so many seals, with a reserve that pays for all.
    fn view(seals: u8) -> State {
        let mut view = fixture::view(4, 10);
        let coordinator = view.contracts.coordinator;
        view.balances.insert(coordinator, 1 << 100);
        for number in 0..2 {
            fixture::partition(&mut view, number).tally.seals = seals;
        }
        view
    }

    fn asked(view: &State, me: u32) -> Option<Wanted> {
        wanted(view, BrokerIndex(me), (0..view.partition_count()).map(PartitionId))
    }

    #[test]
    fn tallies_are_settled_when_that_makes_a_claim() {
        let one = share(&view(0).params, 2);
        let needed = u8::try_from(CLAIM_MINIMUM.div_ceil(2 * one)).expect("few seals");
        assert_eq!(asked(&view(needed - 1), 1), None);
        let (_, intent) = asked(&view(needed), 1).expect("enough is counted");
        assert_eq!(intent, Intent::SettleTallies([0, 1].map(PartitionId).into()));
        let mut accrued = view(needed);
        fixture::broker(&mut accrued, 1).accrued = CLAIM_MINIMUM;
        assert_eq!(asked(&accrued, 1), None, "a claim comes first");
        assert!(asked(&accrued, 2).is_some());
    }

    #[test]
    fn who_only_missed_asks_for_nothing() {
        let mut view = view(200);
        for number in 0..2 {
            let partition = fixture::partition(&mut view, number);
            let seat = partition.members.position(BrokerIndex(1)).expect("a member");
            partition.tally.misses[seat] = 200;
        }
        assert_eq!(asked(&view, 1), None);
    }
}
