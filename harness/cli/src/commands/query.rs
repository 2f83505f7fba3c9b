//! `weir query`: history as JSON lines, in order of (timestamp, lane, sequence).

use clap::{Args, Subcommand};
use weir_client::Query;
use weir_client::time::parse_time_ms;
use weir_kernel::ids::StreamId;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  weir query ID last 10
  weir query ID from 2018-02-06T00:00:00Z | jq .content.properties.mag
  weir query ID range 1517900000000 1517966773840 --partition 2

A TIME is milliseconds since 1970 or ISO 8601; ranges include both ends.
The exit code is 0 only if the answer is whole.";

/// Read history.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct QueryArguments {
    /// The stream's id
    pub stream: StreamId,
    /// Only this stream partition; all of them otherwise
    #[arg(long, global = true, value_name = "P")]
    pub partition: Option<u32>,
    #[command(subcommand)]
    pub what: What,
}

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum What {
    /// The last events
    #[command(after_help = "Example:\n  weir query ID last 10")]
    Last {
        /// How many
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        count: u64,
    },
    /// Everything at or after a time
    #[command(after_help = "Example:\n  weir query ID from 2018-02-06T00:00:00Z")]
    From {
        /// The time
        #[arg(value_parser = parse_time_ms)]
        time: u64,
    },
    /// Everything between two times, both included
    #[command(after_help = "Example:\n  weir query ID range 2018-02-01 2018-02-02")]
    Range {
        /// The first time
        #[arg(value_parser = parse_time_ms)]
        from: u64,
        /// The last time
        #[arg(value_parser = parse_time_ms)]
        to: u64,
    },
}

impl QueryArguments {
    /// Reads and prints.
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let query = match self.what {
            What::Last { count } => Query::Last(count),
            What::From { time } => Query::From(time),
            What::Range { from, to } if from > to => {
                return Err(Failure::Usage(
                    "the range ends before it begins: give the earlier time first".into(),
                ));
            }
            What::Range { from, to } => Query::Range(from, to),
        };
        let client = global.connect_to_read().await?;
        let mut lines = client.query(self.stream, query, self.partition).await.map_err(Failure::of)?;
        let mut output = Output::new();
        loop {
            match lines.next().await {
                Ok(Some(line)) => output.json_line(&line)?,
                Ok(None) => return output.flush(),
                Err(error) => {
                    output.flush()?;
                    return Err(Failure::Failed(format!(
                        "{error}; the lines above are not the whole answer"
                    )));
                }
            }
        }
    }
}
