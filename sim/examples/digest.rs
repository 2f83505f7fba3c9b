//! Prints the digests of a few runs, or holds them against what another build printed: `digest [FILE]`.
//!
//! Any two builds of the same sources print the same, whatever their profile, features and machine. Exit codes: 0 they
//! agree, 1 a run differs, 2 the file cannot be read or was printed by other sources, which says nothing.

use std::process::ExitCode;

use weir_sim::tape::MADE_BY;
use weir_sim::{Scenario, run};

/// The seeds, of two kinds of scenario each.
const SEEDS: std::ops::Range<u64> = 1..9;

fn digests() -> String {
    let mut text = format!("sources {MADE_BY}\n");
    for seed in SEEDS {
        for (kind, scenario) in [("swarm", Scenario::swarm(seed)), ("wild", Scenario::wild(seed))] {
            let scenario = Scenario { duration_ms: 60_000, heal_ms: 20_000, ..scenario };
            text += &format!("{kind} {seed}: {:032x}\n", run(seed, &scenario).digest);
        }
    }
    text
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        print!("{}", digests());
        return ExitCode::SUCCESS;
    };
    let known = match std::fs::read_to_string(&path) {
        Ok(known) => known,
        Err(error) => {
            eprintln!("{path}: {error}: write it with another build, `digest > {path}`");
            return ExitCode::from(2);
        }
    };
    let made_by = known.lines().next().unwrap_or_default();
    if made_by != format!("sources {MADE_BY}") {
        eprintln!("{path} was printed by {made_by}, this is {MADE_BY}: build both from the same sources");
        return ExitCode::from(2);
    }
    let now = digests();
    if known == now {
        println!("{path} and this build agree on {} runs", now.lines().count() - 1);
        return ExitCode::SUCCESS;
    }
    let differing = now.lines().filter(|line| !known.lines().any(|other| other == *line));
    differing.for_each(|line| println!("this build: {line}"));
    ExitCode::FAILURE
}
