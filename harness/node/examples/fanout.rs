//! Fan-out, measured: one broker, its interfaces, many WebSocket subscribers of one stream partition.
//!
//! ```text
//!   publisher process ──WebSocket──► this process: network of one broker ──WebSocket──► subscriber process
//! ```
//!
//! The three are processes of their own, so that the server's CPU is its own. Prints deliveries a second, deliveries a
//! second of the server's CPU, and the most that any session held.
//!
//!     cargo run --release -p weir-node --example fanout -- --subscribers 100 --rate 4000 --batch 16 --seconds 10
//!
//! `--stalled N` adds subscribers that read nothing, `--format binary` subscribes to signed batches.

#[path = "../tests/allotting/mod.rs"]
mod allotting;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use weir_kernel::batch::{LaneWriter, NewEvent, content_type};
use weir_kernel::ids::{Hash, StreamId, StreamPartition};
use weir_kernel::signature::{SECP256K1, SecretKey, Signature};
use weir_node::network::{CHAIN_ID, Network, Options};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of content of each event.
const CONTENT_BYTES: usize = 100;

/// Batches on the way to the node.
const WINDOW: usize = 64;

/// Time for the flow to become even before measuring begins.
const WARM_UP: Duration = Duration::from_secs(2);

/// Named arguments.
struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn read() -> Result<(String, Self), Failure> {
        let mut words = std::env::args().skip(1).peekable();
        let role = words.next_if(|word| !word.starts_with("--")).unwrap_or_else(|| "measure".into());
        let mut named = BTreeMap::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
            named.insert(name, value);
        }
        Ok((role, Self(named)))
    }

    fn text(&self, name: &str, otherwise: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| otherwise.to_owned())
    }

    fn number(&self, name: &str, otherwise: u64) -> Result<u64, Failure> {
        self.0.get(name).map_or(Ok(otherwise), |text| text.parse().map_err(|e| format!("{name}: {e}").into()))
    }
}

fn main() -> Result<(), Failure> {
    let (role, arguments) = Arguments::read()?;
    let workers = if role == "measure" { 2 } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        match role.as_str() {
            "subscribe" => subscribe(&arguments).await,
            "publish" => publish(&arguments).await,
            _ => measure(&arguments).await,
        }
    })
}

/// Ends a child with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(role: &str, arguments: &[(&str, String)]) -> Result<Running, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role).stdout(Stdio::piped());
    for (name, value) in arguments {
        command.args([name, value.as_str()]);
    }
    Ok(Running(command.spawn()?))
}

async fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let any = "127.0.0.1:0".parse()?;
    let options = Options {
        brokers: Some(1),
        replicas: Some(1),
        partitions_per_broker: Some(1),
        http: any,
        websocket: any,
        samples: false,
        ..Options::new(directory.path())
    };
    let network = Network::start(options).await?;
    let http = format!("http://{}", network.http_addr());
    let body = r#"{"name":"fanout","partitions":1,"public":true,"publicPublish":true}"#;
    let created = reqwest::Client::new().post(format!("{http}/streams")).body(body).send().await?;
    let created: serde_json::Value = serde_json::from_slice(&created.bytes().await?)?;
    let stream = created["id"].as_str().ok_or_else(|| format!("no stream: {created}"))?.to_owned();
    let slot = StreamPartition { stream: stream.parse().map_err(|_| "no id")?, partition: 0 };
    allotting::allot(&network, slot, 100_000).await;
    let block = network.view().height.to_string();
    let common = [("--node", network.ws_addr().to_string()), ("--stream", stream), ("--block", block)];
    let pass = |names: &[&'static str]| {
        let mut passed = common.to_vec();
        let given =
            names.iter().filter_map(|name| arguments.0.get(*name).map(|value| (*name, value.clone())));
        passed.extend(given);
        passed
    };
    let mut subscribers = spawn("subscribe", &pass(&["--subscribers", "--stalled", "--format"]))?;
    let output = BufReader::new(subscribers.0.stdout.take().ok_or("no output")?);
    let (ready, latest) = (tokio::sync::oneshot::channel(), Arc::new(AtomicU64::new(0)));
    let shown = Arc::clone(&latest);
    std::thread::spawn(move || {
        let mut ready = Some(ready.0);
        for line in output.lines().map_while(Result::ok) {
            match ready.take() {
                Some(ready) => drop(ready.send(())),
                None => shown.store(line.trim().parse().unwrap_or(0), Ordering::Relaxed),
            }
        }
    });
    ready.1.await.map_err(|_| "the subscribers did not start")?;
    let publisher = spawn("publish", &pass(&["--rate", "--batch"]))?;
    tokio::time::sleep(WARM_UP).await;
    let (first, begin, cpu) = (latest.load(Ordering::Relaxed), Instant::now(), cpu_seconds()?);
    tokio::time::sleep(Duration::from_secs(arguments.number("--seconds", 10)?)).await;
    let deliveries = (latest.load(Ordering::Relaxed) - first) as f64;
    let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let subscribed = arguments.number("--subscribers", 100)? as f64;
    let held = std::fs::read_to_string("/proc/self/status")?;
    let resident = held.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
    println!(
        "{:.0} deliveries/s, {:.0} published/s, server CPU {:.2} cores, {:.0} deliveries/s a core, {resident}",
        deliveries / elapsed,
        deliveries / elapsed / subscribed,
        cpu / elapsed,
        deliveries / cpu
    );
    let metrics = reqwest::get(format!("{http}/metrics")).await?.text().await?;
    metrics.lines().filter(|line| line.contains("slow") || line.contains("held")).for_each(|line| {
        if !line.starts_with('#') {
            println!("{line}");
        }
    });
    drop((publisher, subscribers));
    network.stop().await?;
    Ok(())
}

