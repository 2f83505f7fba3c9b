//! `weir status`: the network as tables, or as one JSON object.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;

/// The token has 18 decimals.
const DECIMALS: usize = 18;

/// Show the network.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  weir status\n  weir status --json | jq '.partitions[].epoch'")]
pub struct Status {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Deserialize)]
struct Network {
    chain: Chain,
    brokers: Vec<Broker>,
    partitions: Vec<Partition>,
    events: u64,
    supply: String,
}

#[derive(Debug, Deserialize)]
struct Chain {
    id: u64,
    height: u64,
}

#[derive(Debug, Deserialize)]
struct Broker {
    number: Option<u64>,
    address: String,
    partitions: u64,
    stake: String,
    earned: String,
    balance: String,
    reliability: f64,
    running: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    id: u64,
    replicas: Vec<String>,
    epoch: u64,
    checksum: String,
    events: u64,
}

impl Status {
    /// Asks and prints.
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let client = global.connect_to_read().await?;
        let status = client.status().await.map_err(Failure::of)?;
        let mut output = Output::new();
        if self.json {
            output.line(status.to_string())?;
        } else {
            tables(status)?.into_iter().try_for_each(|line| output.line(line))?;
        }
        output.flush()
    }
}

fn tables(status: Value) -> Result<Vec<String>, Failure> {
    let network: Network = serde_json::from_value(status).map_err(|error| {
        Failure::Failed(format!("the node's status cannot be shown: {error}; see it with --json"))
    })?;
    let mut lines = vec![format!(
        "chain {} at block {}, {} events kept, supply {} DATA",
        network.chain.id,
        network.chain.height,
        network.events,
        tokens(&network.supply)
    )];
    lines.push(String::new());
    let brokers = network.brokers.iter().map(|broker| {
        vec![
            broker.number.map_or_else(String::new, |number| number.to_string()),
            short(&broker.address, 10),
            broker.partitions.to_string(),
            tokens(&broker.stake),
            tokens(&broker.earned),
            tokens(&broker.balance),
            format!("{:.1} %", broker.reliability * 100.0),
            broker.running.map_or("", |running| if running { "running" } else { "stopped" }).into(),
        ]
    });
    table(
        &mut lines,
        &["", "BROKER", "PARTITIONS", "STAKE", "EARNED", "BALANCE", "RELIABILITY", ""],
        brokers,
    );
    lines.push(String::new());
    let partitions = network.partitions.iter().map(|partition| {
        vec![
            partition.id.to_string(),
            partition.replicas.iter().map(|replica| short(replica, 6)).collect::<Vec<_>>().join(" "),
            partition.epoch.to_string(),
            short(&partition.checksum, 10),
            partition.events.to_string(),
        ]
    });
    table(&mut lines, &["PARTITION", "REPLICAS", "SEALED EPOCH", "CHECKSUM", "EVENTS"], partitions);
    Ok(lines)
}

fn table(lines: &mut Vec<String>, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let rows: Vec<Vec<String>> =
        std::iter::once(head.iter().map(|name| (*name).to_owned()).collect()).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        lines.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
    }
}

/// The first digits of an address or hash.
fn short(hex: &str, digits: usize) -> String {
    hex.chars().take(2 + digits).collect()
}

/// An amount in the token's smallest unit, in whole tokens with up to four decimals, cut and not rounded.
fn tokens(amount: &str) -> String {
    if amount.is_empty() || !amount.bytes().all(|byte| byte.is_ascii_digit()) {
        return amount.into();
    }
    let padded = format!("{amount:0>width$}", width = DECIMALS + 1);
    let (whole, fraction) = padded.split_at(padded.len() - DECIMALS);
    let whole = whole.trim_start_matches('0');
    let fraction = fraction[..4].trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.into() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_cut_to_whole_tokens() {
        for (amount, shown) in [
            ("0", "0"),
            ("1", "0"),
            ("1000000000000000000", "1"),
            ("1234567890000000000000", "1234.5678"),
            ("500000000000000000", "0.5"),
            ("none", "none"),
        ] {
            assert_eq!(tokens(amount), shown, "{amount}");
        }
    }

    #[test]
    fn the_tables_show_what_the_json_says() {
        let status = serde_json::json!({
            "chain": { "id": 31337, "height": 90, "epoch": 11 },
            "brokers": [{ "number": 7, "address": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "partitions": 3,
                "stake": "5000000000000000000", "earned": "1500000000000000000",
                "balance": "7000000000000000000", "reliability": 0.75, "running": true }],
            "partitions": [{ "id": 4, "replicas": ["0x70997970c51812dc3a010c7d01b50e0d17dc79c8"], "epoch": 9,
                "checksum": "0xabcdef0123456789", "events": 1707, "sealed": 1700 }],
            "events": 1707,
            "supply": "1000000000000000000000",
        });
        let text = tables(status).expect("a status").join("\n");
        for part in [
            "block 90",
            "1707 events",
            "1000 DATA",
            "0x7099797",
            "1.5",
            "75.0 %",
            "running",
            "0xabcdef0123",
            "7  0x7099",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(tables(serde_json::json!({})).is_err());
    }
}
