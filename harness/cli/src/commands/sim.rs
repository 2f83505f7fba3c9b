//! `weir sim`: runs a network in simulation, seed by seed, until a promise does not hold.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use weir_kernel::rules::Rules;
use weir_sim::library::Choice;
use weir_sim::parallel::over_seeds;
use weir_sim::workflow::{replay_command, seed_command};
use weir_sim::{Tape, Verdict, Violation, run_seed, shrink};

use super::scenario::ScenarioArguments;
use super::tapes::{show_one_panic, write_file};
use crate::failure::Failure;
use crate::output::Output;

/// Where there is no terminal, progress is a line this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Runs that shrinking may take unless told otherwise.
pub const SHRINK_RUNS: u32 = 300;

const EXAMPLES: &str = "\
Examples:
  weir sim                                            # a hundred seeds of the scenario wild
  weir sim --scenario rough --nodes 50 --seeds 1..11
  weir sim --scenario my.toml --seeds 1..1000 --jobs 8 --shrink
  weir sim --seeds 1..1000000000 --stop-after 480     # all night
  weir sim --scenario all-disks-lost --seeds 1        # see a failure

Scenarios by name:
  calm, rough                what they say; every seed has other keys, delays and faults
  swarm, wild, harsh         every seed draws its own sizes, rates and faults
  lost-disk, power-cut, partition, silent-leader, forks, handover, guests
                             one thing that goes wrong each
  all-disks-lost             more than the protocol survives: it fails

Exit codes: 0 all held, 1 a property failed, 2 wrong arguments.";

