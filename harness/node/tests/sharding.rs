//! Brokers of several shards: what is published to any partition is stored, sealed, read and delivered, across
//! restarts; the number of shards stays what it was.

mod allotting;

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use weir_kernel::ids::{StreamId, StreamPartition};
use weir_node::network::{Network, Options};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Partitions of the stream that is published to: they live in both shards of each broker.
const PARTITIONS: u32 = 8;

fn options(directory: &Path, shards: Option<u16>) -> Options {
    let any = "127.0.0.1:0".parse().unwrap();
    Options {
        brokers: Some(3),
        replicas: Some(3),
        partitions_per_broker: Some(2),
        epoch_blocks: Some(8),
        shards,
        block_time: Duration::from_millis(50),
        http: any,
        websocket: any,
        samples: false,
        ..Options::new(directory)
    }
}

async fn send(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

async fn post(network: &Network, path: &str, body: String) -> Value {
    send(reqwest::Client::new().post(format!("http://{}{path}", network.http_addr())).body(body)).await
}

async fn get(network: &Network, path: &str) -> Value {
    send(reqwest::Client::new().get(format!("http://{}{path}", network.http_addr()))).await
}

/// One event to each partition of the stream, each answered at `level`.
async fn publish(network: &Network, stream: StreamId, round: u32, level: &str) {
    for partition in 0..PARTITIONS {
        let path = format!("/streams/{stream}?partition={partition}&ack={level}");
        post(network, &path, format!("{{\"round\":{round},\"at\":{partition}}}")).await;
    }
}

/// What a partition holds, by round.
async fn rounds(network: &Network, stream: StreamId, partition: u32) -> Vec<u64> {
    let path = format!("/streams/{stream}/data/partitions/{partition}/last?count=10");
    let events = get(network, &path).await;
    events.as_array().unwrap().iter().map(|event| event["content"]["round"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_of_brokers_of_two_shards_keeps_and_delivers_everything() {
    let directory = tempfile::tempdir().unwrap();
    let network = Network::start(options(directory.path(), Some(2))).await.unwrap();
    let body = format!(r#"{{"name":"divided","partitions":{PARTITIONS},"public":true}}"#);
    let created = post(&network, "/streams", body).await;
    let stream: StreamId = created["id"].as_str().unwrap().parse().unwrap();
    for partition in 0..PARTITIONS {
        allotting::allot(&network, StreamPartition { stream, partition }, 1_000).await;
    }
    let homes: std::collections::BTreeSet<u32> = (0..PARTITIONS)
        .map(|partition| network.view().home(StreamPartition { stream, partition }).0 % 2)
        .collect();
    assert_eq!(homes.len(), 2, "the stream lives in both shards");

    let url = format!("ws://{}/streams/{stream}/subscribe?from=all", network.ws_addr());
    let (mut subscriber, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    publish(&network, stream, 1, "stored").await;
    // Who was told that it is stored finds it.
    for partition in 0..PARTITIONS {
        assert_eq!(rounds(&network, stream, partition).await, [1]);
    }
    publish(&network, stream, 2, "stored").await;
    let mut delivered = 0;
    while delivered < 2 * PARTITIONS {
        let next = timeout(PATIENCE, subscriber.next()).await.expect("events come").unwrap().unwrap();
        delivered += u32::from(matches!(next, Message::Text(_)));
    }
    drop(subscriber);

    let begin = Instant::now();
    let sealed = |network: &Network| network.view().partitions.iter().map(|p| p.events).sum::<u128>();
    while sealed(&network) < u128::from(2 * PARTITIONS) {
        assert!(begin.elapsed() < PATIENCE, "what both shards keep is sealed: {}", sealed(&network));
        sleep(Duration::from_millis(20)).await;
    }
    let status = get(&network, "/status").await;
    assert_eq!(status["partitions"].as_array().map(Vec::len), Some(6), "{status}");
    network.stop().await.unwrap();

    for number in 0..3 {
        let store = directory.path().join(format!("brokers/{number}/store"));
        assert!(store.join("SHARDS").is_file() && store.join("shard-1").is_dir(), "{}", store.display());
    }
    let again = |shards| Options {
        replicas: None,
        partitions_per_broker: None,
        epoch_blocks: None,
        ..options(directory.path(), shards)
    };
    let refused = Network::start(again(Some(1))).await.err().unwrap().to_string();
    assert!(refused.contains("was made for 2 shards, not 1"), "{refused}");
    let network = Network::start(again(None)).await.unwrap();
    publish(&network, stream, 3, "stored").await;
    for partition in 0..PARTITIONS {
        assert_eq!(rounds(&network, stream, partition).await, [1, 2, 3]);
    }
    network.stop().await.unwrap();
}
