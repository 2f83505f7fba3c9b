//! A chain that includes late, is behind, or cannot be reached.

use weir_sim::{Fault, FaultKind, Report, Scenario, run};

fn fault(at_ms: u64, broker: u32, kind: FaultKind, down_ms: u64) -> Fault {
    Fault { at_ms, broker, kind, down_ms }
}

fn held(seed: u64, faults: Vec<Fault>) -> Report {
    let scenario = Scenario { faults, duration_ms: 130_000, heal_ms: 45_000, ..Scenario::calm(5) };
    let report = run(seed, &scenario);
    println!("seed {seed}: {report}");
    assert_eq!(report.violations, []);
    assert_eq!(report.stored_events, report.published_events, "after healing everything is stored");
    report
}

/// Up to an epoch and a half late: certificates come when their epoch is long over.
#[test]
fn transactions_that_are_included_late_cost_seals_and_nothing_else() {
    held(1, vec![fault(20_000, 0, FaultKind::LateInclusion { by_ms: 12_000 }, 60_000)]);
}

#[test]
fn a_broker_that_cannot_reach_the_chain_is_missed_by_nobody() {
    let report = held(2, vec![fault(30_000, 1, FaultKind::RpcOutage, 40_000)]);
    assert!(report.seals >= 5 * 9, "{} seals", report.seals);
}

/// Nobody hears of the chain for three epochs.
#[test]
fn an_outage_for_all_delays_the_seals() {
    held(3, (0..5).map(|broker| fault(35_000, broker, FaultKind::RpcOutage, 25_000)).collect());
}

#[test]
fn brokers_that_see_the_chain_late_by_different_numbers_of_blocks_agree() {
    let stale =
        |(broker, blocks): (u32, u32)| fault(15_000, broker, FaultKind::StaleReads { blocks }, 65_000);
    held(4, (0..).zip([1, 12, 0, 5, 3]).map(stale).collect());
}
