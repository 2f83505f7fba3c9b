//! What several suites of the simulator share: faults in a line, and runs in which every promise has to hold.

#![allow(dead_code, reason = "every suite takes a part of it")]

use weir_sim::{CrashAt, Fault, FaultKind, Moment, Report, Scenario, run};

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
