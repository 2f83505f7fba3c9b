//! Bad input against a running network: a clear error with a reason, nothing lost, nobody else disturbed.

mod support;

use std::io::Write as _;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::Network;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use weir_kernel::batch::{Batch, LaneWriter, NewEvent, content_type};
use weir_kernel::ids::{Hash, StreamId, StreamPartition};
use weir_kernel::signature::{SECP256K1, SecretKey, Signature};

const CHAIN_ID: u64 = 31337;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The key that `weir` signs with on a development chain: it owns the streams that the command line creates.
fn owner() -> SecretKey {
    let bytes: [u8; 32] = hex::decode("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
        .expect("hexadecimal digits")
        .try_into()
        .expect("32 bytes");
    SecretKey::from_bytes(&bytes).expect("a valid key")
}

fn lane(stream: StreamId, key: &SecretKey, height: u64, nonce: u8) -> LaneWriter {
    let slot = StreamPartition { stream, partition: 0 };
    LaneWriter::new(slot, key.address(), height, [nonce; 16], Hash::ZERO, SECP256K1)
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("before the year 500,000,000")
}

fn batch(lane: &mut LaneWriter, key: &SecretKey, time_ms: u64, content: &Value) -> Batch {
    let event = NewEvent::new(time_ms, content_type::JSON, content.to_string().into_bytes());
    let unsigned = lane.next_batch(vec![event]).expect("one event fits");
    let signature = Signature::Secp256k1(key.sign_hash(&unsigned.signing_hash(CHAIN_ID)));
    unsigned.sign(signature).expect("the lane is signed with this type")
}

async fn open(network: &Network, stream: StreamId) -> Socket {
    let address = format!("{}/streams/{stream}/publish", network.websocket_url());
    tokio_tungstenite::connect_async(address).await.expect("the stream exists").0
}

/// Sends a message and takes the answer.
async fn answer(socket: &mut Socket, message: Message) -> Value {
    socket.send(message).await.expect("the connection stands");
    loop {
        let next =
            tokio::time::timeout(Duration::from_secs(60), socket.next()).await.expect("an answer in time");
        match next.expect("the connection stands").expect("a message") {
            Message::Text(text) => return serde_json::from_str(&text).expect("answers are JSON"),
            _ => continue,
        }
    }
}

async fn send(socket: &mut Socket, batch: &Batch) -> Value {
    answer(socket, Message::binary(batch.bytes().to_vec())).await
}

fn assert_refused(answer: &Value, code: &str) {
    assert_eq!((&answer["type"], &answer["code"]), (&json!("refused"), &json!(code)), "{answer}");
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.len() > 10), "a reason: {answer}");
}

fn assert_stored(answer: &Value) {
    assert_eq!((&answer["type"], &answer["level"]), (&json!("ack"), &json!("stored")), "{answer}");
}

async fn refused_batches(network: &Network, stream: StreamId, height: u64) {
    let key = owner();
    let mut socket = open(network, stream).await;
    assert_refused(&answer(&mut socket, Message::binary(vec![7; 300])).await, "invalid");
    assert_refused(&answer(&mut socket, Message::text("{\"half\": ")).await, "invalid");

    let good = batch(&mut lane(stream, &key, height, 1), &key, now_ms(), &json!("good"));
    let mut unknown_version = good.bytes().to_vec();
    unknown_version[0] = 9;
    assert_refused(&answer(&mut socket, Message::binary(unknown_version)).await, "invalid");
    let mut bad_signature = good.bytes().to_vec();
    bad_signature[230] ^= 1;
    assert_refused(&answer(&mut socket, Message::binary(bad_signature)).await, "invalid");

    let stranger = SecretKey::from_bytes(&[3; 32]).expect("a valid key");
    let forbidden = batch(&mut lane(stream, &stranger, height, 2), &stranger, now_ms(), &json!("forbidden"));
    assert_refused(&send(&mut socket, &forbidden).await, "unauthorized");

    let tomorrow = now_ms() + 86_400_000;
    let future = batch(&mut lane(stream, &key, height, 3), &key, tomorrow, &json!("future"));
    assert_refused(&send(&mut socket, &future).await, "out-of-order");

    // What was refused left no trace: the same connection goes on.
    assert_stored(&send(&mut socket, &good).await);
}

