//! Wall clocks that are off, drift, and step forward and back: no promise rests on them.

use weir_sim::{Fault, FaultKind, Report, Scenario};

use common::{fault, held};

mod common;

const MINUTE_MS: i64 = 60_000;

fn held_under(seed: u64, faults: Vec<Fault>) -> Report {
    let scenario = Scenario {
        faults,
        crash_interval_ms: 9_000,
        duration_ms: 120_000,
        heal_ms: 40_000,
        ..Scenario::calm(5)
    };
    held(seed, &scenario)
}

#[test]
fn clocks_may_be_minutes_apart_from_the_beginning() {
    let offsets = [-3, 2, -1, 4, 0];
    let off = |(broker, minutes): (u32, i64)| {
        fault(0, broker, FaultKind::ClockStep { by_ms: minutes * MINUTE_MS }, 80_000)
    };
    let report = held_under(1, (0..).zip(offsets).map(off).collect());
    assert!(report.delivered_events > 1_000);
}

/// A broker whose clock is ten minutes behind takes nothing new from publishers, and says why; the others go on.
#[test]
fn a_clock_far_behind_costs_its_broker_and_nobody_else() {
    let report =
        held_under(2, vec![fault(30_000, 2, FaultKind::ClockStep { by_ms: -10 * MINUTE_MS }, 30_000)]);
    assert!(report.seals >= 5 * 8, "{} seals", report.seals);
}

#[test]
fn a_clock_that_steps_forward_and_back_repeats_nothing() {
    for seed in 3..5 {
        let step = |at_ms, broker, minutes: i64| {
            fault(at_ms, broker, FaultKind::ClockStep { by_ms: minutes * MINUTE_MS }, 6_000)
        };
        let faults = (0..8).map(|n| step(24_000 + n * 6_000, n as u32 % 5, if n % 2 == 0 { 7 } else { -4 }));
        held_under(seed, faults.collect());
    }
}

#[test]
fn clocks_that_drift_apart_are_set_right() {
    let drift = |broker, per_million| fault(10_000, broker, FaultKind::ClockDrift { per_million }, 60_000);
    held_under(5, vec![drift(0, 200_000), drift(1, -200_000), drift(2, 500)]);
}
