//! What is done with failures: a seed is run, its tape kept, replayed, and shrunk.
//!
//! ```text
//!   run_seed ── fails ──► Verdict { violated, tape } ── shrink ──► a small tape ── replay ──► the same violation
//! ```

use std::path::Path;

use weir_kernel::rules::Rules;

use crate::report::{Report, Violation};
use crate::scenario::Scenario;
use crate::simulation::{Options, Source, simulate};
use crate::tape::Tape;

/// What a run says about the promises.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What happened, in numbers; the rare branches it came through are [`Report::marks`].
    pub report: Report,
    /// The first promise that did not hold.
    pub violated: Option<Violation>,
    /// The run's tape if a promise did not hold.
    pub tape: Option<Tape>,
}

/// Runs a scenario from a seed. Recording costs, so only a run that fails is recorded, by running it again.
pub fn run_seed(seed: u64, scenario: &Scenario, rules: Rules) -> Verdict {
    let source = Source::Seed(seed, scenario);
    let first = simulate(source, Options { rules, ..Options::default() });
    let Some(violated) = first.report.violations.first().cloned() else {
        return Verdict { report: first.report, violated: None, tape: None };
    };
    let second = simulate(source, Options { rules, record: true, ..Options::default() });
    assert_eq!(first.report.digest, second.report.digest, "seed {seed} gives the same run each time");
    Verdict { report: first.report, violated: Some(violated), tape: second.tape }
}

/// Repeats a tape's run.
pub fn replay(tape: &Tape, rules: Rules) -> Verdict {
    let report = simulate(Source::Tape(tape), Options { rules, ..Options::default() }).report;
    let violated = report.violations.first().cloned();
    let tape = violated.as_ref().map(|_| tape.clone());
    Verdict { report, violated, tape }
}

/// The command that repeats a tape's run.
pub fn replay_command(tape: &Path) -> String {
    format!("weir replay {}", quoted(&tape.to_string_lossy()))
}

/// The command that repeats a seed's run. `scenario` are the arguments that name the scenario, as in
/// `--scenario rough --nodes 5`.
pub fn seed_command(scenario: &[&str], seed: u64) -> String {
    let arguments: Vec<String> = scenario.iter().map(|argument| quoted(argument)).collect();
    format!("weir sim {} --seeds {seed}..{}", arguments.join(" "), seed + 1)
}

/// An argument as a shell takes it.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_string();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(replay_command(Path::new("a/b 1.tape")), "weir replay 'a/b 1.tape'");
        let command = seed_command(&["--scenario", "it's.toml", "--nodes", "5"], 7);
        assert_eq!(command, "weir sim --scenario 'it'\\''s.toml' --nodes 5 --seeds 7..8");
    }
}
