//! The whole system as a user meets it: the real binary, real disks, QUIC, signatures and contracts.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::Network;
use tokio_tungstenite::tungstenite::Message;

/// Events that the CLI publishes while the network is killed.
const CLI_EVENTS: usize = 20_000;

/// They come in groups of so many, with a pause between, so that the kill falls among them.
const GROUP: usize = 200;

/// Checks that events come once each, in the order of their partition, and returns their contents.
fn contents_in_order(lines: &[String]) -> Vec<Value> {
    let mut last: BTreeMap<(u64, String), u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut contents = Vec::new();
    for line in lines {
        let event: Value = serde_json::from_str(line).expect("each line is JSON");
        let metadata = &event["metadata"];
        let partition = metadata["partition"].as_u64().expect("a partition");
        let lane = metadata["msgChainId"].as_str().expect("a lane").to_string();
        let sequence = metadata["sequenceNumber"].as_u64().expect("a sequence");
        assert!(seen.insert((lane.clone(), sequence)), "twice: {line}");
        if let Some(before) = last.insert((partition, lane), sequence) {
            assert!(before < sequence, "out of order: {line}");
        }
        contents.push(event["content"].clone());
    }
    contents
}

fn sorted(mut values: Vec<Value>) -> Vec<String> {
    let mut texts: Vec<String> = values.drain(..).map(|value| value.to_string()).collect();
    texts.sort();
    texts
}

/// Publishes over WebSocket until the connection breaks; the contents that were acknowledged as stored.
async fn publish_over_websocket(url: String, stream: String) -> Vec<Value> {
    let mut stored = Vec::new();
    let address = format!("{url}/streams/{stream}/publish");
    let Ok((mut socket, _)) = tokio_tungstenite::connect_async(address).await else { return stored };
    for number in 0.. {
        let content = json!({ "over": "websocket", "number": number });
        if socket.send(Message::text(content.to_string())).await.is_err() {
            break;
        }
        let Some(Ok(Message::Text(answer))) = socket.next().await else { break };
        let answer: Value = serde_json::from_str(&answer).expect("answers are JSON");
        if answer["type"] == "ack" && answer["level"] == "stored" {
            stored.push(content);
        }
    }
    stored
}

/// Publishes over HTTP until the server is gone; the contents that were acknowledged as stored.
async fn publish_over_http(url: String, stream: String) -> Vec<Value> {
    let mut stored = Vec::new();
    let client = reqwest::Client::new();
    for number in 0.. {
        let content = json!({ "over": "http", "number": number });
        let sent = client.post(format!("{url}/streams/{stream}")).json(&content).send().await;
        let Ok(answer) = sent else { break };
        let success = answer.status() == 200;
        if success && answer.json::<Value>().await.is_ok_and(|answer| answer["level"] == "stored") {
            stored.push(content);
        }
    }
    stored
}

fn is_sealing(status: &Value) -> bool {
    status["partitions"].as_array().is_some_and(|partitions| {
        !partitions.is_empty() && partitions.iter().all(|partition| partition["checksum"] != zero_hash())
    })
}

