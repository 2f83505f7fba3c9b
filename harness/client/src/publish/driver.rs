//! The task behind a session: moves events into batches, batches to the node, and answers to the caller.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use weir_kernel::ids::{LaneId, StreamId};
use weir_kernel::limits::{MAX_CONTENT_BYTES, MAX_FUTURE_MS};
use weir_kernel::partition_key::partition_of_key;

use super::answer::{self, Answer};
use super::lanes::{BATCH_BYTES, BATCH_EVENTS, Flight, Lanes, Pending};
use super::signer::Signer;
use super::window::{Acknowledged, Refused, Window};
use super::{
    Fate, MAX_REPORTED_REFUSALS, Outcome, Progress, PublishFailure, PublishOptions, Refusal, Report,
};
use crate::client::Client;
use crate::event::Event;
use crate::socket::{Socket, SocketError, back_off};
use crate::time::{format_time_ms, now_ms};

/// Events that wait to be cut into batches, in all.
const MAX_PENDING_EVENTS: usize = 16 * BATCH_EVENTS;

/// Content bytes of those.
const MAX_PENDING_BYTES: usize = 16 << 20;

/// Events taken from the queue at a time.
const TAKE: usize = 256;

/// How often the chain's height is asked for: a lane that is opened is judged at a block of that age.
const HEIGHT_INTERVAL: Duration = Duration::from_secs(3);

/// What the select in [`Driver::turn`] came back with.
enum Happened {
    Taken(usize),
    Answer(Option<Result<String, SocketError>>),
    Sent,
    WriterGone,
    Woken,
}

pub(super) struct Driver {
    client: Client,
    url: String,
    partitions: u32,
    options: PublishOptions,
    events: mpsc::Receiver<Event>,
    taken: Vec<Event>,
    input_over: bool,
    next_partition: u32,
    pending: BTreeMap<u32, VecDeque<Pending>>,
    pending_events: usize,
    pending_bytes: usize,
    lanes: Lanes,
    window: Window,
    socket: Option<Socket>,
    connections: u32,
    attempts: u32,
    last_trouble: Option<String>,
    heights: watch::Receiver<u64>,
    height_task: JoinHandle<()>,
    started: Instant,
    progress: watch::Sender<Progress>,
    counts: Progress,
    refusals: Vec<Refusal>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.height_task.abort();
    }
}

