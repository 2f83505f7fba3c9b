//! The subscriber: history, then the live flow, of a stream, without gap and without duplicate (WP 2.4.4).
//!
//! Flow is by credit: the broker sends on as [`Subscriber::consumed`] tells it what the client has taken; it is told
//! when [`CREDIT_BYTES`] have come together, which is before its window is used up. When the
//! broker of the session stops, the subscription is opened again at another one, from the same start, and what was
//! delivered already is left out by the next sequence of each lane. Lanes that are remembered are bounded: when too
//! many were seen, the one whose last event is the oldest is forgotten and the start moves up to that event's time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use weir_kernel::broker::{Command, From, Refusal, RefusalCode, Reply};
use weir_kernel::ids::{Address, LaneId, StreamId, StreamPartition};

use super::gateway::Gateway;
use super::limits::{CREDIT_BYTES, LIVE_PATIENCE, MAX_TRACKED_LANES, REOPEN_PAUSE, REOPEN_TIMEOUT};
use super::rendering::Run;
use crate::handle::Session;

/// The number of the one request of a subscriber's session.
const REQUEST: u64 = 0;

/// What a subscription delivers.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// Events of one stream partition, in order within each lane.
    Events {
        /// The events; may be none.
        runs: Vec<Run>,
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
    /// Bytes that the client has taken and the session's broker was not told of.
    untold_bytes: u64,
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
    /// Takes of a run what was not delivered yet, and remembers it.
    fn take(&mut self, run: Run) -> Option<Run> {
        let batch = run.batch();
        let (header, lane) = (batch.header(), batch.lane());
        let key = (header.slot(), lane);
        let known = self.lanes.get(&key).copied();
        let time = |index| batch.timestamp_ms(index).expect("a run lies within its batch");
        let delivered = match known {
            Some((next, _)) => next.saturating_sub(run.sequence()).min(u64::from(run.len())),
            // Times never go back within a batch.
            None => run.indexes().take_while(|index| time(*index) < self.floor_ms).count() as u64,
        };
        let end = run.indexes().end;
        let (next, last_ms) = (header.sequence + u64::from(end), time(end - 1));
        let run = run.skip(u32::try_from(delivered).expect("at most the run's 32-bit count"))?;
        if let Some((_, time)) = known {
            self.by_time.remove(&(time, key.0, key.1));
        }
        self.lanes.insert(key, (next, last_ms));
        self.by_time.insert((last_ms, key.0, key.1));
        if self.lanes.len() > self.most
            && let Some((time, slot, lane)) = self.by_time.pop_first()
        {
            self.lanes.remove(&(slot, lane));
            self.floor_ms = self.floor_ms.max(time.saturating_add(1));
        }
        Some(run)
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
    /// named. From `latest` it is live when this returns: what is published from then on is delivered. `now_ms` is the
    /// time, in milliseconds since 1970 UTC: where a subscription from `latest` is taken up again.
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
            untold_bytes: 0,
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
        self.untold_bytes = 0;
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
                None if session.is_behind() => return Err(behind()),
                None => self.session = None,
            }
        }
    }

    /// The next delivery if it is there already.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::next`].
    pub fn try_next(&mut self) -> Result<Option<Delivery>, Refusal> {
        while self.ready.is_empty() {
            // The end of the session is left to whoever waits for more.
            let Some(reply) = self.session.as_mut().and_then(Session::try_reply) else { break };
            self.hear(reply)?;
        }
        Ok(self.ready.pop_front())
    }

    /// The client has taken this much: the broker may send on.
    pub async fn consumed(&mut self, bytes: u64) {
        self.untold_bytes += bytes;
        if self.untold_bytes < CREDIT_BYTES {
            return;
        }
        let bytes = std::mem::take(&mut self.untold_bytes);
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
                let runs = self.gateway.renderings().chunk(&chunk);
                let runs = runs.map_err(|error| Refusal::new(RefusalCode::Unavailable, error.to_string()))?;
                let bytes = chunk.batches.iter().map(|batch| batch.len() as u64).sum();
                let runs = runs.into_iter().filter_map(|run| self.seen.take(run)).collect();
                self.ready.push_back(Delivery::Events { runs, bytes });
            }
            Reply::Live { batch, first, .. } => {
                let bytes = batch.bytes().len() as u64;
                let run = self.seen.take(self.gateway.renderings().live(&batch, first));
                self.ready.push_back(Delivery::Events { runs: run.into_iter().collect(), bytes });
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

/// The session's queue was full.
fn behind() -> Refusal {
    let reason = "slow reader: take events faster, or read them from the past with from=";
    Refusal::new(RefusalCode::RateLimited, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::event::tests::{batch, lane};
    use crate::service::rendering::Renderings;

    fn seen(most: usize) -> Seen {
        Seen { lanes: BTreeMap::new(), by_time: BTreeSet::new(), floor_ms: 0, most }
    }

    /// Sequences of what is delivered of a batch from `first` on.
    fn take(seen: &mut Seen, batch: &weir_kernel::batch::Batch, first: u32) -> Vec<u64> {
        let run = seen.take(Renderings::default().live(batch, first));
        run.into_iter().flat_map(|run| run.sequence()..run.sequence() + u64::from(run.len())).collect()
    }

    #[test]
    fn what_comes_twice_is_delivered_once() {
        let mut lane = lane(StreamPartition::default(), 1);
        let (first, second) = (batch(&mut lane, &[10, 11, 12]), batch(&mut lane, &[13]));
        let mut seen = seen(8);
        assert_eq!(take(&mut seen, &first, 1), [1, 2]);
        assert_eq!(take(&mut seen, &first, 0), [] as [u64; 0]);
        assert_eq!(take(&mut seen, &second, 0), [3]);
        seen.withdraw(second.lane(), 2);
        assert_eq!(take(&mut seen, &first, 0), [2], "another branch may take its place");
        assert_eq!(take(&mut seen, &second, 0), [3]);
    }

    #[test]
    fn forgetting_a_lane_lets_nothing_come_twice() {
        let lanes: Vec<_> = (1..=3)
            .map(|key| batch(&mut lane(StreamPartition::default(), key), &[u64::from(key) * 10]))
            .collect();
        let mut seen = seen(2);
        for batch in &lanes {
            assert_eq!(take(&mut seen, batch, 0).len(), 1);
        }
        assert_eq!((seen.lanes.len(), seen.by_time.len(), seen.floor_ms), (2, 2, 11));
        assert!(lanes.iter().all(|batch| take(&mut seen, batch, 0).is_empty()));
    }

    #[test]
    fn of_a_lane_that_was_forgotten_only_what_is_new_enough_comes() {
        let mut seen = Seen { floor_ms: 12, ..seen(2) };
        let batch = batch(&mut lane(StreamPartition::default(), 1), &[10, 11, 12, 13]);
        assert_eq!(take(&mut seen, &batch, 0), [2, 3]);
    }
}
