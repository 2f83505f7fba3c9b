//! How long an event is on its way with three replicas: to the acknowledgement that a quorum has it on disk, and to a
//! subscriber. Publishers and the subscriber are users with the client library, in a process of their own.

use super::axis::Axis;
use super::chart::{Chart, Drawing, Line};
use super::child::{Child, Role};
use super::disk::{self, Sync};
use super::measure::Settings;
use super::network::{Bench, Shape};
use super::report::Table;
use super::roles::clients::{Latencies, Publish};
use super::roles::load::Request;
use super::row::{Row, number, percentile};
use super::{Findings, Group, Running};
use crate::failure::Failure;

/// From publishing to stored.
pub const STORED: Group = Group {
    name: "publish",
    about: "Milliseconds from publishing an event to its being stored by a quorum of three brokers",
    run: |settings| Box::pin(async move { Ok(stored(&measure(settings).await?)) }),
};

/// From publishing to a subscriber.
pub const DELIVERED: Group = Group {
    name: "deliver",
    about: "Milliseconds from publishing an event to a subscriber's having it, by three brokers",
    run: |settings| Box::pin(async move { Ok(delivered(&measure(settings).await?)) }) as Running,
};

/// A moderate load: publishers with so many events a second each.
const PUBLISHERS: u32 = 4;
const RATE: f64 = 50.0;

/// Seconds of a run.
const SECONDS: f64 = 8.0;

/// Beyond what a sync takes, in milliseconds: half of the events, and all but one in a hundred.
const STORED_MS: (f64, f64) = (2.0, 10.0);

/// The same to the subscriber; it does not wait for a disk.
const DELIVERED_MS: (f64, f64) = (1.0, 5.0);

/// One run.
struct Run {
    latencies: Latencies,
    sync: Sync,
    node_s: f64,
    load_s: f64,
}

async fn measure(settings: Settings) -> Result<Vec<Run>, Failure> {
    let shards = settings.shards;
    let shape = Shape { brokers: 3, replicas: 3, partitions_per_broker: 2, shards };
    let mut bench = Bench::start(shape, &[]).await?;
    let stream = bench.stream("latency", PUBLISHERS as usize, None).await?;
    let mut load = Child::start(Role::Load)?;
    let wanted = Publish {
        url: bench.started.url.clone(),
        stream: stream.id.to_string(),
        publishers: PUBLISHERS,
        rate: RATE,
        seconds: SECONDS,
    };
    let mut runs = Vec::new();
    for nth in 0..=settings.runs {
        let sync = disk::sync(bench.directory.path())?;
        let before = (bench.node.usage()?, load.usage()?);
        let latencies: Latencies = load.ask(&Request::Publish(wanted.clone())).await?;
        let after = (bench.node.usage()?, load.usage()?);
        // The first one warms up.
        if nth > 0 {
            let (node_s, load_s) = (after.0.cpu_s - before.0.cpu_s, after.1.cpu_s - before.1.cpu_s);
            runs.push(Run { latencies, sync, node_s, load_s });
        }
    }
    load.end().await?;
    bench.end().await?;
    Ok(runs)
}

fn stored(runs: &[Run]) -> Findings {
    let of = |figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<f64>>();
    let sync = (
        Row::new("publish.fsync", "ms", of(|run| run.sync.p50_ms)),
        Row::new("publish.fsync.p99", "ms", of(|run| run.sync.p99_ms)),
    );
    let p50 = Row::new("publish.stored", "ms", of(|run| percentile(&run.latencies.stored_ms, 50.0)))
        .at_most(STORED_MS.0 + sync.0.median());
    let p99 = Row::new("publish.stored.p99", "ms", of(|run| percentile(&run.latencies.stored_ms, 99.0)))
        .at_most(STORED_MS.1 + sync.1.median());
    findings("publish", vec![p50, p99, sync.0, sync.1], runs, |run| &run.latencies.stored_ms)
}

fn delivered(runs: &[Run]) -> Findings {
    let of = |part: f64| -> Vec<f64> {
        runs.iter().map(|run| percentile(&run.latencies.delivered_ms, part)).collect()
    };
    let rows = vec![
        Row::new("deliver", "ms", of(50.0)).at_most(DELIVERED_MS.0),
        Row::new("deliver.p99", "ms", of(99.0)).at_most(DELIVERED_MS.1),
    ];
    findings("deliver", rows, runs, |run| &run.latencies.delivered_ms)
}

/// The rows with what they have in common: each run's processor time, and how the times are spread.
fn findings(name: &str, rows: Vec<Row>, runs: &[Run], times: fn(&Run) -> &Vec<f64>) -> Findings {
    const PARTS: [f64; 9] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];
    let spread = |run: &Run| PARTS.map(|part| (part, percentile(times(run), part))).to_vec();
    let lines =
        (1..).zip(runs).map(|(nth, run)| Line { name: format!("run {nth}"), points: spread(run) }).collect();
    let row = |run: &Run| {
        let times = times(run);
        let figures = [
            times.len() as f64,
            percentile(times, 50.0),
            percentile(times, 99.0),
            times[times.len() - 1],
            run.sync.p50_ms,
            run.sync.p99_ms,
            run.node_s,
            run.load_s,
        ];
        figures.into_iter().map(number).collect()
    };
    let title = format!("Each run of {name}: milliseconds, and processor seconds of brokers and users");
    let head = vec!["EVENTS", "P50", "P99", "MOST", "FSYNC P50", "FSYNC P99", "BROKERS S", "USERS S"];
    Findings {
        rows,
        tables: vec![Table { title, head, rows: runs.iter().map(row).collect() }],
        charts: vec![Chart {
            name: format!("{name}-spread"),
            title: format!("{name}: how many percent of the events took at most so long"),
            drawing: Drawing::Lines {
                x: Axis::linear("percent of the events"),
                y: Axis::logarithmic("milliseconds"),
                lines,
            },
        }],
        notes: vec![format!(
            "Three brokers in one process, three replicas, {PUBLISHERS} publishers with {RATE} events a second each, \
             each event signed by its publisher, verified by an edge and by each replica. All three stores sync on the \
             same disk; fsync is what appending 4 KiB and syncing took there just before each run."
        )],
    }
}
