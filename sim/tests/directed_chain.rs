//! A chain that includes late, forgets, is behind, cannot be reached, or goes back.

use std::collections::BTreeMap;

use weir_sim::faults::REORGANISED;
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

#[test]
fn transactions_that_pools_forget_are_sent_again() {
    let report =
        held_under(5, vec![fault(20_000, 0, FaultKind::DroppedTransactions { rate: 600_000 }, 60_000)]);
    assert!(report.seals >= 5 * 5, "{} seals", report.seals);
}

/// Blocks count when two more are on top of them: replacing two of them again and again is noticed by nobody.
#[test]
fn reorganisations_within_the_confirmations_are_noticed_by_nobody() {
    let reorg = |n: u64| fault(5_000 + n * 2_300, 0, FaultKind::Reorg { blocks: 1 + n as u32 % 2 }, 1);
    let scenario = Scenario {
        confirmations: 3,
        faults: (0..30).map(reorg).collect(),
        duration_ms: 130_000,
        heal_ms: 45_000,
        ..Scenario::calm(5)
    };
    let report = held(6, &scenario);
    assert_eq!(report.faults["reorg"], 30);
    assert!(report.stops.is_empty() && report.crashes == 0, "{:?}", report.stops);
    assert!(report.seals >= 5 * 9, "{} seals", report.seals);
}

/// "A deeper reorg stops it with a clear error before it signs anything more."
#[test]
fn a_broker_on_a_branch_as_long_as_its_confirmations_stops_by_name_and_the_others_go_on() {
    let deep = |confirmations, blocks| {
        let faults = vec![fault(38_500, 2, FaultKind::DeepReorg { blocks }, 25_000)];
        let (duration_ms, heal_ms) = (130_000, 45_000);
        Scenario { confirmations, faults, duration_ms, heal_ms, ..Scenario::calm(5) }
    };
    for (seed, blocks) in [(7, 3), (8, 6), (9, 12)] {
        let report = held(seed, &deep(3, blocks));
        assert_eq!(report.stops, BTreeMap::from([(REORGANISED.to_string(), 1)]));
        assert_eq!(report.crashes, 1, "only the broker that was shown another branch");
        assert!(report.seals >= 5 * 9, "{} seals: the others go on", report.seals);
    }
}
