//! Sample streams: real public records, published again and again, so that a new network has something to show.
//!
//! The streams belong to the development account, are public to read, and have one publisher of their own. An event's
//! time is the present; the record's own time stays in its content. The records are in `data/`, with their sources.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use weir_chain::bindings::{IStream, Stream};
use weir_chain::calldata;
use weir_chain::wallet::Wallet;
use weir_kernel::batch::content_type;
use weir_kernel::broker::Level;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{StreamId, StreamPartition};

use super::accounts;
use super::error::NetworkError;
use super::settings::Settings;
use super::transactions::{Sender, Sent};
use crate::service::publisher::Choice;
use crate::service::{Gateway, PublishEvent, Publisher};

/// Time between two events of a stream.
const PERIOD: Duration = Duration::from_millis(500);

/// How long an event may take to be stored before the next is published anyway.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// A sample stream.
pub struct Sample {
    /// Its name.
    pub name: &'static str,
    description: &'static str,
    partitions: u32,
    /// The field of a record that is its partition key.
    key: Option<&'static str>,
    records: fn() -> Vec<String>,
}

/// All sample streams.
pub static SAMPLES: [Sample; 3] = [
    Sample {
        name: "quakes",
        description: "Earthquakes of a week in February 2018 as GeoJSON features (USGS), two a second",
        partitions: 1,
        key: None,
        records: || lines(include_str!("../../data/earthquakes.jsonl")),
    },
    Sample {
        name: "weather",
        description: "Hourly weather normals of Seattle: pressure, temperature, wind (NOAA), two a second",
        partitions: 1,
        key: None,
        records: || rows(include_str!("../../data/weather.csv")),
    },
    Sample {
        name: "flights",
        description: "Departures in the United States with their delays (BTS), by origin, two a second",
        partitions: 2,
        key: Some("origin"),
        records: || lines(include_str!("../../data/flights.jsonl")),
    },
];

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// The rows of a table as JSON objects; cells are strings and hold no commas.
fn rows(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap_or_default().split(',').collect();
    let object = |line: &str| {
        let cells = line.split(',').map(serde_json::Value::from);
        let fields = names.iter().map(|name| (*name).to_owned()).zip(cells);
        serde_json::Value::Object(fields.collect()).to_string()
    };
    lines.map(object).collect()
}

/// Creates the sample streams that were never created, lets the publisher publish, and notes the ids in the settings.
/// A stream that its owner removed stays removed. Returns whether the settings changed.
pub async fn create(sender: &Sender, settings: &mut Settings) -> Result<bool, NetworkError> {
    let missing: Vec<_> = SAMPLES.iter().filter(|sample| settings.sample(sample.name).is_none()).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let view = sender.view();
    let registry = Address::from(view.contracts.registry.0);
    let owner = accounts::development();
    let mut sent: Vec<Sent> = Vec::new();
    for sample in &missing {
        if find(&view, sample.name).is_none() {
            let Sample { name, description, partitions, .. } = sample;
            let input = calldata::create_stream(name, description, *partitions, true, false);
            sent.push(sender.send(
                format!("creating the stream {name}"),
                &owner,
                registry,
                U256::ZERO,
                input,
            )?);
        }
    }
    sender.confirm(sent).await?;
    let view = sender.view();
    let publisher = accounts::sample_publisher().address();
    let mut sent = Vec::new();
    for sample in &missing {
        let name = sample.name;
        let stream = find(&view, name).ok_or_else(|| NetworkError::Transaction {
            what: format!("creating the stream {name}"),
            reason: "the registry does not list it".into(),
        })?;
        settings.samples.insert(name.to_owned(), stream.to_string());
        if !view.can_publish_at(stream, publisher, view.height, view.timestamp_s) {
            let permission = IStream::Permission {
                subscribeUntil: u64::MAX,
                publishUntil: u64::MAX,
                canGrant: false,
                canEdit: false,
                canDelete: false,
            };
            let call = Stream::setPermissionCall { user: Address::from(publisher.0), permission };
            let what = format!("letting the sample publisher publish to {name}");
            let input = call.abi_encode().into();
            sent.push(sender.send(what, &owner, Address::from(stream.0), U256::ZERO, input)?);
        }
    }
    sender.confirm(sent).await?;
    Ok(true)
}

