//! Memory of a broker that does nothing, and of one whose chain has a million streams.

use std::time::Duration;

use tokio::time::sleep;

use super::child::{Child, Role};
use super::measure::Settings;
use super::network::{Bench, Shape, directory};
use super::roles::node::Request;
use super::row::Row;
use super::{Findings, Group};
use crate::failure::Failure;

/// The group.
pub const GROUP: Group = Group {
    name: "memory",
    about: "Memory of an idle broker, and of one that knows a million streams",
    run: |settings| Box::pin(async move { run(settings).await }),
};

/// Streams that a broker knows.
const STREAMS: u32 = 1_000_000;

/// Megabytes wanted: idle, and with the streams.
const IDLE_MB: f64 = 60.0;
const STREAMS_MB: f64 = 500.0;

/// How long a broker runs before it is looked at.
const REST: Duration = Duration::from_secs(3);

async fn run(settings: Settings) -> Result<Findings, Failure> {
    let (mut idle, mut streams, mut peak) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        let shards = settings.shards;
        let shape = Shape { brokers: 1, replicas: 1, partitions_per_broker: 4, shards };
        let bench = Bench::start(shape, &[]).await?;
        sleep(REST).await;
        idle.push(bench.node.usage()?.memory / 1e6);
        bench.end().await?;
        let folder = directory()?;
        let mut node = Child::start(Role::Node)?;
        let () = node.ask(&Request::Streams(folder.path().join("store"), STREAMS)).await?;
        sleep(REST).await;
        let usage = node.usage()?;
        streams.push(usage.memory / 1e6);
        peak.push(usage.peak_memory / 1e6);
        node.end().await?;
    }
    Ok(Findings {
        rows: vec![
            Row::new("memory.idle", "MB", idle).at_most(IDLE_MB),
            Row::new("memory.streams", "MB", streams).at_most(STREAMS_MB),
            Row::new("memory.streams.peak", "MB", peak),
        ],
        notes: vec![
            "Resident memory of the process. The idle broker has its chain and its interfaces in it. The other one is \
             told of its streams directly, each with an owner, a name, a description and public readers: a chain in \
             its process would hold the contracts' storage too."
                .into(),
        ],
        ..Findings::default()
    })
}
