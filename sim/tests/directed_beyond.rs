//! More liars than a partition tolerates: what breaks then has a name. An oracle that stays silent here says nothing
//! elsewhere.

use weir_sim::{Fault, FaultKind, Report, Scenario, run};

use common::fault;

mod common;

fn two_of_four(seed: u64, kind: &FaultKind, more: Vec<Fault>) -> Report {
    let lie = |broker| fault(0, broker, kind.clone(), 90_000);
    let faults = [vec![lie(0), lie(1)], more].concat();
    let report = run(seed, &Scenario { faults, ..Scenario::calm(4) });
    println!("seed {seed}: {report}");
    report
}

fn names(report: &Report, oracle: &str) -> bool {
    report.violations.iter().any(|violation| violation.oracle == oracle)
}

#[test]
fn two_checksum_liars_of_four_stop_the_seals_and_that_is_named() {
    let report = two_of_four(1, &FaultKind::ChecksumLiar, Vec::new());
    assert!(names(&report, "liveness"), "{report}");
}

/// Two that store nothing and the one disk that did: nobody has what was acknowledged.
#[test]
fn two_lazy_copiers_of_four_lose_events_and_that_is_named() {
    let lost = |broker| fault(50_000, broker, FaultKind::LostDisk, 1_000);
    let report = two_of_four(2, &FaultKind::LazyCopier, vec![lost(2), lost(3)]);
    assert!(names(&report, "delivery") || names(&report, "durability"), "{report}");
}

#[test]
fn two_equivocators_of_four_are_proven_all_the_same() {
    let report = two_of_four(3, &FaultKind::Equivocator, Vec::new());
    assert!(report.misconducts > 0, "{report}");
}
