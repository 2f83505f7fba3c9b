//! `weir shrink`: makes a failing tape small enough to read.

use std::path::PathBuf;

use clap::Args;
use weir_kernel::rules::Rules;
use weir_sim::workflow::replay_command;
use weir_sim::{Shrunk, shrink};

use super::sim::SHRINK_RUNS;
use super::tapes::{read_tape, show_one_panic, write_file};
use crate::failure::Failure;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  weir shrink weir-swarm-17.tape                        # writes weir-swarm-17.small.tape, a text
  weir shrink weir-swarm-17.tape --runs 2000 --out tapes/lost-tail.tape

What is left fails in the same way, with fewer brokers, clients, faults and decisions. Exit codes: 0 there is a smaller
tape, 2 wrong arguments, also where the tape's run breaks no promise.";

/// Shrink a tape whose run breaks a promise
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Shrink {
    /// The tape
    #[arg(value_name = "FILE")]
    tape: PathBuf,
    /// Where the small tape goes; beside the other unless told otherwise
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Runs at most: more take longer and leave less
    #[arg(long, value_name = "N", default_value_t = SHRINK_RUNS, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

impl Shrink {
    /// Shrinks it.
    pub fn run(self) -> Result<(), Failure> {
        let tape = read_tape(&self.tape)?;
        show_one_panic();
        eprintln!("weir: shrinking, {} runs at most", self.runs);
        let shrunk = shrink(&tape, Rules::sound(), self.runs)
            .map_err(|error| Failure::Usage(format!("{}: {error}", self.tape.display())))?;
        let out = self.out.unwrap_or_else(|| self.tape.with_extension("small.tape"));
        write_file(&out, shrunk.tape.to_text().as_bytes())?;
        let mut output = Output::new();
        output.line(summary(&shrunk))?;
        output.line(format!("it fails as before: {}", shrunk.violation))?;
        output.line(replay_command(&out))?;
        output.flush()
    }
}

/// What shrinking came to.
pub fn summary(shrunk: &Shrunk) -> String {
    let [before, after] = shrunk.sizes;
    let end = if shrunk.is_minimal { "nothing more can go" } else { "more --runs may take more away" };
    format!(
        "{} runs: {} → {} brokers, {} → {} clients, {} → {} faults, {} → {} decisions; {end}",
        shrunk.runs,
        before.nodes,
        after.nodes,
        before.clients,
        after.clients,
        before.faults,
        after.faults,
        before.decisions,
        after.decisions
    )
}
