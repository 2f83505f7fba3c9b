//! The wild swarm: every seed draws its own subset of all faults, with a liar where that is survived.

use weir_kernel::rules::Rules;
use weir_sim::{Options, Scenario, Source, Tape, replay, run, simulate};

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

/// What liars, torn writes, corruption and late inclusion decide is on the tape.
#[test]
fn tapes_of_wild_seeds_repeat_them() {
    for seed in [3, 8] {
        let swarm = Scenario::wild(seed);
        let every =
            ["torn-write", "corruption", "late-inclusion", "pause", "clock-drift", "replayer", "flooder"];
        let fault_intervals_ms = every.map(|name| (name.to_string(), 15_000)).into();
        let scenario = Scenario { fault_intervals_ms, duration_ms: 70_000, heal_ms: 30_000, ..swarm };
        let recording = Options { record: true, ..Options::default() };
        let outcome = simulate(Source::Seed(seed, &scenario), recording);
        let tape = outcome.tape.expect("it was asked for");
        let tape = Tape::decode(&tape.encode()).expect("what was written can be read");
        assert_eq!(replay(&tape, Rules::sound()).report, outcome.report);
    }
}
