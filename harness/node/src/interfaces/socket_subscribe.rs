//! `GET /streams/{id}/subscribe`: one JSON text an event, history first if wanted, then live.
//!
//! The broker is told to send on only after the connection has taken what came before, so a slow client holds up
//! nothing but itself; one that takes nothing for [`SLOW_READER`](crate::service::limits::SLOW_READER) is closed
//! with code 1008 and the reason. Besides events there are notices: `{"type":"withdrawn",…}` when a publisher forked
//! its lane, and with `notices=true` `{"type":"caughtUp","partition":…}` where history ends.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use weir_kernel::broker::Refusal;

use super::counters::{OpenSocket, count};
use super::error::ApiError;
use super::server::Peer;
use super::services::Services;
use super::socket::{self, Heard, PING_INTERVAL, SendError, Sender, refusal_text, send_all};
use crate::service::{Delivery, Subscriber};

/// See the module's text.
pub async fn subscribe(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let known = ["partitions", "from", "signatures", "notices"];
    let (parameters, caller) = services.request(&headers, &uri, &known, peer)?;
    let stream = services.stream(&id)?;
    let style = Style { signatures: parameters.flag("signatures")?, notices: parameters.flag("notices")? };
    let (partitions, from) = (parameters.numbers("partitions")?, parameters.from()?);
    let identity = services.access.identity(caller);
    services.gateway.check_subscribe(stream, identity)?;
    let upgrade = socket::upgrade(upgrade)?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    // Opened before the handshake is answered: what is published after it is delivered.
    let gateway = services.gateway.clone();
    let subscriber = Subscriber::open(gateway, identity, stream, partitions, from, now_ms).await?;
    Ok(upgrade.on_upgrade(move |socket| async move { run(&services, socket, subscriber, style).await }))
}

#[derive(Clone, Copy, Debug)]
struct Style {
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
    let (mut sender, mut receiver) = socket.split();
    let mut shutdown = services.shutdown.clone();
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = loop {
        let done = tokio::select! {
            delivery = subscriber.next() => match delivery {
                Ok(delivery) => deliver(services, &mut sender, &mut subscriber, delivery, style).await,
                Err(refusal) => Err(End::Refused(refusal)),
            },
            message = receiver.next() => match socket::hear(message) {
                Heard::Ping => send_all(&mut sender, [Message::text("pong")]).await.map_err(End::from),
                Heard::Text(_) | Heard::Binary(_) => {
                    let refused = refusal_text("invalid", "this WebSocket only subscribes: publish at …/publish");
                    send_all(&mut sender, [Message::text(refused)]).await.map_err(End::from)
                }
                Heard::Nothing => Ok(()),
                Heard::Over(broken) => Err(End::Client(broken)),
            },
            _ = pings.tick() => {
                send_all(&mut sender, [Message::Ping(Default::default())]).await.map_err(End::from)
            }
            () = socket::stopping(&mut shutdown) => Err(End::Stopping),
        };
        if let Err(end) = done {
            break end;
        }
    };
    finish(services, &mut sender, end).await;
}

async fn finish(services: &Services, sender: &mut Sender, end: End) {
    match end {
        End::Send(SendError::Slow) => {
            count(&services.counters.slow_readers, 1);
            let reason = "slow reader: take events faster, or read them from the past with from=";
            socket::close(sender, socket::close::POLICY, reason).await;
        }
        End::Refused(refusal) => {
            let text = refusal_text(refusal.code.as_str(), &refusal.reason);
            let _ = send_all(sender, [Message::text(text)]).await;
            socket::close(sender, socket::close::FAILED, &refusal.to_string()).await;
        }
        End::Client(Some((code, reason))) => socket::close(sender, code, &reason).await,
        End::Stopping => socket::close(sender, socket::close::GOING_AWAY, "this node is stopping").await,
        End::Client(None) | End::Send(SendError::Gone) => {}
    }
}

async fn deliver(
    services: &Services,
    sender: &mut Sender,
    subscriber: &mut Subscriber,
    delivery: Delivery,
    style: Style,
) -> Result<(), End> {
    match delivery {
        Delivery::Events { events, bytes } => {
            let number = events.len() as u64;
            let messages = events.into_iter().map(|event| {
                let mut text = String::new();
                event.write_json(&mut text, false, style.signatures);
                Message::text(text)
            });
            send_all(sender, messages).await?;
            count(&services.counters.delivered, number);
            subscriber.consumed(bytes).await;
        }
        Delivery::CaughtUp { partition } if style.notices => {
            let notice = json!({ "type": "caughtUp", "partition": partition }).to_string();
            send_all(sender, [Message::text(notice)]).await?;
        }
        Delivery::CaughtUp { .. } => {}
        Delivery::Withdrawn { lane, from } => {
            let notice = json!({ "type": "withdrawn", "lane": lane.to_string(), "from": from }).to_string();
            send_all(sender, [Message::text(notice)]).await?;
        }
    }
    Ok(())
}
