//! Publishing: a session signs its own batches and sees each of them acknowledged. With
//! [`PublishOptions::session`] the wallet signs once, and a fresh key signs the batches (WP 2.4.9).
//!
//! ```text
//!   publish(event) ──► queue ──► Lanes: cut, sign ──► Window ──► WebSocket ──► node
//!                     (bounded)                        ▲  │
//!                                                      │  └─ resend the same bytes after a lost connection
//!                                          acknowledged, refused
//! ```
//!
//! Batching is natural: while a batch of a stream partition is on its way, the events for the next one
//! gather. A trickle goes out event by event, a flood in full batches, and no timer is tuned.
//!
//! Events with a partition key go to the key's stream partition; the others go round all of them in turn,
//! which loads them evenly and keeps each partition's share in the order of publishing.

pub(crate) mod answer;
mod driver;
mod lanes;
mod signer;
mod window;

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use weir_kernel::ids::{LaneId, StreamId};

pub use weir_kernel::broker::Level;

use crate::client::Client;
use crate::contract::RpcError;
use crate::event::Event;
use crate::http::RequestError;
use crate::key::KeyError;
use driver::Driver;
use signer::Signer;

/// Events that wait between the caller and the session.
const QUEUE: usize = 1024;

/// Refusals that a report repeats; more are only counted.
const MAX_REPORTED_REFUSALS: usize = 10;

/// How to publish.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// When an event counts as published (WP 2.4.3).
    pub level: Level,
    /// How long a batch is resent without progress before the session gives up.
    pub timeout: Duration,
    /// Lets a fresh key, kept in memory, sign the batches for this long: the client's key signs one certificate and
    /// no batch. By the chain's blocks, so it is an estimate. Without, the client's key signs every batch.
    pub session: Option<Duration>,
    /// Where each event's outcome goes. Read it from another task than the one that publishes: a full channel
    /// holds the session back.
    pub outcomes: Option<mpsc::Sender<Outcome>>,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self { level: Level::Stored, timeout: Duration::from_secs(60), session: None, outcomes: None }
    }
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The event's number in the session, from 0, as handed to [`PublishSession::publish`].
    pub index: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has reached the wanted level.
    Acknowledged {
        /// Its stream partition.
        partition: u32,
        /// Its lane.
        lane: LaneId,
        /// Its number in the lane.
        sequence: u64,
        /// Its time, milliseconds since 1970 UTC.
        timestamp_ms: u64,
    },
    /// It was refused for good.
    Refused {
        /// Machine-readable.
        code: String,
        /// What was wrong and what to do.
        reason: String,
    },
    /// The session ended before it was acknowledged: it may be stored, or not.
    Unacknowledged,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events taken in.
    pub submitted: u64,
    /// Events that have reached the wanted level.
    pub acknowledged: u64,
    /// Events refused for good.
    pub refused: u64,
}

/// A refused event in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The event's number in the session, from 0.
    pub index: u64,
    /// Machine-readable.
    pub code: String,
    /// What was wrong and what to do.
    pub reason: String,
}

/// How a session went.
#[derive(Clone, Debug)]
pub struct Report {
    /// Events taken in.
    pub submitted: u64,
    /// Events that have reached the wanted level.
    pub acknowledged: u64,
    /// Events refused for good.
    pub refused: u64,
    /// Events of which nothing is known: the session ended first.
    pub unacknowledged: u64,
    /// The first refusals.
    pub refusals: Vec<Refusal>,
    /// Why the session ended early, if it did.
    pub failure: Option<PublishFailure>,
    /// From opening to the last answer.
    pub elapsed: Duration,
}

impl Report {
    /// Whether every event has reached the wanted level.
    pub fn is_complete(&self) -> bool {
        self.failure.is_none() && self.acknowledged == self.submitted
    }
}

/// Why a session ended early.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishFailure {
    /// The node refuses this publisher or this stream altogether.
    #[error("publishing is refused: {reason} ({code})")]
    Refused {
        /// Machine-readable.
        code: String,
        /// What was wrong and what to do.
        reason: String,
    },
    /// The session key's time is over, and events wait.
    #[error(
        "the session is over since block {block}: publish what was not acknowledged again, which signs another \
         certificate, or ask for a longer one"
    )]
    SessionOver {
        /// The first block after it.
        block: u64,
    },
    /// No progress for the whole timeout.
    #[error(
        "no acknowledgement within {seconds} s ({last}); what was not acknowledged may or may not be stored: \
         see `weir status`, and publish it again or with a longer --timeout"
    )]
    Timeout {
        /// The timeout.
        seconds: u64,
        /// What was heard last.
        last: String,
    },
    /// The session's task is gone: a bug, or the runtime shut down.
    #[error("the publishing task ended unexpectedly; publish again")]
    Stopped,
}

/// Why a session cannot be opened, or takes no more events.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The client has no key to sign with.
    #[error("publishing needs a key: give one with --key FILE or WEIR_KEY")]
    NoKey,
    /// The node was asked for the stream and said no.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The chain does not say how fast its blocks come, so no session can be measured in them.
    #[error("the session's length in blocks is unknown: {0}")]
    Chain(#[from] RpcError),
    /// No session key could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The session ended early; its report says why.
    #[error("the session has ended")]
    Ended,
}

/// An open publishing session.
pub struct PublishSession {
    events: mpsc::Sender<Event>,
    progress: watch::Receiver<Progress>,
    driver: JoinHandle<Report>,
    opened: Instant,
}

impl PublishSession {
    /// Opens a session on a stream. Nothing is sent before the first event.
    ///
    /// # Errors
    ///
    /// The client has no key, there is no such stream, or the node is gone.
    pub async fn open(
        client: &Client,
        stream: StreamId,
        options: PublishOptions,
    ) -> Result<Self, PublishError> {
        let key = client.key().ok_or(PublishError::NoKey)?.clone();
        let partitions = client.stream(stream).await?.partitions;
        let height = client.refresh_info().await?.height;
        let signer = match options.session {
            Some(life) => {
                let expiry_block = signer::expiry_block(client, height, life).await?;
                Signer::in_session(&key, stream, expiry_block, client.info().chain_id)?
            }
            None => Signer::wallet(key),
        };
        let (events, incoming) = mpsc::channel(QUEUE);
        let (report_progress, progress) = watch::channel(Progress::default());
        let driver = Driver::new(
            client.clone(),
            signer,
            stream,
            partitions,
            height,
            options,
            incoming,
            report_progress,
        );
        Ok(Self { events, progress, driver: tokio::spawn(driver.run()), opened: Instant::now() })
    }

    /// Takes in an event; waits while the session is full.
    ///
    /// # Errors
    ///
    /// [`PublishError::Ended`]: the session gave up; [`finish`](Self::finish) tells why.
    pub async fn publish(&self, event: Event) -> Result<(), PublishError> {
        self.events.send(event).await.map_err(|_| PublishError::Ended)
    }

    /// How far the session has come; changes as it goes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Waits until every event is acknowledged, refused or given up.
    pub async fn finish(self) -> Report {
        drop(self.events);
        let opened = self.opened;
        let last = *self.progress.borrow();
        let mut report = self.driver.await.unwrap_or_else(|_| Report {
            submitted: last.submitted,
            acknowledged: last.acknowledged,
            refused: last.refused,
            unacknowledged: last.submitted - last.acknowledged - last.refused,
            refusals: Vec::new(),
            failure: Some(PublishFailure::Stopped),
            elapsed: Duration::ZERO,
        });
        report.elapsed = opened.elapsed();
        report
    }
}
