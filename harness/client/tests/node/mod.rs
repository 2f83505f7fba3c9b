//! A scripted node: `/info`, one stream, and WebSockets that answer as a test says.
// Several tests use it, none of them all of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, U256};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use weir_chain::deploy::{Deployment, deploy};
use weir_chain::mirror::{Genesis, Mirror};
use weir_chain::wallet::Wallet;
pub use weir_kernel::batch::Batch;
use weir_kernel::coordinator::Params;
use weir_kernel::ids::{LaneId, StreamId};
use weir_kernel::signature::Secp256k1Verifier;

/// The stream that exists.
pub const STREAM: StreamId = StreamId([7; 20]);

const CHAIN_ID: u64 = 31337;

/// What the node does with a batch.
pub enum Reply {
    Ack(&'static str),
    AckTwice(&'static str, &'static str),
    Refuse(&'static str, &'static str),
    /// Reads on and answers nothing.
    Silence,
    /// Ends the connection without a word.
    Hang,
}

/// A batch that came.
pub struct Incoming {
    /// Messages before it.
    pub count: usize,
    pub batch: Batch,
}

type Script = dyn Fn(&Incoming) -> Reply + Send + Sync;

struct State {
    partitions: u32,
    script: Box<Script>,
    count: AtomicUsize,
    received: Mutex<Vec<Vec<u8>>>,
    acknowledged: Mutex<Vec<Batch>>,
    lines: Mutex<Vec<Vec<String>>>,
    subscriptions: Mutex<Vec<String>>,
    answers: Mutex<BTreeMap<String, (&'static str, String)>>,
    chain: Mutex<Option<Chain>>,
}

/// A real chain with the real contracts, which makes a block for each transaction.
struct Chain {
    mirror: Mirror,
    registry: String,
    time_s: u64,
}

pub struct Node {
    port: u16,
    state: Arc<State>,
}

impl Node {
    pub async fn start(partitions: u32, script: impl Fn(&Incoming) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            partitions,
            script: Box::new(script),
            count: AtomicUsize::new(0),
            received: Mutex::default(),
            acknowledged: Mutex::default(),
            lines: Mutex::default(),
            subscriptions: Mutex::default(),
            answers: Mutex::default(),
            chain: Mutex::default(),
        });
        let serving = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every message that came, answered or not.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.state.received.lock().expect("no panic").clone()
    }

    /// The batches acknowledged.
    pub fn batches(&self) -> Vec<Batch> {
        self.state.acknowledged.lock().expect("no panic").clone()
    }

    /// What each subscription is given; all but the last are then cut off.
    pub fn script(&self, lines: Vec<Vec<String>>) {
        *self.state.lines.lock().expect("no panic") = lines;
    }

    /// Puts a chain behind the node. `keys` have ether to pay for transactions.
    pub fn with_chain(self, keys: &[[u8; 32]]) -> Self {
        let ether = U256::from(10).pow(U256::from(18));
        let wallets: Vec<_> = keys.iter().map(|key| Wallet::from_bytes(key).expect("a key")).collect();
        let alloc = wallets.iter().map(|wallet| (wallet.address(), ether)).collect();
        let mut mirror =
            Mirror::in_memory(&Genesis { chain_id: CHAIN_ID, timestamp_s: 1_700_000_000, alloc });
        let deployment = Deployment { supply: 1000, reserve: 10, params: Params::default() };
        let time_s = 1_700_000_001;
        let contracts = deploy(&mut mirror, &wallets[0], &deployment, time_s).expect("the contracts deploy");
        let registry = contracts.registry.to_string();
        *self.state.chain.lock().expect("no panic") = Some(Chain { mirror, registry, time_s });
        self
    }

    /// Reads from a contract.
    pub fn view(&self, to: [u8; 20], input: Vec<u8>) -> Vec<u8> {
        let chain = self.state.chain.lock().expect("no panic");
        let mirror = &chain.as_ref().expect("with a chain").mirror;
        mirror.call(Address::ZERO, to.into(), input.into(), U256::ZERO).expect("a view").to_vec()
    }

    /// What a request is answered with, by method and path.
    pub fn answer(&self, request: String, status: &'static str, body: impl Into<String>) {
        self.state.answers.lock().expect("no panic").insert(request, (status, body.into()));
    }

    /// The subscriptions' paths.
    pub fn subscriptions(&self) -> Vec<String> {
        self.state.subscriptions.lock().expect("no panic").clone()
    }
}

/// Reads and verifies a batch as a node does.
pub fn decode(bytes: &[u8]) -> Batch {
    let verified = weir_kernel::verify::verify(Arc::from(bytes), CHAIN_ID, &Secp256k1Verifier);
    verified.expect("what a client sends is valid and signed").into_inner()
}

pub fn line(n: u64) -> String {
    let lane = LaneId([1; 32]);
    format!(
        r#"{{"content":{{"n":{n}}},"metadata":{{"streamId":"{STREAM}","partition":0,"timestamp":{},"sequenceNumber":{n},"publisherId":"0x","msgChainId":"{lane}"}}}}"#,
        1000 + n
    )
}

