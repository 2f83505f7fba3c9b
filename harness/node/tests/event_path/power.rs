//! Power fails while batches pour in: what was acknowledged is on the disk, what is on the disk is whole, and the
//! broker goes on from there.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use weir_kernel::batch::Batch;
use weir_kernel::broker::Message;
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, LaneId};
use weir_kernel::log::Query;
use weir_kernel::signature::SecretKey;
use weir_kernel::time::Now;
use weir_kernel::wire;
use weir_node::engine::{Completion, Engine, Operation};
use weir_node::node::commit::Committer;
use weir_node::verifier::NativeVerifier;
use weir_store::{EventLog, Fault, FaultLog, FaultPlan, LogError, MemoryDisk};

use super::support::{CHAIN_ID, Listed, Publisher, domain, publishers, views, wall_ms};
use super::{Chance, alone, rounds};

const EVENTS: usize = 32;
const LANES: u32 = 4;
const EDGE: Address = Address([0xED; 20]);

/// A broker over a disk, without sockets.
struct Broker {
    engine: Engine<NativeVerifier>,
    me: Address,
    committer: Committer,
    durable: mpsc::Receiver<Result<u64, LogError>>,
    committing: std::thread::JoinHandle<()>,
    started: Instant,
    acknowledged: BTreeMap<LaneId, u64>,
    off: bool,
}

impl Broker {
    fn start(me: Address, disk: &MemoryDisk, plan: FaultPlan, views: &[Arc<State>]) -> Self {
        let log = FaultLog::new(disk.open(), FaultPlan::default());
        let checkpoint = log.load().expect("what is on the disk is whole");
        let engine = Engine::open(me, views[0].clone(), &checkpoint, NativeVerifier);
        let mut log = log;
        log.plan(plan);
        let committer = Committer::default();
        let (told, durable) = mpsc::channel();
        let work = committer.run(log, move |index| drop(told.send(index)));
        let mut broker = Self {
            engine: engine.expect("its own store"),
            me,
            committer,
            durable,
            committing: std::thread::spawn(work),
            started: Instant::now(),
            acknowledged: BTreeMap::new(),
            off: false,
        };
        for view in views {
            broker.turn(vec![Completion::Chain(view.clone())]);
            broker.settle();
        }
        broker
    }

    fn turn(&mut self, completions: Vec<Completion>) {
        let monotonic_us = self.started.elapsed().as_micros() as u64;
        let mut operations = Vec::new();
        self.engine.turn(Now { monotonic_us, wall_ms: wall_ms() }, completions, &mut operations);
        for operation in operations {
            match operation {
                Operation::Write { index, records } => self.committer.write(index, records),
                Operation::Send { frame, .. } => {
                    let frame =
                        wire::decode(&frame, self.me, domain(), &NativeVerifier).expect("its own frame");
                    match frame.message() {
                        Message::Acknowledge { heads, .. } => {
                            self.acknowledged.extend(heads.iter().map(|head| (head.lane, head.next_sequence)))
                        }
                        Message::Refuse { reason, .. } => panic!("refused: {reason}"),
                        _ => {}
                    }
                }
                Operation::Refused(from, error) => panic!("{from}: {error}"),
                _ => {}
            }
        }
    }

    /// Hears what the disk says by now.
    fn settle(&mut self) {
        let mut heard: Vec<_> = self.durable.recv_timeout(Duration::from_millis(20)).into_iter().collect();
        heard.extend(self.durable.try_iter());
        for durable in heard {
            match durable {
                Ok(index) => self.turn(vec![Completion::Durable(index)]),
                Err(_) => self.off = true,
            }
        }
    }

    fn bring(&mut self, home: weir_kernel::ids::PartitionId, batch: &Batch) {
        let frame = wire::encode(&Message::Append { partition: home }, &[batch.bytes().clone()]);
        self.turn(vec![Completion::Frame(EDGE, frame.into())]);
    }

