//! The wild swarm: every seed draws its own subset of all faults, with a liar where that is survived.

use weir_sim::{Scenario, run};

fn hold(seeds: std::ops::Range<u64>) {
    let mut failed = Vec::new();
    for seed in seeds {
        let scenario = Scenario::wild(seed);
        let report = run(seed, &scenario);
        if !report.violations.is_empty() {
            println!("seed {seed}: {:?}\n{report}", scenario.fault_intervals_ms);
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?} broke a promise");
}

#[test]
fn the_first_fifteen_seeds_hold() {
    hold(1..16);
}

#[test]
fn the_next_fifteen_seeds_hold() {
    hold(16..31);
}
