//! The subscriber: history, then the live flow, of a stream, without gap and without duplicate (WP 2.4.4).
//!
//! Flow is by credit: the broker sends on as [`Subscriber::consumed`] tells it what the client has taken. When the
//! broker of the session stops, the subscription is opened again at another one, from the same start, and what was
//! delivered already is left out by the next sequence of each lane. Lanes that are remembered are bounded: when too
//! many were seen, the one whose last event is the oldest is forgotten and the start moves up to that event's time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use weir_kernel::broker::{Command, From, Refusal, RefusalCode, Reply};
use weir_kernel::ids::{Address, LaneId, StreamId, StreamPartition};

use super::event::{EventView, events_from, events_of};
use super::gateway::Gateway;
use super::limits::{LIVE_PATIENCE, MAX_TRACKED_LANES, REOPEN_PAUSE, REOPEN_TIMEOUT};
use crate::handle::Session;

/// The number of the one request of a subscriber's session.
const REQUEST: u64 = 0;

/// What a subscription delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Events of one stream partition, in order within each lane.
    Events {
        /// The events; may be empty.
        events: Vec<EventView>,
        /// What to tell [`Subscriber::consumed`] once the client has them, in bytes.
        bytes: u64,
    },
    /// A stream partition's history is delivered: what follows of it is live.
    CaughtUp {
        /// Which of the stream's partitions.
        partition: u32,
    },
    /// A publisher forked its lane: its events from this sequence on do not count.
    Withdrawn {
        /// The lane.
        lane: LaneId,
        /// First sequence withdrawn.
        from: u64,
    },
}

/// A subscription to partitions of a stream. See the module's text.
#[derive(Debug)]
pub struct Subscriber {
    gateway: Arc<Gateway>,
    identity: Option<Address>,
    stream: StreamId,
    partitions: Vec<u32>,
    from: From,
    session: Option<Session>,
    seen: Seen,
    /// Partitions whose history was delivered.
    caught_up: BTreeSet<u32>,
    /// Came from the session and was not given on yet.
    ready: VecDeque<Delivery>,
}

/// What was delivered.
#[derive(Debug)]
struct Seen {
    /// By lane: the next sequence, and the time of the last event.
    lanes: BTreeMap<(StreamPartition, LaneId), (u64, u64)>,
    /// The same lanes by time, to find the oldest.
    by_time: BTreeSet<(u64, StreamPartition, LaneId)>,
    /// Events of unknown lanes before this time are not wanted, in milliseconds since 1970 UTC.
    floor_ms: u64,
    most: usize,
}

impl Seen {
    /// Takes the events that were not delivered yet, and remembers them.
    fn take_new(&mut self, events: Vec<EventView>) -> Vec<EventView> {
        events.into_iter().filter(|event| self.take(event)).collect()
    }

    fn take(&mut self, event: &EventView) -> bool {
        let position = event.position();
        let key = (event.slot(), position.lane);
        match self.lanes.get(&key).copied() {
            Some((next, _)) if position.sequence < next => return false,
            None if position.timestamp_ms < self.floor_ms => return false,
            Some((_, time)) => {
                self.by_time.remove(&(time, key.0, key.1));
            }
            None => {}
        }
        self.lanes.insert(key, (position.sequence + 1, position.timestamp_ms));
        self.by_time.insert((position.timestamp_ms, key.0, key.1));
        if self.lanes.len() > self.most
            && let Some((time, slot, lane)) = self.by_time.pop_first()
        {
            self.lanes.remove(&(slot, lane));
            self.floor_ms = self.floor_ms.max(time.saturating_add(1));
        }
        true
    }

    /// A lane was cut back: its publisher forked it.
    fn withdraw(&mut self, lane: LaneId, from: u64) {
        for ((_, known), (next, _)) in &mut self.lanes {
            if *known == lane {
                *next = (*next).min(from);
            }
        }
    }
}

impl Subscriber {
    /// Subscribes `identity` (nobody in particular if `None`) to some partitions of a stream; to all if none is
    /// named. From `latest` it is live when this returns: what is published from then on is delivered. `now_ms` is the time, in milliseconds since 1970 UTC: where a subscription from `latest` is taken up
    /// again.
    ///
    /// # Errors
    ///
    /// `not-found`, `unauthorized`, `invalid` for a partition that does not exist, `unavailable`.
    pub async fn open(
        gateway: Arc<Gateway>,
        identity: Option<Address>,
        stream: StreamId,
        partitions: Vec<u32>,
        from: From,
        now_ms: u64,
    ) -> Result<Self, Refusal> {
        gateway.check_subscribe(stream, identity)?;
        for partition in &partitions {
            gateway.check_slot(StreamPartition { stream, partition: *partition })?;
        }
        let seen =
            Seen { lanes: BTreeMap::new(), by_time: BTreeSet::new(), floor_ms: 0, most: MAX_TRACKED_LANES };
        let mut subscriber = Self {
            gateway,
            identity,
            stream,
            partitions,
            from,
            session: None,
            seen,
            caught_up: BTreeSet::new(),
            ready: VecDeque::new(),
        };
        subscriber.subscribe(from).await?;
        if from == From::Latest {
            // From now on: a second asking must not begin later than this one.
            subscriber.from = From::Time(now_ms);
            subscriber.wait_until_live().await?;
        }
        Ok(subscriber)
    }

