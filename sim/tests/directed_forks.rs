//! Forks of which the quorum that seals knows nothing: the sealed cut overrides a minority's own branch, whether that
//! is longer or shorter than what was sealed, and the fork is proven all the same.

use weir_sim::{FaultKind, Forking, Report, Scenario};

use common::{fault, held};

mod common;

/// Broker 3 is cut off before the branches part, at 39 s, and alone gets branch 1; the others seal branch 0 meanwhile.
fn minority(seed: u64, batches: [usize; 2]) -> Report {
    let isolated = fault(38_000, 3, FaultKind::Isolated, 22_000);
    let scenario = Scenario {
        forks: 1,
        forking: Forking { edges: Some([0, 3]), batches },
        faults: vec![isolated],
        subscribers: 9,
        duration_ms: 130_000,
        heal_ms: 40_000,
        ..Scenario::calm(4)
    };
    // Honest lanes are untouched.
    held(seed, &scenario)
}

#[test]
fn a_minority_on_a_longer_branch_follows_what_was_sealed() {
    let reports: Vec<Report> = (1..4).map(|seed| minority(seed, [9, 14])).collect();
    assert!(reports.iter().all(|report| report.forks_found > 0), "the minority's headers prove the fork");
}

#[test]
fn a_minority_on_a_shorter_branch_follows_what_was_sealed() {
    let reports: Vec<Report> = (1..4).map(|seed| minority(seed, [14, 7])).collect();
    assert!(reports.iter().all(|report| report.forks_found > 0), "the minority's headers prove the fork");
}
