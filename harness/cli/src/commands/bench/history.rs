//! Reading what is kept: all of it as binary batches, and the last hundred events as a user asks for them.

use super::measure::Settings;
use super::network::loaded;
use super::report::Table;
use super::roles::clients::Last;
use super::roles::edge::{Brought, Prepare, Prepared, Scanned};
use super::roles::load::Request;
use super::row::{Row, number, percentile};
use super::{Findings, Group};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "history",
    about: "Events a second that one broker reads from disk, and milliseconds for the last hundred",
    run: |settings| Box::pin(async move { run(settings).await }),
};

/// Stream partitions, each with a lane.
const LANES: usize = 8;

/// Batches of each lane, of 256 events: about two million events in all.
const KEPT: Prepare = Prepare { batches: 1_000, events: 256, frame_bytes: 64 << 10 };

/// Wanted of a scan, in events a second.
const EVENTS_A_SECOND: f64 = 2_000_000.0;

/// The last events that are asked for, how often, and in how many milliseconds.
const LAST: u64 = 100;
const TIMES: u32 = 200;
const LAST_MS: f64 = 1.0;

/// One run.
struct Run {
    scanned: Scanned,
    last_ms: Vec<f64>,
    node_s: f64,
    load_s: f64,
}

async fn run(settings: Settings) -> Result<Findings, Failure> {
    let (bench, stream, mut load) = loaded("history", LANES, settings.shards).await?;
    let prepared: Prepared = load.ask(&Request::Prepare(KEPT)).await?;
    let _: Brought = load.ask(&Request::Bring(None)).await?;
    let last = Last {
        url: bench.started.url.clone(),
        stream: stream.id.to_string(),
        partition: stream.partitions[0].0,
        events: LAST,
        times: TIMES,
    };
    let mut runs = Vec::new();
    for nth in 0..=settings.runs {
        let before = (bench.node.usage()?, load.usage()?);
        let scanned: Scanned = load.ask(&Request::Scan).await?;
        let after = (bench.node.usage()?, load.usage()?);
        if scanned.events != prepared.events {
            let (kept, read) = (prepared.events, scanned.events);
            return Err(Failure::Failed(format!("of {kept} events that are kept, {read} were read")));
        }
        let last_ms: Vec<f64> = load.ask(&Request::Last(last.clone())).await?;
        // The first one warms up.
        if nth > 0 {
            let (node_s, load_s) = (after.0.cpu_s - before.0.cpu_s, after.1.cpu_s - before.1.cpu_s);
            runs.push(Run { scanned, last_ms, node_s, load_s });
        }
    }
    load.end().await?;
    bench.end().await?;
    Ok(findings(&runs))
}

fn findings(runs: &[Run]) -> Findings {
    let of = |figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<f64>>();
    let rate = |run: &Run| run.scanned.events as f64 / run.scanned.seconds;
    let row = |run: &Run| {
        let figures = [
            rate(run),
            run.scanned.bytes as f64 / run.scanned.seconds / 1e6,
            run.node_s,
            run.load_s,
            percentile(&run.last_ms, 50.0),
            percentile(&run.last_ms, 99.0),
        ];
        figures.into_iter().map(number).collect()
    };
    Findings {
        rows: vec![
            Row::new("history.scan", "events/s", of(rate)).at_least(EVENTS_A_SECOND),
            Row::new("history.last100", "ms", of(|run| percentile(&run.last_ms, 50.0))).at_most(LAST_MS),
            Row::new("history.last100.p99", "ms", of(|run| percentile(&run.last_ms, 99.0))),
        ],
        tables: vec![Table {
            title: "Each run of history: the scan with processor seconds of broker and reader; the last hundred".into(),
            head: vec!["EVENTS/S", "MB/S", "BROKER S", "READER S", "LAST P50 MS", "LAST P99 MS"],
            rows: runs.iter().map(row).collect(),
        }],
        charts: Vec::new(),
        notes: vec![
            "A second process reads eight stream partitions at the same time over QUIC, in chunks of 256 KiB, in \
             canonical order; it checks hashes and no signatures. The system may have the files in memory. The last \
             hundred events are asked for over HTTP, one question after the other."
                .into(),
        ],
    }
}
