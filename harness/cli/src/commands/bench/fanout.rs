//! One broker to many subscribers over WebSocket, some of which take nothing.
//!
//! ```text
//!   bench-load ──QUIC──► bench-node ──WebSocket──► bench-load: readers that count, readers that are stalled
//! ```

use super::child::{Child, Role};
use super::measure::Settings;
use super::network::loaded;
use super::report::Table;
use super::roles::edge::{Brought, Prepare, Prepared};
use super::roles::load::Request;
use super::roles::readers::{Follow, Had};
use super::row::{Row, number};
use super::{Findings, Group};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "fanout",
    about: "Deliveries a second and core of one broker to subscribers over WebSocket, some of them stalled",
    run: |settings| Box::pin(async move { run(settings).await }),
};

/// Subscribers that take what comes, and that take nothing.
const READERS: u32 = 50;
const STALLED: u32 = 10;

/// What is published in a run: batches of 64 events, a frame each.
const WORK: Prepare = Prepare { batches: 500, events: 64, frame_bytes: 0 };

/// Frames a second: with the readers, about as much as one core is wanted to deliver.
const FRAMES_A_SECOND: f64 = 62.5;

/// Deliveries wanted a second of one core's time.
const DELIVERIES: f64 = 200_000.0;

/// Memory that a subscriber may cost at most, stalled or not, in MB: its window, its queue and its socket's buffers.
const SUBSCRIBER_MB: f64 = 2.5;

/// One run.
struct Run {
    deliveries: f64,
    seconds: f64,
    node_s: f64,
    readers_s: f64,
    memory: f64,
}

async fn run(settings: Settings) -> Result<Findings, Failure> {
    let (bench, stream, mut load) = loaded("fanout", 1, settings.shards).await?;
    let mut readers = Child::start(Role::Load)?;
    let follow = Follow {
        url: bench.started.url.clone(),
        stream: stream.id.to_string(),
        partition: stream.partitions[0].0,
        readers: READERS,
        stalled: STALLED,
    };
    let alone = bench.node.usage()?.memory;
    let () = readers.ask(&Request::Follow(follow)).await?;
    let mut runs = Vec::new();
    for nth in 0..=settings.runs {
        let prepared: Prepared = load.ask(&Request::Prepare(WORK)).await?;
        let before = (bench.node.usage()?, readers.usage()?);
        let (bringing, waiting) = (Request::Bring(Some(FRAMES_A_SECOND)), Request::Await(prepared.events));
        let (brought, had) = tokio::join!(load.ask::<Brought>(&bringing), readers.ask::<Had>(&waiting));
        let (_, had) = (brought?, had?);
        let after = (bench.node.usage()?, readers.usage()?);
        // The first one warms up.
        if nth > 0 {
            runs.push(Run {
                deliveries: had.deliveries as f64,
                seconds: had.seconds,
                node_s: after.0.cpu_s - before.0.cpu_s,
                readers_s: after.1.cpu_s - before.1.cpu_s,
                memory: (after.0.memory - alone) / 1e6,
            });
        }
    }
    readers.end().await?;
    load.end().await?;
    bench.end().await?;
    Ok(findings(&runs))
}

fn findings(runs: &[Run]) -> Findings {
    let of = |figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<f64>>();
    let row = |run: &Run| {
        let rate = run.deliveries / run.seconds;
        [rate, run.deliveries / run.node_s, run.node_s, run.readers_s, run.memory].map(number).to_vec()
    };
    let most = f64::from(READERS + STALLED) * SUBSCRIBER_MB;
    Findings {
        rows: vec![
            Row::new("fanout", "deliveries/s a core", of(|run| run.deliveries / run.node_s))
                .at_least(DELIVERIES),
            Row::new("fanout.memory", "MB", of(|run| run.memory)).at_most(most),
        ],
        tables: vec![Table {
            title:
                "Each run of fanout: processor seconds of broker and readers, memory since there were none"
                    .into(),
            head: vec!["DELIVERIES/S", "A CORE", "BROKER S", "READERS S", "MEMORY MB"],
            rows: runs.iter().map(row).collect(),
        }],
        charts: Vec::new(),
        notes: vec![format!(
            "{READERS} subscribers that take everything and {STALLED} that take nothing, in one process; another one \
             publishes. A core is a second of the broker's processor time, in which it also verifies and stores what \
             it delivers. Memory is what the broker holds more than before the first subscriber came."
        )],
    }
}
