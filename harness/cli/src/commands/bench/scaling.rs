//! Whether more brokers do more work: simulated networks of 8 brokers and up, with constant work for each, and what an
//! event costs in kernel steps and in bytes between brokers.

use weir_sim::Scenario;
use weir_sim::audit::AuditLevel;
use weir_sim::speed::{REPLICAS, SATURATED_EVENTS_S, Stretch, load, saturated};

use super::axis::Axis;
use super::chart::{Chart, Drawing, Line};
use super::measure::Settings;
use super::report::Table;
use super::row::{Row, number};
use super::simulated;
use super::usl::Law;
use super::{Findings, Group, Running};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "scaling",
    about: "Steps and bytes an event from 8 brokers up in simulation, with constant work for each",
    run: start,
};

/// The smallest network.
const FEWEST: u32 = 8;

/// Brokers at most unless told otherwise: what takes a minute or two.
const MAX_BROKERS: u32 = 256;

/// Virtual seconds that are measured: a whole epoch, so that each network seals as often.
const MEASURED_S: u64 = 60;

/// What an event costs may grow by so much, in percent.
const GROWTH: f64 = 5.0;

/// Virtual seconds in which throughput is measured.
const SATURATED_S: u64 = 10;

/// Events a second that one real broker verifies and keeps, alone: measured by `weir bench ingest`, which prints it as
/// `ingest.batch256`. `--capacity` gives another.
const CAPACITY_EVENTS_S: f64 = 1_000_000.0;

/// The share that a network keeps of what its brokers can, N × C / R, in percent.
const THROUGHPUT: f64 = 50.0;

fn start(settings: Settings) -> Running {
    Box::pin(async move { run(settings) })
}

fn run(settings: Settings) -> Result<Findings, Failure> {
    let most = settings.max_brokers.unwrap_or(MAX_BROKERS);
    let capacity_s = settings.capacity.map_or(CAPACITY_EVENTS_S, f64::from);
    let mut points: Vec<(u32, Stretch)> = Vec::new();
    let mut shares: Vec<(u32, f64)> = Vec::new();
    let mut brokers = FEWEST;
    while brokers <= most || points.is_empty() {
        eprintln!("weir: {brokers} brokers");
        points.push((brokers, published(brokers)?));
        shares.push((brokers, share_kept(brokers)?));
        brokers *= 2;
    }
    let steps = costs(&points, |stretch| stretch.steps);
    let bytes = costs(&points, |stretch| stretch.bytes);
    let law = Law::fit(&steps);
    let mut notes = vec![format!(
        "Growth is that of the cost of an event from {FEWEST} brokers to {}; --max-brokers measures further, as wanted \
         to 4096. CPU is the simulator's own, on one core for all brokers.",
        points[points.len() - 1].0
    )];
    match &law {
        Some(law) => notes.push(format!(
            "Universal Scalability Law, fitted to steps an event: σ = {:.2e}, κ = {:.2e}; 4096 brokers would do {:.0} \
             times the work of one.",
            law.sigma,
            law.kappa,
            law.throughput(4_096.0) / law.lambda
        )),
        None => notes.push("Three sizes at least are needed for a fit: --max-brokers 32 or more.".into()),
    }
    notes.push(format!(
        "An edge that is one of a batch's {REPLICAS} replicas sends itself nothing, so that of N brokers {REPLICAS} × (1 − \
         1/N) copies travel: {FEWEST} send an eighth less than many do, which is most of the growth of bytes."
    ));
    let (largest, share) = shares[shares.len() - 1];
    notes.push(format!(
        "Throughput is that of {largest} brokers of which each keeps C = {capacity_s:.0} events a second, offered all that \
         they can keep, N × C / R: {:.0} events a second in all. A simulated event stands for {:.0} real ones.",
        share * f64::from(largest) * capacity_s / f64::from(REPLICAS),
        capacity_s / f64::from(SATURATED_EVENTS_S)
    ));
    Ok(Findings {
        rows: vec![
            Row::new("scaling.throughput", "% of N × C / R", vec![share * 100.0]).at_least(THROUGHPUT),
            Row::new("scaling.steps", "% growth", vec![growth(&steps)]).at_most(GROWTH),
            Row::new("scaling.bytes", "% growth", vec![growth(&bytes)]).at_most(GROWTH),
        ],
        tables: vec![table(&points, law), throughput_table(&shares, capacity_s)],
        charts: vec![cost_chart(&steps, &bytes), work_chart(&steps, law)],
        notes,
    })
}

/// Publishing alone: in a small network a reader's edge is often a replica itself, and nothing has to be sent to it.
fn published(brokers: u32) -> Result<Stretch, Failure> {
    let scenario = Scenario { subscribers: 0, ..load(brokers, MEASURED_S) };
    simulated::run_scenario(&scenario, MEASURED_S, AuditLevel::Digest)
}

/// What a network keeps of what its brokers can.
fn share_kept(brokers: u32) -> Result<f64, Failure> {
    let scenario = saturated(brokers, SATURATED_S);
    let stretch = simulated::run_scenario(&scenario, SATURATED_S, AuditLevel::Digest)?;
    let possible_s = f64::from(brokers) * f64::from(SATURATED_EVENTS_S) / f64::from(REPLICAS);
    Ok(stretch.stored / stretch.virtual_s / possible_s)
}

