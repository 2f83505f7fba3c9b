//! Users: publishers and subscribers over WebSocket, readers over HTTP, with the library that programs use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use weir_client::{
    Client, Delivery, Event, Fate, Key, Outcome, PublishOptions, PublishSession, Query, Start,
    SubscribeOptions, Subscription,
};
use weir_kernel::ids::{LaneId, StreamId};

use super::super::records;
use crate::failure::Failure;

/// How long the last deliveries are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Outcomes between a session and who counts them.
const QUEUE: usize = 1024;

/// A measurement of publishing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Publish {
    /// The network: `http://…`.
    pub url: String,
    /// The stream.
    pub stream: String,
    /// Publishers, each with a session of its own.
    pub publishers: u32,
    /// Events a second of each.
    pub rate: f64,
    /// For how long.
    pub seconds: f64,
}

/// How long events took.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Latencies {
    /// From handing an event to the publisher's session to its acknowledgement as stored, ascending.
    pub stored_ms: Vec<f64>,
    /// From there to a subscriber's having it, ascending.
    pub delivered_ms: Vec<f64>,
}

/// A measurement of the last events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Last {
    /// The network: `http://…`.
    pub url: String,
    /// The stream.
    pub stream: String,
    /// Its partition.
    pub partition: u32,
    /// How many events.
    pub events: u64,
    /// How often.
    pub times: u32,
}

/// An event's identity: lane and number in it.
type Identity = (LaneId, u64);

async fn client(url: &str) -> Result<Client, Failure> {
    Client::connect(url, Some(Key::development())).await.map_err(Failure::of)
}

/// Publishes at an even pace with one subscriber, and matches what was acknowledged and delivered with when it was
/// published.
pub async fn publish(wanted: &Publish) -> Result<Latencies, Failure> {
    let client = client(&wanted.url).await?;
    let stream: StreamId = wanted.stream.parse().map_err(Failure::of)?;
    let options = SubscribeOptions { from: Start::Latest, ..SubscribeOptions::default() };
    let subscription = Subscription::open(&client, stream, options).await.map_err(Failure::of)?;
    let delivered = Arc::<Mutex<BTreeMap<Identity, Instant>>>::default();
    let reading = tokio::spawn(read(subscription, Arc::clone(&delivered)));
    let publishers: Vec<_> = (0..wanted.publishers)
        .map(|nth| tokio::spawn(publisher(client.clone(), stream, wanted.clone(), nth)))
        .collect();
    let mut latencies = Latencies::default();
    let mut published: BTreeMap<Identity, Instant> = BTreeMap::new();
    for publisher in publishers {
        for (identity, begun, stored) in publisher.await.expect("a publisher does not panic")? {
            latencies.stored_ms.push((stored - begun).as_secs_f64() * 1e3);
            published.insert(identity, begun);
        }
    }
    let all = || delivered.lock().expect("no holder panics").len() >= published.len();
    let begin = Instant::now();
    while !all() && begin.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10)).await;
    }
    reading.abort();
    let delivered = delivered.lock().expect("no holder panics");
    for (identity, begun) in &published {
        let had = delivered.get(identity);
        let had = had.ok_or_else(|| Failure::Failed(format!("{identity:?} was stored and not delivered")))?;
        latencies.delivered_ms.push((*had - *begun).as_secs_f64() * 1e3);
    }
    latencies.stored_ms.sort_by(f64::total_cmp);
    latencies.delivered_ms.sort_by(f64::total_cmp);
    Ok(latencies)
}

#[derive(Deserialize)]
struct Delivered {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    sequence_number: u64,
    msg_chain_id: String,
}

async fn read(mut subscription: Subscription, delivered: Arc<Mutex<BTreeMap<Identity, Instant>>>) {
    while let Ok(delivery) = subscription.next().await {
        let now = Instant::now();
        let Delivery::Event(text) = delivery else { continue };
        let Ok(Delivered { metadata }) = serde_json::from_str(&text) else { continue };
        let Ok(lane) = metadata.msg_chain_id.parse() else { continue };
        delivered.lock().expect("no holder panics").insert((lane, metadata.sequence_number), now);
    }
}

/// Publishes evenly; gives for each event when it was handed over and when it was stored.
async fn publisher(
    client: Client,
    stream: StreamId,
    wanted: Publish,
    nth: u32,
) -> Result<Vec<(Identity, Instant, Instant)>, Failure> {
    let (sender, mut outcomes) = mpsc::channel(QUEUE);
    let options = PublishOptions { outcomes: Some(sender), ..PublishOptions::default() };
    let session = PublishSession::open(&client, stream, options).await.map_err(Failure::of)?;
    let counting = tokio::spawn(async move {
        let mut stored: Vec<(u64, Identity, Instant)> = Vec::new();
        while let Some(Outcome { index, fate }) = outcomes.recv().await {
            let Fate::Acknowledged { lane, sequence, .. } = fate else {
                return Err(Failure::Failed(format!("event {index} is not stored: {fate:?}")));
            };
            stored.push((index, (lane, sequence), Instant::now()));
        }
        Ok(stored)
    });
    let records = records::small();
    let mut begun = Vec::new();
    let period = Duration::from_secs_f64(1.0 / wanted.rate);
    // Publishers take turns rather than all at once.
    sleep(period * nth / wanted.publishers).await;
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for record in records.iter().cycle().take((wanted.rate * wanted.seconds) as usize) {
        ticks.tick().await;
        begun.push(Instant::now());
        session.publish(Event::new(record.clone())).await.map_err(Failure::of)?;
    }
    let report = session.finish().await;
    if !report.is_complete() {
        return Err(Failure::Failed(format!("not everything is stored: {report:?}")));
    }
    let stored = timeout(PATIENCE, counting).await.map_err(Failure::of)?;
    let stored = stored.expect("counting does not panic")?;
    Ok(stored.into_iter().map(|(index, identity, at)| (identity, begun[index as usize], at)).collect())
}

/// Asks for the last events, one question after the other; gives the milliseconds of each, ascending.
pub async fn last(wanted: &Last) -> Result<Vec<f64>, Failure> {
    let client = client(&wanted.url).await?;
    let stream: StreamId = wanted.stream.parse().map_err(Failure::of)?;
    let mut milliseconds = Vec::new();
    for _ in 0..wanted.times {
        let begin = Instant::now();
        let query = client.query(stream, Query::Last(wanted.events), Some(wanted.partition));
        let mut lines = query.await.map_err(Failure::of)?;
        let mut found = 0;
        while lines.next().await.map_err(Failure::of)?.is_some() {
            found += 1;
        }
        milliseconds.push(begin.elapsed().as_secs_f64() * 1e3);
        if found != wanted.events {
            return Err(Failure::Failed(format!("{found} of the last {} events came", wanted.events)));
        }
    }
    milliseconds.sort_by(f64::total_cmp);
    Ok(milliseconds)
}
