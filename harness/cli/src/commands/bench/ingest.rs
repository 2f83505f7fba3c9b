//! How many events a second one broker verifies and keeps, alone (R = 1).
//!
//! ```text
//!   bench-load: an edge            QUIC            bench-node: the only replica
//!   signed batches in memory ──── Append ────►  verify, write, sync in groups
//!   counts what is on disk   ◄── Acknowledge ──
//! ```
//!
//! The load takes the place of the network's second broker, which is stopped: the replica sees a registered peer.

use std::time::Duration;

use super::axis::Axis;
use super::chart::{Bar, Chart, Drawing};
use super::child::Child;
use super::measure::Settings;
use super::network::{Bench, loaded};
use super::report::Table;
use super::roles::edge::{Brought, Prepare, Prepared};
use super::roles::load::Request;
use super::row::{Row, number};
use super::{Findings, Group, Running};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "ingest",
    about: "Events a second that one broker verifies and keeps, in batches of 256 and of one",
    run: start,
};

/// Lanes of the load, each in a stream partition of its own.
const LANES: usize = 8;

/// A full batch's events.
const BATCH: usize = 256;

/// Batches of each lane in a run: about two million events in all.
const FULL_BATCHES: usize = 1_000;

/// Batches of one event, of each lane in a run.
const SINGLE_BATCHES: usize = 10_000;

/// Batches that wait together go together, up to so many bytes: two full ones, or a hundred and fifty of one event.
const FRAME_BYTES: usize = 64 << 10;

/// Events a second wanted.
const EVENTS_A_SECOND: f64 = 1_000_000.0;

/// What a broker may use of the processor for a batch of one, as a multiple of what verifying it takes.
const SINGLE_OVERHEAD: f64 = 1.3;

/// Between two runs, for what the broker does afterwards.
const REST: Duration = Duration::from_secs(1);

fn start(settings: Settings) -> Running {
    Box::pin(async move { run(settings).await })
}

/// One run.
struct Run {
    events: f64,
    bytes: f64,
    seconds: f64,
    verify_s: f64,
    node_s: f64,
    load_s: f64,
    median_ms: f64,
}

async fn run(settings: Settings) -> Result<Findings, Failure> {
    let (bench, _, mut load) = loaded("ingest", LANES, settings.shards).await?;
    let of = |batches, events| Prepare { batches, events, frame_bytes: FRAME_BYTES };
    let full = runs(&bench, &mut load, of(FULL_BATCHES, BATCH), settings).await?;
    let single = runs(&bench, &mut load, of(SINGLE_BATCHES, 1), settings).await?;
    load.end().await?;
    bench.end().await?;
    Ok(findings(&full, &single))
}

async fn runs(
    bench: &Bench,
    load: &mut Child,
    wanted: Prepare,
    settings: Settings,
) -> Result<Vec<Run>, Failure> {
    let mut runs = Vec::new();
    for nth in 0..=settings.runs {
        let prepared: Prepared = load.ask(&Request::Prepare(wanted)).await?;
        tokio::time::sleep(REST).await;
        let before = (bench.node.usage()?, load.usage()?);
        let brought: Brought = load.ask(&Request::Bring(None)).await?;
        let after = (bench.node.usage()?, load.usage()?);
        // The first one warms up.
        if nth > 0 {
            runs.push(Run {
                events: prepared.events as f64,
                bytes: prepared.bytes as f64,
                seconds: brought.seconds,
                verify_s: prepared.verify_s,
                node_s: after.0.cpu_s - before.0.cpu_s,
                load_s: after.1.cpu_s - before.1.cpu_s,
                median_ms: brought.median_ms,
            });
        }
    }
    Ok(runs)
}

fn findings(full: &[Run], single: &[Run]) -> Findings {
    let of = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<f64>>();
    let rate = |run: &Run| run.events / run.seconds;
    let overhead = |run: &Run| run.node_s / run.verify_s;
    let rows = vec![
        Row::new("ingest.batch256", "events/s", of(full, rate)).at_least(EVENTS_A_SECOND),
        Row::new("ingest.single", "x verifying", of(single, overhead)).at_most(SINGLE_OVERHEAD),
        Row::new("ingest.single.rate", "events/s", of(single, rate)),
    ];
    let table = Table {
        title: "Each run of ingest: processor seconds of broker and load, and how long a frame waits".into(),
        head: vec![
            "BATCH",
            "EVENTS/S",
            "MB/S",
            "BROKER S",
            "VERIFYING S",
            "LOAD S",
            "BROKER CORES",
            "EVENTS/CPU S",
            "ACK MS",
        ],
        rows: [("256", full), ("1", single)]
            .into_iter()
            .flat_map(|(batch, runs)| runs.iter().map(move |run| cells(batch, run)))
            .collect(),
    };
    let medians = |runs: &[Run], figure: fn(&Run) -> f64| Row::new("", "", of(runs, figure)).median();
    let per_event = |name: &str, runs: &[Run], figure: fn(&Run) -> f64| Bar {
        name: name.into(),
        value: medians(runs, figure) * 1e6,
        range: None,
    };
    let bars = vec![
        per_event("batches of 256: broker", full, |run| run.node_s / run.events),
        per_event("of which verifying", full, |run| run.verify_s / run.events),
        per_event("batches of 256: load", full, |run| run.load_s / run.events),
    ];
    Findings {
        rows,
        tables: vec![table],
        charts: vec![Chart {
            name: "ingest-cpu".into(),
            title: "Processor time an event in batches of 256, median".into(),
            drawing: Drawing::Bars { x: Axis::linear("microseconds"), bars, mark: None },
        }],
        notes: vec![
            "One broker holds the only replica; the load is a second process that signed its batches before. Both \
             share the machine's cores. Verifying is what one core needs to verify each batch once, measured in the \
             load. Events are records of earthquakes, 100 bytes each."
                .into(),
        ],
    }
}

fn cells(batch: &str, run: &Run) -> Vec<String> {
    let figures = [
        run.events / run.seconds,
        run.bytes / run.seconds / 1e6,
        run.node_s,
        run.verify_s,
        run.load_s,
        run.node_s / run.seconds,
        run.events / run.node_s,
        run.median_ms,
    ];
    std::iter::once(batch.to_owned()).chain(figures.into_iter().map(number)).collect()
}
