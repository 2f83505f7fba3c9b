//! A broker's process is killed while batches pour in over QUIC: what was acknowledged is there when it is back, byte
//! for byte, goes on from there, and is sealed; and nothing is called sealed that was not acknowledged.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_kernel::agreement::LaneHead;
use weir_kernel::batch::Batch;
use weir_kernel::broker::Message;
use weir_kernel::ids::{Address, Hash, LaneId, StreamId, StreamPartition};
use weir_kernel::signature::SecretKey;
use weir_kernel::wire::Domain;
use weir_net::TlsIdentity;
use weir_node::network::{Network, Options};

use super::link::{Link, PATIENCE};
use super::support::Publisher;
use super::{Chance, alone, rounds};

/// Names the child's directory.
const DIRECTORY: &str = "WEIR_EVENT_PATH_TEST_DIRECTORY";

/// Says how many shards the child's brokers have.
const SHARDS: &str = "WEIR_EVENT_PATH_TEST_SHARDS";

/// The key that publishes a new network's samples: it may publish, and it has paid.
const SAMPLE_KEY: &str = "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";

/// The sample streams.
const SAMPLES: [&str; 3] = ["quakes", "weather", "flights"];

/// The broker that keeps, and the one whose place the test takes.
const KEEPER: usize = 0;
const EDGE: usize = 1;

const EVENTS: usize = 256;

/// Bytes of batches that are on their way at the same time.
const WINDOW_BYTES: usize = 4 << 20;

/// Runs in a child process until it is killed.
#[test]
#[ignore = "the child of the tests of killed brokers"]
fn child_keeps_until_killed() {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).expect("the parent test names a directory"));
    let shards = std::env::var(SHARDS).expect("the parent test says how many").parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let any = "127.0.0.1:0".parse().unwrap();
        let is_new = !directory.join("network.toml").exists();
        let options = Options {
            brokers: is_new.then_some(2),
            replicas: is_new.then_some(1),
            partitions_per_broker: is_new.then_some(4),
            epoch_blocks: is_new.then_some(8),
            shards: Some(shards),
            block_time: Duration::from_millis(100),
            http: any,
            websocket: any,
            offline: vec![EDGE as u32],
            ..Options::new(&directory)
        };
        let network = Network::start(options).await.expect("the network starts");
        println!("\nready {}", description(&network));
        std::future::pending::<()>().await;
    });
}

/// What a publisher needs to know.
fn description(network: &Network) -> Value {
    let (view, summary) = (network.view(), network.summary());
    let broker = |number: usize| {
        let address: Address = summary.brokers[number].address.parse().expect("an address");
        let broker = view.brokers.values().find(|broker| broker.address == address).expect("registered");
        json!({ "address": address.to_string(), "endpoint": broker.endpoint, "tls": broker.tls_key_hash.to_string() })
    };
    let keeper: Address = summary.brokers[KEEPER].address.parse().expect("an address");
    let index = view.broker_index(keeper).expect("registered");
    let streams = SAMPLES.map(|name| network.sample(name).expect("samples are on"));
    let slots = streams.iter().flat_map(|stream| {
        let count = view.stream(*stream).expect("created").partitions;
        (0..count).map(|partition| StreamPartition { stream: *stream, partition })
    });
    let carried: Vec<Value> = slots
        .map(|slot| (slot, view.home(slot)))
        .filter(|(_, home)| view.is_member(*home, index, view.epoch()))
        .map(|(slot, home)| json!([slot.stream.to_string(), slot.partition, home.0]))
        .collect();
    json!({
        "height": view.height,
        "chainId": view.chain_id,
        "coordinator": view.contracts.coordinator.to_string(),
        "http": network.http_addr().to_string(),
        "keeper": broker(KEEPER),
        "edge": broker(EDGE),
        "slots": carried,
    })
}

/// A child that keeps; killed when dropped.
struct Keeper {
    process: Child,
    /// Kept open: a child that cannot say anything ends.
    _output: Lines<BufReader<ChildStdout>>,
    ready: Value,
}

