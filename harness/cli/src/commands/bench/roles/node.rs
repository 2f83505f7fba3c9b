//! The measured end: a network of brokers as `weir up` runs it, in a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_kernel::ids::{Address, Hash, PartitionId, StreamId, StreamPartition};
use weir_node::network::{Network, Options};

use super::super::simulated;
use super::streams;
use crate::failure::Failure;

/// What a node can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Start a network, or the one that is in this directory again. Answered by [`Started`].
    Start(Start),
    /// Where the partitions of a stream are. Answered by [`Homes`].
    Homes(String),
    /// Start one broker, with its store in this directory, whose chain has so many streams.
    Streams(PathBuf, u32),
    /// Simulate so many brokers that do nothing. Answered by the bytes that each takes, or nothing where the system
    /// does not tell.
    Idle(u32),
}

/// The network to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Where its state is.
    pub directory: PathBuf,
    /// How many brokers.
    pub brokers: u32,
    /// Replicas of a partition.
    pub replicas: u8,
    /// Partitions for each broker.
    pub partitions_per_broker: u32,
    /// Shards of each broker.
    pub shards: Option<u16>,
    /// Blocks an epoch, of a second each.
    pub epoch_blocks: u64,
    /// Brokers that are set up and then stopped.
    pub offline: Vec<u32>,
}

/// A network that runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started {
    /// Its interfaces: `http://…`.
    pub url: String,
    /// Its chain.
    pub chain_id: u64,
    /// Its coordinator.
    pub coordinator: String,
    /// Its brokers by number.
    pub brokers: Vec<Broker>,
}

/// A broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Broker {
    /// Its account.
    pub address: String,
    /// Where it listens for other brokers.
    pub quic: SocketAddr,
    /// The hash of its TLS key.
    pub tls_key_hash: String,
}

/// Where the partitions of a stream are.
#[derive(Debug, Serialize, Deserialize)]
pub struct Homes {
    /// The newest block: lanes can open there.
    pub height: u64,
    /// By stream partition: the partition that carries it now, and the accounts of that one's brokers.
    pub homes: Vec<(u32, Vec<String>)>,
}

/// The role's state.
#[derive(Default)]
pub struct Node {
    network: Option<Network>,
    broker: Option<weir_node::node::Node>,
}

impl Node {
    /// Does what is asked.
    pub async fn answer(&mut self, request: Request) -> Result<Value, Failure> {
        match request {
            Request::Start(start) => {
                let network = Network::start(start.options()).await.map_err(Failure::of)?;
                let started = started(&network)?;
                self.network = Some(network);
                Ok(json!(started))
            }
            Request::Streams(directory, count) => {
                let starting = tokio::task::spawn_blocking(move || streams::start(&directory, count));
                self.broker = Some(starting.await.expect("starting does not panic")?);
                Ok(Value::Null)
            }
            Request::Idle(brokers) => {
                let measuring = tokio::task::spawn_blocking(move || simulated::idle_bytes(brokers));
                Ok(json!(measuring.await.expect("a measurement does not panic")?))
            }
            Request::Homes(stream) => {
                let network = self.network.as_ref();
                let network = network.ok_or_else(|| Failure::Failed("no network was started".into()))?;
                Ok(json!(homes(network, stream.parse().map_err(Failure::of)?)?))
            }
        }
    }
}

impl Start {
    fn options(self) -> Options {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Options {
            brokers: Some(self.brokers),
            replicas: Some(self.replicas),
            partitions_per_broker: Some(self.partitions_per_broker),
            shards: self.shards,
            epoch_blocks: Some(self.epoch_blocks),
            block_time: Duration::from_secs(1),
            http: any,
            websocket: any,
            samples: false,
            offline: self.offline,
            ..Options::new(self.directory)
        }
    }
}

fn started(network: &Network) -> Result<Started, Failure> {
    let view = network.view();
    let broker = |broker: &weir_node::network::BrokerSummary| {
        let address: Address = broker.address.parse().map_err(Failure::of)?;
        let registered = view.broker_index(address).and_then(|index| view.broker(index));
        let registered = registered.ok_or_else(|| Failure::Failed(format!("{address} is no broker yet")))?;
        // One that is not started is where the chain says.
        let quic = broker.quic.map_or_else(|| registered.endpoint.parse().map_err(Failure::of), Ok)?;
        let tls_key_hash: Hash = registered.tls_key_hash;
        Ok(Broker { address: address.to_string(), quic, tls_key_hash: tls_key_hash.to_string() })
    };
    Ok(Started {
        url: format!("http://{}", network.http_addr()),
        chain_id: view.chain_id,
        coordinator: view.contracts.coordinator.to_string(),
        brokers: network.summary().brokers.iter().map(broker).collect::<Result<_, Failure>>()?,
    })
}

fn homes(network: &Network, stream: StreamId) -> Result<Homes, Failure> {
    let view = network.view();
    let partitions = view.stream(stream).map(|stream| stream.partitions);
    let partitions = partitions.ok_or_else(|| Failure::Failed(format!("there is no stream {stream}")))?;
    let home = |partition| {
        let PartitionId(home) = view.home(StreamPartition { stream, partition });
        let members = view.partition(PartitionId(home)).map(|partition| partition.members);
        let brokers = members.iter().flat_map(|members| members.brokers());
        (home, brokers.filter_map(|index| view.address_of(index)).map(|a| a.to_string()).collect())
    };
    Ok(Homes { height: view.height, homes: (0..partitions).map(home).collect() })
}
