//! The commands, one a file.

mod bench;
mod broker;
mod fees;
mod key;
mod publish;
mod query;
mod replay;
mod scenario;
mod shrink;
mod sim;
mod status;
mod stream;
mod subscribe;
mod tapes;
mod up;

use clap::Subcommand;

use crate::failure::Failure;
use crate::global::Global;

/// Bytes of a megabyte in every option that counts them.
const BYTES_A_MB: u64 = 1_000_000;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole network on this machine
    Up(up::Up),
    /// Create streams, find them, and say who may use them
    #[command(subcommand)]
    Stream(stream::StreamCommand),
    /// Publish events from a file or a pipe
    Publish(publish::Publish),
    /// Follow a stream: its events as JSON lines
    Subscribe(subscribe::Subscribe),
    /// Read a stream's history as JSON lines
    Query(query::QueryArguments),
    /// Show the network: brokers, partitions, seals, rewards
    Status(status::Status),
    /// Allot DATA for what you publish, and take it back
    #[command(subcommand)]
    Fees(fees::FeesCommand),
    /// Make and show keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Stop and start brokers of a network on this machine
    #[command(subcommand)]
    Broker(broker::BrokerCommand),
    /// Simulate networks, one for each seed, until a promise does not hold
    Sim(sim::Sim),
    /// Repeat a simulated run, from its tape or its seed, and read it
    Replay(replay::Replay),
    /// Shrink a tape whose run breaks a promise
    Shrink(shrink::Shrink),
    /// Measure this machine: rates, latencies, gas
    Bench(bench::Bench),
    /// What `weir bench` starts to measure
    #[command(hide = true)]
    BenchNode(bench::BenchNode),
    /// What `weir bench` starts to load it
    #[command(hide = true)]
    BenchLoad(bench::BenchLoad),
}

/// Does it.
pub async fn run(command: Command, global: &Global) -> Result<(), Failure> {
    match command {
        Command::Up(up) => up.run().await,
        Command::Stream(command) => command.run(global).await,
        Command::Publish(command) => command.run(global).await,
        Command::Subscribe(command) => command.run(global).await,
        Command::Query(command) => command.run(global).await,
        Command::Status(command) => command.run(global).await,
        Command::Fees(command) => command.run(global).await,
        Command::Key(command) => command.run(global).await,
        Command::Broker(command) => command.run(global).await,
        Command::Sim(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Shrink(command) => command.run(),
        Command::Bench(command) => command.run().await,
        Command::BenchNode(command) => command.run().await,
        Command::BenchLoad(command) => command.run().await,
    }
}