async fn replays_and_forks(network: &Network, stream: StreamId, height: u64) {
    let key = owner();
    let mut socket = open(network, stream).await;
    let mut honest = lane(stream, &key, height, 4);
    let first = batch(&mut honest, &key, now_ms(), &json!("first"));
    assert_stored(&send(&mut socket, &first).await);
    assert_stored(&send(&mut socket, &first).await);

    let mut forking = lane(stream, &key, height, 5);
    let base = batch(&mut forking, &key, now_ms(), &json!("base"));
    assert_stored(&send(&mut socket, &base).await);
    let mut other = forking.clone();
    let left = batch(&mut forking, &key, now_ms(), &json!("left"));
    let right = batch(&mut other, &key, now_ms(), &json!("right"));
    assert_stored(&send(&mut socket, &left).await);
    assert_refused(&send(&mut socket, &right).await, "forked");
    let after = batch(&mut forking, &key, now_ms(), &json!("after"));
    assert_refused(&send(&mut socket, &after).await, "forked");

    // Another lane of the same publisher is not disturbed.
    let second = batch(&mut honest, &key, now_ms(), &json!("second"));
    assert_stored(&send(&mut socket, &second).await);
}

async fn bad_http(network: &Network, stream: StreamId) {
    let client = reqwest::Client::new();
    let nowhere = format!("{}/streams/0x{}", network.url(), "11".repeat(20));
    let here = format!("{}/streams/{stream}", network.url());
    let cases = [
        (client.post(&here).header("content-type", "application/json").body("{\"half\": "), 400, "invalid"),
        (client.post(&nowhere).json(&json!(1)), 404, "not-found"),
        (client.get(format!("{here}/data/partitions/99/last?count=1")), 400, "invalid"),
        (client.get(format!("{here}/data/partitions/0/last?count=many")), 400, "invalid"),
        (client.post(&here).body(vec![b'1'; 6 << 20]), 413, "too-large"),
    ];
    for (request, status, code) in cases {
        let response = request.send().await.expect("an answer");
        let got = response.status().as_u16();
        let body: Value = response.json().await.expect("errors are JSON");
        assert_eq!((got, &body["code"]), (status, &json!(code)), "{body}");
        assert!(body["reason"].is_string(), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_a_reason_and_disturbs_nobody() {
    let network = Network::start(&["--brokers", "4", "--block-ms", "250", "--no-samples"]);
    let id = network.create_stream("bad", 2);
    let stream: StreamId = id.parse().expect("an id");
    let height = network.status()["chain"]["height"].as_u64().expect("a height");

    refused_batches(&network, stream, height).await;
    replays_and_forks(&network, stream, height).await;
    bad_http(&network, stream).await;

    let address = network.websocket_url().replace("ws://", "");
    let mut garbage = std::net::TcpStream::connect(address).expect("the port is open");
    garbage.write_all(&[0xff; 4096]).expect("garbage can be sent");

    // The fork is sealed away: its unsealed branches are gone, everything else is there once.
    let texts = |lines: Vec<String>| -> Vec<String> {
        let content =
            |line: &String| serde_json::from_str::<Value>(line).expect("JSON")["content"].to_string();
        let mut contents: Vec<String> = lines.iter().map(content).collect();
        contents.sort();
        contents
    };
    let epoch = network.status()["chain"]["epoch"].as_u64().expect("an epoch");
    network.wait_for("seal after the fork", |status| {
        status["partitions"]
            .as_array()
            .is_some_and(|partitions| partitions.iter().all(|p| p["epoch"].as_u64() > Some(epoch)))
    });
    let kept = texts(network.lines(&["query", &id, "from", "0"]));
    for wanted in ["\"good\"", "\"first\"", "\"second\""] {
        assert_eq!(kept.iter().filter(|content| *content == wanted).count(), 1, "{wanted} in {kept:?}");
    }
    for gone in ["\"right\"", "\"after\"", "\"future\"", "\"forbidden\""] {
        assert!(!kept.contains(&gone.to_string()), "{gone} in {kept:?}");
    }
}

#[test]
fn a_second_network_on_the_same_directory_or_port_says_so() {
    let network = Network::start(&["--brokers", "1", "--replicas", "1", "--block-ms", "250", "--no-samples"]);
    let directory = network.scratch("");
    let directory = directory.to_str().expect("a UTF-8 path");
    let same_directory =
        network.weir(&["up", "--dir", directory, "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0"]);
    assert!(!same_directory.status.success());
    let error = String::from_utf8_lossy(&same_directory.stderr).into_owned();
    assert!(error.contains("use") && error.contains(directory.trim_end_matches('/')), "{error}");

    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let taken = network.url().replace("http://", "");
    let same_port = network.weir(&[
        "up",
        "--dir",
        elsewhere.path().to_str().expect("a UTF-8 path"),
        "--brokers",
        "1",
        "--replicas",
        "1",
        "--http",
        &taken,
        "--ws",
        "127.0.0.1:0",
    ]);
    assert!(!same_port.status.success());
    let error = String::from_utf8_lossy(&same_port.stderr).into_owned();
    assert!(error.contains(&taken), "{error}");
}
