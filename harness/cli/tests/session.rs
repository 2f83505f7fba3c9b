//! Sessions against a running network: the wallet signs once, and what a fresh key signs is the wallet's to everybody
//! who checks (WP 2.4.9).

mod support;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::Network;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use weir_kernel::batch::{Batch, LaneWriter, NewEvent, Session, SignedHeader, content_type};
use weir_kernel::ids::{Address, Hash, StreamId, StreamPartition};
use weir_kernel::merkle::MerkleProof;
use weir_kernel::signature::{SECP256K1, Secp256k1Verifier, SecretKey, Signature};
use weir_kernel::verify::{verify_event, verify_header};

const CHAIN_ID: u64 = 31337;
const EVENTS: usize = 50;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The key that `weir` signs with on a development chain.
fn wallet() -> SecretKey {
    let digits = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    SecretKey::from_bytes(&bytes(&json!(digits)).try_into().expect("32 bytes")).expect("a valid key")
}

fn session_key() -> SecretKey {
    SecretKey::from_bytes(&[9; 32]).expect("a valid key")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string").trim_start_matches("0x")).expect("hexadecimal digits")
}

async fn connect(network: &Network, path: &str) -> Socket {
    let address = format!("{}/streams/{path}", network.websocket_url());
    tokio_tungstenite::connect_async(address).await.expect("the stream exists").0
}

async fn next_json(socket: &mut Socket) -> Value {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(60), socket.next()).await.expect("in time");
        if let Message::Text(text) = next.expect("the connection stands").expect("a message") {
            return serde_json::from_str(&text).expect("texts are JSON");
        }
    }
}

/// Puts the proof of an event together from its metadata and checks all of it with the kernel alone; the header.
fn proved(event: &Value) -> SignedHeader {
    let metadata = &event["metadata"];
    let (signature, certificate) = (bytes(&metadata["signature"]), &metadata["certificate"]);
    let mut encoded = bytes(&metadata["header"]);
    encoded.push(signature.len() as u8);
    encoded.extend(signature);
    if !certificate.is_null() {
        let wallets = bytes(&certificate["signature"]);
        encoded.extend(certificate["expiryBlock"].as_u64().expect("a height").to_be_bytes());
        encoded.push(certificate["signatureType"].as_u64().expect("a type") as u8);
        encoded.push(wallets.len() as u8);
        encoded.extend(wallets);
    }
    let signed = SignedHeader::decode(&encoded).expect("canonical");
    let verified = verify_header(signed, CHAIN_ID, &Secp256k1Verifier).expect("signed for the wallet");
    let number = |field: &str| metadata["proof"][field].as_u64().expect("a number") as u32;
    let path = metadata["proof"]["path"].as_array().expect("a path").iter();
    let path = path.map(|hash| Hash(bytes(hash).try_into().expect("32 bytes"))).collect();
    let proof = MerkleProof { index: number("index"), count: number("count"), path };
    let own = bytes(&metadata["event"]);
    let decoded = verify_event(&verified.header, &own, &proof).expect("the event is in the batch");
    let content: Value = serde_json::from_slice(decoded.content).expect("JSON");
    assert_eq!(content, event["content"]);
    assert_eq!(metadata["publisherId"], json!(verified.header.origin.to_string()));
    verified.into_inner()
}

async fn published_with_the_command(network: &Network, stream: &str) {
    let mut live = connect(network, &format!("{stream}/subscribe?signatures=true")).await;
    let file = network.scratch("events.jsonl");
    let text: String = (0..EVENTS).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    std::fs::write(&file, text).expect("a scratch file");
    let file = file.to_str().expect("a path in UTF-8");
    let lines = network.lines(&["publish", stream, "--file", file, "--session", "1", "--json"]);
    let report: Value = serde_json::from_str(lines.last().expect("a report")).expect("JSON");
    assert_eq!((&report["stored"], &report["refused"]), (&json!(EVENTS), &json!(0)), "{report}");

    let mut signers = std::collections::BTreeSet::new();
    for n in 0..EVENTS {
        let event = next_json(&mut live).await;
        assert_eq!(event["content"], json!({ "n": n }));
        let header = proved(&event).header;
        assert_eq!(header.origin, wallet().address());
        signers.insert(header.signer);
    }
    assert_eq!(signers.len(), 1, "one key signed all of it");
    assert!(!signers.contains(&wallet().address()), "and it is not the wallet's");

    let url = format!("{}/streams/{stream}/data/partitions/0/last?count=3&signatures=true", network.url());
    let history: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
    let events = history.as_array().expect("a list");
    assert_eq!(events.len(), 3);
    events.iter().for_each(|event| assert!(signers.contains(&proved(event).header.signer)));
}

