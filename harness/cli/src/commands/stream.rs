//! `weir stream`: streams and who may use them.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::Value;
use weir_client::time::{now_ms, parse_length_s, parse_time_ms};
use weir_client::{DEVELOPMENT_CHAIN_ID, EVERYBODY, Grant, NewStream};
use weir_kernel::coordinator::Retention;
use weir_kernel::ids::{Address, StreamId, StreamPartition};

use super::BYTES_A_MB;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;
use crate::tokens;

/// Create streams, find them, and say who may use them.
#[derive(Debug, Subcommand)]
pub enum StreamCommand {
    /// Create a stream and print its id
    #[command(after_help = "Examples:\n  weir stream create --name earthquakes --partitions 4\n  \
        weir stream create --name normals --description 'Hourly normals of Seattle' --public")]
    Create(Create),
    /// Show a stream
    #[command(after_help = "Example:\n  weir stream show ID")]
    Show {
        /// The stream's id
        stream: StreamId,
        /// Print the node's JSON object
        #[arg(long)]
        json: bool,
    },
    /// Find streams by owner or text; a line a stream: id, partitions, name
    #[command(after_help = "Examples:\n  weir stream search\n  weir stream search quakes --json\n  \
        weir stream search --owner 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")]
    Search {
        /// Only streams whose name or description holds this
        text: Option<String>,
        /// Only streams of this address
        #[arg(long, value_name = "ADDRESS")]
        owner: Option<Address>,
        /// Print the node's JSON objects, one a line
        #[arg(long)]
        json: bool,
    },
    /// Let somebody publish or subscribe
    #[command(after_help = "Examples:\n  weir stream grant ID 0x7099…79c8 --publish --subscribe\n  \
        weir stream grant ID everybody --subscribe --until 2030-01-01")]
    Grant(GrantArguments),
    /// Take rights away; both unless one is named
    #[command(after_help = "Examples:\n  weir stream revoke ID 0x7099…79c8\n  \
        weir stream revoke ID everybody --publish")]
    Revoke(RightsArguments),
    /// Say for how long and how much of a stream brokers keep
    #[command(after_help = "Examples:\n  weir stream retain ID --age 30d\n  \
        weir stream retain ID --age 2w --size-mb 500\n  weir stream retain ID --all\n\n\
        A bound that is not given is taken away. What is older, or more, is let go once it is sealed.")]
    Retain(RetainArguments),
}

/// A stream to create.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name, 1 to 128 bytes, unique among your streams
    #[arg(long)]
    pub name: String,
    /// What it carries, at most 4096 bytes
    #[arg(long, default_value = "")]
    pub description: String,
    /// How many partitions share its traffic, fixed for its life
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: u32,
    /// Let everybody subscribe
    #[arg(long)]
    pub public: bool,
    /// DATA to allot to each partition for what you publish [on a development network: 100, if you have it]
    #[arg(long, value_name = "AMOUNT", value_parser = tokens::parse)]
    pub allot: Option<u128>,
}

/// What is allotted to each partition of a new stream on a development network, in the token's smallest unit.
const DEVELOPMENT_ALLOTMENT: u128 = 100 * weir_kernel::coordinator::params::DATA;

/// Streams of more partitions get nothing by default: each allotment is a transaction.
const MAX_DEFAULT_ALLOTMENTS: u32 = 64;

/// Somebody's rights on a stream.
#[derive(Debug, Args)]
pub struct RightsArguments {
    /// The stream's id
    pub stream: StreamId,
    /// Whose rights: an address, or everybody
    #[arg(value_parser = parse_user)]
    pub user: Address,
    /// The right to publish
    #[arg(long)]
    pub publish: bool,
    /// The right to subscribe
    #[arg(long)]
    pub subscribe: bool,
}

/// Rights to give.
#[derive(Debug, Args)]
pub struct GrantArguments {
    #[command(flatten)]
    pub rights: RightsArguments,
    /// Until when, exclusive; for ever otherwise
    #[arg(long, value_name = "TIME", value_parser = parse_time_ms)]
    pub until: Option<u64>,
}

/// What of a stream is kept.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("bounds").args(["age", "size_mb", "all"]).required(true).multiple(true)))]
pub struct RetainArguments {
    /// The stream's id
    pub stream: StreamId,
    /// Events not older than this: 90s, 12h, 30d, 2w
    #[arg(long, value_name = "LENGTH", value_parser = parse_length_s)]
    pub age: Option<u64>,
    /// Of each partition the newest events with so many megabytes of content
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=MAX_SIZE_MB))]
    pub size_mb: Option<u64>,
    /// Everything, for ever
    #[arg(long, conflicts_with_all = ["age", "size_mb"])]
    pub all: bool,
}

/// The largest bound in megabytes that has room in a contract's 64 bits of bytes.
const MAX_SIZE_MB: u64 = u64::MAX / BYTES_A_MB;

fn parse_user(text: &str) -> Result<Address, String> {
    match text {
        "everybody" => Ok(EVERYBODY),
        _ => text.parse().map_err(|error| format!("neither an address nor everybody: {error}")),
    }
}

