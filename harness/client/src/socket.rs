//! A WebSocket to a node: two tasks that move messages, so that reading never waits for writing.
//!
//! ```text
//!   outgoing queue ──► writer task ──► node ──► reader task ──► incoming queue
//! ```
//!
//! Both queues are bounded. A connection that stays silent although it is pinged counts as broken.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::http::{RequestError, refusal, root_cause};

/// Messages that wait for the writer or the reader: enough to keep both busy, few enough to be no buffer.
const QUEUE: usize = 64;

/// Longest message taken from a node: an event's content escaped as base64 or JSON, with its metadata.
const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// How often the node is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// How long a pinged node may stay silent.
const SILENCE: Duration = Duration::from_secs(45);

/// How long connecting and shaking hands may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why a WebSocket is gone, or never came.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// The node refused the handshake, by HTTP status.
    #[error("{reason} ({code})")]
    Refused { status: u16, code: String, reason: String },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Broken(String),
    /// The node closed it and said why.
    #[error("the node closed the connection: {0}")]
    Closed(String),
}

/// An open WebSocket.
pub(crate) struct Socket {
    pub outgoing: mpsc::Sender<Message>,
    pub incoming: mpsc::Receiver<Result<String, SocketError>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Socket {
    /// Connects to a `ws://` address.
    pub async fn connect(url: &str, token: Option<&str>) -> Result<Self, SocketError> {
        let broken = |error: Error| SocketError::Broken(root_cause(&error));
        let mut request = url.into_client_request().map_err(broken)?;
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|error| SocketError::Broken(error.to_string()))?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES));
        let connecting = connect_async_with_config(request, Some(config), true);
        match timeout(HANDSHAKE, connecting).await {
            Ok(Ok((stream, _))) => Ok(Self::start(stream)),
            Ok(Err(Error::Http(response))) => Err(handshake_refusal(
                response.status().as_u16(),
                response.body().as_deref().unwrap_or_default(),
            )),
            Ok(Err(error)) => Err(broken(error)),
            Err(_) => Err(SocketError::Broken(format!("no handshake within {} s", HANDSHAKE.as_secs()))),
        }
    }

    fn start(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        let (mut sink, mut stream) = stream.split();
        let (outgoing, mut to_send) = mpsc::channel::<Message>(QUEUE);
        let (received, incoming) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(async move {
            let mut pings = interval(PING_INTERVAL);
            pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let message = tokio::select! {
                    message = to_send.recv() => message,
                    _ = pings.tick() => Some(Message::Ping(Bytes::new())),
                };
                // The reader reports why a connection broke; here it only ends.
                let sent = match message {
                    Some(message) => sink.send(message).await,
                    None => sink.close().await.and(Err(Error::ConnectionClosed)),
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        let reader = tokio::spawn(async move {
            loop {
                let item = match timeout(SILENCE, stream.next()).await {
                    Ok(Some(Ok(Message::Text(text)))) => Ok(text.as_str().to_owned()),
                    Ok(Some(Ok(Message::Close(frame)))) => Err(SocketError::Closed(frame.map_or_else(
                        || "without a reason".into(),
                        |frame| format!("{} ({})", frame.reason, u16::from(frame.code)),
                    ))),
                    Ok(Some(Ok(_))) => continue,
                    Ok(Some(Err(error))) => Err(SocketError::Broken(root_cause(&error))),
                    Ok(None) => Err(SocketError::Broken("it ended".into())),
                    Err(_) => Err(SocketError::Broken(format!("nothing came for {} s", SILENCE.as_secs()))),
                };
                let over = item.is_err();
                if received.send(item).await.is_err() || over {
                    return;
                }
            }
        });
        Self { outgoing, incoming, tasks: [writer, reader] }
    }
}

fn handshake_refusal(status: u16, body: &[u8]) -> SocketError {
    match refusal(status, body) {
        RequestError::Refused { status, code, reason } => SocketError::Refused { status, code, reason },
        other => SocketError::Broken(other.to_string()),
    }
}

/// How long to wait before try number `attempt` (from 0): doubling up to two seconds.
pub(crate) fn back_off(attempt: u32) -> Duration {
    Duration::from_millis((100 << attempt.min(5)).min(2000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_two_seconds() {
        let waits: Vec<_> = (0..8).map(|attempt| back_off(attempt).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    }

    #[test]
    fn a_refused_handshake_keeps_the_nodes_words() {
        let error = handshake_refusal(404, br#"{"code":"not-found","reason":"no such stream"}"#);
        assert!(matches!(&error, SocketError::Refused { status: 404, code, .. } if code == "not-found"));
        assert!(handshake_refusal(503, b"busy").to_string().contains("busy"));
    }
}
