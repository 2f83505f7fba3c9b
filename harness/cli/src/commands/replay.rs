//! `weir replay`: repeats a run from its tape or its seed, and makes it readable.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use weir_sim::diagram::{Cast, Recorder, TextTrace, Window};
use weir_sim::tape::MADE_BY;
use weir_sim::{Happening, Observer, Options, Report, Scenario, Source, Tape, simulate};

use super::scenario::ScenarioArguments;
use super::tapes::{read_tape, show_one_panic, write_file};
use crate::failure::Failure;
use crate::output::Output;

/// Violations that are printed.
const SHOWN: usize = 5;

const EXAMPLES: &str = "\
Examples:
  weir replay weir-swarm-17.tape                        # the verdict and the digest
  weir replay weir-swarm-17.tape --html run.html        # a space-time diagram: open it in a browser
  weir replay weir-swarm-17.tape --trace | less         # every message by its name
  weir replay --seed 7 --scenario rough --html run.html --from 30000 --to 45000

Exit codes: 0 all held, 1 a property failed, 2 wrong arguments.";

/// Repeat a simulated run, from its tape or its seed, and read it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Replay {
    /// The tape
    #[arg(value_name = "FILE", required_unless_present = "seed", conflicts_with = "seed")]
    tape: Option<PathBuf>,
    /// Run this seed of a scenario instead of a tape
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    scenario: ScenarioArguments,
    /// Write a space-time diagram, one HTML file that needs nothing else
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Print what happened, every message by its name
    #[arg(long)]
    trace: bool,
    /// Show what happened from this virtual time on, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    from: u64,
    /// Show what happened up to this virtual time, in milliseconds
    #[arg(long, value_name = "MS")]
    to: Option<u64>,
}

/// What is repeated.
enum Run {
    Tape(Box<Tape>),
    Seed(u64, Box<Scenario>),
}

impl Run {
    fn source(&self) -> Source<'_> {
        match self {
            Self::Tape(tape) => Source::Tape(tape),
            Self::Seed(seed, scenario) => Source::Seed(*seed, scenario),
        }
    }

    fn cast(&self) -> Cast {
        match self {
            Self::Tape(tape) => Cast::of(tape.seed, &tape.scenario),
            Self::Seed(seed, scenario) => Cast::of(*seed, scenario),
        }
    }
}

/// Both ways of reading a run at once.
struct Reading<W> {
    recorder: Option<Recorder>,
    trace: Option<TextTrace<W>>,
}

impl<W: Write> Observer for Reading<W> {
    fn observe(&mut self, at_us: u64, happening: &Happening<'_>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.observe(at_us, happening);
        }
        if let Some(trace) = &mut self.trace {
            trace.observe(at_us, happening);
        }
    }
}

impl Replay {
    /// Repeats the run.
    pub fn run(self) -> Result<(), Failure> {
        let (run, title) = self.find()?;
        let window = self.window()?;
        show_one_panic();
        let cast = run.cast();
        let mut reading = Reading {
            recorder: self.html.as_ref().map(|_| Recorder::new(&cast, window)),
            trace: self.trace.then(|| TextTrace::new(&cast, window, BufWriter::new(std::io::stdout()))),
        };
        let is_read = reading.recorder.is_some() || reading.trace.is_some();
        let observer = is_read.then_some(&mut reading as &mut dyn Observer);
        let report = simulate(run.source(), Options { observer, ..Options::default() }).report;
        if let Some(trace) = reading.trace {
            trace.finish().map_err(|error| match error.kind() {
                std::io::ErrorKind::BrokenPipe => Failure::OutputClosed,
                _ => Failure::Failed(format!("standard output cannot be written: {error}")),
            })?;
        }
        if let Some((recorder, path)) = reading.recorder.zip(self.html.as_ref()) {
            write_file(path, recorder.finish(&report, &title).to_html().as_bytes())?;
            eprintln!("weir: the diagram is {}", path.display());
        }
        self.verdict(&run, &report)
    }

    fn find(&self) -> Result<(Run, String), Failure> {
        if let Some(seed) = self.seed {
            let choice = self.scenario.choice()?;
            let scenario = choice.scenario(seed).map_err(|error| Failure::Usage(error.to_string()))?;
            let title = format!("{}, seed {seed}", choice.name());
            return Ok((Run::Seed(seed, Box::new(scenario)), title));
        }
        let path = self.tape.as_ref().ok_or_else(|| Failure::Usage("name a tape, or a --seed".into()))?;
        if self.scenario.is_given() {
            let what = "--scenario, --nodes and --minutes go with --seed: a tape has its own scenario";
            return Err(Failure::Usage(what.into()));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((Run::Tape(Box::new(read_tape(path)?)), name))
    }

    fn window(&self) -> Result<Window, Failure> {
        let window = Window {
            from_us: self.from.saturating_mul(1_000),
            to_us: self.to.map_or(u64::MAX, |to_ms| to_ms.saturating_mul(1_000)),
        };
        if window.from_us > window.to_us {
            return Err(Failure::Usage(format!(
                "--from {} is after --to: nothing would be shown",
                self.from
            )));
        }
        Ok(window)
    }

    /// Says how it ended; on standard error if the trace has the other.
    fn verdict(&self, run: &Run, report: &Report) -> Result<(), Failure> {
        // The first violations say most; the page and the trace have all of them.
        let shown =
            Report { violations: report.violations.iter().take(SHOWN).cloned().collect(), ..report.clone() };
        let mut lines: Vec<String> = shown.to_string().lines().map(str::to_string).collect();
        if report.violations.len() > SHOWN {
            lines.push(format!("and {} violations more", report.violations.len() - SHOWN));
        }
        let expected = match run {
            Run::Tape(tape) => tape.violates.as_deref(),
            Run::Seed(..) => None,
        };
        let found = report.violations.first();
        lines.push(match (found, expected) {
            (None, None) => "all held".to_string(),
            (None, Some(expected)) => format!(
                "all held; when the tape was written, {expected:?} did not hold: what was wrong then is right in this \
                 weir ({MADE_BY})"
            ),
            (Some(found), Some(expected)) if found.oracle != expected => {
                format!("broken: {found}; the tape was written for {expected:?}")
            }
            (Some(found), _) => format!("broken: {found}"),
        });
        lines.push(format!("digest {:032x}", report.digest));
        if self.trace {
            lines.iter().for_each(|line| eprintln!("{line}"));
        } else {
            let mut output = Output::new();
            lines.iter().try_for_each(|line| output.line(line))?;
            output.flush()?;
        }
        if found.is_some() { Err(Failure::Told) } else { Ok(()) }
    }
}
