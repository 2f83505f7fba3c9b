//! `GET /streams/{id}/publish`: publish over a WebSocket, each message answered at the level of `ack`.
//!
//! A text message is one event as JSON, with or without envelope, signed by the application key for those whom it
//! signs for. A binary message is one signed batch of the stream, in canonical bytes, by anybody who may publish.
//! Messages are counted from 0 on each socket, and every answer names its `message`: answers come as they are ready,
//! not in the order of the messages. A batch that is sent again is the same batch: it is answered with the level that
//! it has. With `ack=sealed` the acknowledgement of `stored` comes first. At most [`MAX_SOCKET_PUBLISHES`] may wait for
//! their answer; the socket is then read no further, which holds the client back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use weir_kernel::batch::Batch;
use weir_kernel::broker::{Command, Level, Refusal, RefusalCode, Reply};
use weir_kernel::ids::StreamId;
use weir_kernel::verify::{Verified, verify};

use super::caller::Caller;
use super::counters::{OpenSocket, count};
use super::error::ApiError;
use super::payload::{PLACE_PARAMETERS, Placement};
use super::publish::acknowledgement;
use super::server::Peer;
use super::services::Services;
use super::socket::{self, Heard, PING_INTERVAL, SendError, send_all};
use crate::handle::Session;
use crate::service::limits::{
    CLOSE_PATIENCE, MAX_SOCKET_PUBLISHES, PUBLISH_TIMEOUT, REOPEN_PAUSE, RESEND_INTERVAL, SEAL_TIMEOUT,
    SLOW_CLOSE_PATIENCE,
};
use crate::service::publisher::{Progress, Receipt};
use crate::verifier::NativeVerifier;

/// See the module's text.
pub async fn publish(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let known = [&PLACE_PARAMETERS[..], &["ack"]].concat();
    let (parameters, caller) = services.request(&headers, &uri, &known, peer)?;
    let stream = services.stream(&id)?;
    let (placement, level) = (Placement::read(&parameters)?, parameters.level()?);
    let upgrade = socket::upgrade(upgrade)?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let rules = Rules { stream, caller, placement, level };
        Publishing::new(services, rules).run(socket).await;
    }))
}

/// What holds for every message of one socket.
struct Rules {
    stream: StreamId,
    caller: Caller,
    placement: Placement,
    level: Level,
}

/// A signed batch that has not reached the wanted level.
struct Pending {
    message: u64,
    batch: Verified<Batch>,
    told: Option<Level>,
    resend_at: Instant,
    deadline: Instant,
}

/// A publish by the application key: the message's number, how it stands, the level that was told.
type Followed = (u64, Receipt, Progress, Option<Level>);

/// One socket.
struct Publishing {
    services: Arc<Services>,
    rules: Rules,
    session: Option<Session>,
    reopen_at: Instant,
    pending: BTreeMap<u64, Pending>,
    next_request: u64,
    followed: FuturesUnordered<BoxFuture<'static, Followed>>,
    /// The number of the message that is being read.
    message: u64,
    /// Texts to be sent.
    answers: Vec<String>,
}

impl Publishing {
    fn new(services: Arc<Services>, rules: Rules) -> Self {
        Self {
            services,
            rules,
            session: None,
            reopen_at: Instant::now(),
            pending: BTreeMap::new(),
            next_request: 0,
            followed: FuturesUnordered::new(),
            message: 0,
            answers: Vec::new(),
        }
    }

