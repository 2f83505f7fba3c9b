//! Directed faults: links that lose, repeat and reorder; crashes; a broker that is away for epochs; a lost disk.

use weir_sim::{FaultKind, Scenario, run};

use common::{fault, held};

mod common;

#[test]
fn lossy_links_lose_no_event() {
    for seed in 1..4 {
        let report = held(seed, &Scenario::rough(5));
        assert!(report.delivered_events > 1_000 && report.seals >= 5 * 5);
    }
}

#[test]
fn crashes_lose_nothing_that_was_acknowledged() {
    for seed in 1..4 {
        let scenario = Scenario { crash_interval_ms: 6_000, duration_ms: 120_000, ..Scenario::rough(5) };
        let report = held(seed, &scenario);
        assert!(report.crashes >= 5);
        assert_eq!(report.quarantines, 0, "a crash is not a lost disk");
    }
}

#[test]
fn a_broker_that_was_away_for_epochs_catches_up() {
    let away = fault(30_000, 2, FaultKind::Crash, 45_000);
    let scenario =
        Scenario { faults: vec![away], duration_ms: 120_000, heal_ms: 30_000, ..Scenario::calm(5) };
    let report = held(2, &scenario);
    assert_eq!(report.crashes, 1);
    assert!(report.seals >= 5 * 10, "the others go on sealing: {} seals", report.seals);
}

#[test]
fn a_lost_disk_waits_for_a_seal_and_then_takes_part_again() {
    let lost = fault(40_000, 1, FaultKind::LostDisk, 3_000);
    let scenario =
        Scenario { faults: vec![lost], duration_ms: 120_000, heal_ms: 40_000, ..Scenario::calm(5) };
    let report = held(3, &scenario);
    assert!(report.quarantines > 0, "a store without its marker signs nothing at first");
}

#[test]
fn one_lost_disk_after_the_other_loses_nothing() {
    let lost = |at_ms, broker| fault(at_ms, broker, FaultKind::LostDisk, 2_000);
    let faults = vec![lost(35_000, 0), lost(70_000, 1), lost(105_000, 2), lost(140_000, 3), lost(175_000, 4)];
    let scenario = Scenario { faults, duration_ms: 240_000, heal_ms: 50_000, ..Scenario::calm(5) };
    let report = held(4, &scenario);
    assert_eq!(report.crashes, 5);
}

/// More than the protocol claims to survive: then the oracles have to say so, or they say nothing.
#[test]
fn disks_lost_all_at_once_are_noticed() {
    let faults = (0..5).map(|broker| fault(40_000, broker, FaultKind::LostDisk, 2_000)).collect();
    let report = run(5, &Scenario { faults, ..Scenario::calm(5) });
    let of = |oracle: &str| report.violations.iter().any(|violation| violation.oracle == oracle);
    assert!(of("liveness"), "nobody remembers enough to seal: {report}");
    assert!(of("delivery"), "subscribers cannot get what was acknowledged: {report}");
}
