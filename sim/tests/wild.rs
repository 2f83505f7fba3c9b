//! Runs in which everything happens at once.

use weir_kernel::rules::Rules;
use weir_sim::{Options, Scenario, Source, Tape, replay, run, simulate};

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

/// A lane is withdrawn whole from a subscription that began within it: what it began after is no gap.
#[test]
fn a_subscription_from_a_time_outlives_a_fork_before_it() {
    let report = run(1_014, &Scenario::wild(1_014));
    assert!(report.withdrawals > 0, "somebody was told of the fork");
    assert_eq!(report.violations, []);
}
