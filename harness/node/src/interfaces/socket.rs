//! What both kinds of WebSocket share: sending with patience, closing with a name, pings.

use std::future::poll_fn;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::http::StatusCode;
use futures_util::{FutureExt, Sink, SinkExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::ApiError;
use crate::service::limits::{MAX_WEBSOCKET_MESSAGE_BYTES, SLOW_READER};

/// How often a client is pinged, so that both ends notice a broken connection.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Close codes (RFC 6455 section 7.4.1).
pub mod close {
    /// The server is stopping.
    pub const GOING_AWAY: u16 = 1001;
    /// The client breaks a rule, such as not taking its data.
    pub const POLICY: u16 = 1008;
    /// A message is too long.
    pub const TOO_BIG: u16 = 1009;
    /// The server cannot go on.
    pub const FAILED: u16 = 1011;
}

/// Why nothing more can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The client did not take its data in time.
    Slow,
    /// The connection is gone.
    Gone,
}

/// An upgrade, or why the request is none.
pub fn upgrade(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, ApiError> {
    let upgrade = upgrade.map_err(|rejection| ApiError {
        status: StatusCode::UPGRADE_REQUIRED,
        code: "unsupported",
        reason: format!("connect here with a WebSocket: {rejection}"),
    })?;
    Ok(upgrade.max_message_size(MAX_WEBSOCKET_MESSAGE_BYTES).max_frame_size(MAX_WEBSOCKET_MESSAGE_BYTES))
}

/// Something that messages are sent by, with patience: the client may be slow but must go on.
pub struct Patient<S> {
    /// What they are sent by.
    pub inner: S,
    /// How long the client may take nothing at all.
    patience: Duration,
}

impl<S: Sink<Message> + Unpin> Patient<S> {
    /// With so much patience for each message.
    pub fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience }
    }

    /// Hands a message over; it may wait in the connection's buffer until [`Self::flush`].
    pub async fn feed(&mut self, message: Message) -> Result<(), SendError> {
        let inner = &mut self.inner;
        // Mostly there is room, and then no clock need run.
        match poll_fn(|context| inner.poll_ready_unpin(context)).now_or_never() {
            Some(ready) => ready.map_err(|_| SendError::Gone)?,
            None => patiently(self.patience, poll_fn(|context| inner.poll_ready_unpin(context))).await?,
        }
        inner.start_send_unpin(message).map_err(|_| SendError::Gone)
    }

    /// Waits until the connection has taken everything.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        patiently(self.patience, self.inner.flush()).await
    }

    /// Sends one message at once.
    pub async fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.feed(message).await?;
        self.flush().await
    }
}

/// Sends messages and waits until the connection has taken them, with [`SLOW_READER`] for each message.
pub async fn send_all<S: Sink<Message> + Unpin>(
    sender: &mut S,
    messages: impl IntoIterator<Item = Message>,
) -> Result<(), SendError> {
    let mut sender = Patient::new(sender, SLOW_READER);
    for message in messages {
        sender.feed(message).await?;
    }
    sender.flush().await
}

async fn patiently<E>(
    patience: Duration,
    sending: impl Future<Output = Result<(), E>>,
) -> Result<(), SendError> {
    match timeout(patience, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(SendError::Gone),
        Err(_) => Err(SendError::Slow),
    }
}

/// Closes with a code and a reason; does not wait longer than `patience` for the other side to take it.
pub async fn close<S: Sink<Message> + Unpin>(sender: &mut S, code: u16, reason: &str, patience: Duration) {
    // A close frame carries at most 123 bytes of reason (RFC 6455 section 5.5).
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let frame = CloseFrame { code, reason: reason[..end].into() };
    let _ = timeout(patience, sender.send(Message::Close(Some(frame)))).await;
}

/// Waits until the servers shut down.
pub async fn stopping(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = shutdown.wait_for(|over| *over).await;
}

/// `{"type":"refused","code":…,"reason":…}`.
pub fn refusal_text(code: &str, reason: &str) -> String {
    json!({ "type": "refused", "code": code, "reason": reason }).to_string()
}

/// What a client's message asks for, besides data.
pub enum Heard {
    /// Data: text or bytes.
    Text(String),
    /// See [`Heard::Text`].
    Binary(axum::body::Bytes),
    /// A text `ping`, as today's Streamr clients send: answer `pong`.
    Ping,
    /// Nothing to do: the WebSocket's own pings and pongs are answered below.
    Nothing,
    /// The client is gone; a close code if it broke a rule.
    Over(Option<(u16, String)>),
}

/// Reads a message.
pub fn hear(message: Option<Result<Message, axum::Error>>) -> Heard {
    match message {
        Some(Ok(Message::Text(text))) if text.as_str() == "ping" => Heard::Ping,
        Some(Ok(Message::Text(text))) => Heard::Text(text.as_str().to_owned()),
        Some(Ok(Message::Binary(bytes))) => Heard::Binary(bytes),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Nothing,
        Some(Ok(Message::Close(_))) | None => Heard::Over(None),
        Some(Err(error)) => {
            let text = error.to_string();
            let too_big = text.contains("too long") || text.contains("too big");
            let reason = format!("messages have at most {MAX_WEBSOCKET_MESSAGE_BYTES} bytes");
            Heard::Over(too_big.then_some((close::TOO_BIG, reason)))
        }
    }
}
