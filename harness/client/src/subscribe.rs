//! Subscribing: a live flow of events that goes on after a lost connection, without gaps or duplicates.
//!
//! The identity of an event is (lane, sequence), and numbers are consecutive within a lane. So the
//! subscription remembers the next number of each lane, asks again from where it began, and passes over what
//! it has given already.
//!
//! | began at | asks again for | limits |
//! | --- | --- | --- |
//! | all | everything | rereads history, gives none of it twice |
//! | a time | events since that time | as above |
//! | latest | events since the beginning, or since the oldest of its lanes' last times | see below |
//!
//! After `latest`, of a lane that appeared while the connection was lost, events whose own time lies before the
//! beginning are taken for history and left out: nothing tells them from what was there before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use weir_kernel::ids::{LaneId, StreamId};

use crate::client::Client;
use crate::http::RequestError;
use crate::socket::{Socket, SocketError, back_off};
use crate::time::now_ms;

/// Lanes whose position is remembered. Beyond, the ones with the oldest events are forgotten: after a
/// reconnect their events could come twice.
const MAX_LANES: usize = 65_536;

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    Latest,
    /// With everything that is kept.
    All,
    /// With events at or after this time, milliseconds since 1970 UTC.
    Time(u64),
}

/// How to subscribe.
#[derive(Clone, Debug)]
pub struct SubscribeOptions {
    /// Where to begin.
    pub from: Start,
    /// Which of the stream's partitions; empty for all.
    pub partitions: Vec<u32>,
    /// How long a lost connection is looked for.
    pub timeout: Duration,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self { from: Start::Latest, partitions: Vec::new(), timeout: Duration::from_secs(60) }
    }
}

/// What a subscription gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// An event: the object `{"content":…,"metadata":{…}}` as the node wrote it, the content as it was
    /// published.
    Event(String),
    /// A publisher forked its lane: events with this number and above, given before, do not count.
    Withdrawn {
        /// The lane.
        lane: LaneId,
        /// First number withdrawn.
        from: u64,
    },
}

/// Why a subscription ends.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The node refuses this reader or this stream.
    #[error("subscribing is refused: {reason} ({code})")]
    Refused {
        /// Machine-readable.
        code: String,
        /// What was wrong and what to do.
        reason: String,
    },
    /// Signing in failed.
    #[error(transparent)]
    SignIn(#[from] RequestError),
    /// The connection was lost and did not come back.
    #[error("no connection for {seconds} s ({last}); see whether the network is up, and subscribe again")]
    Lost {
        /// How long it was looked for.
        seconds: u64,
        /// What was heard last.
        last: String,
    },
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    code: Option<String>,
    reason: Option<String>,
    lane: Option<String>,
    from: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    timestamp: u64,
    sequence_number: u64,
    msg_chain_id: String,
}

/// Where a lane stands: the next number, and the time of the last event given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    next: u64,
    last_ms: u64,
}

/// What has been given already. A pure part of the subscription.
#[derive(Debug)]
struct Positions {
    start: Start,
    began_ms: u64,
    reconnected: bool,
    lanes: BTreeMap<LaneId, Place>,
}

impl Positions {
    fn new(start: Start, began_ms: u64) -> Self {
        Self { start, began_ms, reconnected: false, lanes: BTreeMap::new() }
    }

    /// Where the next connection begins, as the query's `from`.
    fn from(&self) -> String {
        match self.start {
            Start::All => "all".into(),
            Start::Time(time_ms) => time_ms.to_string(),
            Start::Latest if !self.reconnected => "latest".into(),
            Start::Latest => {
                let oldest_ms = self.lanes.values().map(|place| place.last_ms).min();
                oldest_ms.map_or(self.began_ms, |oldest_ms| oldest_ms.min(self.began_ms)).to_string()
            }
        }
    }

    /// Whether an event is new; remembers it.
    fn is_new(&mut self, lane: LaneId, sequence: u64, timestamp_ms: u64) -> bool {
        match self.lanes.get_mut(&lane) {
            Some(place) if sequence < place.next => return false,
            Some(place) => *place = Place { next: sequence + 1, last_ms: timestamp_ms },
            None if self.start == Start::Latest && self.reconnected && timestamp_ms < self.began_ms => {
                return false;
            }
            None => {
                self.lanes.insert(lane, Place { next: sequence + 1, last_ms: timestamp_ms });
                self.forget();
            }
        }
        true
    }

    /// A forked lane ends at this number, and other events may take its place after it is settled.
    fn withdraw(&mut self, lane: LaneId, from: u64) {
        if let Some(place) = self.lanes.get_mut(&lane) {
            place.next = place.next.min(from);
        }
    }

    fn forget(&mut self) {
        while self.lanes.len() > MAX_LANES {
            let oldest = self.lanes.iter().min_by_key(|(_, place)| place.last_ms).map(|(lane, _)| *lane);
            oldest.and_then(|lane| self.lanes.remove(&lane));
        }
    }
}

/// An open subscription.
pub struct Subscription {
    client: Client,
    stream: StreamId,
    options: SubscribeOptions,
    positions: Positions,
    socket: Option<Socket>,
}

impl Subscription {
    /// Subscribes; returns when the node has accepted.
    ///
    /// # Errors
    ///
    /// The node's refusal, or that it is gone.
    pub async fn open(
        client: &Client,
        stream: StreamId,
        options: SubscribeOptions,
    ) -> Result<Self, SubscribeError> {
        let positions = Positions::new(options.from, now_ms());
        let mut subscription = Self { client: client.clone(), stream, options, positions, socket: None };
        subscription.connect(true).await?;
        Ok(subscription)
    }