impl Driver {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        client: Client,
        signer: Signer,
        stream: StreamId,
        partitions: u32,
        height: u64,
        options: PublishOptions,
        events: mpsc::Receiver<Event>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let path = format!("/streams/{stream}/publish?ack={}", options.level.as_str());
        let (height_sender, heights) = watch::channel(height);
        let height_task = tokio::spawn(follow_height(client.clone(), height_sender));
        let timeout_ms = u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        let info = client.info();
        Self {
            url: client.websocket_url(&path),
            partitions,
            events,
            taken: Vec::new(),
            input_over: false,
            next_partition: 0,
            pending: BTreeMap::new(),
            pending_events: 0,
            pending_bytes: 0,
            lanes: Lanes::new(signer, info.chain_id, info.epoch_blocks, stream),
            window: Window::new(options.level, timeout_ms),
            options,
            socket: None,
            connections: 0,
            attempts: 0,
            last_trouble: None,
            heights,
            height_task,
            started: Instant::now(),
            progress,
            counts: Progress::default(),
            refusals: Vec::new(),
            client,
        }
    }

    pub async fn run(mut self) -> Report {
        let failure = loop {
            if let Some(over) = self.session_over() {
                break Some(over);
            }
            self.fill();
            if self.input_over && self.pending_events == 0 && self.window.is_empty() {
                break None;
            }
            if let Some(last) = self.window.expired(self.now_ms()) {
                let last = last.or_else(|| self.last_trouble.clone());
                let last = last.unwrap_or_else(|| "the node is connected and silent".into());
                break Some(PublishFailure::Timeout { seconds: self.options.timeout.as_secs(), last });
            }
            if let Err(failure) = self.turn().await {
                break Some(failure);
            }
        };
        self.end(failure).await
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether events wait that the session can no longer sign. What is on the way may still be acknowledged: the
    /// node judges it.
    fn session_over(&self) -> Option<PublishFailure> {
        let block = self.lanes.expiry_block().filter(|block| *self.heights.borrow() >= *block)?;
        (self.pending_events > 0).then_some(PublishFailure::SessionOver { block })
    }

    /// Cuts batches while the window has room: a full one at once, a smaller one when nothing of its stream
    /// partition is on the way.
    fn fill(&mut self) {
        let height = *self.heights.borrow();
        let now_ms = self.now_ms();
        let partitions: Vec<u32> = self.pending.keys().copied().collect();
        for partition in partitions {
            let waiting = self.pending.get_mut(&partition).expect("a key of the map");
            while !waiting.is_empty() && self.window.has_room() {
                let bytes: usize = waiting.iter().take(BATCH_EVENTS).map(|event| event.content.len()).sum();
                let full = waiting.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES;
                if !full && self.window.is_busy(partition) {
                    break;
                }
                let flight = self.lanes.cut(partition, waiting, height);
                self.pending_events -= flight.events.len();
                self.pending_bytes -= flight.events.iter().map(|event| event.content.len()).sum::<usize>();
                self.window.push(flight, now_ms);
            }
            if waiting.is_empty() {
                self.pending.remove(&partition);
            }
        }
    }

    /// Waits for the next thing to happen and handles it.
    async fn turn(&mut self) -> Result<(), PublishFailure> {
        if self.socket.is_none() && !self.window.is_empty() {
            return self.connect().await;
        }
        let now_ms = self.now_ms();
        let ready = self.window.next(now_ms);
        let wake = self.window.wake_ms(now_ms).map(|at_ms| self.started + Duration::from_millis(at_ms));
        let takes = !self.input_over
            && self.pending_events < MAX_PENDING_EVENTS
            && self.pending_bytes < MAX_PENDING_BYTES;
        let outgoing = self.socket.as_ref().map(|socket| socket.outgoing.clone());
        let can_send = ready.is_some() && outgoing.is_some();
        let happened = tokio::select! {
            permit = reserve(outgoing), if can_send => match (permit, ready) {
                (Some(permit), Some((ticket, bytes))) => {
                    permit.send(Message::Binary(bytes));
                    self.window.sent(ticket);
                    Happened::Sent
                }
                _ => Happened::WriterGone,
            },
            answer = receive(&mut self.socket), if self.socket.is_some() => Happened::Answer(answer),
            taken = self.events.recv_many(&mut self.taken, TAKE), if takes => Happened::Taken(taken),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Happened::Woken,
        };
        match happened {
            Happened::Taken(0) => self.input_over = true,
            Happened::Taken(_) => self.take_in().await,
            Happened::Answer(Some(Ok(text))) => return self.answered(&text).await,
            Happened::Answer(Some(Err(error))) => self.disconnected(error.to_string()),
            Happened::Answer(None) | Happened::WriterGone => self.disconnected("the connection ended".into()),
            Happened::Sent | Happened::Woken => {}
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), PublishFailure> {
        match Socket::connect(&self.url, self.client.token().as_deref()).await {
            Ok(socket) => {
                self.socket = Some(socket);
                self.connections += 1;
                Ok(())
            }
            // The first time, a refusal is about the request; later it is about a node that comes back up,
            // and passes.
            Err(SocketError::Refused { status, code, reason })
                if (400..500).contains(&status) && status != 429 && self.connections == 0 =>
            {
                Err(PublishFailure::Refused { code, reason })
            }
            Err(error) => {
                self.disconnected(error.to_string());
                sleep(back_off(self.attempts)).await;
                self.attempts += 1;
                Ok(())
            }
        }
    }

    fn disconnected(&mut self, why: String) {
        tracing::debug!(%why, "the publishing connection is gone");
        self.socket = None;
        self.last_trouble = Some(why);
        self.window.disconnected();
    }

    /// Gives events their stream partition and time; refuses at once what no node would take.
    async fn take_in(&mut self) {
        for event in std::mem::take(&mut self.taken) {
            let index = self.counts.submitted;
            self.counts.submitted += 1;
            if let Err(reason) = check(&event) {
                self.refuse(index, "invalid", &reason).await;
                continue;
            }
            let partition = match &event.partition_key {
                Some(key) => partition_of_key(key.as_bytes(), self.partitions),
                None => {
                    let partition = self.next_partition;
                    self.next_partition = (partition + 1) % self.partitions;
                    partition
                }
            };
            self.pending_events += 1;
            self.pending_bytes += event.content.len();
            let timestamp_ms = event.timestamp_ms.unwrap_or_else(now_ms);
            let stamped = event.timestamp_ms.is_none();
            let waiting = self.pending.entry(partition).or_default();
            waiting.push_back(Pending { index, content: event.content, timestamp_ms, stamped });
        }
        self.report_progress();
    }

    async fn answered(&mut self, text: &str) -> Result<(), PublishFailure> {
        self.attempts = 0;
        match answer::read(text) {
            Some(Answer::Acknowledged { lane, sequence, level }) => {
                let now_ms = self.now_ms();
                if let Acknowledged::Done(flight) = self.window.acknowledged(lane, sequence, level, now_ms) {
                    self.done(flight).await;
                }
                Ok(())
            }
            Some(Answer::Refused { batch, code, reason }) => self.refused(batch, code, reason).await,
            None => Ok(()),
        }
    }

    async fn refused(
        &mut self,
        batch: Option<(LaneId, u64)>,
        code: String,
        reason: String,
    ) -> Result<(), PublishFailure> {
        // A node that knew the stream and no longer does is one that comes back up.
        let stale = code == "not-found" && self.connections > 1;
        if matches!(
            code.as_str(),
            "unauthorized" | "session-expired" | "session-invalid" | "payment-required" | "not-found"
        ) && !stale
        {
            return Err(PublishFailure::Refused { code, reason });
        }
        let Some((lane, sequence)) = batch else {
            // Nothing says which batch: the same bytes on another connection may fare better, until the
            // timeout.
            self.disconnected(format!("{reason} ({code})"));
            sleep(back_off(self.attempts)).await;
            self.attempts += 1;
            return Ok(());
        };
        let passing =
            stale || matches!(code.as_str(), "rate-limited" | "unavailable" | "out-of-order" | "duplicate");
        let now_ms = self.now_ms();
        let why = format!("{reason} ({code})");
        if let Refused::Final { flight, orphans } = self.window.refused(lane, sequence, passing, why, now_ms)
        {
            self.lanes.close(lane);
            for event in &flight.events {
                self.refuse(event.index, &code, &reason).await;
            }
            self.take_back(orphans);
            self.report_progress();
        }
        Ok(())
    }

    /// Events whose batch can no longer be taken, since one before it is refused, are signed anew in another
    /// lane.
    fn take_back(&mut self, orphans: Vec<Flight>) {
        for flight in orphans.into_iter().rev() {
            let waiting = self.pending.entry(flight.partition).or_default();
            for event in flight.events.into_iter().rev() {
                self.pending_events += 1;
                self.pending_bytes += event.content.len();
                waiting.push_front(event);
            }
        }
    }

    async fn done(&mut self, flight: Flight) {
        self.counts.acknowledged += flight.events.len() as u64;
        self.report_progress();
        let Some(outcomes) = &self.options.outcomes else { return };
        for (event, sequence) in flight.events.iter().zip(flight.sequence..) {
            let fate = Fate::Acknowledged {
                partition: flight.partition,
                lane: flight.lane,
                sequence,
                timestamp_ms: event.timestamp_ms,
            };
            // A caller who dropped the channel does not want to know.
            let _ = outcomes.send(Outcome { index: event.index, fate }).await;
        }
    }

    async fn refuse(&mut self, index: u64, code: &str, reason: &str) {
        self.counts.refused += 1;
        if self.refusals.len() < MAX_REPORTED_REFUSALS {
            self.refusals.push(Refusal { index, code: code.into(), reason: reason.into() });
        }
        if let Some(outcomes) = &self.options.outcomes {
            let fate = Fate::Refused { code: code.into(), reason: reason.into() };
            let _ = outcomes.send(Outcome { index, fate }).await;
        }
    }

    fn report_progress(&self) {
        self.progress.send_replace(self.counts);
    }

    /// Accounts for everything that is left.
    async fn end(mut self, failure: Option<PublishFailure>) -> Report {
        self.events.close();
        let mut left: Vec<u64> =
            self.window.drain().into_iter().flat_map(|flight| flight.events).map(|e| e.index).collect();
        left.extend(std::mem::take(&mut self.pending).into_values().flatten().map(|event| event.index));
        while self.events.recv().await.is_some() {
            left.push(self.counts.submitted);
            self.counts.submitted += 1;
        }
        left.sort_unstable();
        if let Some(outcomes) = &self.options.outcomes {
            for index in &left {
                let _ = outcomes.send(Outcome { index: *index, fate: Fate::Unacknowledged }).await;
            }
        }
        self.report_progress();
        assert_eq!(
            self.counts.submitted,
            self.counts.acknowledged + self.counts.refused + left.len() as u64,
            "every event has one fate"
        );
        Report {
            submitted: self.counts.submitted,
            acknowledged: self.counts.acknowledged,
            refused: self.counts.refused,
            unacknowledged: left.len() as u64,
            refusals: std::mem::take(&mut self.refusals),
            failure,
            elapsed: self.started.elapsed(),
        }
    }
}

/// What every node refuses, said before it costs the event's whole batch.
fn check(event: &Event) -> Result<(), String> {
    let bytes = event.content.len();
    if bytes > MAX_CONTENT_BYTES {
        return Err(format!("content of {bytes} bytes, at most {MAX_CONTENT_BYTES} are taken: split it"));
    }
    match event.timestamp_ms {
        Some(time_ms) if time_ms > now_ms() + MAX_FUTURE_MS => Err(format!(
            "its time {} lies more than {} s ahead: correct the clock or the timestamp field",
            format_time_ms(time_ms),
            MAX_FUTURE_MS / 1000
        )),
        _ => Ok(()),
    }
}

async fn reserve(outgoing: Option<mpsc::Sender<Message>>) -> Option<mpsc::OwnedPermit<Message>> {
    outgoing?.reserve_owned().await.ok()
}

async fn receive(socket: &mut Option<Socket>) -> Option<Result<String, SocketError>> {
    socket.as_mut()?.incoming.recv().await
}

/// Keeps the height of the node's view current. A node that does not answer leaves it as it is.
async fn follow_height(client: Client, heights: watch::Sender<u64>) {
    let mut ticks = interval(HEIGHT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(info) = client.refresh_info().await {
            heights.send_if_modified(|height| {
                let newer = info.height > *height;
                *height = info.height.max(*height);
                newer
            });
        }
    }
}
