//! A network to measure, in a process and a directory of its own, with a stream that is paid for.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use weir_client::{Client, Key, NewStream};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::ids::{StreamId, StreamPartition};

use super::child::{Child, Role};
use super::roles::edge::Connect;
use super::roles::load;
use super::roles::node::{Homes, Request, Start, Started};
use crate::failure::Failure;

/// What is allotted to each stream partition that is published to: enough for a hundred million small events.
const ALLOTMENT: u128 = 20_000 * DATA;

/// Where directories are made: on a real disk, since `/var/tmp` survives restarts where `/tmp` may lie in memory.
pub fn root() -> PathBuf {
    let fixed = Path::new("/var/tmp");
    match std::env::var_os("TMPDIR") {
        Some(chosen) => chosen.into(),
        None if fixed.is_dir() => fixed.to_owned(),
        None => std::env::temp_dir(),
    }
}

/// A new directory there, gone with the value.
pub fn directory() -> Result<TempDir, Failure> {
    let root = root();
    tempfile::Builder::new().prefix("weir-bench-").tempdir_in(&root).map_err(|error| {
        let root = root.display();
        Failure::Failed(format!("no directory in {root}: {error}; name a folder on a disk with TMPDIR"))
    })
}

/// A running network.
pub struct Bench {
    /// Its process.
    pub node: Child,
    /// What it said when it was up.
    pub started: Started,
    /// Talks to its interfaces, with the development key.
    pub client: Client,
    /// What it was started with.
    pub options: Start,
    /// Where its state is.
    pub directory: TempDir,
}

/// A stream of the network.
#[derive(Clone, Debug)]
pub struct BenchStream {
    /// Its id.
    pub id: StreamId,
    /// Its partitions, each with the partition of the network that carries it.
    pub partitions: Vec<(u32, u32)>,
    /// Height at which it was there.
    pub height: u64,
}

/// A network's shape.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Brokers, all in one process.
    pub brokers: u32,
    /// Replicas of a partition.
    pub replicas: u8,
    /// Partitions for each broker.
    pub partitions_per_broker: u32,
    /// Shards of each broker.
    pub shards: Option<u16>,
}

/// Blocks an epoch, of a second each: long enough for a measurement to see few seals, as a network in use does.
const EPOCH_BLOCKS: u64 = 60;

/// Partitions at least of a stream of which one broker is to carry some. Where each lies is as good as drawn: of eight,
/// none would lie at one of two brokers once in 256 streams.
const CARRIED_AMONG: u32 = 64;

/// One broker with the only replica, a stream with that many lanes to it, and a load in the place of the network's
/// second broker: the replica sees a registered peer.
pub async fn loaded(
    name: &str,
    lanes: usize,
    shards: Option<u16>,
) -> Result<(Bench, BenchStream, Child), Failure> {
    let shape = Shape { brokers: 2, replicas: 1, partitions_per_broker: 4, shards };
    let mut bench = Bench::start(shape, &[1]).await?;
    let stream = bench.stream(name, lanes, Some(0)).await?;
    let mut load = Child::start(Role::Load)?;
    let () = load.ask(&load::Request::Connect(Box::new(bench.edge(1, 0, &stream)))).await?;
    Ok((bench, stream, load))
}

impl Bench {
    /// Starts a new network in a new directory; `offline` are set up and then stopped.
    pub async fn start(shape: Shape, offline: &[u32]) -> Result<Self, Failure> {
        let directory = directory()?;
        let Shape { brokers, replicas, partitions_per_broker, shards } = shape;
        let options = Start {
            directory: directory.path().join("network"),
            brokers,
            replicas,
            partitions_per_broker,
            shards,
            epoch_blocks: EPOCH_BLOCKS,
            offline: offline.to_vec(),
        };
        let (node, started) = launch(&options).await?;
        let client = Client::connect(&started.url, Some(Key::development())).await.map_err(Failure::of)?;
        Ok(Self { node, started, client, options, directory })
    }

    /// Creates a stream that everybody may read, and allots to `used` of its partitions.
    ///
    /// With `at`, only partitions count that this broker carries.
    pub async fn stream(&mut self, name: &str, used: usize, at: Option<u32>) -> Result<BenchStream, Failure> {
        let partitions = if at.is_some() { (8 * used as u32).max(CARRIED_AMONG) } else { used as u32 };
        let new = NewStream {
            name: name.into(),
            description: "Earthquakes, for measuring".into(),
            partitions,
            public_subscribe: true,
            public_publish: false,
        };
        let id = self.client.create_stream(&new).await.map_err(Failure::of)?;
        let Homes { height, homes } = self.node.ask(&Request::Homes(id.to_string())).await?;
        let carrier = at.map(|number| &self.started.brokers[number as usize].address);
        let partitions: Vec<(u32, u32)> = (0..)
            .zip(&homes)
            .filter(|(_, (_, brokers))| carrier.is_none_or(|carrier| brokers.contains(carrier)))
            .map(|(partition, (home, _))| (partition, *home))
            .take(used)
            .collect();
        if partitions.len() < used {
            let carried = partitions.len();
            return Err(Failure::Failed(format!("of {used} stream partitions the broker carries {carried}")));
        }
        let slot = |(partition, _): &(u32, u32)| StreamPartition { stream: id, partition: *partition };
        let slots: Vec<StreamPartition> = partitions.iter().map(slot).collect();
        self.client.allot(&slots, ALLOTMENT).await.map_err(Failure::of)?;
        Ok(BenchStream { id, partitions, height })
    }

    /// How a process takes the place of the stopped broker `me` to bring batches to `node`.
    pub fn edge(&self, me: u32, node: u32, stream: &BenchStream) -> Connect {
        let broker = |number: u32| self.started.brokers[number as usize].clone();
        Connect {
            tls: self.options.directory.join(format!("brokers/{me}/tls")),
            me: broker(me),
            node: broker(node),
            chain_id: self.started.chain_id,
            coordinator: self.started.coordinator.clone(),
            opening_block: stream.height,
            stream: stream.id.to_string(),
            lanes: stream.partitions.clone(),
        }
    }

    /// Ends the process and removes the directory.
    pub async fn end(self) -> Result<(), Failure> {
        self.node.end().await?;
        self.directory.close().map_err(|error| Failure::Failed(format!("the directory stays: {error}")))
    }
}

/// Starts a process and the network in it.
pub async fn launch(options: &Start) -> Result<(Child, Started), Failure> {
    let mut node = Child::start(Role::Node)?;
    let started = node.ask(&Request::Start(options.clone())).await?;
    Ok((node, started))
}
