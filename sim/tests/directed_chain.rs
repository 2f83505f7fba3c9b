//! A chain that includes late, is behind, or cannot be reached.

use weir_sim::{Fault, FaultKind, Report, Scenario};

use common::{fault, held};

mod common;

fn held_under(seed: u64, faults: Vec<Fault>) -> Report {
    let scenario = Scenario { faults, duration_ms: 130_000, heal_ms: 45_000, ..Scenario::calm(5) };
    held(seed, &scenario)
}

/// Up to an epoch and a half late: certificates come when their epoch is long over.
#[test]
fn transactions_that_are_included_late_cost_seals_and_nothing_else() {
    held_under(1, vec![fault(20_000, 0, FaultKind::LateInclusion { by_ms: 12_000 }, 60_000)]);
}

#[test]
fn a_broker_that_cannot_reach_the_chain_is_missed_by_nobody() {
    let report = held_under(2, vec![fault(30_000, 1, FaultKind::RpcOutage, 40_000)]);
    assert!(report.seals >= 5 * 9, "{} seals", report.seals);
}

/// Nobody hears of the chain for three epochs.
#[test]
fn an_outage_for_all_delays_the_seals() {
    held_under(3, (0..5).map(|broker| fault(35_000, broker, FaultKind::RpcOutage, 25_000)).collect());
}

#[test]
fn brokers_that_see_the_chain_late_by_different_numbers_of_blocks_agree() {
    let stale =
        |(broker, blocks): (u32, u32)| fault(15_000, broker, FaultKind::StaleReads { blocks }, 65_000);
    held_under(4, (0..).zip([1, 12, 0, 5, 3]).map(stale).collect());
}
