//! Brokers that join later take over seats by useful changes and certificates, and no event is lost on the way.

use weir_sim::{Join, Scenario};

use common::held;

mod common;

fn joining(scenario: Scenario) -> Scenario {
    let join = |at_ms| Join { at_ms, tickets: 4 };
    Scenario {
        joins: vec![join(30_000), join(50_000), join(52_000)],
        duration_ms: 160_000,
        heal_ms: 40_000,
        ..scenario
    }
}

#[test]
fn newcomers_take_seats_without_loss() {
    for seed in 1..4 {
        let report = held(seed, &joining(Scenario::calm(5)));
        assert!(report.handovers > 0, "three newcomers with four tickets each win seats");
    }
}

#[test]
fn handovers_hold_while_links_fail_and_brokers_crash() {
    for seed in 1..4 {
        let report = held(seed, &Scenario { crash_interval_ms: 9_000, ..joining(Scenario::rough(5)) });
        assert!(report.handovers > 0 && report.crashes > 0);
    }
}
