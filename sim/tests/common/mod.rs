//! What several suites of the simulator share: faults in a line, and runs in which every promise has to hold.

#![allow(dead_code, reason = "every suite takes a part of it")]

use weir_sim::{CrashAt, Fault, FaultKind, Join, Moment, Report, Scenario, run};

pub mod mistakes;

/// A fault of one broker.
pub fn fault(at_ms: u64, broker: u32, kind: FaultKind, down_ms: u64) -> Fault {
    Fault { at_ms, broker, kind, down_ms }
}

/// Runs a scenario in which every promise holds and, once it is healed, everything that was published is stored.
pub fn held(seed: u64, scenario: &Scenario) -> Report {
    let report = run(seed, scenario);
    println!("seed {seed}: {report}");
    assert_eq!(report.violations, []);
    assert_eq!(report.stored_events, report.published_events, "after healing everything is stored");
    report
}

/// Streams are kept for a few seconds, and a broker and its clients hear nothing for longer.
pub fn fallen_behind() -> Scenario {
    Scenario {
        retention_s: 12,
        lane_batches: 2_000,
        faults: vec![fault(30_000, 3, FaultKind::Isolated, 35_000)],
        subscribers: 9,
        duration_ms: 110_000,
        heal_ms: 30_000,
        ..Scenario::calm(4)
    }
}

/// One broker of those whom others follow leaves lanes out to the end, which begin while it is followed.
pub fn withholding() -> Scenario {
    Scenario {
        lane_batches: 8,
        faults: vec![fault(5_000, 1, FaultKind::Withholder, 115_000)],
        subscribers: 16,
        duration_ms: 120_000,
        heal_ms: 40_000,
        ..Scenario::calm(8)
    }
}

/// The same for longer than a lane lives, so that who was away hears of lanes that all the others have forgotten.
pub fn forgotten() -> Scenario {
    Scenario {
        retention_s: 10,
        block_ms: 250,
        epoch_blocks: 2,
        // A publisher ends its lanes long before their life does.
        lane_batches: 5,
        publish_interval_ms: 1_000,
        faults: vec![fault(15_000, 3, FaultKind::Crash, 170_000)],
        duration_ms: 240_000,
        heal_ms: 40_000,
        ..Scenario::calm(4)
    }
}

/// Brokers join, and those whose seats they take have the time to give back what they hold.
pub fn leaving(scenario: Scenario) -> Scenario {
    let join = |at_ms| Join { at_ms, tickets: 4 };
    Scenario {
        joins: vec![join(22_000), join(26_000)],
        block_ms: 250,
        epoch_blocks: 4,
        duration_ms: 90_000,
        heal_ms: 35_000,
        ..scenario
    }
}

/// A broker is away until another has its seats, comes back, and is away again: the other one leaves partitions in
/// between and gets them back.
pub fn back_and_forth() -> Scenario {
    let faults =
        vec![fault(20_000, 3, FaultKind::Crash, 45_000), fault(125_000, 3, FaultKind::Crash, 50_000)];
    Scenario {
        faults,
        block_ms: 250,
        epoch_blocks: 4,
        duration_ms: 240_000,
        heal_ms: 60_000,
        ..Scenario::calm(5)
    }
}

/// Brokers crash between writing a report and signing it, on either side of the sync.
pub fn at_reports(rate: u32, down_ms: u64) -> Vec<CrashAt> {
    [Moment::ReportWritten, Moment::ReportDurable].map(|moment| CrashAt { moment, rate, down_ms }).to_vec()
}

/// Brokers restart between writing a report and signing it, and the round goes on.
pub fn crashes_at_reports(base: Scenario) -> Scenario {
    Scenario {
        crash_at: at_reports(300_000, 300),
        block_ms: 2_000,
        epoch_blocks: 4,
        duration_ms: 110_000,
        heal_ms: 50_000,
        ..base
    }
}
