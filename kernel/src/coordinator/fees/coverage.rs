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
