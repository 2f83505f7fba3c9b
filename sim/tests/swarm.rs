//! Swarm: every seed draws its own sizes, rates and faults.

use weir_sim::{Scenario, run};

fn hold(seeds: std::ops::Range<u64>, scenario: fn(u64) -> Scenario) {
    for seed in seeds {
        let scenario = scenario(seed);
        let report = run(seed, &scenario);
        assert!(report.violations.is_empty(), "seed {seed}: {scenario:?}\n{report}");
    }
}

#[test]
fn the_first_ten_seeds_hold() {
    hold(1..11, Scenario::swarm);
}

#[test]
fn the_next_ten_seeds_hold() {
    hold(11..21, Scenario::swarm);
}

#[test]
fn short_epochs_late_views_crashes_and_cuts_at_once_hold() {
    hold(1..9, Scenario::harsh);
}

/// Once a gap in a subscriber's lane: a replica gave an append index out twice, before a crash and after it.
#[test]
fn an_append_index_is_given_out_once() {
    hold(230..231, Scenario::swarm);
}

/// Once a partition that never sealed: a member that had taken batches in before it heard of the founding waited for a
/// seal that had never been.
#[test]
fn a_partition_is_sealed_from_its_founding_on() {
    hold(120..121, Scenario::harsh);
}

/// Once a gap for a subscriber from now on: its feed moved while a lane's first events were still on their way.
#[test]
fn a_subscription_from_now_on_has_no_gap_when_its_feed_moves() {
    hold(160..161, Scenario::harsh);
}
