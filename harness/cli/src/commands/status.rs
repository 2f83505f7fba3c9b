//! `weir status`: the network as tables, or as one JSON object.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;
use crate::table::table;
use crate::tokens::shown as tokens;

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
    economy: Option<Economy>,
}

#[derive(Debug, Deserialize)]
struct Economy {
    coordinator: Coordinator,
    fees: Option<Fees>,
    successor: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Coordinator {
    stakes: String,
    pool: String,
    unpaid: String,
    reserve: String,
}

#[derive(Debug, Deserialize)]
struct Fees {
    deposits: String,
    settled: String,
    burned: String,
    lanes: u64,
    allotments: Vec<Allotment>,
}

#[derive(Debug, Deserialize)]
struct Allotment {
    publisher: String,
    stream: String,
    partition: u64,
    amount: String,
    shortfall: String,
    karma: String,
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
    #[serde(default)]
    claimed: String,
    #[serde(default)]
    tickets: u64,
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
            broker.tickets.to_string(),
            tokens(&broker.stake),
            tokens(&broker.earned),
            tokens(&broker.claimed),
            tokens(&broker.balance),
            format!("{:.1} %", broker.reliability * 100.0),
            broker.running.map_or("", |running| if running { "running" } else { "stopped" }).into(),
        ]
    });
    table(
        &mut lines,
        &["", "BROKER", "PARTITIONS", "TICKETS", "STAKE", "EARNED", "CLAIMED", "BALANCE", "RELIABILITY", ""],
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
    if let Some(economy) = &network.economy {
        economy_lines(&mut lines, economy);
    }
    Ok(lines)
}

fn economy_lines(lines: &mut Vec<String>, economy: &Economy) {
    let Coordinator { stakes, pool, unpaid, reserve } = &economy.coordinator;
    lines.push(String::new());
    lines.push(format!(
        "coordinator holds stakes {}, pool {}, unpaid rewards {}, reserve {} DATA",
        tokens(stakes),
        tokens(pool),
        tokens(unpaid),
        tokens(reserve)
    ));
    if let Some(successor) = &economy.successor {
        lines.push(format!(
            "the network is the coordinator {} from epoch {} on: nothing is sealed here after that",
            successor["coordinator"].as_str().unwrap_or_default(),
            successor["fromEpoch"]
        ));
    }
    let Some(fees) = &economy.fees else { return };
    lines.push(format!(
        "fees: {} DATA settled over {} lanes, {} burned, {} allotted",
        tokens(&fees.settled),
        fees.lanes,
        tokens(&fees.burned),
        tokens(&fees.deposits)
    ));
    lines.push(String::new());
    let allotments = fees.allotments.iter().map(|allotment| {
        vec![
            allotment.stream.clone(),
            allotment.partition.to_string(),
            short(&allotment.publisher, 10),
            tokens(&allotment.amount),
            tokens(&allotment.shortfall),
            tokens(&allotment.karma),
        ]
    });
    table(lines, &["STREAM", "PARTITION", "PUBLISHER", "ALLOTTED", "SHORTFALL", "KARMA"], allotments);
}

/// The first digits of an address or hash.
fn short(hex: &str, digits: usize) -> String {
    hex.chars().take(2 + digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "economy": {
                "coordinator": { "stakes": "20000000000000000000", "pool": "0", "unpaid": "0", "reserve": "0" },
                "fees": { "deposits": "0", "settled": "3250000000000000000", "burned": "0", "lanes": 7,
                    "allotments": [{ "publisher": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "partition": 2,
                        "stream": "0x0102", "amount": "9000000000000000000", "shortfall": "0", "karma": "0" }] },
            },
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
            "stakes 20,",
            "3.25 DATA settled over 7 lanes",
            "0x0102",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(tables(serde_json::json!({})).is_err());
    }
}