    async fn run(mut self, socket: WebSocket) {
        let services = self.services.clone();
        let _open = OpenSocket::new(&services.counters);
        let (mut sender, mut receiver) = socket.split();
        let mut shutdown = services.shutdown.clone();
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let answers = std::mem::take(&mut self.answers);
            match send_all(&mut sender, answers.into_iter().map(Message::text)).await {
                Ok(()) => {}
                Err(SendError::Gone) => return,
                Err(SendError::Slow) => {
                    count(&services.counters.slow_readers, 1);
                    let reason = "slow reader: acknowledgements are not taken";
                    return socket::close(&mut sender, socket::close::POLICY, reason, SLOW_CLOSE_PATIENCE)
                        .await;
                }
            }
            let has_room = self.pending.len() + self.followed.len() < MAX_SOCKET_PUBLISHES;
            let wake_at = self.wake_at();
            tokio::select! {
                message = receiver.next(), if has_room => match socket::hear(message) {
                    Heard::Text(text) => {
                        self.publish_text(&text);
                        self.message += 1;
                    }
                    Heard::Binary(bytes) => {
                        self.publish_batch(&bytes).await;
                        self.message += 1;
                    }
                    Heard::Ping => self.answers.push("pong".into()),
                    Heard::Nothing => {}
                    Heard::Over(None) => return,
                    Heard::Over(Some((code, reason))) => {
                        return socket::close(&mut sender, code, &reason, CLOSE_PATIENCE).await;
                    }
                },
                Some(followed) = self.followed.next() => self.tell_followed(followed),
                reply = next_reply(&mut self.session) => match reply {
                    Some(reply) => self.hear(reply),
                    None => self.lose_session(),
                },
                () = sleep_until(wake_at) => self.act_on_time().await,
                _ = pings.tick() => {
                    if send_all(&mut sender, [Message::Ping(Default::default())]).await.is_err() {
                        return;
                    }
                }
                () = socket::stopping(&mut shutdown) => {
                    let reason = "this node is stopping";
                    return socket::close(&mut sender, socket::close::GOING_AWAY, reason, CLOSE_PATIENCE).await;
                }
            }
        }
    }

    // ---- Events signed here ----

    fn publish_text(&mut self, text: &str) {
        let published = self.services.access.check_signs_for(self.rules.caller).and_then(|()| {
            let (choice, event) = self.rules.placement.json_event(text.as_bytes())?;
            let publisher = &self.services.publisher;
            Ok(publisher.publish(self.rules.stream, &choice, event, self.rules.level, None)?)
        });
        match published {
            Ok(receipt) => {
                count(&self.services.counters.published, 1);
                let first = self.rules.level.min(Level::Stored);
                self.follow(self.message, receipt, first, PUBLISH_TIMEOUT, None);
            }
            Err(error) => {
                self.refuse_unread(error.code, &error.reason);
            }
        }
    }

    /// Refuses the message that is being read, of which nothing more is known.
    fn refuse_unread(&mut self, code: &str, reason: &str) {
        count(&self.services.counters.refused, 1);
        let body = json!({ "type": "refused", "code": code, "reason": reason, "message": self.message });
        self.answers.push(body.to_string());
    }

    fn follow(
        &mut self,
        message: u64,
        mut receipt: Receipt,
        level: Level,
        patience: std::time::Duration,
        told: Option<Level>,
    ) {
        // The publisher gives up by itself; the slack lets its reason arrive.
        let deadline = Instant::now() + patience + RESEND_INTERVAL;
        self.followed.push(Box::pin(async move {
            let progress = receipt.wait(level, deadline).await;
            (message, receipt, progress, told)
        }));
    }

    fn tell_followed(&mut self, (message, receipt, progress, told): Followed) {
        let wanted = self.rules.level;
        let tell = |level| {
            let mut body = acknowledgement(&receipt, &Progress { reached: Some(level), ..progress.clone() });
            body.insert("type".into(), json!("ack"));
            body.insert("message".into(), json!(message));
            Value::Object(body).to_string()
        };
        // A level may have been passed by between two looks: each that was asked for is told once.
        let levels = [Level::Accepted, Level::Stored, Level::Sealed];
        let due = |level: &Level| {
            *level >= wanted.min(Level::Stored)
                && *level <= wanted
                && Some(*level) <= progress.reached
                && Some(*level) > told
        };
        self.answers.extend(levels.into_iter().filter(due).map(tell));
        if progress.reached >= Some(wanted) {
            return;
        }
        if progress.refused.is_none() && progress.reached >= Some(Level::Stored) && told < Some(Level::Stored)
        {
            return self.follow(message, receipt, wanted, SEAL_TIMEOUT, Some(Level::Stored));
        }
        let late =
            || Refusal::new(RefusalCode::Unavailable, "no acknowledgement in time: read the event back");
        let refusal = progress.refused.clone().or(progress.trouble.clone()).unwrap_or_else(late);
        count(&self.services.counters.refused, 1);
        let mut body = json!({
            "type": "refused", "code": refusal.code.as_str(), "reason": refusal.reason, "message": message,
        });
        if let Some(place) = progress.place {
            body["lane"] = json!(place.lane.to_string());
            body["sequence"] = json!(place.sequence);
        }
        self.answers.push(body.to_string());
    }

    // ---- Batches signed elsewhere ----

    async fn publish_batch(&mut self, bytes: &[u8]) {
        count(&self.services.counters.batches, 1);
        let chain_id = self.services.sign_in.chain_id();
        let bytes: Arc<[u8]> = bytes.into();
        // A large batch takes a while to hash: not on the threads that serve connections.
        let verified = tokio::task::spawn_blocking(move || verify(bytes, chain_id, &NativeVerifier)).await;
        let batch = match verified {
            Ok(Ok(batch)) => batch,
            Ok(Err(error)) => {
                let refusal = Refusal::from(&error);
                return self.refuse_unread(refusal.code.as_str(), &refusal.reason);
            }
            Err(error) => return self.refuse_unread("internal", &error.to_string()),
        };
        let header = *batch.header();
        if header.stream != self.rules.stream {
            let reason =
                format!("a batch of stream {} on the socket of {}", header.stream, self.rules.stream);
            return self.refuse(self.message, &batch, &Refusal::new(RefusalCode::Invalid, reason));
        }
        if let Err(refusal) = self.services.gateway.check_slot(header.slot()) {
            return self.refuse(self.message, &batch, &refusal);
        }
        let now = Instant::now();
        let pending = Pending {
            message: self.message,
            batch,
            told: None,
            resend_at: now,
            deadline: now + PUBLISH_TIMEOUT,
        };
        let request = self.next_request;
        self.next_request += 1;
        self.pending.insert(request, pending);
        self.send(request).await;
    }

    fn refuse(&mut self, message: u64, batch: &Verified<Batch>, refusal: &Refusal) {
        count(&self.services.counters.refused, 1);
        let body = json!({
            "type": "refused",
            "code": refusal.code.as_str(),
            "reason": refusal.reason,
            "message": message,
            "lane": batch.lane().to_string(),
            "sequence": batch.header().sequence,
        });
        self.answers.push(body.to_string());
    }

    async fn send(&mut self, request: u64) {
        if self.session.is_none() {
            if self.reopen_at > Instant::now() {
                return;
            }
            match self.services.gateway.open_session() {
                Ok(session) => self.session = Some(session),
                Err(_) => {
                    self.reopen_at = Instant::now() + REOPEN_PAUSE;
                    return;
                }
            }
        }
        let (Some(session), Some(pending)) = (&self.session, self.pending.get_mut(&request)) else { return };
        pending.resend_at = Instant::now() + RESEND_INTERVAL;
        let command = Command::Publish { request, batch: pending.batch.clone(), level: self.rules.level };
        if session.command(command).await.is_err() {
            self.lose_session();
        }
    }

    fn lose_session(&mut self) {
        self.session = None;
        self.reopen_at = Instant::now() + REOPEN_PAUSE;
        let at = self.reopen_at;
        self.pending.values_mut().for_each(|pending| pending.resend_at = at);
    }

    fn hear(&mut self, reply: Reply) {
        match reply {
            Reply::Published { request, level, .. } => self.reached(request, level),
            Reply::Refused { request, refusal } => {
                // What is stored only waits for its seal: it is asked for again.
                let stored =
                    self.pending.get(&request).is_some_and(|pending| pending.told >= Some(Level::Stored));
                if stored {
                    return;
                }
                if let Some(pending) = self.pending.remove(&request) {
                    self.refuse(pending.message, &pending.batch, &refusal);
                }
            }
            _ => {}
        }
    }

    fn reached(&mut self, request: u64, level: Level) {
        let wanted = self.rules.level;
        let Some(pending) = self.pending.get_mut(&request) else { return };
        let header = *pending.batch.header();
        for step in [Level::Accepted, Level::Stored, Level::Sealed] {
            let due =
                step >= wanted.min(Level::Stored) && step <= wanted.min(level) && Some(step) > pending.told;
            if !due {
                continue;
            }
            pending.told = Some(step);
            let body = json!({
                "type": "ack",
                "message": pending.message,
                "level": step.as_str(),
                "lane": pending.batch.lane().to_string(),
                "sequence": header.sequence,
                "count": header.count,
                "partition": header.stream_partition,
                "publisherId": header.origin.to_string(),
            });
            self.answers.push(body.to_string());
        }
        if level >= wanted {
            self.pending.remove(&request);
        } else if level >= Level::Stored {
            pending.deadline = Instant::now() + SEAL_TIMEOUT;
        }
    }

    fn wake_at(&self) -> Instant {
        let due = self.pending.values().map(|pending| pending.resend_at.min(pending.deadline)).min();
        let due = due.unwrap_or_else(|| Instant::now() + PING_INTERVAL);
        if self.session.is_none() { due.max(self.reopen_at) } else { due }
    }

    async fn act_on_time(&mut self) {
        let now = Instant::now();
        let late: Vec<u64> = self.due(|pending| pending.deadline <= now);
        for request in late {
            if let Some(pending) = self.pending.remove(&request) {
                let reason = "no acknowledgement in time: send the same bytes again";
                self.refuse(pending.message, &pending.batch, &Refusal::new(RefusalCode::Unavailable, reason));
            }
        }
        for request in self.due(|pending| pending.resend_at <= now) {
            self.send(request).await;
        }
    }

    fn due(&self, is_due: impl Fn(&Pending) -> bool) -> Vec<u64> {
        self.pending.iter().filter(|(_, pending)| is_due(pending)).map(|(request, _)| *request).collect()
    }
}

/// The next reply of a session; waits for ever without one.
async fn next_reply(session: &mut Option<Session>) -> Option<Reply> {
    match session {
        Some(session) => session.reply().await,
        None => std::future::pending().await,
    }
}