/// Simulate networks, one for each seed, until a promise does not hold
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Sim {
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// Seeds to run, the last not included; or one seed
    #[arg(long, value_name = "A..B", default_value = "1..101", value_parser = seeds)]
    seeds: Range<u64>,
    /// Seeds at once; as many as there are cores unless told otherwise
    #[arg(long, value_name = "J")]
    jobs: Option<NonZeroUsize>,
    /// Begin no seed after so many minutes of real time
    #[arg(long, value_name = "MINUTES")]
    stop_after: Option<u64>,
    /// Shrink a failing tape, with so many runs at most
    #[arg(long, value_name = "RUNS", num_args = 0..=1, default_missing_value = "300", value_parser = clap::value_parser!(u32).range(1..))]
    shrink: Option<u32>,
    /// Folder for the tapes of failures
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || "give seeds as in 1..101, or one as in 7; the first is below the last".to_string();
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let range = match text.split_once("..") {
        Some((first, last)) => number(first)?..number(last)?,
        None => {
            let seed = number(text)?;
            seed..seed.checked_add(1).ok_or_else(wrong)?
        }
    };
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

/// A seed whose run breaks a promise, which one, and its tape.
type Broken = (u64, Violation, Tape);

/// What was run so far.
#[derive(Debug)]
struct Totals {
    begun: Instant,
    seeds: u64,
    virtual_ms: u64,
    steps: u64,
    events: u64,
    faults: u64,
    last: Option<(u64, u128)>,
}

impl Totals {
    fn add(&mut self, seed: u64, verdict: &Verdict) {
        let report = &verdict.report;
        self.seeds += 1;
        self.virtual_ms += report.virtual_ms;
        self.steps += report.steps;
        self.events += report.published_events;
        self.faults += report.faults.values().sum::<u64>();
        self.last = Some((seed, report.digest));
    }

    fn rates(&self) -> String {
        let real_s = self.begun.elapsed().as_secs_f64().max(1e-9);
        let (seeds, virtual_s) = (self.seeds as f64 / real_s, self.virtual_ms as f64 / 1_000.0 / real_s);
        format!("{seeds:.2} seeds/s, {virtual_s:.0} virtual s a real s")
    }

    fn summary(&self) -> String {
        let hours = self.virtual_ms as f64 / 3_600_000.0;
        let mut text = format!(
            "{} seeds, {hours:.2} virtual hours, {} events, {} faults, {} steps; {}",
            self.seeds,
            self.events,
            self.faults,
            self.steps,
            self.rates()
        );
        if let Some((seed, digest)) = self.last.filter(|_| self.seeds == 1) {
            text.push_str(&format!("; seed {seed} has digest {digest:032x}"));
        }
        text
    }
}

impl Sim {
    /// Runs the seeds.
    pub fn run(self) -> Result<(), Failure> {
        let choice = self.scenario.choice()?;
        // What a seed draws may not go with what the file says: that is known for the first one at least before a
        // start.
        choice.scenario(self.seeds.start).map_err(|error| Failure::Usage(error.to_string()))?;
        show_one_panic();
        let (totals, found) = self.search(&choice)?;
        let mut output = Output::new();
        let Some((seed, violation, tape)) = found else {
            output.line(format!("all held: {}", totals.summary()))?;
            return output.flush();
        };
        self.report(&mut output, seed, &violation, &tape)?;
        output.line(totals.summary())?;
        output.flush()?;
        Err(Failure::Told)
    }

    /// Runs seeds until one fails.
    fn search(&self, choice: &Choice) -> Result<(Totals, Option<Broken>), Failure> {
        let begun = Instant::now();
        let mut totals =
            Totals { begun, seeds: 0, virtual_ms: 0, steps: 0, events: 0, faults: 0, last: None };
        let until = self.stop_after.map(|minutes| begun + Duration::from_secs(minutes.saturating_mul(60)));
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let mut progress = Progress::new(self.seeds.end - self.seeds.start);
        let (mut found, mut failure) = (None, None);
        let work = |seed| choice.scenario(seed).map(|scenario| run_seed(seed, &scenario, Rules::sound()));
        over_seeds(self.seeds.clone(), self.jobs.unwrap_or(cores), work, |seed, verdict| {
            let verdict = match verdict {
                Ok(verdict) => verdict,
                Err(error) => {
                    failure = Some(Failure::Usage(format!("seed {seed}: {error}")));
                    return ControlFlow::Break(());
                }
            };
            totals.add(seed, &verdict);
            progress.show(&totals);
            if let Some((violation, tape)) = verdict.violated.zip(verdict.tape) {
                found = Some((seed, violation, tape));
                return ControlFlow::Break(());
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        progress.0.finish_and_clear();
        failure.map_or(Ok((totals, found)), Err)
    }

    /// Says what does not hold, and leaves the tape.
    fn report(
        &self,
        output: &mut Output,
        seed: u64,
        violation: &Violation,
        tape: &Tape,
    ) -> Result<(), Failure> {
        let arguments = self.scenario.repeat();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let path = self.tape_path(seed, "tape");
        write_file(&path, &tape.encode())?;
        output.line(format!("seed {seed} breaks a promise: {violation}"))?;
        output.line(format!("from the seed: {}", seed_command(&arguments, seed)))?;
        output.line(format!("from its tape: {}", replay_command(&path)))?;
        output.flush()?;
        if let Some(runs) = self.shrink {
            self.shrink(output, seed, tape, runs)?;
        }
        Ok(())
    }

    fn shrink(&self, output: &mut Output, seed: u64, tape: &Tape, runs: u32) -> Result<(), Failure> {
        eprintln!("weir: shrinking, {runs} runs at most");
        let shrunk = shrink(tape, Rules::sound(), runs).map_err(Failure::of)?;
        let path = self.tape_path(seed, "small.tape");
        write_file(&path, shrunk.tape.to_text().as_bytes())?;
        output.line(super::shrink::summary(&shrunk))?;
        output.line(format!("shrunk: {}", replay_command(&path)))
    }

    fn tape_path(&self, seed: u64, ending: &str) -> PathBuf {
        let name = Path::new(self.scenario.name()).file_stem().unwrap_or_default().to_string_lossy();
        let file = format!("weir-{name}-{seed}.{ending}");
        if self.out == Path::new(".") { file.into() } else { self.out.join(file) }
    }
}

/// A bar on a terminal; without one, a line now and then.
struct Progress(ProgressBar, Instant);

impl Progress {
    fn new(seeds: u64) -> Self {
        let bar = ProgressBar::new(seeds);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left, {msg}");
        bar.set_style(style.expect("the template is the one above"));
        Self(bar, Instant::now())
    }

    fn show(&mut self, totals: &Totals) {
        self.0.set_position(totals.seeds);
        self.0.set_message(totals.rates());
        if !std::io::stderr().is_terminal() && self.1.elapsed() >= LINE_EVERY {
            self.1 = Instant::now();
            eprintln!("weir: {} seeds, {}", totals.seeds, totals.rates());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_or_one() {
        assert_eq!(seeds("3..9"), Ok(3..9));
        assert_eq!(seeds("7"), Ok(7..8));
        for wrong in ["", "9..3", "3..3", "a..b", "-1..2", "18446744073709551615", "1..2..3"] {
            assert!(seeds(wrong).unwrap_err().contains("1..101"), "{wrong}");
        }
    }
}
