//! Partitions are added while events are published: lanes go on where they opened, later ones open in the new homes,
//! and subscribers and readers get everything once, wherever it lives.

use weir_sim::{Join, Scenario};

use common::held;

mod common;

/// Two brokers join a network of four, which has two partitions for each of them.
fn growing(scenario: Scenario) -> Scenario {
    let join = |at_ms| Join { at_ms, tickets: 4 };
    Scenario {
        partitions: 4,
        partitions_per_broker: 2,
        joins: vec![join(40_000), join(55_000)],
        // Lanes are long enough to go on in their old homes for a while, and end to open in the new ones.
        lane_batches: 40,
        duration_ms: 150_000,
        heal_ms: 45_000,
        ..scenario
    }
}

#[test]
fn partitions_are_added_without_loss() {
    for seed in 1..4 {
        let report = held(seed, &growing(Scenario::calm(4)));
        assert_eq!(report.partitions, 12, "six brokers have two partitions each");
        assert!(report.moved > 0, "some stream partition has lanes in two homes");
    }
}

#[test]
fn partitions_are_added_while_links_fail_and_brokers_crash() {
    for seed in 1..4 {
        let scenario = Scenario { crash_interval_ms: 9_000, ..growing(Scenario::rough(4)) };
        let report = held(seed, &scenario);
        assert!(report.partitions > 4 && report.moved > 0 && report.crashes > 0);
    }
}
