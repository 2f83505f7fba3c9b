//! Brokers of several shards, whose words to each other take time and get lost: the promises hold for them as for
//! brokers of one, with all faults of a swarm.

use weir_kernel::rules::Rules;
use weir_sim::{Report, Scenario, run_seed};

/// Swarms of brokers of two shards, and as many of three.
const SEEDS: std::ops::Range<u64> = 1..9;

fn holds(seed: u64, scenario: &Scenario) -> Report {
    let verdict = run_seed(seed, scenario, Rules::sound());
    assert!(verdict.violated.is_none(), "seed {seed}, {} shards: {:?}", scenario.shards, verdict.violated);
    verdict.report
}

#[test]
fn a_calm_network_of_shards_delivers() {
    for shards in [2, 3] {
        let report = holds(1, &Scenario { shards, ..Scenario::calm(5) });
        assert_eq!(report.stored_events, report.published_events);
        assert!(report.published_events > 1_000 && report.delivered_events > 1_000, "{report}");
    }
}

#[test]
fn swarms_of_shards_hold_the_promises() {
    for shards in [2, 3] {
        for seed in SEEDS {
            holds(seed, &Scenario { shards, ..Scenario::swarm(seed) });
        }
    }
}
