//! One slot's publishing: a task that signs, sends, resends and reports.
//!
//! At most one batch of a slot is unacknowledged (not `stored`) at a time, so that a refused batch never has
//! successors. Batches that are stored and wanted `sealed` wait beside it: an edge that is asked for `sealed` tells
//! `stored` first. An edge answers a repeated batch with the level it has reached, so asking again is always right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant, sleep_until};
use weir_kernel::batch::{Batch, NewEvent};
use weir_kernel::broker::{Command, Level, Refusal, RefusalCode, Reply};
use weir_kernel::ids::{LaneId, StreamPartition};
use weir_kernel::limits::MAX_BATCH_EVENTS;
use weir_kernel::signature::SecretKey;
use weir_kernel::verify::{Verified, verify};

use super::gateway::Gateway;
use super::lanes::Lanes;
use super::limits::{
    BATCH_TARGET_BYTES, MAX_AWAITING_SEAL, PUBLISH_TIMEOUT, REOPEN_PAUSE, RESEND_INTERVAL, SEAL_TIMEOUT,
    SLOT_IDLE,
};
use super::publisher::{Place, Progress, Request};
use crate::handle::Session;
use crate::verifier::NativeVerifier;

/// A request whose events are in a batch.
#[derive(Debug)]
struct Waiter {
    level: Level,
    progress: watch::Sender<Progress>,
}

/// A batch that has not reached every level that somebody waits for.
#[derive(Debug)]
struct Outstanding {
    batch: Verified<Batch>,
    waiters: Vec<Waiter>,
    /// The level asked for now.
    asked: Level,
    reached: Option<Level>,
    resend_at: Instant,
    deadline: Instant,
}