/// CPU time of this process, user and system, in seconds: fields 14 and 15 of its stat line, in hundredths.
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(") ").ok_or("an odd stat line")?.1;
    let ticks: u64 = after.split(' ').skip(11).take(2).map(|field| field.parse().unwrap_or(0u64)).sum();
    Ok(ticks as f64 / 100.0)
}

async fn publish(arguments: &Arguments) -> Result<(), Failure> {
    let (batch, rate) = (arguments.number("--batch", 16)?, arguments.number("--rate", 2000)?);
    let stream: StreamId = arguments.text("--stream", "").parse().map_err(|_| "--stream: no id")?;
    let url = format!("ws://{}/streams/{stream}/publish?ack=accepted", arguments.text("--node", ""));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
    let secret = hex::decode(allotting::DEVELOPMENT)?.try_into().map_err(|_| "a key has 32 bytes")?;
    let key = SecretKey::from_bytes(&secret).map_err(|_| "a key")?;
    let slot = StreamPartition { stream, partition: 0 };
    let block = arguments.number("--block", 1)?;
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&std::process::id().to_be_bytes());
    let mut lane = LaneWriter::new(slot, key.address(), block, nonce, Hash::ZERO, SECP256K1);
    let begin = Instant::now();
    let mut waiting = 0;
    for sent in 0u64.. {
        let due = Duration::from_secs_f64((sent * batch) as f64 / rate as f64);
        tokio::time::sleep(due.saturating_sub(begin.elapsed())).await;
        let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
        let content = |n: u64| {
            let mut text = format!("{{\"n\":{n},\"pad\":\"");
            text.extend(std::iter::repeat_n('x', CONTENT_BYTES - 2 - text.len()));
            text + "\"}"
        };
        let event = |n| NewEvent::new(now_ms, content_type::JSON, content(sent * batch + n));
        let unsigned = lane.next_batch((0..batch).map(event).collect())?;
        let signature = Signature::Secp256k1(key.sign_hash(&unsigned.signing_hash(CHAIN_ID)));
        let signed = unsigned.sign(signature)?;
        socket.send(Message::binary(signed.bytes().to_vec())).await?;
        waiting += 1;
        while waiting >= WINDOW {
            let answer = socket.next().await.ok_or("the node closed")??;
            if let Message::Text(text) = answer {
                if !text.contains("\"ack\"") {
                    return Err(format!("refused: {text}").into());
                }
                waiting -= 1;
            }
        }
    }
    Ok(())
}

async fn subscribe(arguments: &Arguments) -> Result<(), Failure> {
    let (readers, stalled) = (arguments.number("--subscribers", 100)?, arguments.number("--stalled", 0)?);
    let node = arguments.text("--node", "");
    let (stream, format) = (arguments.text("--stream", ""), arguments.text("--format", ""));
    let path = match format.as_str() {
        "" => format!("/streams/{stream}/subscribe?partitions=0"),
        format => format!("/streams/{stream}/subscribe?partitions=0&format={format}"),
    };
    let events = Arc::new(AtomicU64::new(0));
    let mut idle = Vec::new();
    for number in 0..readers + stalled {
        let mut socket = TcpStream::connect(&node).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {node}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await?);
        }
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(String::from_utf8_lossy(&head).into_owned().into());
        }
        if number < readers {
            let events = Arc::clone(&events);
            tokio::spawn(async move { count(socket, &events).await });
        } else {
            idle.push(socket);
        }
    }
    println!("ready");
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!("{}", events.load(Ordering::Relaxed));
        std::io::stdout().flush()?;
    }
}

/// Counts the events that a WebSocket brings: a text message is one, a binary message says how many it holds.
async fn count(mut socket: TcpStream, events: &AtomicU64) -> std::io::Result<()> {
    let mut buffer = vec![0u8; 256 << 10];
    let (mut filled, mut skip) = (0, 0usize);
    loop {
        let read = socket.read(&mut buffer[filled..]).await?;
        if read == 0 {
            eprintln!("a subscriber's connection ended");
            return Ok(());
        }
        filled += read;
        let (mut at, mut found) = (0, 0u64);
        while at < filled {
            if skip > 0 {
                let step = skip.min(filled - at);
                (at, skip) = (at + step, skip - step);
                continue;
            }
            let Some((head, length)) = frame(&buffer[at..filled]) else { break };
            let opcode = buffer[at] & 0x0f;
            if opcode == 2 {
                // first u32, count u32, the batch.
                let Some(count) = buffer[at + head..filled].get(4..8) else { break };
                found += u64::from(u32::from_be_bytes(count.try_into().expect("four bytes")));
            } else if opcode == 1 {
                found += 1;
            }
            (at, skip) = (at + head, length);
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        events.fetch_add(found, Ordering::Relaxed);
    }
}

/// Bytes of a frame's head and of its payload, once the head is there.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? & 0x7f {
        126 => Some((4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?)),
        short => Some((2, usize::from(short))),
    }
}
