//! `weir fees`: what publishing costs, and the DATA allotted for it.

use clap::{Args, Subcommand};
use serde::Deserialize;
use weir_client::Client;
use weir_kernel::ids::{StreamId, StreamPartition};

use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;
use crate::table::table;
use crate::tokens;

/// Allot DATA for what you publish, and take it back.
#[derive(Debug, Subcommand)]
pub enum FeesCommand {
    /// Show prices and allotments
    #[command(after_help = "Examples:\n  weir fees show\n  weir fees show ID")]
    Show {
        /// Only this stream's
        stream: Option<StreamId>,
    },
    /// Allot DATA to a stream: brokers take what you publish there as long as that covers it
    #[command(after_help = "Examples:\n  weir fees allot ID 100\n  weir fees allot ID 2.5 --partition 0")]
    Allot {
        #[command(flatten)]
        place: Place,
        /// DATA for each partition
        #[arg(value_parser = tokens::parse, value_name = "AMOUNT")]
        amount: u128,
    },
    /// Ask for allotted DATA back; run it again after the notice to get it
    #[command(
        after_help = "Examples:\n  weir fees withdraw ID\n  weir fees withdraw ID --amount 5 --partition 0"
    )]
    Withdraw {
        #[command(flatten)]
        place: Place,
        /// DATA from each partition; everything otherwise
        #[arg(long, value_parser = tokens::parse, value_name = "AMOUNT")]
        amount: Option<u128>,
    },
}

/// A stream, or one of its partitions.
#[derive(Debug, Args)]
pub struct Place {
    /// The stream's id
    stream: StreamId,
    /// Only this partition; all of the stream's otherwise
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
}

/// What the status says of fees.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fees {
    event_price: String,
    byte_price: String,
    free_events: u64,
    free_volume: u64,
    allotments: Vec<Allotment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Allotment {
    publisher: String,
    stream: String,
    partition: u32,
    amount: String,
    leaving: String,
    withdrawable_epoch: u64,
    shortfall: String,
    karma: String,
}

impl FeesCommand {
    /// Does it.
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::Show { stream } => show(stream, global).await,
            Self::Allot { place, amount } => {
                let client = global.connect_to_write().await?;
                let slots = place.slots(&client).await?;
                client.allot(&slots, amount).await.map_err(Failure::of)
            }
            Self::Withdraw { place, amount } => {
                let client = global.connect_to_write().await?;
                withdraw(&client, &place.slots(&client).await?, amount).await
            }
        }
    }
}

impl Place {
    async fn slots(&self, client: &Client) -> Result<Vec<StreamPartition>, Failure> {
        let count = client.stream(self.stream).await.map_err(Failure::of)?.partitions;
        let stream = self.stream;
        match self.partition {
            Some(partition) if partition >= count => Err(Failure::Usage(format!(
                "--partition {partition}: the stream's partitions are 0 to {}",
                count.saturating_sub(1)
            ))),
            Some(partition) => Ok(vec![StreamPartition { stream, partition }]),
            None => Ok((0..count).map(|partition| StreamPartition { stream, partition }).collect()),
        }
    }
}

/// The fees of a network, and its epoch.
async fn fees_of(client: &Client) -> Result<(Fees, u64), Failure> {
    let mut status = client.status().await.map_err(Failure::of)?;
    let epoch = status["chain"]["epoch"].as_u64().unwrap_or_default();
    let fees = status["economy"]["fees"].take();
    if fees.is_null() {
        return Err(Failure::Failed("this network has no LaneFees contract: publishing is free".into()));
    }
    let garbled = |error| Failure::Failed(format!("the node's fees cannot be read: {error}"));
    Ok((serde_json::from_value(fees).map_err(garbled)?, epoch))
}