    /// The next event or notice. May be dropped and called again without losing one.
    ///
    /// # Errors
    ///
    /// The subscription is over.
    pub async fn next(&mut self) -> Result<Delivery, SubscribeError> {
        loop {
            let Some(socket) = &mut self.socket else {
                self.connect(false).await?;
                continue;
            };
            match socket.incoming.recv().await {
                Some(Ok(text)) => {
                    if let Some(delivery) = self.received(text)? {
                        return Ok(delivery);
                    }
                }
                Some(Err(error)) => self.lost(&error.to_string()),
                None => self.lost("the connection ended"),
            }
        }
    }

    fn lost(&mut self, why: &str) {
        tracing::debug!(%why, "the subscription's connection is gone");
        self.socket = None;
        self.positions.reconnected = true;
    }

    fn url(&self) -> String {
        let partitions: Vec<String> = self.options.partitions.iter().map(u32::to_string).collect();
        let mut path = format!("/streams/{}/subscribe?from={}", self.stream, self.positions.from());
        if !partitions.is_empty() {
            path.push_str("&partitions=");
            path.push_str(&partitions.join(","));
        }
        self.client.websocket_url(&path)
    }

    async fn connect(&mut self, first: bool) -> Result<(), SubscribeError> {
        let deadline = Instant::now() + self.options.timeout;
        let mut signed_in = false;
        for attempt in 0.. {
            let last = match Socket::connect(&self.url(), self.client.token().as_deref()).await {
                Ok(socket) => {
                    self.socket = Some(socket);
                    return Ok(());
                }
                Err(SocketError::Refused { status: status @ (401 | 403), code, reason }) => {
                    if signed_in || self.client.key().is_none() {
                        return Err(SubscribeError::Refused { code, reason });
                    }
                    self.client.sign_in_after(RequestError::Refused { status, code, reason }).await?;
                    signed_in = true;
                    continue;
                }
                Err(SocketError::Refused { status, code, reason })
                    if (400..500).contains(&status) && status != 429 && first =>
                {
                    return Err(SubscribeError::Refused { code, reason });
                }
                Err(error) => error.to_string(),
            };
            if first || Instant::now() >= deadline {
                let seconds = if first { 0 } else { self.options.timeout.as_secs() };
                return Err(SubscribeError::Lost { seconds, last });
            }
            sleep(back_off(attempt)).await;
        }
        unreachable!("the loop above ends by returning")
    }

    fn received(&mut self, text: String) -> Result<Option<Delivery>, SubscribeError> {
        let Ok(incoming) = serde_json::from_str::<Incoming<'_>>(&text) else { return Ok(None) };
        if let Some(metadata) = incoming.metadata {
            let Ok(metadata) = serde_json::from_str::<Metadata>(metadata.get()) else { return Ok(None) };
            let Ok(lane) = metadata.msg_chain_id.parse() else { return Ok(None) };
            let new = self.positions.is_new(lane, metadata.sequence_number, metadata.timestamp);
            return Ok(new.then_some(Delivery::Event(text)));
        }
        match (incoming.kind.as_deref(), incoming.lane.and_then(|lane| lane.parse().ok()), incoming.from) {
            (Some("withdrawn"), Some(lane), Some(from)) => {
                self.positions.withdraw(lane, from);
                Ok(Some(Delivery::Withdrawn { lane, from }))
            }
            (Some("refused"), ..) => {
                let code = incoming.code.unwrap_or_default();
                let reason = incoming.reason.unwrap_or_default();
                if matches!(code.as_str(), "unavailable" | "rate-limited") {
                    self.lost(&reason);
                    return Ok(None);
                }
                Err(SubscribeError::Refused { code, reason })
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LaneId = LaneId([1; 32]);
    const B: LaneId = LaneId([2; 32]);

    #[test]
    fn an_event_is_given_once() {
        let mut positions = Positions::new(Start::All, 1000);
        assert!(positions.is_new(A, 0, 5) && positions.is_new(A, 1, 6) && positions.is_new(B, 0, 4));
        positions.reconnected = true;
        assert_eq!(positions.from(), "all");
        assert!(!positions.is_new(A, 0, 5) && !positions.is_new(A, 1, 6) && positions.is_new(A, 2, 7));
        assert!(!positions.is_new(B, 0, 4));
    }

    #[test]
    fn latest_asks_again_from_where_its_lanes_stand() {
        let mut positions = Positions::new(Start::Latest, 1000);
        assert_eq!(positions.from(), "latest");
        // A backfill: old times, coming now.
        assert!(positions.is_new(A, 40, 500));
        positions.reconnected = true;
        assert_eq!(positions.from(), "500");
        assert!(positions.is_new(A, 41, 501), "the known lane goes on without a gap");
        assert!(!positions.is_new(B, 0, 600), "another lane's old events were there before");
        assert!(positions.is_new(B, 7, 1000));
        let mut quiet = Positions::new(Start::Latest, 1000);
        quiet.reconnected = true;
        assert_eq!(quiet.from(), "1000", "nothing came before the connection was lost");
    }

    #[test]
    fn a_withdrawn_end_can_be_replaced() {
        let mut positions = Positions::new(Start::All, 0);
        (0..5).for_each(|sequence| assert!(positions.is_new(A, sequence, 1)));
        positions.withdraw(A, 3);
        assert!(!positions.is_new(A, 2, 1) && positions.is_new(A, 3, 1));
    }

    #[test]
    fn positions_are_bounded() {
        let mut positions = Positions::new(Start::All, 0);
        for n in 0..MAX_LANES as u64 + 10 {
            let mut lane = [0; 32];
            lane[..8].copy_from_slice(&n.to_be_bytes());
            positions.is_new(LaneId(lane), 0, n);
        }
        assert_eq!(positions.lanes.len(), MAX_LANES);
        assert!(positions.lanes.values().all(|place| place.last_ms >= 10));
    }
}
