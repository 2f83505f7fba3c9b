//! What a network on this machine can be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use weir_kernel::broker::Shards;
use weir_kernel::coordinator::Params;
use weir_kernel::limits::MAX_SHARDS;

use super::error::NetworkError;
use super::settings::Settings;
use crate::node::layout::ShardCount;
use crate::service::limits::SLOW_READER;

/// Brokers of one network on one machine at most: each is a store, a socket and four threads, or more
/// of them with several shards.
pub const MAX_BROKERS: u32 = 64;

/// Partitions of one network on one machine at most.
pub const MAX_PARTITIONS: u32 = 1024;

/// What `weir up` can be told. What is `None` is as the network in the directory has it, or the default.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the network's state is.
    pub directory: PathBuf,
    /// How many brokers; 5 in a new network. With more than before some join, with fewer some leave.
    pub brokers: Option<u32>,
    /// R, the replicas of a partition; 4 in a new network, fixed for its life.
    pub replicas: Option<u8>,
    /// Partitions a broker of the new network; 2, fixed for its life.
    pub partitions_per_broker: Option<u32>,
    /// Shards of each broker, fixed for a broker's life; in new ones the machine's cores, divided among the brokers.
    pub shards: Option<u16>,
    /// Blocks an epoch; 8, fixed for the network's life.
    pub epoch_blocks: Option<u64>,
    /// Time between two blocks.
    pub block_time: Duration,
    /// Bytes on disk from which on a broker takes nothing new from publishers; `None` for no limit.
    pub disk_limit_bytes: Option<u64>,
    /// Where HTTP listens; port 0 picks one.
    pub http: SocketAddr,
    /// Where WebSocket clients connect; port 0 picks one.
    pub websocket: SocketAddr,
    /// Whether sample streams publish.
    pub samples: bool,
    /// How long a WebSocket subscriber may take nothing before it is closed as too slow.
    pub slow_reader: Duration,
    /// Brokers that are stopped once everything is set up, counted from 0.
    pub offline: Vec<u32>,
}

impl Options {
    /// The defaults, with state in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            brokers: None,
            replicas: None,
            partitions_per_broker: None,
            shards: None,
            epoch_blocks: None,
            block_time: Duration::from_secs(1),
            disk_limit_bytes: None,
            http: SocketAddr::from(([127, 0, 0, 1], 7171)),
            websocket: SocketAddr::from(([127, 0, 0, 1], 7170)),
            samples: true,
            slow_reader: SLOW_READER,
            offline: Vec::new(),
        }
    }

    /// How many brokers a new network has.
    pub(super) fn new_brokers(&self) -> u32 {
        self.brokers.unwrap_or(5)
    }

    /// The coordinator's parameters of a new network.
    pub(super) fn new_params(&self) -> Result<Params, NetworkError> {
        let (brokers, each) = (self.new_brokers(), self.new_partitions_per_broker());
        let replicas = self.replicas.unwrap_or(Params::default().replicas);
        let epoch_blocks = self.epoch_blocks.unwrap_or(Params::default().epoch_blocks);
        refuse(!(1..=8).contains(&replicas), || {
            format!("--replicas {replicas}: a partition has 1 to 8 replicas")
        })?;
        refuse(!(4..=100_000).contains(&epoch_blocks), || {
            format!(
                "--epoch-blocks {epoch_blocks}: an epoch has 4 to 100000 blocks, so that rounds fit into it"
            )
        })?;
        let partitions = brokers.saturating_mul(each);
        refuse(!(1..=MAX_PARTITIONS).contains(&partitions), || {
            format!(
                "--partitions-per-broker {each} with {brokers} brokers: a network here has 1 to {MAX_PARTITIONS}"
            )
        })?;
        let partitions_per_broker = u16::try_from(each).expect("no more than the partitions of a network");
        Ok(Params { replicas, partitions, partitions_per_broker, epoch_blocks, ..Params::default() })
    }

    /// Partitions a broker of a new network.
    pub(super) fn new_partitions_per_broker(&self) -> u32 {
        self.partitions_per_broker.unwrap_or(2)
    }

    /// How many shards each of so many brokers has.
    pub(super) fn shard_count(&self, brokers: u32) -> ShardCount {
        let asked = self.shards.and_then(Shards::new);
        asked.map_or_else(|| ShardCount::a_core(brokers), ShardCount::Exactly)
    }

    /// Checks what needs no network: counts and times.
    pub(super) fn check(&self) -> Result<(), NetworkError> {
        if let Some(brokers) = self.brokers {
            refuse(!(1..=MAX_BROKERS).contains(&brokers), || {
                format!("--brokers {brokers}: a network on one machine has 1 to {MAX_BROKERS} brokers")
            })?;
        }
        if let Some(shards) = self.shards {
            refuse(Shards::new(shards).is_none(), || {
                format!("--shards {shards}: a broker has 1 to {MAX_SHARDS} shards")
            })?;
        }
        let millis = self.block_time.as_millis();
        refuse(!(10..=3_600_000).contains(&millis), || {
            format!("--block-ms {millis}: a block takes 10 ms to 1 hour (3600000)")
        })
    }

    /// Checks against the network: its fixed parameters, and that a quorum of brokers runs.
    pub(super) fn check_against(&self, settings: &Settings, brokers: u32) -> Result<(), NetworkError> {
        let same = |what, found: u64, asked: Option<u64>| match asked {
            Some(asked) if asked != found => {
                Err(NetworkError::Changed { directory: self.directory.clone(), what, found, asked })
            }
            _ => Ok(()),
        };
        same("--replicas", settings.replicas.into(), self.replicas.map(u64::from))?;
        let each = self.partitions_per_broker.map(u64::from);
        same("--partitions-per-broker", settings.partitions_per_broker.into(), each)?;
        same("--epoch-blocks", settings.epoch_blocks, self.epoch_blocks)?;
        let quorum = settings.params().quorum() as u32;
        refuse(brokers < quorum, || {
            format!(
                "{brokers} brokers are too few for {} replicas a partition, of which {quorum} must agree: start at \
                 least {quorum} brokers (--brokers)",
                settings.replicas
            )
        })?;
        let stray = self.offline.iter().find(|offline| **offline >= brokers);
        refuse(stray.is_some(), || {
            let stray = stray.copied().unwrap_or_default();
            format!("--offline {stray}: brokers are numbered from 0 to {}", brokers - 1)
        })
    }
}

fn refuse(wrong: bool, message: impl FnOnce() -> String) -> Result<(), NetworkError> {
    if wrong { Err(NetworkError::Options(message())) } else { Ok(()) }
}
