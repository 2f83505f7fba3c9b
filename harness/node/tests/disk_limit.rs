//! A broker whose disk holds as much as its operator allows: it refuses what is new and says why, keeps and seals what
//! it acknowledged, and takes new events again once it may keep more.

mod allotting;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use weir_kernel::ids::{StreamId, StreamPartition};
use weir_node::network::{Network, Options};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the broker may keep: some tens of the events below.
const LIMIT_BYTES: u64 = 200_000;

/// Bytes of an event's content.
const EVENT_BYTES: usize = 4_000;

fn options(directory: &Path) -> Options {
    let any = "127.0.0.1:0".parse().unwrap();
    let block_time = Duration::from_millis(50);
    Options {
        shards: Some(2),
        block_time,
        http: any,
        websocket: any,
        samples: false,
        ..Options::new(directory)
    }
}

async fn send(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    (status, serde_json::from_str(&text).unwrap())
}

async fn post(network: &Network, path: &str, body: String) -> (u16, Value) {
    send(reqwest::Client::new().post(format!("http://{}{path}", network.http_addr())).body(body)).await
}

/// Publishes one event to a partition.
async fn publish(network: &Network, slot: StreamPartition) -> (u16, Value) {
    let path = format!("/streams/{}?partition={}&ack=stored", slot.stream, slot.partition);
    post(network, &path, format!("{{\"filler\":\"{}\"}}", "x".repeat(EVENT_BYTES))).await
}

async fn kept(network: &Network, slot: StreamPartition) -> usize {
    let path = format!("/streams/{}/data/partitions/{}/last?count=1000", slot.stream, slot.partition);
    let url = format!("http://{}{path}", network.http_addr());
    let (status, events) = send(reqwest::Client::new().get(url)).await;
    assert_eq!(status, 200, "{events}");
    events.as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_nothing_new_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let limited = Options {
        brokers: Some(1),
        replicas: Some(1),
        partitions_per_broker: Some(2),
        epoch_blocks: Some(8),
        disk_limit_bytes: Some(LIMIT_BYTES),
        ..options(directory.path())
    };
    let network = Network::start(limited).await.unwrap();
    let (_, created) =
        post(&network, "/streams", r#"{"name":"much","partitions":2,"public":true}"#.into()).await;
    let stream: StreamId = created["id"].as_str().unwrap().parse().unwrap();
    let slots = [0, 1].map(|partition| StreamPartition { stream, partition });
    for slot in slots {
        allotting::allot(&network, slot, 1_000).await;
    }

    // Both partitions fill the same disk.
    let begin = Instant::now();
    let mut stored = [0; 2];
    let refusal = 'full: loop {
        for (slot, stored) in slots.into_iter().zip(&mut stored) {
            match publish(&network, slot).await {
                (200, _) => *stored += 1,
                refused => break 'full refused,
            }
        }
        assert!(begin.elapsed() < PATIENCE, "the disk is full at some time: {stored:?}");
    };
    assert_eq!(refusal.0, 429, "{refusal:?}");
    assert!(refusal.1.to_string().contains("disk holds as much as its operator allows"), "{refusal:?}");
    let bytes = (stored[0] + stored[1]) * EVENT_BYTES;
    assert!(bytes as u64 > LIMIT_BYTES / 4, "it is not full from the first: {stored:?}");

    // What was acknowledged is there, and is sealed all the same.
    let sealed = |network: &Network| network.view().partitions.iter().map(|p| p.events).sum::<u128>();
    while sealed(&network) < (stored[0] + stored[1]) as u128 {
        assert!(begin.elapsed() < PATIENCE, "what is kept is sealed: {} of {stored:?}", sealed(&network));
        sleep(Duration::from_millis(20)).await;
    }
    for (slot, stored) in slots.into_iter().zip(stored) {
        assert_eq!(kept(&network, slot).await, stored);
    }
    network.stop().await.unwrap();

    let network = Network::start(options(directory.path())).await.unwrap();
    for (slot, stored) in slots.into_iter().zip(stored) {
        let answer = publish(&network, slot).await;
        assert_eq!(answer.0, 200, "it may keep more now: {answer:?}");
        assert_eq!(kept(&network, slot).await, stored + 1);
    }
    network.stop().await.unwrap();
}
