//! Planted mistakes are found, and what is left of the failing run is small and fails in the same way.

use weir_kernel::rules::{Bug, Rules};
use weir_sim::{
    Happening, Observer, Options, PANIC, Scenario, ShrinkError, Shrunk, Source, Tape, Verdict, replay,
    run_seed, shrink, simulate,
};

/// The first seed whose run violates something under a planted mistake.
fn found(bug: Bug, scenario: impl Fn(u64) -> Scenario) -> Tape {
    let tape = (1..21).find_map(|seed| run_seed(seed, &scenario(seed), Rules::with(bug)).tape);
    tape.unwrap_or_else(|| panic!("20 seeds do not show {bug:?}"))
}

/// Shrinks it, and checks that what is left fails as before, through its file, and holds under the sound rules.
fn shrunk(tape: &Tape, bug: Bug, budget_runs: u32) -> Shrunk {
    let rules = Rules::with(bug);
    let shrunk = shrink(tape, rules, budget_runs).unwrap();
    println!("{bug:?}: {:?} in {} runs\n{}", shrunk.sizes, shrunk.runs, shrunk.tape.to_text());
    let [before, after] = shrunk.sizes;
    assert!(after.nodes <= before.nodes && after.decisions <= before.decisions, "{before:?}, {after:?}");
    let again = Tape::decode(&shrunk.tape.encode()).unwrap();
    let violated = replay(&again, rules).violated.expect("the small tape fails");
    assert_eq!(Some(violated.oracle), tape.violates.as_deref());
    assert_eq!(violated, shrunk.violation);
    assert_eq!(replay(&again, Rules::sound()).violated, None, "the mistake makes it fail, and nothing else");
    shrunk
}

#[test]
fn a_delivery_past_a_gap_shrinks_to_a_tape_that_can_be_read() {
    let bug = Bug::DeliversPastGap;
    let tape = found(bug, Scenario::swarm);
    let small = shrunk(&tape, bug, 300);
    let [before, after] = small.sizes;
    assert!(before.decisions > 5_000, "{before:?}");
    assert!(after.decisions <= 40 && after.faults == 0 && after.clients <= 3, "{after:?}");
}

#[test]
fn shrinking_twice_gives_the_same_tape() {
    let bug = Bug::AdoptsWhatItSigned;
    let tape = found(bug, Scenario::harsh);
    let [first, second] = [(); 2].map(|()| shrunk(&tape, bug, 25));
    assert_eq!((first.tape, first.runs), (second.tape, second.runs));
}

#[test]
fn a_run_that_holds_cannot_be_shrunk() {
    let scenario = Scenario { duration_ms: 40_000, heal_ms: 10_000, ..Scenario::calm(4) };
    let recording = Options { record: true, ..Options::default() };
    let tape = simulate(Source::Seed(1, &scenario), recording).tape.unwrap();
    assert_eq!(shrink(&tape, Rules::sound(), 10).unwrap_err(), ShrinkError::Holds);
    let failing = found(Bug::DeliversPastGap, Scenario::swarm);
    let other = Tape { violates: Some("tokens".into()), ..failing };
    let error = shrink(&other, Rules::with(Bug::DeliversPastGap), 10).unwrap_err();
    assert!(matches!(error, ShrinkError::OtherOracle { expected, .. } if expected == "tokens"));
}

/// Panics at the tenth block, as an assertion of the kernel might.
#[derive(Default)]
struct Panics(u32);

impl Observer for Panics {
    fn observe(&mut self, _: u64, happening: &Happening<'_>) {
        if matches!(happening, Happening::Block { .. }) {
            self.0 += 1;
            assert!(self.0 < 10, "ten blocks are too many");
        }
    }
}

#[test]
fn a_panic_is_a_violation_with_a_tape() {
    let scenario = Scenario { duration_ms: 40_000, heal_ms: 10_000, ..Scenario::calm(4) };
    let mut panics = Panics::default();
    let options = Options { record: true, observer: Some(&mut panics), ..Options::default() };
    let outcome = simulate(Source::Seed(1, &scenario), options);
    let violation = &outcome.report.violations[0];
    assert_eq!((violation.oracle, violation.what.as_str()), (PANIC, "ten blocks are too many"));
    assert_eq!(violation.at_us, 10_000_000);
    assert_eq!(outcome.tape.unwrap().violates.as_deref(), Some(PANIC));
}

#[test]
fn a_verdict_has_a_tape_when_a_promise_does_not_hold() {
    let calm = Scenario { duration_ms: 40_000, heal_ms: 10_000, ..Scenario::calm(4) };
    let Verdict { violated, tape, report } = run_seed(1, &calm, Rules::sound());
    assert!(violated.is_none() && tape.is_none() && report.violations.is_empty());
    let tape = found(Bug::DeliversPastGap, Scenario::swarm);
    let first = replay(&tape, Rules::with(Bug::DeliversPastGap));
    assert_eq!(first.violated.map(|violation| violation.oracle.to_string()), tape.violates);
    assert_eq!(first.tape, Some(tape));
}

/// Takes minutes: `cargo test -p weir-sim --test shrinking -- --ignored --nocapture`.
#[test]
#[ignore = "it takes minutes"]
fn a_mistake_found_at_two_hundred_nodes_shrinks_to_a_tape_that_can_be_read() {
    let bug = Bug::AdoptsWhatItSigned;
    let scenario = Scenario {
        partitions: 200,
        epoch_blocks: 3,
        view_us: (1_000, 2_500_000),
        publishers: 8,
        subscribers: 8,
        duration_ms: 50_000,
        heal_ms: 15_000,
        ..Scenario::rough(200)
    };
    let small = shrunk(&found(bug, |_| scenario.clone()), bug, 600);
    let [before, after] = small.sizes;
    assert!(before.nodes == 200 && before.decisions > 100_000, "{before:?}");
    assert!(after.nodes <= 6 && after.decisions <= 40, "{after:?}");
}
