//! A broker that only publishes: it brings signed batches to a replica over QUIC, as an edge does for its clients, and
//! counts what the replica says is on disk.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use weir_client::Key;
use weir_kernel::batch::{LaneWriter, NewEvent, content_type};
use weir_kernel::broker::Message;
use weir_kernel::hash::sha256;
use weir_kernel::ids::{Address, Hash, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::limits::CHUNK_BYTES;
use weir_kernel::log::{Position, Query};
use weir_kernel::signature::{SECP256K1, Signature};
use weir_kernel::verify::{Verifier, verify};
use weir_kernel::wire::{self, Domain};
use weir_net::quic::{QuicConfig, QuicTransport};
use weir_net::{Channel, NetEvent, Peer, SendError, TlsIdentity, Transport};
use weir_node::verifier::NativeVerifier;

use super::super::records;
use super::super::usage::thread_cpu_s;
use super::node::Broker;
use crate::failure::Failure;

/// How long a replica may say nothing at all before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest sleep between two looks at the transport; what arrives ends it.
const SLEEP: Duration = Duration::from_millis(5);

/// Bytes of batches that are on their way at the same time: what a few round trips and a slow sync take.
const WINDOW_BYTES: usize = 4 << 20;

/// Events taken from the transport at a time.
const POLLED: usize = 1024;

/// Whom to be, and whom to bring batches to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connect {
    /// Directory of this broker's TLS key.
    pub tls: PathBuf,
    /// Itself, as the chain knows it.
    pub me: Broker,
    /// The replica.
    pub node: Broker,
    /// The chain.
    pub chain_id: u64,
    /// Its coordinator.
    pub coordinator: String,
    /// Block at which lanes open.
    pub opening_block: u64,
    /// The stream.
    pub stream: String,
    /// For each lane its stream partition and the partition that this lives in.
    pub lanes: Vec<(u32, u32)>,
}

/// Batches to make.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Prepare {
    /// Batches of each lane.
    pub batches: usize,
    /// Events of each batch.
    pub events: usize,
    /// Batches of a lane that wait together go together, up to so many bytes.
    pub frame_bytes: usize,
}

/// What was made.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// Events in all batches.
    pub events: u64,
    /// Bytes of all batches.
    pub bytes: u64,
    /// Seconds of one core that verifying each of them once takes.
    pub verify_s: f64,
}

/// How bringing went.
#[derive(Debug, Serialize, Deserialize)]
pub struct Brought {
    /// From the first frame to the last acknowledgement.
    pub seconds: f64,
    /// From the first sending of a batch to its acknowledgement, median.
    pub median_ms: f64,
}

/// What was read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Scanned {
    /// Events.
    pub events: u64,
    /// Bytes of the answers.
    pub bytes: u64,
    /// From the first question to the last answer.
    pub seconds: f64,
}

/// Takes every signature for right: a reader's own checking is no part of what reading costs a broker.
struct Unchecked;

impl Verifier for Unchecked {
    fn verify(&self, _: u8, _: &Address, _: &Hash, _: &[u8]) -> bool {
        true
    }
}

/// A connected edge.
pub struct Edge {
    transport: QuicTransport,
    signal: Arc<Signal>,
    node: Address,
    domain: Domain,
    key: Key,
    lanes: Vec<Lane>,
}

struct Lane {
    writer: LaneWriter,
    home: PartitionId,
    frames: Vec<Frame>,
}

/// A frame that waits to be sent.
struct Frame {
    bytes: bytes::Bytes,
    /// Sequence after its last event.
    next_sequence: u64,
}

/// Wakes the thread that looks at the transport.
#[derive(Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn wake(&self) {
        *self.woken.lock().expect("no holder panics") = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let woken = self.woken.lock().expect("no holder panics");
        let (mut woken, _) =
            self.changed.wait_timeout_while(woken, SLEEP, |woken| !*woken).expect("no holder panics");
        *woken = false;
    }
}

