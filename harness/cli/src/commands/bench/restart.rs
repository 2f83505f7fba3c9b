//! A broker with ten million events is killed (signal 9) and started again: how long until it serves.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use weir_client::{Client, Event, Key, PublishOptions, PublishSession, Query};

use super::measure::Settings;
use super::network::{Bench, BenchStream, launch, loaded};
use super::report::Table;
use super::roles::edge::{Brought, Prepare, Prepared};
use super::roles::load::Request;
use super::row::{Row, number};
use super::{Findings, Group};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "restart",
    about: "Seconds from starting a broker that was killed with 10 million events until it serves",
    run: |settings| Box::pin(async move { run(settings).await }),
};

/// Stream partitions, each with a lane.
const LANES: usize = 8;

/// What each lane gets at a time, so that the load's memory stays small; and how often.
const PART: Prepare = Prepare { batches: 1_000, events: 256, frame_bytes: 64 << 10 };
const PARTS: usize = 5;

/// Seconds wanted.
const SERVING_S: f64 = 1.0;

/// After a start, until blocks come as usual again.
const REST: Duration = Duration::from_secs(2);

/// One start.
struct Run {
    up_s: f64,
    read_s: f64,
    stored_s: f64,
    cpu_s: f64,
}

async fn run(settings: Settings) -> Result<Findings, Failure> {
    let (mut bench, stream, mut load) = loaded("restart", LANES, settings.shards).await?;
    let mut kept = 0;
    for _ in 0..PARTS {
        let prepared: Prepared = load.ask(&Request::Prepare(PART)).await?;
        let _: Brought = load.ask(&Request::Bring(None)).await?;
        kept += prepared.events;
    }
    load.end().await?;
    let mut runs = Vec::new();
    for nth in 0..=settings.runs {
        sleep(REST).await;
        let (next, run) = restart(bench, &stream, kept).await?;
        bench = next;
        kept += 1;
        // The first one warms up.
        if nth > 0 {
            runs.push(run);
        }
    }
    bench.end().await?;
    Ok(findings(&runs, kept))
}

/// Kills the broker and starts it; checks that it has all, and that it stores.
async fn restart(bench: Bench, stream: &BenchStream, kept: u64) -> Result<(Bench, Run), Failure> {
    let Bench { node, options, directory, .. } = bench;
    node.kill().await?;
    let begin = Instant::now();
    let (node, started) = launch(&options).await?;
    let up_s = begin.elapsed().as_secs_f64();
    let client = Client::connect(&started.url, Some(Key::development())).await.map_err(Failure::of)?;
    let partition = stream.partitions[0].0;
    let mut lines = client.query(stream.id, Query::Last(1), Some(partition)).await.map_err(Failure::of)?;
    if lines.next().await.map_err(Failure::of)?.is_none() {
        return Err(Failure::Failed("the last event is gone".into()));
    }
    let read_s = begin.elapsed().as_secs_f64();
    let cpu_s = node.usage()?.cpu_s;
    store(&client, stream).await?;
    let stored_s = begin.elapsed().as_secs_f64();
    let status = client.status().await.map_err(Failure::of)?;
    let events = status["events"].as_u64().unwrap_or_default();
    if events < kept {
        return Err(Failure::Failed(format!("of {kept} acknowledged events {events} are there")));
    }
    Ok((Bench { node, started, client, options, directory }, Run { up_s, read_s, stored_s, cpu_s }))
}

/// Publishes one event to a stream partition that the broker carries.
async fn store(client: &Client, stream: &BenchStream) -> Result<(), Failure> {
    let session = PublishSession::open(client, stream.id, PublishOptions::default()).await;
    let session = session.map_err(Failure::of)?;
    let partitions = client.stream(stream.id).await.map_err(Failure::of)?.partitions;
    let wanted = stream.partitions[0].0;
    let goes_there =
        |key: &String| weir_kernel::partition_key::partition_of_key(key.as_bytes(), partitions) == wanted;
    let partition_key = (0u32..).map(|key| key.to_string()).find(goes_there);
    session.publish(Event { partition_key, ..Event::new("\"up\"") }).await.map_err(Failure::of)?;
    let report = session.finish().await;
    if report.is_complete() { Ok(()) } else { Err(Failure::Failed(format!("nothing is stored: {report:?}"))) }
}

fn findings(runs: &[Run], kept: u64) -> Findings {
    let of = |figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<f64>>();
    let row = |run: &Run| [run.up_s, run.read_s, run.stored_s, run.cpu_s].map(number).to_vec();
    Findings {
        rows: vec![
            Row::new("restart", "s", of(|run| run.read_s)).at_most(SERVING_S),
            Row::new("restart.stored", "s", of(|run| run.stored_s)),
        ],
        tables: vec![Table {
            title: "Each restart: seconds until it is up, has answered a query, has stored an event".into(),
            head: vec!["UP", "READ", "STORED", "BROKER CPU S"],
            rows: runs.iter().map(row).collect(),
        }],
        charts: Vec::new(),
        notes: vec![format!(
            "The broker is killed with signal 9 and started on its directory with {} events, which are counted \
             afterwards; the time begins with the start of the process and ends when a query over HTTP is answered. \
             Its chain is in the same process and is opened and followed first.",
            number(kept as f64)
        )],
    }
}
