//! When a lane is settled with LaneFees, and by whom (WP 2.4.7).
//!
//! One settlement pays for all of a lane so far, so the later, the cheaper. It comes when
//!
//! - what the lane owes has reached [`SETTLEMENT_AMOUNT`], or
//! - the lane has been quiet for [`SETTLEMENT_QUIET_EPOCHS`], or
//! - it is the lane's time: each has one in [`SETTLEMENT_PERIOD_EPOCHS`], different lanes at different times, or
//! - the publisher wants its allotment back: what is not settled before it goes is never paid.
//!
//! It never comes for less than [`SETTLEMENT_MINIMUM`]. What counts is what the allotment can pay: a settlement takes
//! what is there and forgives the rest, so an empty allotment is waited for.
//!
//! Members of the partition take turns by epoch. The one whose turn it is has the epoch for it; if the lane is not
//! settled by then, it is the next one's.

use super::turns;
use crate::coordinator::fees::{Meter, coverage};
use crate::coordinator::{Partition, State};
use crate::ids::{Address, BrokerIndex, Epoch, LaneId, StreamPartition};
use crate::limits::{
    SETTLEMENT_AMOUNT, SETTLEMENT_MINIMUM, SETTLEMENT_PERIOD_EPOCHS, SETTLEMENT_QUIET_EPOCHS,
};

/// A lane as far as its settlement goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its id.
    pub lane: LaneId,
    /// Who pays.
    pub origin: Address,
    /// For what.
    pub slot: StreamPartition,
    /// Where its head in a sealed cut stands.
    pub meter: Meter,
    /// The epoch of that cut.
    pub epoch: Epoch,
}

/// Whether the network charges for lanes at all.
pub fn is_charged(view: &State) -> bool {
    let params = &view.fees.params;
    !view.contracts.fees.is_zero() && (params.event_price > 0 || params.byte_price > 0)
}

/// Whether the checksum that a proof leads to stays the chain's until a transaction arrives: the last epoch is
/// sealed, or none is about to be.
pub fn is_calm(view: &State, partition: &Partition) -> bool {
    let behind = view.epoch().saturating_sub(partition.sealed_epoch);
    behind != 2
}

/// Whether this broker settles a lane now.
pub fn is_due(view: &State, partition: &Partition, me: BrokerIndex, sealed: &Sealed) -> bool {
    is_owed(view, partition, sealed)
        && turns::among_members(&partition.members, number(&sealed.lane), view.epoch(), me)
}

fn is_owed(view: &State, partition: &Partition, sealed: &Sealed) -> bool {
    let lane = view.fees.lane(&sealed.lane);
    if sealed.meter.events <= lane.settled.events || sealed.meter.volume < lane.settled.volume {
        return false;
    }
    let allotment = view.fees.allotment(sealed.origin, sealed.slot);
    let gain = coverage::unsettled(&view.fees, &sealed.lane, sealed.meter).min(allotment.amount);
    let epoch = view.epoch();
    let seats = partition.members.len() as u64;
    let its_time =
        (number(&sealed.lane) % SETTLEMENT_PERIOD_EPOCHS + epoch) % SETTLEMENT_PERIOD_EPOCHS < seats;
    let is_quiet = epoch >= sealed.epoch.saturating_add(SETTLEMENT_QUIET_EPOCHS);
    gain >= SETTLEMENT_MINIMUM && (gain >= SETTLEMENT_AMOUNT || is_quiet || its_time || allotment.leaving > 0)
}