fn zero_hash() -> Value {
    Value::from(format!("0x{}", "0".repeat(64)))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_everything_is_killed() {
    let mut network = Network::start(&["--block-ms", "250", "--no-samples"]);
    let stream = network.create_stream("killed", 4);
    let over_websocket = tokio::spawn(publish_over_websocket(network.websocket_url(), stream.clone()));
    let over_http = tokio::spawn(publish_over_http(network.url(), stream.clone()));
    let mut cli = network
        .command(&["publish", &stream, "--file", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut pipe = cli.stdin.take().expect("piped");
    let written = std::thread::spawn(move || {
        for number in 0..CLI_EVENTS {
            writeln!(pipe, "{}", json!({ "over": "cli", "number": number })).expect("the command reads on");
            if number % GROUP == 0 {
                std::thread::sleep(Duration::from_millis(15));
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let ended = cli.try_wait().expect("a child");
    assert!(ended.is_none() && !written.is_finished(), "the command line was done before the kill");
    network.kill();
    let mut acknowledged = over_websocket.await.expect("the publisher does not panic");
    acknowledged.extend(over_http.await.expect("the publisher does not panic"));
    assert!(acknowledged.len() > 2, "nothing was published before the kill: {}", acknowledged.len());

    network.start_again(&[]);
    // The command line goes on where it was: it resends what was not acknowledged.
    let result = tokio::task::spawn_blocking(move || {
        let code = cli.wait().expect("the command ends");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut cli.stdout.take().expect("piped"), &mut text).expect("UTF-8");
        (code, text)
    });
    let (code, text) = result.await.expect("waiting does not panic");
    let report: Value = serde_json::from_str(text.lines().last().expect("a last line")).expect("JSON");
    assert!(code.success(), "{report}");
    assert_eq!(report["stored"], CLI_EVENTS as u64, "{report}");

    let kept = contents_in_order(&network.lines(&["query", &stream, "from", "0"]));
    let texts: BTreeSet<String> = kept.iter().map(Value::to_string).collect();
    for content in &acknowledged {
        assert!(texts.contains(&content.to_string()), "lost: {content}");
    }
    let of_cli = kept.into_iter().filter(|content| content["over"] == "cli").collect();
    let wanted = (0..CLI_EVENTS).map(|number| json!({ "over": "cli", "number": number })).collect();
    assert_eq!(sorted(of_cli), sorted(wanted), "every event of the command line, once each");
    network.wait_for("seal of every partition", is_sealing);
}

#[tokio::test(flavor = "multi_thread")]
async fn real_records_come_back_whole_with_a_broker_stopped() {
    let network = Network::start(&["--block-ms", "250", "--no-samples"]);
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../node/data/earthquakes.jsonl");
    let input: Vec<Value> = std::fs::read_to_string(data)
        .expect("the committed records")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect();
    let stream = network.create_stream("quakes", 4);
    network.lines(&["broker", "stop", "2"]);
    let subscriber = {
        let count = input.len().to_string();
        network
            .command(&["subscribe", &stream, "--from", "all", "--count", &count])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs")
    };
    let report = network.lines(&[
        "publish",
        &stream,
        "--file",
        data,
        "--timestamp-field",
        "properties.time",
        "--json",
    ]);
    let report: Value = serde_json::from_str(report.last().expect("a last line")).expect("JSON");
    assert_eq!(report["stored"], input.len() as u64, "{report}");
    assert_eq!(report["refused"], 0, "{report}");

    let queried = network.lines(&["query", &stream, "range", "0", "2000000000000"]);
    assert_eq!(sorted(contents_in_order(&queried)), sorted(input.clone()));
    let delivered = tokio::task::spawn_blocking(move || subscriber.wait_with_output());
    let delivered = delivered.await.expect("no panic").expect("the subscriber ends");
    let delivered: Vec<String> =
        String::from_utf8(delivered.stdout).expect("UTF-8").lines().map(String::from).collect();
    assert_eq!(sorted(contents_in_order(&delivered)), sorted(input));

    network.lines(&["broker", "start", "2"]);
    let supply = network.status()["supply"].clone();
    let status = network.wait_for("seal and reward with all brokers", |status| {
        is_sealing(status)
            && status["brokers"].as_array().is_some_and(|b| b.iter().all(|broker| broker["earned"] != "0"))
    });
    assert_eq!(status["supply"], supply, "tokens are conserved");
    for partition in status["partitions"].as_array().expect("partitions") {
        let replicas: BTreeSet<String> = partition["replicas"]
            .as_array()
            .expect("replicas")
            .iter()
            .map(|replica| replica.as_str().expect("an address").to_string())
            .collect();
        assert_eq!(replicas.len(), 4, "distinct replicas: {partition}");
    }
}
