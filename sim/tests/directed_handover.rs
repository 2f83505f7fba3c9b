//! Handovers: the replaced member dies in the block that replaces it, and nothing that only the old set knew is lost.

use weir_sim::{CrashAt, Join, Moment, Scenario};

use common::held;

mod common;

/// "A certificate needs q reports from the set of every epoch since the last sealed one", "a replaced replica serves
/// what it holds until an epoch of the new set is sealed": here it does not live to do so.
#[test]
fn a_member_that_dies_as_it_is_replaced_takes_nothing_with_it() {
    let mut crashes = 0;
    for seed in 1..6 {
        let join = |at_ms| Join { at_ms, tickets: 4 };
        let scenario = Scenario {
            joins: vec![join(30_000), join(45_000)],
            crash_at: vec![CrashAt { moment: Moment::Replaced, rate: 1_000_000, down_ms: 20_000 }],
            duration_ms: 150_000,
            heal_ms: 50_000,
            ..Scenario::rough(4)
        };
        let report = held(seed, &scenario);
        assert!(report.handovers > 0);
        crashes += report.crashes;
    }
    assert!(crashes > 0, "somebody was replaced");
}
