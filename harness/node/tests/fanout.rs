//! One broker with real WebSocket and HTTP clients, some of which are slow: what is held for each of them is bounded,
//! and the others get everything.

mod allotting;

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use weir_kernel::ids::{StreamId, StreamPartition};
use weir_kernel::limits::{CHUNK_BYTES, SUBSCRIPTION_WINDOW_BYTES};
use weir_kernel::signature::Secp256k1Verifier;
use weir_kernel::verify::verify;
use weir_node::network::{CHAIN_ID, Network, Options};
use weir_node::service::limits::{BATCH_TARGET_BYTES, MAX_RENDERED_BYTES};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long a subscriber may take nothing.
const SLOW_READER: Duration = Duration::from_secs(6);

/// Bytes of the filling of an event.
const FILLING_BYTES: usize = 2000;

/// A batch that the node signs: what it aims at, and one event more.
const BATCH_BYTES: usize = BATCH_TARGET_BYTES + 2 * FILLING_BYTES;

/// What an entry of a queue costs beside its batches.
const ENTRY_BYTES: usize = 64 << 10;

async fn network(directory: &Path) -> (Network, StreamId) {
    let any = "127.0.0.1:0".parse().unwrap();
    let options = Options {
        brokers: Some(1),
        replicas: Some(1),
        partitions_per_broker: Some(1),
        http: any,
        websocket: any,
        samples: false,
        slow_reader: SLOW_READER,
        block_time: Duration::from_millis(200),
        ..Options::new(directory)
    };
    let network = Network::start(options).await.unwrap();
    let body = r#"{"name":"busy","partitions":1,"public":true}"#;
    let created = post(&network, "/streams", body.to_owned()).await;
    let stream: StreamId = created["id"].as_str().unwrap().parse().unwrap();
    allotting::allot(&network, StreamPartition { stream, partition: 0 }, 1_000).await;
    (network, stream)
}

async fn post(network: &Network, path: &str, body: String) -> Value {
    let url = format!("http://{}{path}", network.http_addr());
    let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// Publishes numbered events, signed by the node, and waits until they are stored.
async fn publish(network: &Network, stream: StreamId, numbers: std::ops::Range<u64>) {
    let filling = "x".repeat(FILLING_BYTES);
    let events: Vec<String> = numbers.map(|n| format!("{{\"n\":{n},\"filling\":\"{filling}\"}}")).collect();
    let wanted = events.len();
    let path = format!("/streams/{stream}?batch=true&partition=0&timeout=120");
    let answer = post(network, &path, format!("[{}]", events.join(","))).await;
    assert_eq!(answer["reached"], wanted as u64, "{answer}");
}

fn number(text: &str) -> u64 {
    let digits = text.strip_prefix("{\"content\":{\"n\":").unwrap_or_else(|| panic!("no event: {text:.80}"));
    digits[..digits.find(',').unwrap()].parse().unwrap()
}

/// A subscriber whose system takes little for it.
async fn subscribe(network: &Network, stream: StreamId) -> WebSocketStream<tokio::net::TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let stream_socket = socket.connect(network.ws_addr()).await.unwrap();
    let url = format!("ws://{}/streams/{stream}/subscribe", network.ws_addr());
    tokio_tungstenite::client_async(url, stream_socket).await.unwrap().0
}

/// A subscriber that takes nothing until the node has given up so many: then it reads what was on its way, in order,
/// and why no more comes. How many events that were.
async fn read_when_closed(
    metrics: String,
    mut socket: WebSocketStream<tokio::net::TcpStream>,
    given_up: usize,
) -> u64 {
    let wanted = format!("weir_slow_readers_total {given_up}\n");
    while !reqwest::get(&metrics).await.unwrap().text().await.unwrap().contains(&wanted) {
        sleep(Duration::from_millis(100)).await;
    }
    let mut next = 0;
    let frame = loop {
        match socket.next().await.expect("a close comes before the end").unwrap() {
            Message::Text(text) => {
                assert_eq!(number(text.as_str()), next);
                next += 1;
            }
            Message::Close(frame) => break frame.expect("it names its reason"),
            _ => {}
        }
    };
    assert_eq!(u16::from(frame.code), 1008);
    assert!(frame.reason.starts_with("slow reader"), "{}", frame.reason);
    next
}

