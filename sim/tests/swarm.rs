//! Swarm: every seed draws its own sizes, rates and faults.

use weir_sim::{Scenario, run};

fn swarm(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let scenario = Scenario::swarm(seed);
        let report = run(seed, &scenario);
        assert!(report.violations.is_empty(), "seed {seed}: {scenario:?}\n{report}");
    }
}

#[test]
fn the_first_ten_seeds_hold() {
    swarm(1..11);
}

#[test]
fn the_next_ten_seeds_hold() {
    swarm(11..21);
}
