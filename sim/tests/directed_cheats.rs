//! Publishers that leave a gap, date events wrongly, or pay nothing: each is refused by name, nothing of it is stored
//! that should not be, and honest lanes are as they were.

use weir_sim::{Report, Scenario};

use common::held;

mod common;

/// What the network owes each batch of a cheat is checked with every answer and in every log at the end.
fn cheated(seed: u64, cheats: Scenario) -> Report {
    let report = held(seed, &Scenario { duration_ms: 110_000, heal_ms: 45_000, subscribers: 9, ..cheats });
    assert!(report.published_events > 800 && report.forks_found == 0);
    report
}

fn refused(report: &Report, code: &str, words: &str) -> u64 {
    let named = |reason: &str| reason.starts_with(code) && reason.contains(words);
    report.refusals.iter().filter(|(reason, _)| named(reason)).map(|(_, count)| count).sum()
}

#[test]
fn nothing_after_a_gap_is_stored() {
    for seed in 1..3 {
        let report = cheated(seed, Scenario { gaps: 3, ..Scenario::calm(5) });
        assert!(refused(&report, "unavailable", "answered in time") >= 3 * 6, "{report}");
    }
}

#[test]
fn events_that_are_dated_back_or_a_day_ahead_are_refused_by_name() {
    for seed in 3..5 {
        let report = cheated(seed, Scenario { misdaters: 4, ..Scenario::rough(5) });
        assert!(refused(&report, "invalid", "time") >= 2, "{report}");
        assert!(refused(&report, "out-of-order", "correct the clock") >= 2, "{report}");
    }
}

#[test]
fn a_flood_without_a_deposit_ends_where_the_free_part_does() {
    for seed in 5..7 {
        let debtors = Scenario { debtors: 3, free_events: Some(30), ..Scenario::rough(5) };
        let report = cheated(seed, debtors);
        assert!(refused(&report, "payment-required", "allot at least") >= 3 * 10, "{report}");
    }
}

/// Lanes with real signatures are settled with what their publishers have deposited, while others pay nothing.
#[test]
fn who_pays_is_settled_and_who_does_not_is_refused() {
    let paying = Scenario { publishers: 2, publish_interval_ms: 500, ..Scenario::calm(4) };
    let report = cheated(7, Scenario { debtors: 1, free_events: Some(20), real_signatures: true, ..paying });
    assert!(refused(&report, "payment-required", "allot at least") >= 10, "{report}");
}
