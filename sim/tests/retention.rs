//! Streams whose owners keep them for a while: old events go, nothing else does, and whoever was away goes on without
//! what nobody keeps any more (WP 2.4.8).

use weir_kernel::marks::Rare;
use weir_sim::{FaultKind, Scenario};

use common::{fallen_behind, fault, forgotten, held};

mod common;

/// Twenty seconds are kept of a run of two minutes.
fn kept_for_a_while(brokers: u32) -> Scenario {
    Scenario { retention_s: 20, duration_ms: 120_000, heal_ms: 15_000, ..Scenario::calm(brokers) }
}

#[test]
fn old_events_go_and_new_ones_stay() {
    let report = held(1, &kept_for_a_while(5));
    assert!(report.expired_batches > 100, "{} batches expired", report.expired_batches);
    assert!(report.marks.count(Rare::EventsExpire) > 10);
}

#[test]
fn who_was_away_for_longer_than_events_are_kept_comes_back() {
    let faults = vec![fault(25_000, 1, FaultKind::Crash, 50_000)];
    let report = held(2, &Scenario { faults, ..kept_for_a_while(4) });
    let begun = report.marks.count(Rare::LaneBegunLater) + report.marks.count(Rare::LaneGone);
    assert!(begun > 0, "its lanes go on after what is not kept");
}

#[test]
fn a_lost_disk_is_filled_with_what_is_kept() {
    let faults = vec![fault(60_000, 2, FaultKind::LostDisk, 3_000)];
    let report = held(3, &Scenario { faults, lane_batches: 20, ..kept_for_a_while(4) });
    assert!(report.marks.count(Rare::LaneBegunLater) > 0);
    assert!(report.quarantines > 0);
}

#[test]
fn readers_that_fell_behind_go_on_where_events_are_kept() {
    let report = held(5, &fallen_behind());
    assert!(report.marks.count(Rare::GapBelieved) > 0);
    assert!(report.marks.count(Rare::LaneBegunLater) > 0);
}

#[test]
fn lanes_that_everybody_forgot_hold_no_latecomer_up() {
    let report = held(6, &forgotten());
    assert!(report.marks.count(Rare::LaneGone) > 0);
}

#[test]
fn restarts_in_the_middle_of_it_lose_nothing_that_is_kept() {
    let base = kept_for_a_while(5);
    let rough = Scenario { crash_interval_ms: 5_000, heal_ms: 30_000, ..base };
    let report = held(4, &Scenario { retention_s: 12, ..rough });
    assert!(report.crashes > 5 && report.expired_batches > 100);
}