    /// Everything stops; returns what had been acknowledged.
    fn end(self) -> BTreeMap<LaneId, u64> {
        self.committer.close();
        self.committing.join().expect("the committer ends");
        self.acknowledged
    }
}

/// The batches of a lane on a disk.
fn held(disk: &MemoryDisk, lane: LaneId) -> Vec<Arc<[u8]>> {
    let (log, mut next, mut batches) = (disk.open(), Some(Query::Lane { lane, from: 0 }), Vec::new());
    while let Some(query) = next {
        let chunk = log.read(&query, 1 << 20).expect("what is on the disk is whole");
        batches.extend(chunk.batches);
        next = chunk.next;
    }
    batches
}

#[test]
fn nothing_acknowledged_is_lost_when_power_fails() {
    let _alone = alone();
    let me = SecretKey::from_bytes(&[1; 32]).unwrap().address();
    let views = views(Listed::unreachable(me), Listed::unreachable(EDGE));
    let (disk, mut chance) = (MemoryDisk::new(), Chance(0x5eed));
    let mut lanes: Vec<(Publisher, Vec<Batch>)> =
        publishers(&views[1], LANES).into_iter().map(|lane| (lane, Vec::new())).collect();
    let (mut lost, mut kept) = (0, 0);
    for round in 0..rounds() {
        let plan = match round % 2 {
            0 => FaultPlan { sync: Some((3 + chance.below(20), Fault::Device)), ..FaultPlan::default() },
            _ => FaultPlan { write: Some((3 + chance.below(30), Fault::Full)), ..FaultPlan::default() },
        };
        // A restarted broker sees only the chain of the present.
        let seen = if round == 0 { &views[..] } else { &views[1..] };
        let mut broker = Broker::start(me, &disk, plan, seen);
        // The publishers go on, each with what is not acknowledged first: as it was signed.
        for (lane, batches) in &lanes {
            batches.iter().for_each(|batch| broker.bring(lane.home, batch));
        }
        while !broker.off {
            for (lane, batches) in &mut lanes {
                for _ in 0..1 + chance.below(6) {
                    batches.push(lane.next(CHAIN_ID, EVENTS));
                    broker.bring(lane.home, &batches[batches.len() - 1]);
                }
            }
            broker.settle();
        }
        let acknowledged = broker.end();
        // Of what no sync covered, the device may have kept a beginning.
        disk.keep(chance.below(3) as usize);
        disk.crash();
        for (_, batches) in &mut lanes {
            let lane = batches[0].lane();
            let on_disk = held(&disk, lane);
            let same =
                on_disk.iter().zip(batches.iter()).all(|(held, signed)| held[..] == signed.bytes()[..]);
            assert!(same && on_disk.len() <= batches.len(), "round {round}: {lane} is not what was signed");
            let upto = on_disk.len().checked_sub(1).map_or(0, |last| batches[last].header().next_sequence());
            let said = acknowledged.get(&lane).copied().unwrap_or(0);
            assert!(said <= upto, "round {round}: {lane} is acknowledged to {said} and held to {upto}");
            lost += batches.len() - on_disk.len();
            kept += on_disk.len();
        }
    }
    assert!(lost > 0 && kept > 0, "power failed between: {lost} lost, {kept} kept");

    // What was lost is brought again, and all of it is acknowledged.
    let mut broker = Broker::start(me, &disk, FaultPlan::default(), &views[1..]);
    for (lane, batches) in &lanes {
        batches.iter().for_each(|batch| broker.bring(lane.home, batch));
    }
    let begin = Instant::now();
    let whole = |broker: &Broker| {
        lanes.iter().all(|(_, batches)| {
            let last = batches.last().expect("it has some");
            broker.acknowledged.get(&last.lane()) == Some(&last.header().next_sequence())
        })
    };
    while !whole(&broker) {
        broker.settle();
        assert!(begin.elapsed() < Duration::from_secs(30), "not all of it is acknowledged");
    }
    assert!(!broker.off);
    broker.end();
}
