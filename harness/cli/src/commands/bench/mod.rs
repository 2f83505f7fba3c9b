//! `weir bench`: measures what the budgets are about, each group of rows by a file of its own.
//!
//! A group is a [`Group`] in [`GROUPS`]: a name, a sentence, and a function that measures and gives [`Findings`]. What
//! they have in common is here: how runs are counted ([`measure`]), what a row is ([`row`]), which machine it was
//! ([`machine`]), and how all of it is shown ([`report`], [`chart`]). Times are printed and never asserted, because
//! machines are shared; a wanted value stands beside each row that has one.

mod assign;
mod axis;
mod chart;
mod child;
mod disk;
mod fanout;
mod gas;
mod history;
mod ingest;
mod machine;
mod measure;
mod memory;
mod network;
mod publish;
mod records;
mod report;
mod restart;
mod roles;
mod row;
mod scaling;
mod sim;
mod simulated;
mod usage;
mod usl;

pub use roles::{BenchLoad, BenchNode};

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use tokio::sync::Notify;

use super::up::Interrupt;

use crate::failure::Failure;
use crate::output::Output;

use chart::Chart;
use machine::Machine;
use measure::Settings;
use report::{Measured, Report, Table};
use row::Row;

/// Every group, in the order in which `all` runs them.
const GROUPS: [Group; 11] = [
    ingest::GROUP,
    publish::STORED,
    publish::DELIVERED,
    history::GROUP,
    restart::GROUP,
    fanout::GROUP,
    memory::GROUP,
    assign::GROUP,
    gas::GROUP,
    sim::GROUP,
    scaling::GROUP,
];

/// What runs every group.
const ALL: &str = "all";

/// Where `all` writes its report unless told otherwise.
const REPORT_FOLDER: &str = "weir-bench";

/// How long processes and directories may take to be removed after Ctrl-C.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(2);

/// Rows that are measured together.
struct Group {
    /// What it is asked for by: what its rows' names begin with.
    name: &'static str,
    /// What it measures, in a few words.
    about: &'static str,
    /// Measures.
    run: fn(Settings) -> Running,
}

/// A group that measures.
type Running = Pin<Box<dyn Future<Output = Result<Findings, Failure>>>>;

/// What a group found.
#[derive(Debug, Default)]
struct Findings {
    /// The measured values, with what was wanted.
    rows: Vec<Row>,
    /// Further figures.
    tables: Vec<Table>,
    /// Pictures for the report.
    charts: Vec<Chart>,
    /// What to know when reading them, a sentence or two each.
    notes: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  weir bench ingest                  # a broker and its load, each a process of its own
  weir bench assign --json --runs 20
  weir bench scaling --max-brokers 4096
  weir bench all --out report        # report/report.md with plots, and report/report.json

Times need a release build on a machine that does nothing else: cargo run --release -- bench all";

/// Measure this machine.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// Which rows to measure
    #[arg(value_parser = names())]
    group: String,
    /// Print a JSON object a row: name, unit, min, median, max, runs
    #[arg(long)]
    json: bool,
    /// Counted runs of each timed row, after one that is not counted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    runs: u32,
    /// Brokers of a simulated network at most: sim has rows up to 10000, scaling is wanted to 4096
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    max_brokers: Option<u32>,
    /// Shards of each broker that is measured [default: the machine's cores divided among a network's brokers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// Events a second that one broker keeps, as `ingest.batch256` says: scaling.throughput is in its terms
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    capacity: Option<u32>,
    /// Folder for a report with plots; `all` writes one to weir-bench unless told otherwise
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The groups' names, and `all`.
fn names() -> PossibleValuesParser {
    let all = PossibleValue::new(ALL).help("All of them, with a report");
    let groups = GROUPS.iter().map(|group| PossibleValue::new(group.name).help(group.about));
    groups.chain([all]).collect::<Vec<_>>().into()
}

impl Bench {
    /// Measures and prints; also writes the report, if there is to be one. Fails in the end if a group failed: the
    /// others are shown all the same.
    pub async fn run(self) -> Result<(), Failure> {
        let machine = Machine::look();
        machine.warnings().iter().for_each(|warning| eprintln!("weir: warning: {warning}"));
        let Self { runs, max_brokers, shards, capacity, .. } = self;
        let settings = Settings { runs, max_brokers, shards, capacity };
        let mut report = Report { machine, groups: Vec::new() };
        let interrupted = interrupted()?;
        for group in GROUPS.iter().filter(|group| self.group == ALL || self.group == group.name) {
            eprintln!("weir: measuring {}: {}", group.name, group.about);
            // What is dropped then stops its processes and removes its directories.
            let findings = tokio::select! {
                findings = (group.run)(settings) => findings,
                () = interrupted.notified() => return Err(Failure::Failed("interrupted".into())),
            };
            report.groups.push(Measured { name: group.name, about: group.about, findings });
        }
        let mut output = Output::new();
        if self.json {
            report.lines().iter().try_for_each(|line| output.line(line.to_string()))?;
        } else {
            report.text().iter().try_for_each(|line| output.line(line))?;
        }
        output.flush()?;
        let everything = (self.group == ALL).then(|| REPORT_FOLDER.into());
        if let Some(folder) = self.out.or(everything) {
            report.write(&folder)?;
            eprintln!("weir: the report is {}", folder.join(report::FILE).display());
        }
        report.failure().map_or(Ok(()), Err)
    }
}

/// Tells of Ctrl-C. A group that computes and never waits does not hear of it: then the program ends a little later.
fn interrupted() -> Result<Arc<Notify>, Failure> {
    let mut interrupt = Interrupt::listen()?;
    let told = Arc::<Notify>::default();
    let tell = Arc::clone(&told);
    tokio::spawn(async move {
        interrupt.next().await;
        tell.notify_one();
        tokio::time::sleep(INTERRUPT_PATIENCE).await;
        std::process::exit(1);
    });
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn groups_have_names_of_their_own() {
        let names: BTreeSet<_> = GROUPS.iter().map(|group| group.name).chain([ALL]).collect();
        assert_eq!(names.len(), GROUPS.len() + 1);
    }
}
