//! The tapes of mistakes that were found: each fails as it did under the rules with that mistake, and holds under the
//! sound ones.
//!
//! Some of these mistakes were in the kernel once and were found by swarms of seeds, as the history of
//! [`weir_kernel::rules::Bug`] tells; the others are planted. A tape is a shrunk failing run in its text form: read it.
//! When a change of the kernel or of the simulator makes a tape say something else, it is written anew by
//!
//! ```text
//! cargo test -p weir-sim --test regressions -- --ignored --nocapture
//! ```
//!
//! which takes minutes, and leaves alone every tape that still says what it should.

use std::path::PathBuf;

use weir_kernel::rules::{Bug, Rules};
use weir_sim::{Options, Source, Tape, replay, shrink, simulate};

use common::mistakes::{Case, on_all};

mod common;

/// Runs that shrinking one tape may take.
const SHRINKING_RUNS: u32 = 600;

/// Seeds that are tried for a run that fails.
const SEEDS: std::ops::Range<u64> = 1..61;

/// Where the tape of a mistake lies.
fn path(bug: Bug) -> PathBuf {
    let mut name = String::new();
    for letter in format!("{bug:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tapes").join(name + ".tape")
}

/// The oracle that a tape's run violates first.
fn violated(tape: &Tape, rules: Rules) -> Option<&'static str> {
    replay(tape, rules).violated.map(|violation| violation.oracle)
}

/// What is wrong with the tape of a mistake.
fn problem(case: &Case) -> Option<String> {
    let bug = case.bug;
    let path = path(bug);
    let read = std::fs::read(&path).map_err(|error| error.to_string());
    let tape = match read.and_then(|bytes| Tape::decode(&bytes).map_err(|error| error.to_string())) {
        Ok(tape) => tape,
        Err(error) => return Some(format!("{}: {error}", path.display())),
    };
    let (mistaken, sound) = (violated(&tape, Rules::with(bug)), violated(&tape, Rules::sound()));
    let expected = Some(case.oracle);
    let is_right = mistaken == expected && tape.violates.as_deref() == expected && sound.is_none();
    (!is_right).then(|| format!("{bug:?}: {expected:?} expected, {mistaken:?} found, and {sound:?} without"))
}

#[test]
fn every_tape_fails_with_its_mistake_and_holds_without() {
    let problems: Vec<String> = on_all(problem).into_iter().filter_map(|(_, problem)| problem).collect();
    assert_eq!(problems, [""; 0]);
}

/// A failing run of a case that the sound rules survive, made small; the smallest that they still survive.
fn written(case: &Case) -> Option<Tape> {
    let rules = Rules::with(case.bug);
    SEEDS.into_iter().find_map(|seed| {
        let scenario = (case.scenario)(seed);
        let options = Options { rules, stop_at: Some(case.oracle), record: true, ..Options::default() };
        let mut tape = simulate(Source::Seed(seed, &scenario), options).tape?;
        tape.violates = tape.violates.filter(|oracle| oracle == case.oracle);
        tape.violates.as_ref()?;
        let budgets = [SHRINKING_RUNS, SHRINKING_RUNS / 3, 20];
        budgets.into_iter().find_map(|budget| {
            let small = shrink(&tape, rules, budget).ok()?;
            println!("{:?}, seed {seed}: {:?} in {} runs", case.bug, small.sizes, small.runs);
            let first = violated(&small.tape, rules) == Some(case.oracle);
            (first && violated(&small.tape, Rules::sound()).is_none()).then_some(small.tape)
        })
    })
}

#[test]
#[ignore = "it takes minutes, and writes"]
fn tapes_are_written_anew() {
    let only = std::env::var("WEIR_TAPE").ok();
    let unwritten = on_all(|case| {
        let bug = case.bug;
        if only.as_ref().is_some_and(|only| *only != format!("{bug:?}")) || problem(case).is_none() {
            return false;
        }
        let Some(tape) = written(case) else { return true };
        let path = path(bug);
        std::fs::write(&path, tape.to_text()).expect("the folder is there");
        println!("{}", path.display());
        false
    });
    let missing: Vec<Bug> =
        unwritten.into_iter().filter(|(_, missing)| *missing).map(|(case, _)| case.bug).collect();
    assert_eq!(missing, [], "no seed shows these, or the sound rules do not survive what does");
}