pub fn lines(range: Range<u64>) -> Vec<String> {
    range.map(line).collect()
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut head = vec![0; 8192];
    loop {
        let Ok(seen) = stream.peek(&mut head).await else { return };
        if seen == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&head[..seen]).into_owned();
        if !text.contains("\r\n\r\n") {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            continue;
        }
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        if path.starts_with(&format!("/streams/{STREAM}/publish")) {
            return publishing(stream, state).await;
        }
        if path.starts_with(&format!("/streams/{STREAM}/subscribe")) {
            state.subscriptions.lock().expect("no panic").push(path);
            return subscribing(stream, state).await;
        }
        let mut taken = vec![0; text.find("\r\n\r\n").expect("checked above") + 4];
        stream.read_exact(&mut taken).await.expect("peeked already");
        let method = text.split(' ').next().unwrap_or_default();
        let body = body(&mut stream, &text).await;
        let scripted = state.answers.lock().expect("no panic").get(&format!("{method} {path}")).cloned();
        let (status, body) = scripted.unwrap_or_else(|| answer(&path, &body, &state));
        let response = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The body that a request's head announces.
async fn body(stream: &mut TcpStream, head: &str) -> Vec<u8> {
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.expect("the announced body");
    body
}

fn answer(path: &str, body: &[u8], state: &State) -> (&'static str, String) {
    let zero = "0x0000000000000000000000000000000000000000";
    if path == "/info" {
        let chain = state.chain.lock().expect("no panic");
        let registry = chain.as_ref().map_or(zero, |chain| &chain.registry);
        let height = chain.as_ref().map_or(5, |chain| chain.mirror.height());
        let body = format!(
            r#"{{"chainId":{CHAIN_ID},"rpc":"/rpc","registry":"{registry}","coordinator":"{zero}","height":{height},"epochBlocks":8,"version":"0"}}"#
        );
        return ("200 OK", body);
    }
    if let ("/rpc", Some(chain)) = (path, state.chain.lock().expect("no panic").as_mut()) {
        let request: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let answer = weir_chain::rpc::handle(&mut chain.mirror, &request).expect("not a notification");
        chain.time_s += 1;
        if chain.mirror.pending_transactions() > 0 {
            chain.mirror.produce_block(chain.time_s).expect("a block");
        }
        return ("200 OK", answer.to_string());
    }
    if path == format!("/streams/{STREAM}") {
        let body = format!(
            r#"{{"id":"{STREAM}","name":"test","description":"","owner":"{zero}","partitions":{}}}"#,
            state.partitions
        );
        return ("200 OK", body);
    }
    ("404 Not Found", r#"{"code":"not-found","reason":"no such stream"}"#.into())
}

async fn publishing(stream: TcpStream, state: Arc<State>) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(bytes) = message else { continue };
        let incoming = Incoming { count: state.count.fetch_add(1, Ordering::SeqCst), batch: decode(&bytes) };
        state.received.lock().expect("no panic").push(bytes.to_vec());
        let (lane, header) = (incoming.batch.lane(), incoming.batch.header());
        let (sequence, count) = (header.sequence, header.count);
        // Like a node: a batch whose predecessor is missing is out of order, one that is held is acknowledged
        // again.
        let held = |batch: &Batch| batch.lane() == lane && batch.header().sequence == sequence;
        let before = |batch: &Batch| batch.lane() == lane && batch.header().next_sequence() == sequence;
        let ack = |level: &str| {
            format!(
                r#"{{"type":"ack","level":"{level}","lane":"{lane}","sequence":{sequence},"count":{count}}}"#
            )
        };
        let refuse = |code: &str, reason: &str| {
            format!(
                r#"{{"type":"refused","code":"{code}","reason":"{reason}","lane":"{lane}","sequence":{sequence}}}"#
            )
        };
        let (is_held, follows) = {
            let acknowledged = state.acknowledged.lock().expect("no panic");
            (acknowledged.iter().any(held), sequence == 0 || acknowledged.iter().any(before))
        };
        let answers = match (state.script)(&incoming) {
            Reply::Hang => return,
            Reply::Silence => Vec::new(),
            Reply::Refuse(code, reason) => vec![refuse(code, reason)],
            Reply::Ack(_) | Reply::AckTwice(..) if !is_held && !follows => {
                vec![refuse("out-of-order", "something before it is missing")]
            }
            Reply::Ack(level) => vec![ack(level)],
            Reply::AckTwice(first, second) => vec![ack(first), ack(second)],
        };
        let taken = answers.first().is_some_and(|answer| answer.contains(r#""type":"ack""#));
        if taken && !is_held {
            state.acknowledged.lock().expect("no panic").push(incoming.batch.clone());
        }
        for answer in answers {
            if socket.send(Message::text(answer)).await.is_err() {
                return;
            }
        }
    }
}

async fn subscribing(stream: TcpStream, state: Arc<State>) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
    let (lines, last) = {
        let mut scripts = state.lines.lock().expect("no panic");
        let lines = if scripts.is_empty() { Vec::new() } else { scripts.remove(0) };
        (lines, scripts.is_empty())
    };
    for line in lines {
        socket.send(Message::text(line)).await.expect("a reader");
    }
    if last {
        while let Some(Ok(_)) = socket.next().await {}
    }
}
