//! How fast the simulator runs: kernel steps, and virtual time a second on one core, by the number of brokers. What every
//! run has is on: oracles, nodes' chains, the contracts in their EVM.

use super::measure::Settings;
use super::report::Table;
use super::row::{Row, number};
use super::simulated::{self, Stretch};
use super::{Findings, Group, Running};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "sim",
    about: "The simulator: steps a second, virtual time a second at 5, 1,000 and 10,000 brokers",
    run: start,
};

/// Kernel steps a second at least, in a run that fits the cache.
const STEPS: f64 = 3_000_000.0;

/// Brokers, virtual seconds a second at least, virtual seconds that are measured, whole epochs, and whether that is quick
/// enough to be repeated.
const SIZES: [(u32, f64, u64, bool); 3] =
    [(5, 5_000.0, 900, true), (1_000, 150.0, 60, false), (10_000, 10.0, 60, false)];

/// Brokers at most unless told otherwise.
const MAX_BROKERS: u32 = 1_000;

fn start(settings: Settings) -> Running {
    Box::pin(async move { run(settings) })
}

fn run(settings: Settings) -> Result<Findings, Failure> {
    let most = settings.max_brokers.unwrap_or(MAX_BROKERS);
    let mut findings = Findings::default();
    let mut rows = Vec::new();
    for (brokers, wanted, measured_s, repeated) in SIZES {
        if brokers > most {
            findings.notes.push(format!("sim.{brokers} is left out: --max-brokers {brokers} measures it."));
            continue;
        }
        let runs = if repeated { settings.runs + 1 } else { 1 };
        let stretches: Vec<Stretch> =
            (0..runs).map(|_| simulated::run(brokers, measured_s)).collect::<Result<_, _>>()?;
        // The first of several is not counted: it warms up.
        let counted = &stretches[usize::from(repeated)..];
        let each = |of: fn(&Stretch) -> f64| counted.iter().map(of).collect::<Vec<f64>>();
        if findings.rows.is_empty() {
            let steps = each(|stretch| stretch.steps / stretch.spent_s);
            findings.rows.push(Row::new("sim.steps", "steps/s", steps).at_least(STEPS));
        }
        let speed = each(|stretch| stretch.virtual_s / stretch.spent_s);
        findings.rows.push(Row::new(format!("sim.{brokers}"), "x real time", speed).at_least(wanted));
        rows.push(cells(brokers, &counted[0]));
    }
    let head =
        vec!["BROKERS", "VIRTUAL S", "CORE S", "MESSAGES/S A BROKER", "MESSAGES A CORE S", "STEPS A CORE S"];
    findings.tables.push(Table { title: "What was measured, one run each".into(), head, rows });
    findings.notes.push(
        "Each broker's share is one batch a second of four events in the mean, which comes to about eight messages; \
         oracles are on, the founding is not measured, and seconds are those on one core."
            .into(),
    );
    Ok(findings)
}

fn cells(brokers: u32, stretch: &Stretch) -> Vec<String> {
    let messages = stretch.frames / f64::from(brokers) / stretch.virtual_s;
    let figures = [
        f64::from(brokers),
        stretch.virtual_s,
        stretch.spent_s,
        messages,
        stretch.frames / stretch.spent_s,
        stretch.steps / stretch.spent_s,
    ];
    figures.into_iter().map(number).collect()
}