impl Outstanding {
    fn wanted(&self) -> Level {
        self.waiters.iter().map(|waiter| waiter.level).max().unwrap_or(Level::Stored).max(Level::Stored)
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct SlotTask {
    gateway: Arc<Gateway>,
    lanes: Lanes,
    slot: StreamPartition,
    requests: mpsc::Receiver<Request>,
    /// Taken from the queue and not in a batch yet.
    next: Option<Request>,
    session: Option<Session>,
    reopen_at: Instant,
    outstanding: BTreeMap<u64, Outstanding>,
    /// The batch that is not stored yet.
    in_flight: Option<u64>,
    next_request: u64,
    idle_since: Instant,
}

impl SlotTask {
    pub fn new(
        gateway: Arc<Gateway>,
        key: SecretKey,
        slot: StreamPartition,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        let now = Instant::now();
        Self {
            gateway,
            lanes: Lanes::new(key, slot),
            slot,
            requests,
            next: None,
            session: None,
            reopen_at: now,
            outstanding: BTreeMap::new(),
            in_flight: None,
            next_request: 0,
            idle_since: now,
        }
    }

    /// Works until nobody publishes to the slot any more.
    pub async fn run(mut self) {
        loop {
            self.start_batch().await;
            let wake_at = self.wake_at();
            tokio::select! {
                request = self.requests.recv(), if self.in_flight.is_none() && self.next.is_none() => {
                    match request {
                        Some(request) => self.next = Some(request),
                        None if self.outstanding.is_empty() => return,
                        None => self.wait_out().await,
                    }
                }
                reply = next_reply(&mut self.session) => match reply {
                    Some(reply) => self.hear(reply).await,
                    None => self.lose_session(),
                },
                () = sleep_until(wake_at) => {
                    if self.is_idle() && self.idle_since + SLOT_IDLE <= Instant::now() {
                        // Whoever enqueued just now is served before the queue is closed.
                        self.requests.close();
                    }
                    self.act_on_time().await;
                }
            }
        }
    }

    /// Nobody can publish any more: a pause, so that what is outstanding is still heard of.
    async fn wait_out(&mut self) {
        let wake_at = self.wake_at();
        tokio::select! {
            reply = next_reply(&mut self.session) => match reply {
                Some(reply) => self.hear(reply).await,
                None => self.lose_session(),
            },
            () = sleep_until(wake_at) => self.act_on_time().await,
        }
    }

    fn is_idle(&self) -> bool {
        self.outstanding.is_empty() && self.next.is_none()
    }

    fn wake_at(&self) -> Instant {
        if self.is_idle() {
            return self.idle_since + SLOT_IDLE;
        }
        let due = self.outstanding.values().map(|batch| batch.resend_at.min(batch.deadline)).min();
        let due = due.unwrap_or_else(|| Instant::now() + RESEND_INTERVAL);
        if self.session.is_none() { due.max(self.reopen_at) } else { due }
    }

    /// Signs and sends the next batch if none is in flight and something waits.
    async fn start_batch(&mut self) {
        while self.in_flight.is_none() {
            if self.next.is_none() {
                self.next = self.requests.try_recv().ok();
            }
            let Some(first) = self.next.take() else { return };
            self.idle_since = Instant::now();
            if let Some(request) = self.make_batch(first) {
                self.in_flight = Some(request);
                self.send(request).await;
            }
        }
    }

    /// Puts a request, and those behind it that fit, into a batch. `None` if they are refused.
    fn make_batch(&mut self, first: Request) -> Option<u64> {
        let view = match self.gateway.view() {
            Ok(view) => view,
            Err(refusal) => return refuse(&first.progress, refusal),
        };
        let mut first_events = self.stamp(&first);
        let lane = match self.lanes.find_or_open(first_events[0].timestamp_ms, &view) {
            Ok(lane) => lane,
            Err(refusal) => return refuse(&first.progress, refusal),
        };
        let mut waiters = Vec::new();
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut request = Some(first);
        while let Some(Request { level, progress, .. }) = request.take() {
            bytes += first_events.iter().map(|event| event.content.len()).sum::<usize>();
            let place = (events.len(), first_events.len() as u32);
            let last_ms = first_events.last().map_or(0, |event| event.timestamp_ms);
            events.append(&mut first_events);
            waiters.push((Waiter { level, progress }, place));
            let Ok(candidate) = self.requests.try_recv() else { break };
            let stamped = self.stamp(&candidate);
            let more: usize = stamped.iter().map(|event| event.content.len()).sum();
            let fits = bytes + more <= BATCH_TARGET_BYTES
                && events.len() + stamped.len() <= MAX_BATCH_EVENTS as usize
                && stamped[0].timestamp_ms >= last_ms;
            if !fits {
                self.next = Some(candidate);
                break;
            }
            first_events = stamped;
            request = Some(candidate);
        }
        self.sign(lane, events, waiters, view.chain_id)
    }

    /// Signs, and remembers as outstanding.
    fn sign(
        &mut self,
        lane: LaneId,
        events: Vec<NewEvent>,
        waiters: Vec<(Waiter, (usize, u32))>,
        chain_id: u64,
    ) -> Option<u64> {
        let signed =
            self.lanes.sign(lane, events, chain_id).map_err(|error| error.to_string()).and_then(|batch| {
                verify(batch.bytes().clone(), chain_id, &NativeVerifier).map_err(|error| error.to_string())
            });
        let batch = match signed {
            Ok(batch) => batch,
            Err(reason) => {
                self.lanes.close(lane);
                for (waiter, _) in waiters {
                    refuse(&waiter.progress, Refusal::new(RefusalCode::Invalid, reason.clone()));
                }
                return None;
            }
        };
        for (waiter, (offset, count)) in &waiters {
            let sequence = batch.header().sequence + *offset as u64;
            let timestamp_ms =
                batch.timestamp_ms(*offset as u32).expect("a request's first event is in its batch");
            let place = Place { lane, sequence, count: *count, timestamp_ms };
            waiter.progress.send_modify(|progress| progress.place = Some(place));
        }
        let waiters: Vec<Waiter> = waiters.into_iter().map(|(waiter, _)| waiter).collect();
        let at_once = waiters.iter().any(|waiter| waiter.level == Level::Accepted);
        let now = Instant::now();
        let request = self.next_request;
        self.next_request += 1;
        let deadline = now + PUBLISH_TIMEOUT;
        let resend_at = now + RESEND_INTERVAL;
        let reached = None;
        let mut outstanding =
            Outstanding { batch, waiters, asked: Level::Accepted, reached, resend_at, deadline };
        if !at_once {
            outstanding.asked = outstanding.wanted();
        }
        self.outstanding.insert(request, outstanding);
        Some(request)
    }

    /// A request's events with their times, rising.
    fn stamp(&mut self, request: &Request) -> Vec<NewEvent> {
        assert!(!request.events.is_empty(), "a request has at least one event");
        let wall_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let now_ms = self.lanes.now_ms(wall_ms);
        let mut last_ms = 0;
        let stamp = |event: &super::publisher::PublishEvent| {
            last_ms = event.timestamp_ms.unwrap_or(now_ms).max(last_ms);
            NewEvent::new(last_ms, event.content_type, event.content.clone())
        };
        request.events.iter().map(stamp).collect()
    }

    /// Sends an outstanding batch, again or for the first time.
    async fn send(&mut self, request: u64) {
        if self.session.is_none() {
            match self.gateway.open_session() {
                Ok(session) => self.session = Some(session),
                Err(refusal) => {
                    self.reopen_at = Instant::now() + REOPEN_PAUSE;
                    self.tell_trouble(request, refusal);
                    return;
                }
            }
        }
        let (Some(session), Some(outstanding)) = (&self.session, self.outstanding.get_mut(&request)) else {
            return;
        };
        outstanding.resend_at = Instant::now() + RESEND_INTERVAL;
        let command =
            Command::Publish { request, batch: outstanding.batch.clone(), level: outstanding.asked };
        if session.command(command).await.is_err() {
            self.lose_session();
        }
    }

    fn lose_session(&mut self) {
        self.session = None;
        self.reopen_at = Instant::now() + REOPEN_PAUSE;
        let at = self.reopen_at;
        self.outstanding.values_mut().for_each(|batch| batch.resend_at = at);
    }

    async fn hear(&mut self, reply: Reply) {
        match reply {
            Reply::Published { request, level, .. } => self.reached(request, level).await,
            Reply::Refused { request, refusal } => self.refused(request, refusal),
            _ => {}
        }
    }

    async fn reached(&mut self, request: u64, level: Level) {
        let Some(outstanding) = self.outstanding.get_mut(&request) else { return };
        for waiter in &outstanding.waiters {
            waiter.progress.send_if_modified(|progress| {
                let news = progress.reached < Some(level);
                if news {
                    progress.reached = Some(level);
                    progress.trouble = None;
                }
                news
            });
        }
        outstanding.reached = outstanding.reached.max(Some(level));
        let (wanted, asked) = (outstanding.wanted(), outstanding.asked);
        if level >= Level::Stored && self.in_flight == Some(request) {
            self.in_flight = None;
            outstanding.deadline = Instant::now() + SEAL_TIMEOUT;
        }
        if level >= wanted {
            self.outstanding.remove(&request);
        } else if level >= asked {
            outstanding.asked = wanted;
            self.send(request).await;
        } else if level >= Level::Stored && self.outstanding.len() > MAX_AWAITING_SEAL {
            let reason = "stored, but too many batches wait for their seal: look again later";
            self.give_up(request, Refusal::new(RefusalCode::RateLimited, reason));
        }
    }

    fn refused(&mut self, request: u64, refusal: Refusal) {
        let Some(outstanding) = self.outstanding.get_mut(&request) else { return };
        let passing = matches!(refusal.code, RefusalCode::RateLimited | RefusalCode::Unavailable);
        if passing || outstanding.reached >= Some(Level::Stored) {
            outstanding.resend_at = Instant::now() + Duration::from_millis(500);
            self.tell_trouble(request, refusal);
        } else {
            self.give_up(request, refusal);
        }
    }

    fn tell_trouble(&mut self, request: u64, refusal: Refusal) {
        let Some(outstanding) = self.outstanding.get(&request) else { return };
        for waiter in &outstanding.waiters {
            waiter.progress.send_modify(|progress| progress.trouble = Some(refusal.clone()));
        }
    }

    /// Ends a batch as refused for those who wait for more than it reached. If it was never stored, its lane ends.
    fn give_up(&mut self, request: u64, refusal: Refusal) {
        let Some(outstanding) = self.outstanding.remove(&request) else { return };
        if self.in_flight == Some(request) {
            self.in_flight = None;
            self.lanes.close(outstanding.batch.lane());
        }
        for waiter in outstanding.waiters {
            if waiter.progress.borrow().reached < Some(waiter.level) {
                refuse(&waiter.progress, refusal.clone());
            }
        }
    }

    async fn act_on_time(&mut self) {
        let now = Instant::now();
        let late: Vec<u64> = self.due(|batch| batch.deadline <= now);
        for request in late {
            let outstanding = &self.outstanding[&request];
            let trouble =
                outstanding.waiters.iter().find_map(|waiter| waiter.progress.borrow().trouble.clone());
            let refusal = trouble.unwrap_or_else(|| {
                let reason = format!(
                    "no acknowledgement for stream {} partition {} in time: whether it is kept is not known; \
                     read it back, or publish it again",
                    self.slot.stream, self.slot.partition
                );
                Refusal::new(RefusalCode::Unavailable, reason)
            });
            self.give_up(request, refusal);
        }
        if self.session.is_some() || self.reopen_at <= now {
            for request in self.due(|batch| batch.resend_at <= now) {
                self.send(request).await;
            }
        }
    }

    fn due(&self, is_due: impl Fn(&Outstanding) -> bool) -> Vec<u64> {
        self.outstanding.iter().filter(|(_, batch)| is_due(batch)).map(|(request, _)| *request).collect()
    }
}

/// The next reply of a session; waits for ever without one.
async fn next_reply(session: &mut Option<Session>) -> Option<Reply> {
    match session {
        Some(session) => session.reply().await,
        None => std::future::pending().await,
    }
}

fn refuse(progress: &watch::Sender<Progress>, refusal: Refusal) -> Option<u64> {
    progress.send_modify(|progress| progress.refused = Some(refusal));
    None
}