impl StreamCommand {
    /// Does it.
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::Show { stream, json } => show(stream, json, global).await,
            Self::Search { text, owner, json } => search(text.as_deref(), owner, json, global).await,
            Self::Grant(GrantArguments { rights, until }) => {
                let grant = rights.grant_until(until)?;
                rights.set(grant, global).await
            }
            Self::Revoke(rights) => {
                let grant = rights.revoked();
                rights.set(grant, global).await
            }
            Self::Retain(retain) => {
                let client = global.connect_to_write().await?;
                client.set_retention(retain.stream, retain.retention()).await.map_err(Failure::of)
            }
        }
    }
}

impl RetainArguments {
    fn retention(&self) -> Retention {
        let size_bytes = self.size_mb.map_or(0, |size_mb| size_mb * BYTES_A_MB);
        Retention { age_s: self.age.unwrap_or(0), size_bytes }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Failure> {
        let new = NewStream {
            name: self.name,
            description: self.description,
            partitions: self.partitions,
            public_subscribe: self.public,
            public_publish: false,
        };
        let client = global.connect_to_write().await?;
        let stream = client.create_stream(&new).await.map_err(Failure::of)?;
        let mut output = Output::new();
        output.line(stream.to_string())?;
        output.flush()?;
        let slots: Vec<_> =
            (0..self.partitions).map(|partition| StreamPartition { stream, partition }).collect();
        match self.allot {
            Some(amount) => client.allot(&slots, amount).await.map_err(Failure::of),
            None => {
                let few = self.partitions <= MAX_DEFAULT_ALLOTMENTS && client.info().fees.is_some();
                if few && client.info().chain_id == DEVELOPMENT_CHAIN_ID {
                    // Without tokens the stream is there all the same, and publishing says what to allot when.
                    let _ = client.allot(&slots, DEVELOPMENT_ALLOTMENT).await;
                }
                Ok(())
            }
        }
    }
}

impl RightsArguments {
    fn grant_until(&self, until_ms: Option<u64>) -> Result<Grant, Failure> {
        if !self.publish && !self.subscribe {
            return Err(Failure::Usage("nothing to grant: give --publish, --subscribe or both".into()));
        }
        if until_ms.is_some_and(|until_ms| until_ms <= now_ms()) {
            return Err(Failure::Usage(
                "--until lies in the past: give a later time, or revoke the right".into(),
            ));
        }
        let until_s = until_ms.map_or(u64::MAX, |until_ms| until_ms.div_ceil(1000));
        Ok(self.grant(self.publish, self.subscribe, until_s))
    }

    fn revoked(&self) -> Grant {
        let both = self.publish == self.subscribe;
        self.grant(self.publish || both, self.subscribe || both, 0)
    }

    fn grant(&self, publish: bool, subscribe: bool, until_s: u64) -> Grant {
        Grant { publish_until_s: publish.then_some(until_s), subscribe_until_s: subscribe.then_some(until_s) }
    }

    async fn set(self, grant: Grant, global: &Global) -> Result<(), Failure> {
        let client = global.connect_to_write().await?;
        client.grant(self.stream, self.user, grant).await.map_err(Failure::of)
    }
}

async fn show(stream: StreamId, json: bool, global: &Global) -> Result<(), Failure> {
    let client = global.connect_to_read().await?;
    let document = client.stream_document(stream).await.map_err(Failure::of)?;
    let mut output = Output::new();
    match &document {
        Value::Object(fields) if !json => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            for (name, value) in fields {
                output.line(format!("{name:width$}  {}", plain(value)))?;
            }
        }
        _ => output.line(document.to_string())?,
    }
    output.flush()
}

async fn search(
    text: Option<&str>,
    owner: Option<Address>,
    json: bool,
    global: &Global,
) -> Result<(), Failure> {
    let client = global.connect_to_read().await?;
    let streams = client.search(owner, text).await.map_err(Failure::of)?;
    let mut output = Output::new();
    for stream in &streams {
        if json {
            output.line(stream.to_string())?;
            continue;
        }
        let field = |name: &str| stream.get(name).map(plain).unwrap_or_default();
        output.line(format!("{}  {:>4}  {}", field("id"), field("partitions"), field("name")))?;
    }
    output.flush()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(publish: bool, subscribe: bool) -> RightsArguments {
        RightsArguments { stream: StreamId::ZERO, user: EVERYBODY, publish, subscribe }
    }

    #[test]
    fn a_grant_names_its_rights() {
        assert!(matches!(rights(false, false).grant_until(None), Err(Failure::Usage(_))));
        assert!(matches!(rights(true, false).grant_until(Some(1)), Err(Failure::Usage(_))));
        let grant = rights(true, false).grant_until(None).expect("a right");
        assert_eq!(grant, Grant { publish_until_s: Some(u64::MAX), subscribe_until_s: None });
        let later = now_ms() + 5_000_500;
        let grant = rights(false, true).grant_until(Some(later)).expect("a right");
        assert_eq!(grant.subscribe_until_s, Some(later.div_ceil(1000)));
    }

    #[test]
    fn revoking_takes_both_unless_one_is_named() {
        let both = Grant { publish_until_s: Some(0), subscribe_until_s: Some(0) };
        assert_eq!((rights(false, false).revoked(), rights(true, true).revoked()), (both, both));
        assert_eq!(
            rights(true, false).revoked(),
            Grant { publish_until_s: Some(0), subscribe_until_s: None }
        );
    }

    #[test]
    fn everybody_is_an_address() {
        assert_eq!(parse_user("everybody"), Ok(EVERYBODY));
        assert!(parse_user("0x12").expect_err("too short").contains("everybody"));
    }
}