/// Sees to it that the samples' publisher has allotted what their brokers are paid from.
pub async fn allot(sender: &Sender, settings: &Settings) -> Result<(), NetworkError> {
    let view = sender.view();
    if view.contracts.fees.is_zero() {
        return Ok(());
    }
    let (token, fees) = (Address::from(view.contracts.token.0), Address::from(view.contracts.fees.0));
    let key = accounts::sample_publisher();
    let publisher = key.address();
    let slots = SAMPLES.iter().filter_map(|sample| Some((settings.sample(sample.name)?, sample.partitions)));
    let slots = slots
        .flat_map(|(stream, count)| (0..count).map(move |partition| StreamPartition { stream, partition }));
    let missing: Vec<_> = slots
        .map(|slot| (slot, view.fees.allotment(publisher, slot).amount))
        .filter(|(_, amount)| *amount < accounts::SAMPLE_ALLOTMENT / 2)
        .map(|(slot, amount)| (slot, accounts::SAMPLE_ALLOTMENT - amount))
        .collect();
    let total: u128 = missing.iter().map(|(_, amount)| amount).sum();
    if total == 0 {
        return Ok(());
    }
    let wallet = Wallet::from_bytes(&key.to_bytes()).expect("a kernel key is a wallet key");
    let (what, account) = ("funding the sample publisher", Address::from(publisher.0));
    let lacking = total.saturating_sub(view.balance(publisher));
    if lacking > 0 {
        let gift = calldata::transfer(account, lacking);
        let sent = sender.send(what, &accounts::treasury(), token, U256::ZERO, gift)?;
        sender.confirm(vec![sent]).await?;
    }
    let what = "allotting tokens to the samples";
    let mut sent = vec![sender.send(what, &wallet, token, U256::ZERO, calldata::approve(fees, total))?];
    for (slot, amount) in missing {
        sent.push(sender.send(what, &wallet, fees, U256::ZERO, weir_chain::fees::allot(slot, amount))?);
    }
    sender.confirm(sent).await
}

fn find(view: &State, name: &str) -> Option<StreamId> {
    let owner = weir_kernel::ids::Address(accounts::development().address().into_array());
    view.stream_named(owner, name)
}

/// Publishes the samples in tasks of the set until those are aborted.
pub fn publish(gateway: &Arc<Gateway>, settings: &Settings, tasks: &mut JoinSet<()>) {
    let publisher = Arc::new(Publisher::new(Arc::clone(gateway), accounts::sample_publisher()));
    for sample in &SAMPLES {
        if let Some(stream) = settings.sample(sample.name) {
            tasks.spawn(publish_one(Arc::clone(&publisher), stream, sample));
        }
    }
}

async fn publish_one(publisher: Arc<Publisher>, stream: StreamId, sample: &'static Sample) {
    let records = (sample.records)();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A restarted network goes on about where it would be, instead of repeating the first records.
    let periods = u128::from(super::founding::now_s()) * 1000 / PERIOD.as_millis();
    let mut next = (periods % records.len() as u128) as usize;
    loop {
        ticks.tick().await;
        let record = &records[next];
        next = (next + 1) % records.len();
        let event = PublishEvent {
            content_type: content_type::JSON,
            content: record.clone().into_bytes(),
            timestamp_ms: None,
        };
        match publisher.publish(stream, &choice(sample, record), event, Level::Stored, None) {
            Ok(mut receipt) => {
                let progress = receipt.wait(Level::Stored, Instant::now() + STORE_PATIENCE).await;
                if let Some(refusal) = progress.refused {
                    tracing::warn!(stream = sample.name, reason = refusal.reason, "a sample was refused");
                }
            }
            Err(refusal) => {
                tracing::debug!(stream = sample.name, reason = refusal.reason, "a sample was refused");
            }
        }
    }
}

fn choice(sample: &Sample, record: &str) -> Choice {
    let Some(field) = sample.key else { return Choice::Partition(0) };
    let value: serde_json::Value = serde_json::from_str(record).unwrap_or_default();
    value[field].as_str().map_or(Choice::Content, |key| Choice::Key(key.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_a_json_object() {
        let counts = SAMPLES.each_ref().map(|sample| {
            let records = (sample.records)();
            for record in &records {
                let value: serde_json::Value = serde_json::from_str(record).unwrap();
                assert!(value.is_object(), "{}: {record}", sample.name);
                assert!(
                    !matches!((sample.key, choice(sample, record)), (Some(_), Choice::Content)),
                    "{record}"
                );
            }
            records.len()
        });
        assert_eq!(counts, [200, 500, 500]);
    }

    #[test]
    fn a_row_keeps_its_cells_as_strings() {
        let first = rows(include_str!("../../data/weather.csv")).remove(0);
        let expected =
            r#"{"date":"2010-01-01T01:00:00","pressure":"1016.6","temperature":"4.0","wind":"3.8"}"#;
        assert_eq!(first, expected);
    }
}