    /// Waits until every partition is live, or a while: a partition without replicas joins when it has some.
    async fn wait_until_live(&mut self) -> Result<(), Refusal> {
        let wanted = match self.partitions.len() {
            0 => self.gateway.partitions(self.stream)? as usize,
            some => some,
        };
        let deadline = Instant::now() + LIVE_PATIENCE;
        let mut live = BTreeSet::new();
        let mut came = VecDeque::new();
        while live.len() < wanted {
            let Ok(delivery) = timeout_at(deadline, self.next()).await else { break };
            let delivery = delivery?;
            if let Delivery::CaughtUp { partition } = delivery {
                live.insert(partition);
            }
            came.push_back(delivery);
        }
        came.append(&mut self.ready);
        self.ready = came;
        Ok(())
    }

    async fn subscribe(&mut self, from: From) -> Result<(), Refusal> {
        let session = self.gateway.open_identified(self.identity, REOPEN_TIMEOUT).await?;
        let command = Command::Subscribe {
            request: REQUEST,
            stream: self.stream,
            partitions: self.partitions.clone(),
            from,
        };
        // If the broker stopped meanwhile, the session ends and the next reply shows it.
        let _ = session.command(command).await;
        self.session = Some(session);
        Ok(())
    }

    /// The next delivery. Safe to drop before it is ready: nothing is lost.
    ///
    /// # Errors
    ///
    /// The subscription is over: refused by the broker, or none was left to go on at.
    pub async fn next(&mut self) -> Result<Delivery, Refusal> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(ready);
            }
            let Some(session) = &mut self.session else {
                tokio::time::sleep(REOPEN_PAUSE).await;
                let from = self.resume_from();
                self.subscribe(from).await?;
                continue;
            };
            match session.reply().await {
                Some(reply) => self.hear(reply)?,
                None => self.session = None,
            }
        }
    }

    /// The client has taken this much: the broker may send on.
    pub async fn consumed(&mut self, bytes: u64) {
        if let Some(session) = &self.session {
            // A broker that stopped needs no credit; the next delivery notices it.
            let _ = session.command(Command::More { request: REQUEST, bytes }).await;
        }
    }

    /// Where a second asking starts.
    fn resume_from(&self) -> From {
        match self.from {
            From::All if self.seen.floor_ms > 0 => From::Time(self.seen.floor_ms),
            From::Time(time) => {
                // What was delivered live may lie before the start; its lanes go on from there.
                let earliest = self.seen.by_time.first().map_or(time, |(earliest, _, _)| *earliest);
                From::Time(earliest.min(time).max(self.seen.floor_ms))
            }
            from => from,
        }
    }

    fn hear(&mut self, reply: Reply) -> Result<(), Refusal> {
        match reply {
            Reply::Chunk { chunk, .. } => {
                let events = events_of(&chunk)
                    .map_err(|error| Refusal::new(RefusalCode::Unavailable, error.to_string()))?;
                let bytes = chunk.batches.iter().map(|batch| batch.len() as u64).sum();
                self.ready.push_back(Delivery::Events { events: self.seen.take_new(events), bytes });
            }
            Reply::Live { batch, first, .. } => {
                let bytes = batch.bytes().len() as u64;
                let events = self.seen.take_new(events_from(&batch, first));
                self.ready.push_back(Delivery::Events { events, bytes });
            }
            Reply::CaughtUp { slot, .. } => {
                // Going on at another broker is not another end of history.
                if self.caught_up.insert(slot.partition) {
                    self.ready.push_back(Delivery::CaughtUp { partition: slot.partition });
                }
            }
            Reply::Withdrawn { lane, from, .. } => {
                self.seen.withdraw(lane, from);
                self.ready.push_back(Delivery::Withdrawn { lane, from });
            }
            Reply::Refused { refusal, .. } => return Err(refusal),
            Reply::Published { .. } | Reply::End { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::event::tests::{batch, lane};

    fn seen(most: usize) -> Seen {
        Seen { lanes: BTreeMap::new(), by_time: BTreeSet::new(), floor_ms: 0, most }
    }

    fn sequences(events: Vec<EventView>) -> Vec<u64> {
        events.iter().map(EventView::sequence).collect()
    }

    #[test]
    fn what_comes_twice_is_delivered_once() {
        let mut lane = lane(StreamPartition::default(), 1);
        let (first, second) = (batch(&mut lane, &[10, 11]), batch(&mut lane, &[12]));
        let mut seen = seen(8);
        assert_eq!(sequences(seen.take_new(events_from(&first, 1))), [1]);
        assert_eq!(sequences(seen.take_new(events_from(&first, 0))), [] as [u64; 0]);
        assert_eq!(sequences(seen.take_new(events_from(&second, 0))), [2]);
        seen.withdraw(second.lane(), 2);
        assert_eq!(
            sequences(seen.take_new(events_from(&second, 0))),
            [2],
            "another branch may take its place"
        );
    }

    #[test]
    fn forgetting_a_lane_lets_nothing_come_twice() {
        let lanes: Vec<_> = (1..=3)
            .map(|key| batch(&mut lane(StreamPartition::default(), key), &[u64::from(key) * 10]))
            .collect();
        let mut seen = seen(2);
        for batch in &lanes {
            assert_eq!(seen.take_new(events_from(batch, 0)).len(), 1);
        }
        assert_eq!((seen.lanes.len(), seen.by_time.len(), seen.floor_ms), (2, 2, 11));
        assert!(lanes.iter().all(|batch| seen.take_new(events_from(batch, 0)).is_empty()));
    }
}
