//! A broker that follows a script: it keeps what it is sent in memory and answers at once, and can stop.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use weir_kernel::batch::Batch;
use weir_kernel::broker::{Command, From, Level, Reading, Refusal, RefusalCode, Reply, SessionId};
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, StreamPartition};
use weir_kernel::log::{Chunk, Position, Slice};
use weir_kernel::verify::Verified;

use crate::handle::{NodeEnd, NodeHandle, node};

/// Events in one chunk: few, so that readings take several.
const CHUNK_EVENTS: usize = 3;

/// What all brokers of a test keep.
pub type Log = Arc<Mutex<Vec<Verified<Batch>>>>;

/// Starts a broker over a log. Aborting the task stops it.
pub fn start(address: Address, view: Arc<State>, log: Log) -> (NodeHandle, JoinHandle<()>) {
    let (handle, end) = node(address, view);
    let broker = Broker { end, log, readings: BTreeMap::new(), subscriptions: BTreeMap::new() };
    (handle, tokio::spawn(broker.run()))
}

/// A reading under way: the events that are left.
type Open = (StreamPartition, VecDeque<(Batch, u32)>);

struct Broker {
    end: NodeEnd,
    log: Log,
    readings: BTreeMap<(SessionId, u64), Open>,
    subscriptions: BTreeMap<(SessionId, u64), Vec<StreamPartition>>,
}

impl Broker {
    async fn run(mut self) {
        while let Some((session, command)) = self.end.command().await {
            match command {
                Command::Publish { request, batch, level } => self.publish(session, request, batch, level),
                Command::Read { request, slot, reading } => {
                    let events = self.read(slot, &reading);
                    self.readings.insert((session, request), (slot, events));
                    self.chunk(session, request);
                }
                Command::More { request, .. } => self.chunk(session, request),
                Command::Subscribe { request, stream, partitions, from } => {
                    let slots: Vec<_> = partitions
                        .into_iter()
                        .map(|partition| StreamPartition { stream, partition })
                        .collect();
                    for slot in &slots {
                        self.history(session, request, *slot, from);
                    }
                    self.subscriptions.insert((session, request), slots);
                }
                Command::Identify(_) => {}
                Command::Cancel { request } => drop(self.subscriptions.remove(&(session, request))),
                Command::Close => self.subscriptions.retain(|(known, _), _| *known != session),
            }
        }
    }

    fn publish(&mut self, session: SessionId, request: u64, batch: Verified<Batch>, level: Level) {
        let (lane, header) = (batch.lane(), *batch.header());
        if header.first_time_ms == 666 {
            let refusal = Refusal::new(RefusalCode::OutOfOrder, "the script refuses this time");
            self.end.replies().reply(session, Reply::Refused { request, refusal });
            return;
        }
        let mut log = self.log.lock().unwrap();
        if !log.iter().any(|known| known.digest() == batch.digest()) {
            log.push(batch.clone());
            for ((session, request), slots) in &self.subscriptions {
                if slots.contains(&header.slot()) {
                    let live = Reply::Live {
                        request: *request,
                        slot: header.slot(),
                        batch: batch.clone(),
                        first: 0,
                    };
                    self.end.replies().reply(*session, live);
                }
            }
        }
        for level in [Level::Stored, Level::Sealed].into_iter().filter(|reached| *reached <= level) {
            let next_sequence = header.next_sequence();
            self.end.replies().reply(session, Reply::Published { request, lane, next_sequence, level });
        }
    }

    fn events(&self, slot: StreamPartition) -> Vec<(Position, Batch, u32)> {
        let log = self.log.lock().unwrap();
        let of_slot = log.iter().filter(|batch| batch.header().slot() == slot);
        let mut events: Vec<_> = of_slot
            .flat_map(|batch| {
                batch.events().enumerate().map(|(index, event)| {
                    let position = Position {
                        timestamp_ms: event.timestamp_ms,
                        lane: batch.lane(),
                        sequence: event.sequence,
                    };
                    (position, (**batch).clone(), index as u32)
                })
            })
            .collect();
        events.sort_by_key(|(position, _, _)| *position);
        events
    }

    fn read(&self, slot: StreamPartition, reading: &Reading) -> VecDeque<(Batch, u32)> {
        let events = self.events(slot);
        let skip = match reading {
            Reading::Last(count) => events.len().saturating_sub(*count as usize),
            Reading::Range { .. } => 0,
        };
        let wanted = |(position, batch, _): &(Position, Batch, u32)| match reading {
            Reading::Last(_) => true,
            Reading::Range { from, to, origin } => {
                (from..=to).contains(&position) && origin.is_none_or(|origin| origin == batch.header().origin)
            }
        };
        events.into_iter().skip(skip).filter(wanted).map(|(_, batch, index)| (batch, index)).collect()
    }

    fn chunk(&mut self, session: SessionId, request: u64) {
        let Some((slot, events)) = self.readings.get_mut(&(session, request)) else { return };
        let some: Vec<_> = events.drain(..events.len().min(CHUNK_EVENTS)).collect();
        let (slot, over) = (*slot, events.is_empty());
        self.end.replies().reply(session, Reply::Chunk { request, slot, chunk: chunk_of(&some) });
        if over {
            self.readings.remove(&(session, request));
            self.end.replies().reply(session, Reply::End { request });
        }
    }

    fn history(&mut self, session: SessionId, request: u64, slot: StreamPartition, from: From) {
        let start = match from {
            From::Latest => u64::MAX,
            From::All => 0,
            From::Time(time) => time,
        };
        let events: Vec<_> =
            self.events(slot).into_iter().filter(|(position, _, _)| position.timestamp_ms >= start).collect();
        let events: Vec<_> = events.into_iter().map(|(_, batch, index)| (batch, index)).collect();
        self.end.replies().reply(session, Reply::Chunk { request, slot, chunk: chunk_of(&events) });
        self.end.replies().reply(session, Reply::CaughtUp { request, slot });
    }
}

fn chunk_of(events: &[(Batch, u32)]) -> Chunk {
    let batches = events.iter().map(|(batch, _)| batch.bytes().clone()).collect();
    let order =
        events.iter().zip(0..).map(|((_, first), batch)| Slice { batch, first: *first, count: 1 }).collect();
    Chunk { batches, order, ..Chunk::default() }
}