async fn show(stream: Option<StreamId>, global: &Global) -> Result<(), Failure> {
    let client = global.connect_to_read().await?;
    let (fees, _) = fees_of(&client).await?;
    let mut lines = vec![format!(
        "an event costs {} DATA and each of its content bytes {} units of 10^-18 DATA; of each lane {} events and {} \
         bytes are free",
        tokens::shown(&fees.event_price),
        fees.byte_price,
        fees.free_events,
        fees.free_volume
    )];
    lines.push(String::new());
    allotment_table(&mut lines, &fees, stream);
    let mut output = Output::new();
    lines.into_iter().try_for_each(|line| output.line(line))?;
    output.flush()
}

fn allotment_table(lines: &mut Vec<String>, fees: &Fees, stream: Option<StreamId>) {
    let wanted = stream.map(|stream| stream.to_string());
    let rows = fees
        .allotments
        .iter()
        .filter(|allotment| wanted.as_ref().is_none_or(|wanted| *wanted == allotment.stream))
        .map(|allotment| {
            vec![
                allotment.stream.clone(),
                allotment.partition.to_string(),
                allotment.publisher.clone(),
                tokens::shown(&allotment.amount),
                tokens::shown(&allotment.leaving),
                tokens::shown(&allotment.shortfall),
                tokens::shown(&allotment.karma),
            ]
        });
    let head = ["STREAM", "PARTITION", "PUBLISHER", "ALLOTTED", "LEAVING", "SHORTFALL", "KARMA"];
    table(lines, &head, rows);
}

/// Asks for what is not asked for yet; takes what can be had.
async fn withdraw(client: &Client, slots: &[StreamPartition], amount: Option<u128>) -> Result<(), Failure> {
    let (fees, epoch) = fees_of(client).await?;
    let me = client.key().map(|key| key.address().to_string()).unwrap_or_default();
    let mut output = Output::new();
    let mut found = false;
    for slot in slots {
        let stream = slot.stream.to_string();
        let is_mine = |allotment: &&Allotment| {
            (&allotment.publisher, &allotment.stream, allotment.partition) == (&me, &stream, slot.partition)
        };
        let Some(allotment) = fees.allotments.iter().find(is_mine) else { continue };
        let allotted: u128 = allotment.amount.parse().unwrap_or_default();
        if allotted == 0 {
            continue;
        }
        found = true;
        let said = match (amount, allotment.leaving.as_str()) {
            (None, leaving) if leaving != "0" && epoch > allotment.withdrawable_epoch => {
                client.withdraw(*slot).await.map_err(Failure::of)?;
                format!("{} DATA taken back", tokens::shown(leaving))
            }
            (None, leaving) if leaving != "0" => format!(
                "{} DATA can be had after epoch {}; now is epoch {epoch}",
                tokens::shown(leaving),
                allotment.withdrawable_epoch
            ),
            (wanted, _) => {
                let wanted = wanted.unwrap_or(allotted);
                client.request_withdrawal(*slot, wanted).await.map_err(Failure::of)?;
                format!(
                    "{} DATA asked back: run this again after the notice",
                    tokens::shown(&wanted.to_string())
                )
            }
        };
        output.line(format!("partition {}: {said}", slot.partition))?;
    }
    if !found {
        return Err(Failure::Failed(format!("{me} has allotted nothing there: see `weir fees show`")));
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allotments_are_shown_by_stream() {
        let fees: Fees = serde_json::from_value(serde_json::json!({
            "eventPrice": "100000000000000", "bytePrice": "100", "freeEvents": 100, "freeVolume": 5,
            "deposits": "1", "settled": "0", "burned": "0", "lanes": 0,
            "allotments": [{ "publisher": "0xaa", "stream": StreamId([7; 20]).to_string(), "partition": 3,
                "amount": "2500000000000000000", "leaving": "0", "withdrawableEpoch": 0, "shortfall": "0",
                "karma": "0" }],
        }))
        .expect("the node's fees");
        let text = |stream| {
            let mut lines = Vec::new();
            allotment_table(&mut lines, &fees, stream);
            lines
        };
        assert!(text(None)[1].contains("2.5") && text(Some(StreamId([7; 20])))[1].contains("0xaa"));
        assert_eq!(text(Some(StreamId([8; 20]))).len(), 1);
    }
}