impl Keeper {
    fn start(directory: &Path, shards: u16) -> Self {
        let program = std::env::current_exe().expect("a test knows its program");
        let mut process = Command::new(program)
            .args(["--exact", "kill::child_keeps_until_killed", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory)
            .env(SHARDS, shards.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let said = |line: String| line.strip_prefix("ready ").map(str::to_owned);
        let ready = lines.by_ref().map_while(Result::ok).find_map(said);
        let ready = ready.expect("the child says that it is ready");
        let ready = serde_json::from_str(&ready).expect("a description");
        Self { process, _output: lines, ready }
    }

    /// What it says of itself: for whoever looks at a test that failed.
    fn status(&self) -> String {
        let mut text = String::new();
        let asked = TcpStream::connect(self.text("/http")).and_then(|mut socket| {
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            socket.write_all(b"GET /status HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
            socket.read_to_string(&mut text)
        });
        asked.map_or_else(|error| error.to_string(), |_| text)
    }

    fn text(&self, path: &str) -> &str {
        self.ready.pointer(path).and_then(Value::as_str).expect("the description has it")
    }

    fn endpoint(&self, whose: &str) -> SocketAddr {
        self.text(&format!("/{whose}/endpoint")).parse().expect("an address and a port")
    }

    /// Takes the other broker's place and meets this one.
    fn link(&self, network: &Path) -> Link {
        let tls = TlsIdentity::load_or_create(&network.join(format!("brokers/{EDGE}/tls"))).expect("its key");
        let me = self.text("/edge/address").parse().expect("an address");
        let mut link = Link::new(me, self.endpoint("edge"), tls, self.domain());
        link.meet(
            self.text("/keeper/address").parse().expect("an address"),
            self.endpoint("keeper"),
            self.text("/keeper/tls").parse().expect("a hash"),
        );
        link
    }

    fn domain(&self) -> Domain {
        let coordinator = self.text("/coordinator").parse().expect("an address");
        Domain { chain_id: self.ready["chainId"].as_u64().expect("a number"), coordinator }
    }

    fn carries_some(&self) -> bool {
        self.ready["slots"].as_array().is_some_and(|slots| !slots.is_empty())
    }

    /// New lanes in everything that the keeper carries.
    fn lanes(&self, key: &SecretKey, round: u32) -> Vec<Sent> {
        let height = self.ready["height"].as_u64().expect("a number");
        let slots = self.ready["slots"].as_array().expect("a list");
        let number = |value: &Value| u32::try_from(value.as_u64().expect("a number")).expect("32 bits");
        let lane = |slot: &Value| {
            let stream: StreamId = slot[0].as_str().expect("an id").parse().expect("an id");
            let at = StreamPartition { stream, partition: number(&slot[1]) };
            let home = weir_kernel::ids::PartitionId(number(&slot[2]));
            let publisher = Publisher::new(key, at, home, height, u64::from(round));
            Sent { publisher, digests: Vec::new(), unacknowledged: Vec::new() }
        };
        slots.iter().map(lane).collect()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is ours");
    }
}

/// A lane and what was sent of it.
struct Sent {
    publisher: Publisher,
    /// Of each batch: the sequence after it and the digest of its header.
    digests: Vec<(u64, Hash)>,
    /// The last of them, as signed.
    unacknowledged: Vec<Batch>,
}

impl Sent {
    fn lane(&self) -> LaneId {
        self.unacknowledged.last().expect("the newest batch is kept").lane()
    }

    fn end(&self) -> (u64, Hash) {
        *self.digests.last().expect("something was sent")
    }

    /// Signs the next batch and sends it once there is room.
    fn bring(&mut self, link: &mut Link, chain_id: u64) {
        let batch = self.publisher.next(chain_id, EVENTS);
        let acknowledged = link.acknowledged_to(&batch.lane());
        self.unacknowledged.retain(|old| old.header().next_sequence() > acknowledged);
        self.digests.push((batch.header().next_sequence(), batch.digest()));
        let message = Message::Append { partition: self.publisher.home };
        link.send(&message, &[batch.bytes().clone()]);
        self.unacknowledged.push(batch);
    }

    fn bytes(&self) -> usize {
        self.unacknowledged.iter().map(|batch| batch.bytes().len()).sum()
    }

    /// Fetches the whole lane from the broker and compares it with what was sent; returns where it ends.
    fn compare(&self, link: &mut Link) -> (u64, Hash) {
        let (lane, partition, begin) = (self.lane(), self.publisher.home, Instant::now());
        let mut held: Vec<(u64, Hash)> = Vec::new();
        loop {
            let from = held.last().map_or(0, |(next, _)| *next);
            link.fetched.clear();
            while !link.send(&Message::Fetch { partition, lane, from }, &[]) {
                link.hear();
            }
            link.until("an answer to a fetch", |link| link.fetched.contains_key(&lane) || !link.connected);
            let part = link.fetched.remove(&lane).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            held.extend(part.iter().map(|batch| (batch.header().next_sequence(), batch.digest())));
            assert!(begin.elapsed() < PATIENCE, "a lane has no end");
        }
        assert_eq!(held, self.digests[..held.len()], "what is kept is what was sent");
        held.last().copied().unwrap_or_default()
    }
}

/// Publishes as fast as it is acknowledged, at least so long and until something is.
fn pour(link: &mut Link, lanes: &mut [Sent], chain_id: u64, time: Duration) {
    let begin = Instant::now();
    let goes_on = |link: &Link| {
        assert!(begin.elapsed() < PATIENCE, "nothing is acknowledged");
        begin.elapsed() < time || link.acknowledged.is_empty()
    };
    while goes_on(link) {
        for sent in lanes.iter_mut() {
            sent.bring(link, chain_id);
        }
        link.hear();
        let waits = |lanes: &[Sent]| lanes.iter().map(Sent::bytes).sum::<usize>() >= WINDOW_BYTES;
        while waits(lanes) && goes_on(link) {
            link.hear();
            for sent in lanes.iter_mut() {
                let acknowledged = link.acknowledged_to(&sent.lane());
                let newest = sent.unacknowledged.len() - 1;
                let done = sent
                    .unacknowledged
                    .iter()
                    .take(newest)
                    .take_while(|batch| batch.header().next_sequence() <= acknowledged)
                    .count();
                sent.unacknowledged.drain(..done);
            }
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_when_a_killed_broker_is_back() {
    killed_and_back(1);
}

#[test]
fn what_was_acknowledged_is_there_when_a_killed_broker_of_three_shards_is_back() {
    killed_and_back(3);
}

fn killed_and_back(shards: u16) {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let directory = tempfile::tempdir().unwrap();
    // Which partitions a broker gets is drawn: another network, if it carries none of the samples.
    let started = (0..16).map(|number| directory.path().join(number.to_string())).find_map(|network| {
        let keeper = Keeper::start(&network, shards);
        keeper.carries_some().then_some((network, keeper))
    });
    let (network, mut keeper) = started.expect("of sixteen networks one has a sample where it is wanted");
    let chain_id = keeper.domain().chain_id;
    let mut link = keeper.link(&network);
    let key: Hash = SAMPLE_KEY.parse().unwrap();
    let key = SecretKey::from_bytes(&key.0).unwrap();
    let (mut chance, mut cut_short, mut events) = (Chance(0xdead), 0, 0);
    for round in 0..rounds() {
        let mut lanes = keeper.lanes(&key, round);
        pour(&mut link, &mut lanes, chain_id, Duration::from_millis(200 + chance.below(600)));
        drop(keeper);
        link.hear();
        let acknowledged: BTreeMap<LaneId, u64> =
            lanes.iter().map(|sent| (sent.lane(), link.acknowledged_to(&sent.lane()))).collect();
        assert!(acknowledged.values().any(|upto| *upto > 0), "something was acknowledged before the kill");
        link.close();

        keeper = Keeper::start(&network, shards);
        link = keeper.link(&network);
        for sent in &lanes {
            let (held, digest) = sent.compare(&mut link);
            let said = acknowledged[&sent.lane()];
            assert!(said <= held, "round {round}: acknowledged to {said}, held to {held}");
            link.hold(LaneHead { next_sequence: held, digest, ..LaneHead::empty(sent.lane()) });
            cut_short += u32::from(held < sent.end().0);
            events += held;
            // What may be missing is brought again, as it was signed.
            let message = Message::Append { partition: sent.publisher.home };
            for batch in &sent.unacknowledged {
                link.send(&message, &[batch.bytes().clone()]);
            }
        }
        let done = |link: &Link| lanes.iter().all(|sent| link.acknowledged_to(&sent.lane()) == sent.end().0);
        if !link.waits_for(done) {
            let lane = |sent: &Sent| {
                let (lane, brought) = (sent.lane(), sent.unacknowledged[0].header().sequence);
                let end = sent.end().0;
                format!("{lane} is acknowledged to {} of {brought}..{end}", link.acknowledged_to(&lane))
            };
            let lanes: Vec<String> = lanes.iter().map(lane).collect();
            panic!("round {round}, connected {}: {lanes:#?}\n{}", link.connected, keeper.status());
        }
        link.until("the seal of all that was sent", |link| {
            let sealed =
                |sent: &Sent| link.sealed.get(&sent.lane()).map(|head| (head.next_sequence, head.digest));
            lanes.iter().all(|sent| sealed(sent) == Some(sent.end()))
        });
        println!("round {round}: {events} events kept so far, {cut_short} lanes cut short");
    }
    assert!(cut_short > 0, "no kill fell among batches");
}
