//! Whether a publisher's allotment covers what its lanes have run up (WP 2.4.7).
//!
//! A broker carries a batch while the unsettled part of the meters is covered. All lanes of a publisher in a
//! stream partition meet one replica set and share one allotment, so their unsettled prices add up. What its
//! owner has asked back does not count: it may be gone before the next settlement.

use super::{Meter, State};
use crate::ids::{Address, LaneId, StreamPartition};

/// What a lane that stands at `meter` owes beyond what is settled, in the token's smallest unit.
pub fn unsettled(fees: &State, lane: &LaneId, meter: Meter) -> u128 {
    let settled = fees.lane(lane).settled;
    fees.params.lane_price(meter).saturating_sub(fees.params.lane_price(settled))
}

/// Whether the allotment of (origin, stream partition) pays for all these lanes up to their meters. A lane whose
/// fork was proven is covered by nothing.
pub fn covers(
    fees: &State,
    origin: Address,
    slot: StreamPartition,
    lanes: impl IntoIterator<Item = (LaneId, Meter)>,
) -> bool {
    let staying = fees.allotment(origin, slot).staying();
    let mut owed = 0u128;
    for (lane, meter) in lanes {
        if fees.lane(&lane).is_slashed {
            return false;
        }
        owed = owed.saturating_add(unsettled(fees, &lane, meter));
    }
    owed <= staying
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::fees::{Allotment, Lane, Params};

    const ORIGIN: Address = Address([1; 20]);
    const SLOT: StreamPartition = StreamPartition { stream: crate::ids::StreamId([2; 20]), partition: 3 };

    fn fees(allotment: Allotment) -> State {
        let params =
            Params { event_price: 10, byte_price: 1, free_events: 0, free_volume: 0, ..Params::default() };
        let mut fees = State { params, ..State::default() };
        fees.allotments.insert((ORIGIN, SLOT), allotment);
        fees
    }

    fn meter(events: u64, volume: u64) -> Meter {
        Meter { events, volume }
    }

    #[test]
    fn all_lanes_of_a_publisher_share_its_allotment() {
        let mut fees = fees(Allotment { amount: 100, ..Allotment::default() });
        let (a, b) = (LaneId([4; 32]), LaneId([5; 32]));
        let covers = |fees: &State, lanes: &[(LaneId, Meter)]| covers(fees, ORIGIN, SLOT, lanes.to_vec());
        assert!(covers(&fees, &[(a, meter(5, 50))]));
        assert!(!covers(&fees, &[(a, meter(5, 50)), (b, meter(0, 1))]));
        fees.lanes.insert(a, Lane { settled: meter(4, 50), is_slashed: false });
        assert_eq!(unsettled(&fees, &a, meter(5, 50)), 10);
        assert!(covers(&fees, &[(a, meter(5, 50)), (b, meter(9, 0))]));
        assert_eq!(unsettled(&fees, &a, meter(1, 1)), 0, "an older meter owes nothing");
    }

    #[test]
    fn what_is_asked_back_and_a_forked_lane_cover_nothing() {
        let mut fees = fees(Allotment { amount: 100, leaving: 60, ..Allotment::default() });
        let lane = LaneId([4; 32]);
        assert!(covers(&fees, ORIGIN, SLOT, [(lane, meter(4, 0))]));
        assert!(!covers(&fees, ORIGIN, SLOT, [(lane, meter(4, 1))]));
        fees.lanes.insert(lane, Lane { settled: Meter::default(), is_slashed: true });
        assert!(!covers(&fees, ORIGIN, SLOT, [(lane, Meter::default())]));
    }
}
