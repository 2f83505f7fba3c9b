//! `weir broker`: stops and starts brokers of a network that runs on this machine.

use clap::Subcommand;
use weir_client::Client;

use crate::failure::Failure;
use crate::global::Global;

/// Stop and start brokers.
#[derive(Debug, Subcommand)]
pub enum BrokerCommand {
    /// Stop a broker: the others go on
    #[command(after_help = "Example:\n  weir broker stop 3")]
    Stop {
        /// Which: its number, from 0
        broker: u32,
    },
    /// Start a stopped broker: it fetches what it missed
    #[command(after_help = "Example:\n  weir broker start 3")]
    Start {
        /// Which: its number, from 0
        broker: u32,
    },
}

impl BrokerCommand {
    /// Does it.
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let (broker, running) = match self {
            Self::Stop { broker } => (broker, false),
            Self::Start { broker } => (broker, true),
        };
        // Being on this machine is what counts: a key would only say that somebody else asks.
        let client = Client::connect(&global.url, None).await.map_err(Failure::of)?;
        client.set_broker(broker, running).await.map_err(Failure::of)
    }
}