impl Edge {
    /// Listens where the chain says that this broker is, and waits for the session with the replica.
    pub fn connect(connect: &Connect, runtime: tokio::runtime::Handle) -> Result<Self, Failure> {
        let me: Address = connect.me.address.parse().map_err(Failure::of)?;
        let node: Address = connect.node.address.parse().map_err(Failure::of)?;
        let coordinator: Address = connect.coordinator.parse().map_err(Failure::of)?;
        let stream: StreamId = connect.stream.parse().map_err(Failure::of)?;
        let key = Key::development();
        let listen: SocketAddr = connect.me.quic;
        let identity = TlsIdentity::load_or_create(&connect.tls).map_err(Failure::of)?;
        let chain_id = connect.chain_id;
        let config = QuicConfig { address: me, chain_id, listen, identity, runtime };
        let mut transport = QuicTransport::bind(config).map_err(Failure::of)?;
        let signal = Arc::<Signal>::default();
        let waker = Arc::clone(&signal);
        transport.set_waker(Arc::new(move || waker.wake()));
        let tls_key_hash: Hash = connect.node.tls_key_hash.parse().map_err(Failure::of)?;
        let endpoint = connect.node.quic.to_string();
        transport.set_peers(vec![Peer { address: node, endpoint, tls_key_hash }]);
        let origin = key.address();
        let lane = |(nth, (partition, home)): (usize, &(u32, u32))| {
            let seed = sha256(&[&me.0, &std::process::id().to_be_bytes(), &nth.to_be_bytes()]);
            let nonce = *seed.0.first_chunk().expect("a hash has 32 bytes");
            let slot = StreamPartition { stream, partition: *partition };
            let writer = LaneWriter::new(slot, origin, connect.opening_block, nonce, Hash::ZERO, SECP256K1);
            Lane { writer, home: PartitionId(*home), frames: Vec::new() }
        };
        let lanes = connect.lanes.iter().enumerate().map(lane).collect();
        let domain = Domain { chain_id, coordinator };
        let mut edge = Self { transport, signal, node, domain, key, lanes };
        edge.wait_for_session()?;
        Ok(edge)
    }

