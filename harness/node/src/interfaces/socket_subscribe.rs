//! `GET /streams/{id}/subscribe`: one JSON text an event, history first if wanted, then live.
//!
//! With `format=binary` each message is a signed batch instead, preceded by which of its events are meant: the number
//! of the first u32 and how many u32, both big-endian. The reader checks the signature and the hash tree by itself.
//!
//! A subscriber that keeps up gets each delivery at once; one that is busy gets what has gathered in few large writes.
//! The broker is told to send on only after the connection has taken what came before, so a slow client holds up
//! nothing but itself; one that takes nothing for [`SLOW_READER`](crate::service::limits::SLOW_READER) is closed
//! with code 1008 and the reason. Besides events there are notices: `{"type":"withdrawn",…}` when a publisher forked
//! its lane, and with `notices=true` `{"type":"caughtUp","partition":…}` where history ends.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use weir_kernel::broker::{Refusal, RefusalCode};

use super::counters::{OpenSocket, count};
use super::error::ApiError;
use super::query::wrong;
use super::server::Peer;
use super::services::Services;
use super::socket::{self, Heard, PING_INTERVAL, Patient, SendError, refusal_text};
use crate::service::limits::{CLOSE_PATIENCE, FLUSH_BYTES, SLOW_CLOSE_PATIENCE};
use crate::service::{Delivery, Run, Subscriber};

/// What a subscriber says is short. The buffer is cleared before each read, which at the usual 128 KiB costs more than
/// sending an event.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// See the module's text.
pub async fn subscribe(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let known = ["partitions", "from", "format", "signatures", "notices"];
    let (parameters, caller) = services.request(&headers, &uri, &known, peer)?;
    let stream = services.stream(&id)?;
    let binary = match parameters.text("format") {
        None | Some("json") => false,
        Some("binary") => true,
        Some(text) => return Err(wrong("format", text, "json or binary")),
    };
    let style =
        Style { binary, signatures: parameters.flag("signatures")?, notices: parameters.flag("notices")? };
    let (partitions, from) = (parameters.numbers("partitions")?, parameters.from()?);
    let identity = services.access.identity(caller);
    services.gateway.check_subscribe(stream, identity)?;
    let upgrade = socket::upgrade(upgrade)?.read_buffer_size(READ_BUFFER_BYTES);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    // Opened before the handshake is answered: what is published after it is delivered.
    let gateway = services.gateway.clone();
    let subscriber = Subscriber::open(gateway, identity, stream, partitions, from, now_ms).await?;
    Ok(upgrade.on_upgrade(move |socket| async move { run(&services, socket, subscriber, style).await }))
}

#[derive(Clone, Copy, Debug)]
struct Style {
    binary: bool,
    signatures: bool,
    notices: bool,
}

/// How a subscription's connection ends.
enum End {
    Send(SendError),
    Refused(Refusal),
    Client(Option<(u16, String)>),
    Stopping,
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

async fn run(services: &Services, socket: WebSocket, mut subscriber: Subscriber, style: Style) {
    let _open = OpenSocket::new(&services.counters);
    let mut socket = Patient::new(socket, services.slow_reader);
    let mut shutdown = services.shutdown.clone();
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = loop {
        let done = tokio::select! {
            delivery = subscriber.next() => match delivery {
                Ok(delivery) => deliver(services, &mut socket, &mut subscriber, delivery, style).await,
                Err(refusal) => Err(End::Refused(refusal)),
            },
            message = socket.inner.next() => match socket::hear(message) {
                Heard::Ping => socket.send(Message::text("pong")).await.map_err(End::from),
                Heard::Text(_) | Heard::Binary(_) => {
                    let refused = refusal_text("invalid", "this WebSocket only subscribes: publish at …/publish");
                    socket.send(Message::text(refused)).await.map_err(End::from)
                }
                Heard::Nothing => Ok(()),
                Heard::Over(broken) => Err(End::Client(broken)),
            },
            _ = pings.tick() => socket.send(Message::Ping(Default::default())).await.map_err(End::from),
            () = socket::stopping(&mut shutdown) => Err(End::Stopping),
        };
        if let Err(end) = done {
            break end;
        }
    };
    // What waited for it is freed before the connection has taken its end.
    drop(subscriber);
    finish(services, &mut socket, end).await;
}

async fn finish(services: &Services, socket: &mut Patient<WebSocket>, end: End) {
    let sender = &mut socket.inner;
    match end {
        End::Send(SendError::Slow) => {
            count(&services.counters.slow_readers, 1);
            let reason = "slow reader: take events faster, or read them from the past with from=";
            socket::close(sender, socket::close::POLICY, reason, SLOW_CLOSE_PATIENCE).await;
        }
        End::Refused(refusal) if refusal.code == RefusalCode::RateLimited => {
            count(&services.counters.slow_readers, 1);
            socket::close(sender, socket::close::POLICY, &refusal.reason, SLOW_CLOSE_PATIENCE).await;
        }
        End::Refused(refusal) => {
            let text = refusal_text(refusal.code.as_str(), &refusal.reason);
            let _ = socket.send(Message::text(text)).await;
            let reason = refusal.to_string();
            socket::close(&mut socket.inner, socket::close::FAILED, &reason, CLOSE_PATIENCE).await;
        }
        End::Client(Some((code, reason))) => socket::close(sender, code, &reason, CLOSE_PATIENCE).await,
        End::Stopping => {
            let reason = "this node is stopping";
            socket::close(sender, socket::close::GOING_AWAY, reason, CLOSE_PATIENCE).await;
        }
        End::Client(None) | End::Send(SendError::Gone) => {}
    }
}

/// Sends a delivery and what has come after it, up to [`FLUSH_BYTES`], and then tells the broker.
async fn deliver(
    services: &Services,
    socket: &mut Patient<WebSocket>,
    subscriber: &mut Subscriber,
    first: Delivery,
    style: Style,
) -> Result<(), End> {
    let (mut events, mut taken) = (0, 0);
    let mut next = Some(first);
    while let Some(delivery) = next {
        match delivery {
            Delivery::Events { runs, bytes } => {
                for run in runs {
                    events += u64::from(run.len());
                    feed(services, socket, &run, style).await?;
                }
                taken += bytes;
            }
            Delivery::CaughtUp { partition } if style.notices => {
                let notice = json!({ "type": "caughtUp", "partition": partition }).to_string();
                socket.feed(Message::text(notice)).await?;
            }
            Delivery::CaughtUp { .. } => {}
            Delivery::Withdrawn { lane, from } => {
                let notice = json!({ "type": "withdrawn", "lane": lane.to_string(), "from": from });
                socket.feed(Message::text(notice.to_string())).await?;
            }
        }
        next = if taken < FLUSH_BYTES { subscriber.try_next().map_err(End::Refused)? } else { None };
    }
    socket.flush().await?;
    count(&services.counters.delivered, events);
    subscriber.consumed(taken).await;
    Ok(())
}

async fn feed(
    services: &Services,
    socket: &mut Patient<WebSocket>,
    run: &Run,
    style: Style,
) -> Result<(), SendError> {
    let renderings = services.gateway.renderings();
    if style.binary {
        return socket.feed(Message::Binary(renderings.binary(run))).await;
    }
    for text in renderings.texts(run, style.signatures) {
        let text = Utf8Bytes::try_from(text).expect("an event's JSON is a string");
        socket.feed(Message::Text(text)).await?;
    }
    Ok(())
}