/// A batch of a new lane, signed by the session key, with this certificate.
fn batch(session: &Session, by: &SecretKey, opening_block: u64, nonce: u8) -> Batch {
    let slot = StreamPartition { stream: session.stream, partition: 0 };
    let signature = Signature::Secp256k1(by.sign_hash(&session.signing_hash(CHAIN_ID)));
    let mut lane = LaneWriter::new(slot, session.origin, opening_block, [nonce; 16], Hash::ZERO, SECP256K1)
        .in_session(session, session.certified(signature))
        .expect("the session is the lane's");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let event = NewEvent::new(since.as_millis() as u64, content_type::JSON, format!("{{\"nonce\":{nonce}}}"));
    let unsigned = lane.next_batch(vec![event]).expect("one event fits");
    let signature = session_key().sign_hash(&unsigned.signing_hash(CHAIN_ID));
    unsigned.sign(Signature::Secp256k1(signature)).expect("of the lane's type")
}

async fn send(socket: &mut Socket, bytes: &[u8]) -> Value {
    socket.send(Message::binary(bytes.to_vec())).await.expect("the connection stands");
    next_json(socket).await
}

fn assert_refused(answer: &Value, code: &str) {
    assert_eq!((&answer["type"], &answer["code"]), (&json!("refused"), &json!(code)), "{answer}");
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.len() > 20), "a reason: {answer}");
}

async fn refused_batches(network: &Network, stream: StreamId) {
    let height = network.status()["chain"]["height"].as_u64().expect("a height");
    let key = session_key().address();
    let session = |expiry_block| {
        let origin = wallet().address();
        Session { stream, origin, key, expiry_block, signature_type: SECP256K1 }
    };
    let mut socket = connect(network, &format!("{stream}/publish")).await;

    // Over before the lane opens: the opening block is made later in a batch of a good session.
    let over = batch(&session(height), &wallet(), height - 1, 1);
    let mut bent = over.bytes().to_vec();
    bent[46..54].copy_from_slice(&height.to_be_bytes());
    assert_refused(&send(&mut socket, &bent).await, "session-expired");
    // Over now, though it was not when the lane opened.
    assert_refused(&send(&mut socket, over.bytes()).await, "session-expired");

    let stranger = SecretKey::from_bytes(&[3; 32]).expect("a valid key");
    let foreign = batch(&session(height + 900), &stranger, height, 2);
    assert_refused(&send(&mut socket, foreign.bytes()).await, "session-invalid");
    let mut longer = batch(&session(height + 900), &wallet(), height, 3).bytes().to_vec();
    longer[223 + 1 + 65 + 6] += 1;
    assert_refused(&send(&mut socket, &longer).await, "session-invalid");
    let elsewhere = Session { stream: StreamId([5; 20]), ..session(height + 900) };
    let mut moved = batch(&elsewhere, &wallet(), height, 4).bytes().to_vec();
    moved[1..21].copy_from_slice(&stream.0);
    assert_refused(&send(&mut socket, &moved).await, "session-invalid");
    // A session gives no right that its wallet does not have.
    let strangers = Session { origin: stranger.address(), ..session(height + 900) };
    assert_refused(&send(&mut socket, batch(&strangers, &stranger, height, 5).bytes()).await, "unauthorized");

    // What was refused left no trace: the same connection goes on.
    let answer = send(&mut socket, batch(&session(height + 900), &wallet(), height, 6).bytes()).await;
    assert_eq!((&answer["type"], &answer["level"]), (&json!("ack"), &json!("stored")), "{answer}");
    assert_eq!(answer["publisherId"], json!(wallet().address().to_string()));
    assert_ne!(wallet().address(), Address(key.0));
}

fn bad_arguments(network: &Network, stream: &str) {
    for (hours, says) in [("0", "1..=744"), ("745", "1..=744"), ("soon", "invalid digit")] {
        let output = network.weir(&["publish", stream, "--file", "-", "--session", hours]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says) && error.contains("--session"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_signs_once() {
    let network = Network::start(&["--brokers", "3", "--replicas", "3"]);
    let stream = network.create_stream("sessions", 1);
    published_with_the_command(&network, &stream).await;
    refused_batches(&network, stream.parse().expect("an id")).await;
    bad_arguments(&network, &stream);
}