/// Stalled subscribers beside ones that read: more is published than the system's buffers and a subscription's window
/// hold. Nobody misses anything but those that are stalled, which are closed and told why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_subscriber_is_bounded_and_closed_and_the_others_do_not_notice() {
    const EVENTS: u64 = 6_000;
    const STALLED: usize = 2;
    let directory = tempfile::tempdir().unwrap();
    let (network, stream) = network(directory.path()).await;
    let node = network.gateway().nodes()[0].clone();
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(subscribe(&network, stream).await);
    }
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut socket = subscribe(&network, stream).await;
        readers.push(tokio::spawn(async move {
            let mut next = 0;
            while next < EVENTS {
                match socket.next().await.expect("it is open").unwrap() {
                    Message::Text(text) => {
                        assert_eq!(number(text.as_str()), next, "every event once, in order");
                        next += 1;
                    }
                    Message::Close(frame) => panic!("closed after {next} events: {frame:?}"),
                    _ => {}
                }
            }
            // Left open: what is closed is closed for being slow.
            socket
        }));
    }
    let metrics = format!("http://{}/metrics", network.http_addr());
    let late: Vec<_> = stalled
        .into_iter()
        .map(|socket| tokio::spawn(read_when_closed(metrics.clone(), socket, STALLED)))
        .collect();
    for first in (0..EVENTS).step_by(1_000) {
        publish(&network, stream, first..first + 1_000).await;
    }
    let mut open = Vec::new();
    for reader in readers {
        open.push(timeout(PATIENCE, reader).await.expect("readers keep up").unwrap());
    }
    let held = node.held();
    // Room comes back as a connection takes of a batch, which is held until all of it is sent: one overruns the window,
    // and one is being sent.
    let window = SUBSCRIPTION_WINDOW_BYTES as usize + CHUNK_BYTES as usize + 2 * BATCH_BYTES + ENTRY_BYTES;
    assert!(held.most_bytes > BATCH_BYTES / 2, "something waited: {held:?}");
    assert!(held.most_bytes <= window, "a window and what overruns it: {held:?}");
    assert!(held.bytes <= 2 * window, "{held:?}");
    assert_eq!(held.behind, 0, "the window stops a stalled subscriber before its queue does");
    assert!(network.gateway().renderings().held_bytes() <= MAX_RENDERED_BYTES);
    for late in late {
        let came = timeout(PATIENCE, late).await.expect("it is closed").unwrap();
        assert!(came < EVENTS, "it was stalled");
    }
    // Their sessions are over, and so is all that was held for them; the node's own publisher has one.
    assert_eq!(node.held().readers, open.len() + 1, "{:?}", node.held());
    assert_eq!(node.held().bytes, 0);
    network.stop().await.unwrap();
}

/// A history that is larger than anything in its path may hold, read slowly over HTTP while more is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_of_any_length_is_read_slowly_in_bounded_memory_beside_live_traffic() {
    const EVENTS: u64 = 9_000;
    let directory = tempfile::tempdir().unwrap();
    let (network, stream) = network(directory.path()).await;
    let node = network.gateway().nodes()[0].clone();
    for first in (0..EVENTS).step_by(1_000) {
        publish(&network, stream, first..first + 1_000).await;
    }
    // The window, two chunks and the system's buffers together are far less.
    let (before, kept) = (node.held(), EVENTS * FILLING_BYTES as u64);
    assert!(kept > 4 * (SUBSCRIPTION_WINDOW_BYTES + 2 * u64::from(CHUNK_BYTES)) + (4 << 20), "{before:?}");

    let base = format!("http://{}/streams/{stream}/data/partitions/0", network.http_addr());
    let slow = reqwest::get(format!("{base}/from?fromTimestamp=0&format=jsonl")).await.unwrap();
    let mut slow = slow.bytes_stream();
    let mut read = Vec::new();
    read.extend_from_slice(&slow.next().await.unwrap().unwrap());
    // Live traffic while the reader takes nothing, and then beside it.
    let mut live = subscribe(&network, stream).await;
    publish(&network, stream, EVENTS..EVENTS + 500).await;
    let reading = async {
        while let Some(piece) = slow.next().await {
            read.extend_from_slice(&piece.unwrap());
            if read.len() % 8 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
    let publishing = publish(&network, stream, EVENTS + 500..EVENTS + 1_000);
    timeout(PATIENCE, async { tokio::join!(reading, publishing) }).await.unwrap();
    let text = String::from_utf8(read).unwrap();
    let numbers: Vec<u64> = text.lines().map(number).collect();
    assert!(numbers.len() as u64 >= EVENTS, "{} events", numbers.len());
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "complete and in order");
    let mut came = EVENTS;
    while came < EVENTS + 1_000 {
        if let Message::Text(text) = timeout(PATIENCE, live.next()).await.unwrap().unwrap().unwrap() {
            assert_eq!(number(text.as_str()), came, "live events do not wait for history");
            came += 1;
        }
    }
    let bound = 2 * (CHUNK_BYTES as usize + BATCH_BYTES + ENTRY_BYTES) + SUBSCRIPTION_WINDOW_BYTES as usize;
    let held = node.held();
    assert!(held.most_bytes > 0 && held.most_bytes <= bound, "{held:?}");
    assert!((held.most_bytes as u64) < kept / 4, "{held:?}");

    // The same as signed batches.
    let binary = reqwest::get(format!("{base}/from?fromTimestamp=0&format=binary")).await.unwrap();
    assert_eq!(binary.headers()["content-type"], "application/octet-stream");
    let bytes = binary.bytes().await.unwrap();
    let (mut rest, mut next) = (&bytes[..], 0);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (part, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        let field = |at: usize| u32::from_be_bytes(*part[at..].first_chunk().unwrap());
        let batch = verify(part[8..].into(), CHAIN_ID, &Secp256k1Verifier).unwrap();
        for index in field(0)..field(0) + field(4) {
            let content = std::str::from_utf8(batch.event(index).unwrap().content).unwrap();
            assert!(content.starts_with(&format!("{{\"n\":{next},")), "{content:.40}, wanted {next}");
            next += 1;
        }
        rest = after;
    }
    assert_eq!(next, EVENTS + 1_000);
    network.stop().await.unwrap();
}
