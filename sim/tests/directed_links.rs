//! Links that corrupt, are narrow, far, clogged or flap, and partitions that are no clean cut.

use weir_sim::{Fault, FaultKind, Report, Scenario};

use common::{fault, held};

mod common;

fn held_under(seed: u64, faults: Vec<Fault>) -> Report {
    let scenario = Scenario { faults, duration_ms: 120_000, heal_ms: 40_000, ..Scenario::calm(5) };
    held(seed, &scenario)
}

#[test]
fn corrupted_frames_are_refused() {
    let corrupt = |broker| fault(20_000, broker, FaultKind::Corruption { rate: 150_000 }, 55_000);
    let report = held_under(1, (0..5).map(corrupt).collect());
    assert!(report.refused_frames > 500, "{} frames refused", report.refused_frames);
}

#[test]
fn a_narrow_pipe_loses_no_event() {
    let report = held_under(2, vec![fault(20_000, 1, FaultKind::Bandwidth { bytes_per_s: 4_000 }, 50_000)]);
    assert!(report.seals >= 5 * 9, "{} seals", report.seals);
}

#[test]
fn halves_that_one_broker_bridges_go_on_or_wait() {
    held_under(3, vec![fault(30_000, 2, FaultKind::Bridge, 35_000)]);
}

#[test]
fn a_ring_goes_on_or_waits() {
    held_under(4, vec![fault(30_000, 0, FaultKind::Ring, 35_000)]);
}

#[test]
fn a_clog_and_its_burst_change_no_order() {
    held_under(5, vec![fault(30_000, 1, FaultKind::Clog, 9_000), fault(45_000, 3, FaultKind::Clog, 20_000)]);
}

#[test]
fn flapping_links_lose_no_event() {
    let flapping = |period_ms| FaultKind::Flapping { side: vec![0, 1], period_ms };
    held_under(6, vec![fault(25_000, 0, flapping(300), 20_000), fault(50_000, 0, flapping(2_500), 25_000)]);
}

#[test]
fn a_far_broker_takes_part() {
    let report = held_under(7, vec![fault(0, 4, FaultKind::LateLinks { by_ms: 1_200 }, 80_000)]);
    assert!(report.seals >= 5 * 9, "{} seals", report.seals);
}