    fn wait_for_session(&mut self) -> Result<(), Failure> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            for event in self.transport.poll(POLLED) {
                match event {
                    NetEvent::Connected(_) => return Ok(()),
                    NetEvent::Refused { remote, reason } => {
                        return Err(Failure::Failed(format!("no session with {remote}: {reason}")));
                    }
                    NetEvent::Received { .. } | NetEvent::Disconnected(..) => {}
                }
            }
            self.signal.wait();
        }
        Err(Failure::Failed(format!("no session with {} within {} s", self.node, PATIENCE.as_secs())))
    }

    /// Makes and signs the next batches of each lane, on all cores, and verifies each once to say what that costs.
    pub fn prepare(&mut self, wanted: Prepare) -> Result<Prepared, Failure> {
        let (key, chain_id) = (&self.key, self.domain.chain_id);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let chunk = self.lanes.len().div_ceil(threads);
        let made: Vec<Result<Prepared, Failure>> = std::thread::scope(|scope| {
            let workers: Vec<_> = self
                .lanes
                .chunks_mut(chunk)
                .map(|lanes| scope.spawn(move || fill(lanes, key, chain_id, wanted)))
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("signing does not panic")).collect()
        });
        let mut all = Prepared { events: 0, bytes: 0, verify_s: 0.0 };
        for made in made {
            let made = made?;
            all.events += made.events;
            all.bytes += made.bytes;
            all.verify_s += made.verify_s;
        }
        Ok(all)
    }

    /// Brings all that was prepared, as fast as the replica acknowledges it; with a pace, no more frames a second.
    pub fn bring(&mut self, pace: Option<f64>) -> Result<Brought, Failure> {
        let mut flight = Flight::default();
        let mut queues: Vec<VecDeque<Frame>> = Vec::new();
        let mut ids = Vec::new();
        for lane in &mut self.lanes {
            queues.push(std::mem::take(&mut lane.frames).into());
            ids.push(lane.writer.lane());
        }
        let mut waiting: usize = queues.iter().map(VecDeque::len).sum();
        let (begin, mut heard, mut turn, mut sent) = (Instant::now(), Instant::now(), 0, 0u64);
        while waiting > 0 || flight.bytes > 0 {
            let due = pace.map_or(u64::MAX, |pace| 1 + (begin.elapsed().as_secs_f64() * pace) as u64);
            while waiting > 0 && sent < due && flight.bytes < WINDOW_BYTES {
                let at = turn % queues.len();
                let Some(frame) = queues[at].front() else {
                    turn += 1;
                    continue;
                };
                match self.transport.send(self.node, Channel::Live, frame.bytes.clone()) {
                    Ok(()) => {}
                    Err(SendError::Full { .. }) => break,
                    Err(error) => return Err(Failure::of(error)),
                }
                let frame = queues[at].pop_front().expect("it was looked at");
                flight.sent(ids[at], frame);
                turn += 1;
                sent += 1;
                waiting -= 1;
            }
            let events = self.transport.poll(POLLED);
            if events.is_empty() {
                if flight.bytes > 0 && heard.elapsed() > PATIENCE {
                    let what = format!("{} says nothing for {} s", self.node, PATIENCE.as_secs());
                    return Err(Failure::Failed(what));
                }
                self.signal.wait();
                continue;
            }
            heard = Instant::now();
            events.into_iter().try_for_each(|event| self.hear(event, &mut flight))?;
        }
        Ok(Brought { seconds: begin.elapsed().as_secs_f64(), median_ms: flight.median_ms() })
    }

    /// Reads each lane's stream partition from its beginning to its end, all at the same time.
    pub fn scan(&mut self) -> Result<Scanned, Failure> {
        let begin = Instant::now();
        let mut scanned = Scanned { events: 0, bytes: 0, seconds: 0.0 };
        let first = |lane: &Lane| Query::Range {
            partition: lane.home,
            slot: lane.writer.slot(),
            from: Position::default(),
            to: Position { timestamp_ms: u64::MAX, lane: LaneId([0xff; 32]), sequence: u64::MAX },
            up_to_index: u64::MAX,
            origin: None,
        };
        let queries: Vec<Query> = self.lanes.iter().map(first).collect();
        let (mut open, mut heard) = (queries.len(), Instant::now());
        for (token, query) in (0..).zip(queries) {
            self.read(token, query)?;
        }
        while open > 0 {
            let events = self.transport.poll(POLLED);
            if events.is_empty() {
                if heard.elapsed() > PATIENCE {
                    let what = format!("{} answers nothing for {} s", self.node, PATIENCE.as_secs());
                    return Err(Failure::Failed(what));
                }
                self.signal.wait();
                continue;
            }
            heard = Instant::now();
            for event in events {
                let NetEvent::Received { from, frame } = event else { continue };
                let received = wire::decode(&frame, from, self.domain, &Unchecked).map_err(Failure::of)?;
                match received.message() {
                    Message::Answer { token, order, next, .. } => {
                        scanned.bytes += frame.len() as u64;
                        scanned.events += order.iter().map(|slice| u64::from(slice.count)).sum::<u64>();
                        match next {
                            Some(next) => self.read(*token, next.clone())?,
                            None => open -= 1,
                        }
                    }
                    Message::ReadFailed { reason, .. } => {
                        return Err(Failure::Failed(format!("a reading fails: {reason}")));
                    }
                    _ => {}
                }
            }
        }
        scanned.seconds = begin.elapsed().as_secs_f64();
        Ok(scanned)
    }

    fn read(&mut self, token: u64, query: Query) -> Result<(), Failure> {
        let message = Message::Read { token, query, budget_bytes: CHUNK_BYTES };
        let frame = wire::encode(&message, &[]).into();
        self.transport.send(self.node, Channel::Live, frame).map_err(Failure::of)
    }

    fn hear(&self, event: NetEvent, flight: &mut Flight) -> Result<(), Failure> {
        match event {
            NetEvent::Received { from, frame } => {
                let received = wire::decode(&frame, from, self.domain, &NativeVerifier);
                match received.map_err(Failure::of)?.message() {
                    Message::Acknowledge { heads, .. } => {
                        heads.iter().for_each(|head| flight.acknowledged(head.lane, head.next_sequence));
                    }
                    Message::Refuse { reason, .. } => {
                        return Err(Failure::Failed(format!("a batch is refused: {reason}")));
                    }
                    _ => {}
                }
                Ok(())
            }
            NetEvent::Disconnected(peer, reason) => {
                Err(Failure::Failed(format!("the session with {peer} ended: {reason}")))
            }
            NetEvent::Connected(_) | NetEvent::Refused { .. } => Ok(()),
        }
    }
}