fn throughput_table(shares: &[(u32, f64)], capacity_s: f64) -> Table {
    let row = |(brokers, share): &(u32, f64)| {
        let events_s = share * f64::from(*brokers) * capacity_s / f64::from(REPLICAS);
        [f64::from(*brokers), events_s, share * 100.0].into_iter().map(number).collect()
    };
    Table {
        title: "Events a second that networks of busy brokers keep".into(),
        head: vec!["BROKERS", "EVENTS/S", "% OF N × C / R"],
        rows: shares.iter().map(row).collect(),
    }
}

/// What an event costs in each network.
fn costs(points: &[(u32, Stretch)], of: fn(&Stretch) -> f64) -> Vec<(f64, f64)> {
    points.iter().map(|(brokers, stretch)| (f64::from(*brokers), of(stretch) / stretch.events)).collect()
}

/// From the first to the last, in percent.
fn growth(costs: &[(f64, f64)]) -> f64 {
    (costs[costs.len() - 1].1 / costs[0].1 - 1.0) * 100.0
}

fn table(points: &[(u32, Stretch)], law: Option<Law>) -> Table {
    let row = |(brokers, stretch): &(u32, Stretch)| {
        let n = f64::from(*brokers);
        let fitted = law.map_or_else(String::new, |law| number(n / law.throughput(n)));
        let figures = [
            n,
            stretch.events / stretch.virtual_s / n,
            stretch.steps / stretch.events,
            stretch.bytes / stretch.events,
            stretch.frames / stretch.events,
            stretch.spent_s * 1e6 / stretch.events,
        ];
        figures.into_iter().map(number).chain([fitted]).collect()
    };
    let head = vec![
        "BROKERS",
        "EVENTS/S A BROKER",
        "STEPS AN EVENT",
        "BYTES AN EVENT",
        "MESSAGES AN EVENT",
        "CPU µS AN EVENT",
        "STEPS BY THE FIT",
    ];
    Table {
        title: "Cost of an event by size of the network".into(),
        head,
        rows: points.iter().map(row).collect(),
    }
}

fn cost_chart(steps: &[(f64, f64)], bytes: &[(f64, f64)]) -> Chart {
    let relative = |costs: &[(f64, f64)]| costs.iter().map(|(n, cost)| (*n, cost / costs[0].1)).collect();
    let lines = vec![
        Line { name: "steps".into(), points: relative(steps) },
        Line { name: "bytes".into(), points: relative(bytes) },
        Line {
            name: "5 % more".into(),
            points: steps.iter().map(|(n, _)| (*n, 1.0 + GROWTH / 100.0)).collect(),
        },
    ];
    let title = format!("Cost of an event, as a multiple of that at {FEWEST} brokers");
    let (x, y) = (Axis::logarithmic("brokers"), Axis::linear("multiple"));
    Chart { name: "scaling-cost".into(), title, drawing: Drawing::Lines { x, y, lines } }
}

/// What the network can do if each broker does as many steps: a straight line would be perfect.
fn work_chart(steps: &[(f64, f64)], law: Option<Law>) -> Chart {
    let one = law.map_or(steps[0].1, |law| 1.0 / law.lambda);
    let mut lines = vec![Line {
        name: "measured".into(),
        points: steps.iter().map(|(n, cost)| (*n, n * one / cost)).collect(),
    }];
    if let Some(law) = law {
        let fitted = steps.iter().map(|(n, _)| (*n, law.throughput(*n) / law.lambda)).collect();
        lines.push(Line { name: "fit (USL)".into(), points: fitted });
    }
    lines.push(Line { name: "linear".into(), points: steps.iter().map(|(n, _)| (*n, *n)).collect() });
    let (x, y) = (Axis::logarithmic("brokers"), Axis::logarithmic("times the work of one broker"));
    let title = "Work of the network if every broker does as many steps a second".into();
    Chart { name: "scaling".into(), title, drawing: Drawing::Lines { x, y, lines } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<(u32, Stretch)> {
        let stretch = |brokers: u32, grown: f64| {
            let n = f64::from(brokers);
            let events = 40.0 * n;
            let (steps, bytes) = (5.0 * events * grown, 900.0 * events);
            (
                brokers,
                Stretch {
                    virtual_s: 10.0,
                    spent_s: 1.0,
                    steps,
                    frames: 2.0 * events,
                    bytes,
                    events,
                    stored: events,
                },
            )
        };
        vec![stretch(8, 1.0), stretch(16, 1.02), stretch(32, 1.04)]
    }

    #[test]
    fn growth_is_that_of_an_events_cost() {
        let points = points();
        assert!((growth(&costs(&points, |stretch| stretch.steps)) - 4.0).abs() < 1e-9);
        assert_eq!(growth(&costs(&points, |stretch| stretch.bytes)), 0.0);
        let law = Law::fit(&costs(&points, |stretch| stretch.steps));
        let table = table(&points, law);
        assert_eq!(table.rows[0][..4], ["8", "4", "5", "900"]);
        assert!(table.rows.iter().all(|row| row.len() == table.head.len()));
        let steps = costs(&points, |stretch| stretch.steps);
        assert!(work_chart(&steps, law).svg().contains(">fit (USL)<"));
        assert!(cost_chart(&steps, &steps).svg().contains(">5 % more<"));
    }
}
