//! `weir subscribe`: a live flow of events as JSON lines.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use weir_client::time::parse_time_ms;
use weir_client::{Delivery, Start, SubscribeOptions, Subscription};
use weir_kernel::ids::StreamId;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  weir subscribe ID
  weir subscribe ID --from all --count 100
  weir subscribe ID --from 2018-02-06T00:00:00Z --partitions 0,1 | jq .content

Each line is an object with content and metadata. A lost connection is taken up again without gaps
or duplicates. Ctrl-C, or a reader that closes the pipe, ends it with exit code 0.";

/// Follow a stream.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Subscribe {
    /// The stream's id
    pub stream: StreamId,
    /// Where to begin: latest, all, or a TIME (milliseconds since 1970 or ISO 8601)
    #[arg(long, value_name = "WHEN", default_value = "latest", value_parser = From::from_str)]
    pub from: From,
    /// End after this many events
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Only these stream partitions
    #[arg(long, value_name = "0,1,…", value_delimiter = ',')]
    pub partitions: Vec<u32>,
    /// Seconds that a lost connection is looked for
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub timeout: u64,
}

/// Where to begin, as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct From(pub Start);

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self(Start::Latest)),
            "all" => Ok(Self(Start::All)),
            _ => parse_time_ms(text)
                .map(|time_ms| Self(Start::Time(time_ms)))
                .map_err(|error| format!("neither latest nor all, and {error}")),
        }
    }
}

impl Subscribe {
    /// Subscribes and prints until the count, Ctrl-C or a closed pipe.
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        if self.count == Some(0) {
            return Ok(());
        }
        let client = global.connect_to_read().await?;
        let options = SubscribeOptions {
            from: self.from.0,
            partitions: self.partitions,
            timeout: Duration::from_secs(self.timeout),
        };
        let mut subscription =
            Subscription::open(&client, self.stream, options).await.map_err(Failure::of)?;
        let mut output = Output::new();
        let mut left = self.count.unwrap_or(u64::MAX);
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        while left > 0 {
            let delivery = tokio::select! {
                delivery = subscription.next() => delivery.map_err(Failure::of)?,
                _ = &mut interrupt => break,
            };
            match delivery {
                Delivery::Event(text) => {
                    output.json_line(text.as_bytes())?;
                    output.flush()?;
                    left -= 1;
                }
                Delivery::Withdrawn { lane, from } => eprintln!(
                    "weir: lane {lane} was forked by its publisher: its events from {from} on do not count"
                ),
            }
        }
        output.flush()
    }
}