/// Makes the batches of some lanes.
fn fill(lanes: &mut [Lane], key: &Key, chain_id: u64, wanted: Prepare) -> Result<Prepared, Failure> {
    let contents = records::small();
    let mut made = Prepared { events: 0, bytes: 0, verify_s: 0.0 };
    for lane in lanes {
        let mut batches: Vec<(Arc<[u8]>, u64)> = Vec::with_capacity(wanted.batches);
        let time_ms = weir_client::time::now_ms().max(lane.writer.last_time_ms());
        for _ in 0..wanted.batches {
            let first = lane.writer.next_sequence() as usize;
            let event = |nth: usize| NewEvent {
                timestamp_ms: time_ms,
                content_type: content_type::JSON,
                content: contents[nth % contents.len()].clone().into_bytes(),
                ..NewEvent::default()
            };
            let events = (first..first + wanted.events).map(event).collect();
            let unsigned = lane.writer.next_batch(events).map_err(Failure::of)?;
            let signature = Signature::Secp256k1(key.sign_hash(&unsigned.signing_hash(chain_id)));
            let batch = unsigned.sign(signature).map_err(Failure::of)?;
            batches.push((batch.bytes().clone(), lane.writer.next_sequence()));
        }
        let begin = thread_cpu_s()?;
        for (bytes, _) in &batches {
            let verified = verify(Arc::clone(bytes), chain_id, &NativeVerifier).map_err(Failure::of)?;
            made.events += u64::from(verified.header().count);
            made.bytes += bytes.len() as u64;
        }
        made.verify_s += thread_cpu_s()? - begin;
        lane.frames = frames(lane.home, batches, wanted.frame_bytes);
    }
    Ok(made)
}

/// Packs batches of one lane into frames.
fn frames(partition: PartitionId, batches: Vec<(Arc<[u8]>, u64)>, frame_bytes: usize) -> Vec<Frame> {
    let message = Message::Append { partition };
    let mut frames = Vec::new();
    let (mut packed, mut bytes) = (Vec::new(), 0);
    let mut batches = batches.into_iter().peekable();
    while let Some((batch, next_sequence)) = batches.next() {
        bytes += batch.len();
        packed.push(batch);
        if batches.peek().is_none_or(|(next, _)| bytes + next.len() > frame_bytes) {
            frames.push(Frame { bytes: wire::encode(&message, &packed).into(), next_sequence });
            packed.clear();
            bytes = 0;
        }
    }
    frames
}

/// What is on its way.
#[derive(Default)]
struct Flight {
    bytes: usize,
    lanes: BTreeMap<LaneId, VecDeque<(u64, usize, Instant)>>,
    milliseconds: Vec<f64>,
}

impl Flight {
    fn sent(&mut self, lane: LaneId, frame: Frame) {
        self.bytes += frame.bytes.len();
        let place = (frame.next_sequence, frame.bytes.len(), Instant::now());
        self.lanes.entry(lane).or_default().push_back(place);
    }

    /// Everything of the lane before this sequence is on disk.
    fn acknowledged(&mut self, lane: LaneId, next_sequence: u64) {
        let Some(sent) = self.lanes.get_mut(&lane) else { return };
        while let Some((_, bytes, at)) = sent.pop_front_if(|(end, ..)| *end <= next_sequence) {
            self.bytes -= bytes;
            self.milliseconds.push(at.elapsed().as_secs_f64() * 1e3);
        }
    }

    fn median_ms(&mut self) -> f64 {
        self.milliseconds.sort_by(f64::total_cmp);
        self.milliseconds.get(self.milliseconds.len() / 2).copied().unwrap_or(0.0)
    }
}
