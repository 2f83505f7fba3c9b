//! The interfaces over real sockets, in front of scripted brokers.

mod batches;
mod broker;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use weir_chain::mirror::{Genesis, Mirror};
use weir_chain::port::SharedMirror;
use weir_kernel::batch::Batch;
use weir_kernel::coordinator::{BlockRef, Contracts, Fact, Params, Permission, State, evolve};
use weir_kernel::ids::{Address, LaneId, StreamId, StreamPartition};
use weir_kernel::limits::MAX_CONTENT_BYTES;
use weir_kernel::signature::SecretKey;

use super::{InterfaceConfig, ServeError, Servers, serve};
use crate::service::Gateway;
use crate::service::event::tests::{batch, lane};
use crate::service::limits::SLOW_READER;
use crate::service::siwe::personal_hash;

const KEY: [u8; 32] = [42; 32];
const PUBLIC: StreamId = StreamId([0xAA; 20]);
const PRIVATE: StreamId = StreamId([0xBB; 20]);

struct Fixture {
    servers: Servers,
    brokers: Vec<JoinHandle<()>>,
    client: Client,
}

/// A chain with a stream that everybody may read and one that only key 7 may; the application key and test keys may
/// publish to both.
fn view() -> Arc<State> {
    let mut state = State::new(31337, Contracts::default(), Params::default());
    let block = BlockRef { number: 5, timestamp_s: 1000 };
    let address = |key: [u8; 32]| SecretKey::from_bytes(&key).unwrap().address();
    for (stream, name) in [(PUBLIC, "public"), (PRIVATE, "private")] {
        let (name, description) = (name.to_owned(), String::new());
        let owner = address(KEY);
        evolve(&mut state, block, &Fact::StreamCreated { stream, owner, name, description, partitions: 3 });
        let publish = Permission { publish_until: u64::MAX, ..Permission::default() };
        evolve(&mut state, block, &Fact::PermissionSet { stream, user: owner, permission: publish });
    }
    let read = Permission { subscribe_until: u64::MAX, ..Permission::default() };
    for (stream, user) in [(PUBLIC, Address::ZERO), (PRIVATE, address([7; 32]))] {
        evolve(&mut state, block, &Fact::PermissionSet { stream, user, permission: read });
    }
    Arc::new(state)
}

fn config(development: bool) -> InterfaceConfig {
    InterfaceConfig {
        http: "127.0.0.1:0".parse().unwrap(),
        websocket: "127.0.0.1:0".parse().unwrap(),
        application_key: KEY,
        api_keys: vec!["secret".into()],
        development,
        hosts: Vec::new(),
        slow_reader: SLOW_READER,
        switch: None,
    }
}

fn mirror() -> SharedMirror {
    SharedMirror::new(Mirror::in_memory(&Genesis { chain_id: 31337, timestamp_s: 0, alloc: BTreeMap::new() }))
}

async fn fixture(development: bool) -> Fixture {
    let (view, log) = (view(), broker::Log::default());
    let start = |n| broker::start(Address([n; 20]), view.clone(), log.clone());
    let (handles, brokers) = [1, 2].map(start).into_iter().unzip();
    let servers = serve(config(development), Arc::new(Gateway::new(handles)), mirror()).await.unwrap();
    Fixture { servers, brokers, client: Client::builder().no_proxy().build().unwrap() }
}