/// A number that tells lanes apart.
pub(super) fn number(lane: &LaneId) -> u64 {
    u64::from_be_bytes(*lane.0.first_chunk().expect("an id has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::fees::{Allotment, Lane, Params};
    use crate::coordinator::{Contracts, Seats};
    use crate::ids::StreamId;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    const ORIGIN: Address = Address([1; 20]);
    const SLOT: StreamPartition = StreamPartition { stream: StreamId([2; 20]), partition: 0 };
    const EVENT: u128 = SETTLEMENT_MINIMUM;

    /// A network whose events cost the least amount that is settled, at an epoch.
    fn view(epoch: Epoch, allotment: Allotment) -> State {
        let contracts = Contracts { fees: Address([9; 20]), ..Contracts::default() };
        let mut view = State::new(1, contracts, crate::coordinator::Params::default());
        view.height = view.first_block_of(epoch);
        let members = Seats::of_brokers([1, 2, 3, 4].map(BrokerIndex));
        Arc::make_mut(&mut view.partitions)[0].members = members;
        let params = Params { event_price: EVENT, byte_price: 0, free_events: 0, ..Params::default() };
        let fees = Arc::make_mut(&mut view.fees);
        fees.params = params;
        fees.allotments.insert((ORIGIN, SLOT), allotment);
        view
    }

    fn sealed(events: u64, epoch: Epoch) -> Sealed {
        // Its time is in epochs that are multiples of the period.
        let lane = LaneId([0; 32]);
        Sealed { lane, origin: ORIGIN, slot: SLOT, meter: Meter { events, volume: 0 }, epoch }
    }

    fn rich() -> Allotment {
        Allotment { amount: 1_000 * SETTLEMENT_AMOUNT, ..Allotment::default() }
    }

    fn who(view: &State, sealed: &Sealed) -> Vec<u32> {
        (1..=4).filter(|me| is_due(view, &view.partitions[0], BrokerIndex(*me), sealed)).collect()
    }

    #[test]
    fn one_member_settles_a_lane_and_the_next_epoch_another() {
        let events = u64::try_from(SETTLEMENT_AMOUNT / EVENT).unwrap();
        let epoch = SETTLEMENT_PERIOD_EPOCHS + 9;
        assert_eq!(who(&view(epoch, rich()), &sealed(events, epoch - 1)).len(), 1);
        let turns: Vec<u32> =
            (epoch..epoch + 4).flat_map(|e| who(&view(e, rich()), &sealed(events, e - 1))).collect();
        assert_eq!(turns, [2, 3, 4, 1]);
    }

    #[test]
    fn little_is_settled_when_the_lane_rests_or_its_time_comes() {
        let at = |epoch, sealed: &Sealed| who(&view(epoch, rich()), sealed).len();
        let epoch = SETTLEMENT_PERIOD_EPOCHS + 9;
        assert_eq!(at(epoch, &sealed(2, epoch - 1)), 0);
        assert_eq!(at(epoch, &sealed(2, epoch - SETTLEMENT_QUIET_EPOCHS)), 1);
        let time = 2 * SETTLEMENT_PERIOD_EPOCHS;
        assert_eq!([time - 1, time, time + 3, time + 4].map(|e| at(e, &sealed(2, e - 1))), [0, 1, 1, 0]);
        assert_eq!(at(time, &sealed(0, time - 1)), 0, "nothing is owed");
    }

    #[test]
    fn what_leaves_is_settled_at_once_and_what_cannot_pay_never() {
        let epoch = SETTLEMENT_PERIOD_EPOCHS + 9;
        let of = |allotment| who(&view(epoch, allotment), &sealed(2, epoch - 1)).len();
        assert_eq!(of(Allotment { leaving: 1, ..rich() }), 1);
        assert_eq!(of(Allotment { leaving: 1, amount: EVENT - 1, ..rich() }), 0);
    }

    #[test]
    fn what_is_settled_is_not_settled_again() {
        let epoch = SETTLEMENT_PERIOD_EPOCHS;
        let mut view = view(epoch, rich());
        let settled = Meter { events: 5, volume: 0 };
        Arc::make_mut(&mut view.fees).lanes.insert(LaneId([0; 32]), Lane { settled, is_slashed: false });
        assert_eq!((who(&view, &sealed(5, 0)).len(), who(&view, &sealed(6, 0)).len()), (0, 1));
    }
}
