//! Brokers that left a partition give back what they hold of it, and nothing that was acknowledged goes with it
//! (WP 2.4.8).

use weir_kernel::marks::Rare;
use weir_sim::Scenario;

use common::{back_and_forth, held, leaving};

mod common;

#[test]
fn who_was_replaced_gives_its_room_back() {
    for seed in 1..4 {
        let report = held(seed, &leaving(Scenario::calm(5)));
        assert!(report.handovers > 0 && report.left > 0, "{} of {}", report.left, report.handovers);
        assert!(report.expired_batches > 0, "the events went");
    }
}

#[test]
fn it_does_while_links_fail_and_brokers_crash() {
    let mut left = 0;
    for seed in 1..5 {
        let scenario = leaving(Scenario::rough(5));
        let report =
            held(seed, &Scenario { crash_interval_ms: 4_000, crash_down_ms: (200, 2_000), ..scenario });
        assert!(report.crashes > 0);
        left += report.left;
    }
    assert!(left > 0, "somebody left");
}

#[test]
fn who_comes_back_to_a_partition_that_it_gave_back_begins_anew() {
    let reports = [1, 2].map(|seed| held(seed, &back_and_forth()));
    assert!(reports.iter().all(|report| report.left > 0));
    let anew: u64 = reports.iter().map(|report| report.marks.count(Rare::LaneAfterLeaving)).sum();
    assert!(anew > 0, "lanes came back that had gone");
}