impl Fixture {
    async fn send(&self, method: Method, path: &str, body: &str) -> (StatusCode, String) {
        let url = format!("http://{}{path}", self.servers.http_addr);
        let answer = self.client.request(method, url).body(body.to_owned()).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (status, text) = self.send(Method::GET, path, "").await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn post(&self, path: &str, body: &str) -> (StatusCode, Value) {
        let (status, text) = self.send(Method::POST, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn socket(&self, path: &str) -> Socket {
        let url = format!("ws://{}{path}", self.servers.ws_addr);
        Socket(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }
}

struct Socket(tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>);

impl Socket {
    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    async fn text(&mut self) -> String {
        loop {
            match self.0.next().await.expect("the socket is open").unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }
}

fn times(events: &Value) -> Vec<u64> {
    let events = events.as_array().expect("a list of events");
    events.iter().map(|event| event["metadata"]["timestamp"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn what_is_published_over_http_reads_back_as_it_came() {
    let fixture = fixture(true).await;
    let exact = r#"{"b": 1.50, "a":[1,  2], "b":3}"#;
    let (status, ack) = fixture.post(&format!("/streams/{PUBLIC}?partition=1&timestamp=77"), exact).await;
    assert_eq!((status, &ack["level"], &ack["partition"]), (StatusCode::OK, &json!("stored"), &json!(1)));
    let (_, raw) = fixture.send(Method::GET, &format!("/streams/{PUBLIC}/data/partitions/1/last"), "").await;
    assert!(raw.contains(exact), "{raw}");
    let (_, sealed) = fixture.post(&format!("/streams/{PUBLIC}?ack=sealed&partition=1"), "1").await;
    assert_eq!(sealed["level"], "sealed");
    fixture.servers.shutdown().await;
}

#[tokio::test]
async fn readings_merge_partitions_in_canonical_order_and_survive_a_stop() {
    let fixture = fixture(true).await;
    let events: Vec<Value> = (0..40u64)
        .map(|n| json!({ "content": n, "metadata": { "timestamp": 1000 + n * 7 % 40, "partition": n % 3 } }))
        .collect();
    let path = format!("/streams/{PUBLIC}?batch=true");
    let (status, ack) = fixture.post(&path, &Value::Array(events).to_string()).await;
    assert_eq!((status, &ack["reached"]), (StatusCode::OK, &json!(40)), "{ack}");
    let data = format!("/streams/{PUBLIC}/data/partitions");
    let (_, all) = fixture.get(&format!("{data}/all/from?fromTimestamp=0")).await;
    assert_eq!(times(&all), (1000..1040).collect::<Vec<_>>());
    let (_, last) = fixture.get(&format!("{data}/all/last?count=5")).await;
    assert_eq!(times(&last), (1035..1040).collect::<Vec<_>>());
    fixture.brokers[0].abort();
    let (_, range) = fixture.get(&format!("{data}/all/range?fromTimestamp=1010&toTimestamp=1012")).await;
    assert_eq!(times(&range), [1010, 1011, 1012]);
    let (_, lines) = fixture.send(Method::GET, &format!("{data}/all/last?count=9&format=jsonl"), "").await;
    assert_eq!(lines.lines().count(), 9);
    let (_, raw) = fixture.get(&format!("{data}/0/from?fromTimestamp=0&format=raw")).await;
    let held: u64 = raw.as_array().unwrap().iter().map(|run| run["count"].as_u64().unwrap()).sum();
    assert_eq!(held, 14);
}

/// The parts of a binary answer: which events are meant, and the batch.
fn parts(mut bytes: &[u8]) -> Vec<(u32, u32, Batch)> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (part, after) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let number = |at: usize| u32::from_be_bytes(*part[at..].first_chunk().unwrap());
        parts.push((number(0), number(4), Batch::decode(part[8..].into()).unwrap()));
        bytes = after;
    }
    parts
}

#[tokio::test]
async fn binary_history_names_every_event_once_and_survives_a_stop() {
    let fixture = fixture(true).await;
    // Three lanes beside each other in time, batches of several events, chunks that cut through them.
    let mut writer = fixture.socket(&format!("/streams/{PUBLIC}/publish")).await;
    for key in [9u8, 10, 11] {
        let mut lane = lane(StreamPartition { stream: PUBLIC, partition: 1 }, key);
        for first in [0u64, 40, 80] {
            let times: Vec<u64> = (0..8).map(|n| 1000 + first + n * 5 + u64::from(key) % 3).collect();
            writer.send(Message::binary(batch(&mut lane, &times).bytes().to_vec())).await;
            assert_eq!(writer.json().await["type"], "ack");
        }
    }
    let data = format!("http://{}/streams/{PUBLIC}/data/partitions", fixture.servers.http_addr);
    let read = async |what: &str| {
        let answer = fixture.client.get(format!("{data}/{what}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        parts(&answer.bytes().await.unwrap())
    };
    let named = |parts: &[(u32, u32, Batch)]| -> Vec<(LaneId, u64)> {
        let events = parts.iter().flat_map(|(first, count, batch)| {
            let sequence = batch.header().sequence + u64::from(*first);
            (0..u64::from(*count)).map(move |n| (batch.lane(), sequence + n))
        });
        let mut events: Vec<_> = events.collect();
        events.sort_unstable();
        events
    };
    let all = read("1/from?fromTimestamp=0&format=binary").await;
    let events = named(&all);
    assert_eq!(events.len(), 3 * 3 * 8);
    assert!(events.windows(2).all(|pair| pair[0] < pair[1]), "each once");
    let first_places: Vec<_> =
        all.iter().map(|(first, _, batch)| (batch.timestamp_ms(*first).unwrap(), batch.lane())).collect();
    assert!(first_places.is_sorted(), "in order of the first event that is meant");
    assert_eq!(named(&read("all/from?fromTimestamp=0&format=binary").await), events);
    assert_eq!(named(&read("1/range?fromTimestamp=1020&toTimestamp=1024&format=binary").await).len(), 3);
    fixture.brokers[0].abort();
    assert_eq!(named(&read("1/last?count=7&format=binary").await).len(), 7);
    let refused = fixture.client.get(format!("{data}/all/last?format=binary")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_binary_subscription_gets_the_signed_batches() {
    let fixture = fixture(true).await;
    let path = format!("/streams/{PUBLIC}/subscribe?partitions=2&format=binary&notices=true");
    let mut reader = fixture.socket(&path).await;
    assert_eq!(reader.json().await["type"], "caughtUp");
    let mut writer = fixture.socket(&format!("/streams/{PUBLIC}/publish")).await;
    let published = batch(&mut lane(StreamPartition { stream: PUBLIC, partition: 2 }, 9), &[10, 20]);
    writer.send(Message::binary(published.bytes().to_vec())).await;
    let Message::Binary(bytes) = reader.0.next().await.unwrap().unwrap() else { panic!("wanted a batch") };
    assert_eq!((&bytes[..8], &bytes[8..]), (&[0, 0, 0, 0, 0, 0, 0, 2][..], &published.bytes()[..]));
}

#[tokio::test]
async fn bad_requests_get_a_status_and_a_reason() {
    let fixture = fixture(true).await;
    let stream = format!("/streams/{PUBLIC}");
    let long = format!("\"{}\"", "x".repeat(MAX_CONTENT_BYTES));
    let longest = "x".repeat(20 << 20);
    let cases = [
        (Method::POST, stream.clone(), "{\"a\":\n tru}", 400, "line 2"),
        (Method::POST, format!("{stream}?partition=3"), "1", 400, "partitions 0 to 2"),
        (Method::POST, format!("{stream}?patrition=3"), "1", 400, "patrition"),
        (Method::POST, format!("/streams/{}", StreamId([1; 20])), "1", 404, "no stream"),
        (Method::POST, "/streams/quakes".into(), "1", 404, "stream id"),
        (Method::POST, stream.clone(), &long, 413, "longer than"),
        (Method::POST, stream.clone(), &longest, 413, "longer than"),
        (Method::POST, format!("{stream}?timestamp=666"), "1", 409, "the script refuses"),
        (Method::GET, format!("/streams/{PRIVATE}/data/partitions/0/last?apiKey=guess"), "", 401, "unknown"),
        (Method::GET, format!("/streams/{PRIVATE}/data/partitions/0/last"), "", 403, "not open"),
        (Method::GET, format!("{stream}/data/partitions/9/last"), "", 400, "partitions 0 to 2"),
        (Method::GET, format!("{stream}/data/partitions/0/last?count=x"), "", 400, "count"),
        (Method::GET, format!("{stream}/subscribe"), "", 426, "WebSocket"),
        (Method::GET, "/nowhere".into(), "", 404, "/nowhere"),
        (Method::DELETE, "/info".into(), "", 405, "method"),
    ];
    for (method, path, body, status, reason) in cases {
        let (found, text) = fixture.send(method, &path, body).await;
        let error: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        assert_eq!(found.as_u16(), status, "{path}: {error}");
        assert!(error["reason"].as_str().unwrap().contains(reason), "{path}: {error}");
        assert!(error["code"].is_string());
    }
}

#[tokio::test]
async fn an_idempotency_key_publishes_once() {
    let fixture = fixture(true).await;
    let url = format!("http://{}/streams/{PUBLIC}?partition=0", fixture.servers.http_addr);
    let publish = |body: &'static str| {
        let request = fixture.client.post(&url).header("Idempotency-Key", "k1").body(body);
        async { request.send().await.unwrap() }
    };
    let first: Value = serde_json::from_str(&publish("1").await.text().await.unwrap()).unwrap();
    let second: Value = serde_json::from_str(&publish("1").await.text().await.unwrap()).unwrap();
    assert_eq!(first, second);
    assert_eq!(publish("2").await.status(), StatusCode::BAD_REQUEST);
    let (_, all) = fixture.get(&format!("/streams/{PUBLIC}/data/partitions/0/from?fromTimestamp=0")).await;
    assert_eq!(times(&all).len(), 1);
}

#[tokio::test]
async fn sockets_publish_and_deliver_and_outlive_a_broker() {
    let fixture = fixture(true).await;
    let mut reader = fixture.socket(&format!("/streams/{PUBLIC}/subscribe?partitions=0&notices=true")).await;
    assert_eq!(reader.json().await["type"], "caughtUp");
    let mut writer = fixture.socket(&format!("/streams/{PUBLIC}/publish?partition=0&ack=sealed")).await;
    writer.send(Message::text("ping")).await;
    assert_eq!(writer.text().await, "pong");
    writer.send(Message::text("{\"n\":1}")).await;
    let levels = [writer.json().await, writer.json().await].map(|ack| ack["level"].clone());
    assert_eq!(levels, [json!("stored"), json!("sealed")]);
    assert_eq!(reader.json().await["content"]["n"], 1);
    fixture.brokers[0].abort();
    writer.send(Message::text("{\"n\":2}")).await;
    assert_eq!(writer.json().await["level"], "stored");
    assert_eq!(reader.json().await["content"]["n"], 2, "nothing twice, nothing missed");
    writer.json().await;
    writer.send(Message::text("{")).await;
    assert_eq!(writer.json().await["code"], "invalid");
    reader.send(Message::text("hello")).await;
    assert_eq!(reader.json().await["type"], "refused");
}

#[tokio::test]
async fn signed_batches_need_no_key_but_a_right_signature_and_stream() {
    let fixture = fixture(false).await;
    let mut writer = fixture.socket(&format!("/streams/{PUBLIC}/publish")).await;
    let mut ours = lane(StreamPartition { stream: PUBLIC, partition: 2 }, 9);
    let good = batch(&mut ours, &[10, 20]);
    writer.send(Message::binary(good.bytes().to_vec())).await;
    let ack = writer.json().await;
    assert_eq!((&ack["type"], &ack["count"], &ack["sequence"]), (&json!("ack"), &json!(2), &json!(0)));
    assert_eq!(ack["lane"], good.lane().to_string());
    let mut forged = good.bytes().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    writer.send(Message::binary(forged)).await;
    assert_eq!(writer.json().await["code"], "invalid");
    let other = batch(&mut lane(StreamPartition { stream: PRIVATE, partition: 0 }, 9), &[1]);
    writer.send(Message::binary(other.bytes().to_vec())).await;
    let refused = writer.json().await;
    assert_eq!((&refused["code"], &refused["sequence"]), (&json!("invalid"), &json!(0)));
    writer.send(Message::text("{}")).await;
    assert_eq!(writer.json().await["code"], "unauthenticated", "the node does not sign for strangers");
}

#[tokio::test]
async fn a_private_stream_opens_to_who_signs_in() {
    let fixture = fixture(false).await;
    let path = format!("/streams/{PRIVATE}/data/partitions/0/last");
    assert_eq!(fixture.get(&path).await.0, StatusCode::FORBIDDEN);
    let (_, nonce) = fixture.get("/auth/nonce").await;
    let domain = fixture.servers.http_addr.to_string();
    let key = SecretKey::from_bytes(&[7; 32]).unwrap();
    let message = format!(
        "{domain} wants you to sign in with your Ethereum account:\n{}\n\n\nURI: http://{domain}\nVersion: 1\n\
         Chain ID: 31337\nNonce: {}\nIssued At: {}",
        key.address(),
        nonce["nonce"].as_str().unwrap(),
        jiff::Timestamp::now()
    );
    let signature = format!("0x{}", hex::encode(key.sign_hash(&personal_hash(&message))));
    let body = json!({ "message": message, "signature": signature }).to_string();
    let (status, token) = fixture.post("/auth/sign-in", &body).await;
    assert_eq!(status, StatusCode::OK, "{token}");
    let url = format!("http://{domain}{path}");
    let answer = fixture.client.get(url).bearer_auth(token["token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(fixture.post("/auth/sign-in", &body).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn garbage_ends_only_its_own_connection() {
    let fixture = fixture(true).await;
    for address in [fixture.servers.http_addr, fixture.servers.ws_addr] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"\x16\x03\x01garbage\r\n\r\n\xff\xff").await.unwrap();
        let mut answer = Vec::new();
        // The server answers 400 or just closes; either way the connection ends.
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(fixture.get("/info").await.1["chainId"], 31337);
    }
}

#[tokio::test]
async fn the_node_tells_about_itself() {
    let fixture = fixture(true).await;
    let (_, status) = fixture.get("/status").await;
    assert_eq!((&status["chain"]["id"], &status["supply"]), (&json!(31337), &json!("0")));
    let (_, found) = fixture.get("/streams?search=PUBL").await;
    assert_eq!((found.as_array().unwrap().len(), &found[0]["public"]), (1, &json!(true)));
    let (_, rpc) = fixture.post("/rpc", r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#).await;
    assert_eq!(rpc["result"], "0x7a69");
    assert_eq!(fixture.post("/rpc", "{").await.1["error"]["code"], -32700);
    assert_eq!(fixture.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(fixture.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(fixture.send(Method::GET, "/metrics", "").await.1.contains("weir_broker_running"));
}

#[tokio::test]
async fn a_taken_port_is_named_and_shutdown_ends_sockets() {
    let fixture = fixture(true).await;
    let taken = InterfaceConfig { http: fixture.servers.http_addr, ..config(true) };
    let Err(error) = serve(taken, Arc::default(), mirror()).await else { panic!("the port is taken") };
    assert!(matches!(error, ServeError::Bind { .. }));
    let text = error.to_string();
    assert!(text.contains(&fixture.servers.http_addr.to_string()) && text.contains("--http"), "{text}");
    let mut socket = fixture.socket(&format!("/streams/{PUBLIC}/subscribe?partitions=0")).await;
    fixture.servers.shutdown().await;
    let last = socket.0.next().await.unwrap().unwrap();
    let Message::Close(Some(frame)) = last else { panic!("wanted a close frame, found {last:?}") };
    assert_eq!(u16::from(frame.code), 1001);
}
