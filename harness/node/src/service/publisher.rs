//! The publisher: signs what comes as plain content with the node's *application key* and sees it acknowledged.
//!
//! ```text
//!   HTTP, WebSocket ──events──► slot queue ──► batch, signed ──► edge ──► stored, sealed
//!                                 (bounded)      one unacknowledged at a time in each slot
//! ```
//!
//! *Natural batching*: an event is signed and sent at once when its slot (stream partition) is idle; what comes
//! while the batch before is not stored yet goes together into the next one. Under load batches grow by themselves,
//! without load nothing waits. A batch is resent as identical bytes until it is acknowledged or its time is up;
//! which lane it goes to is told in [`super::lanes`].
//!
//! Never a broker's key: the application key is its own, and signs only for those whom the interfaces let in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use weir_kernel::batch::content_type;
use weir_kernel::broker::{Level, Refusal, RefusalCode};
use weir_kernel::ids::{Address, LaneId, StreamId, StreamPartition};
use weir_kernel::limits::MAX_CONTENT_BYTES;
use weir_kernel::partition_key::partition_of_key;
use weir_kernel::signature::SecretKey;

use super::gateway::Gateway;
use super::idempotency::{IdempotencyCache, Remembered};
use super::limits::{
    BATCH_TARGET_BYTES, MAX_IDEMPOTENCY_KEY_BYTES, MAX_PUBLISHING_SLOTS, MAX_QUEUED_PUBLISHES,
};
use super::publishing::SlotTask;

/// Events that one request may put into a batch.
const MAX_REQUEST_EVENTS: usize = 1024;

/// An event as a client hands it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishEvent {
    /// See [`weir_kernel::batch::content_type`].
    pub content_type: u8,
    /// The payload, kept as it came.
    pub content: Vec<u8>,
    /// Milliseconds since 1970 UTC; none for the present.
    pub timestamp_ms: Option<u64>,
}

/// How far a publish has come.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// The highest level reached.
    pub reached: Option<Level>,
    /// Where the events are, once they are signed.
    pub place: Option<Place>,
    /// It is refused and over.
    pub refused: Option<Refusal>,
    /// What keeps it from being acknowledged; it is still tried.
    pub trouble: Option<Refusal>,
}

/// Where published events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Their lane.
    pub lane: LaneId,
    /// Sequence of the first.
    pub sequence: u64,
    /// How many.
    pub count: u32,
    /// Time of the first, in milliseconds since 1970 UTC.
    pub timestamp_ms: u64,
}

/// A publish under way. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The stream partition chosen.
    pub slot: StreamPartition,
    /// Who signs.
    pub origin: Address,
    progress: watch::Receiver<Progress>,
}

impl Receipt {
    /// How far it is now.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until it reaches `level`, is refused, or `deadline` passes, and says how far it is then.
    pub async fn wait(&mut self, level: Level, deadline: Instant) -> Progress {
        let over = |progress: &Progress| progress.refused.is_some() || progress.reached >= Some(level);
        let gone = match timeout_at(deadline, self.progress.wait_for(over)).await {
            Ok(Ok(progress)) => return progress.clone(),
            Ok(Err(_)) => true,
            Err(_) => false,
        };
        let progress = self.progress();
        if gone { Progress { refused: Some(stopped()), ..progress } } else { progress }
    }
}

fn stopped() -> Refusal {
    Refusal::new(RefusalCode::Unavailable, "this node is stopping: publish again when it is back")
}

/// Some events of one slot, to be signed together.
#[derive(Debug)]
pub(super) struct Request {
    pub events: Vec<PublishEvent>,
    pub level: Level,
    pub progress: watch::Sender<Progress>,
}

/// Where a client wants its event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// This partition.
    Partition(u32),
    /// The partition of this key ([`partition_of_key`]).
    Key(Vec<u8>),
    /// The partition of the content itself, taken as the key: equal content always goes to the same place.
    #[default]
    Content,
}

/// Publishes with the application key. One for a process.
#[derive(Debug)]
pub struct Publisher {
    gateway: Arc<Gateway>,
    key: SecretKey,
    slots: Mutex<BTreeMap<StreamPartition, mpsc::Sender<Request>>>,
    done: IdempotencyCache<Receipt>,
}

impl Publisher {
    /// With this application key. Must live in a tokio runtime when it publishes.
    pub fn new(gateway: Arc<Gateway>, key: SecretKey) -> Self {
        Self { gateway, key, slots: Mutex::default(), done: IdempotencyCache::default() }
    }

    /// The address that signs.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Publishes one event. Returns at once: the receipt tells how it goes on.
    ///
    /// With an idempotency key the same event is published once; the receipt is then that of the first time.
    ///
    /// # Errors
    ///
    /// `not-found`, `unauthorized`, `invalid`; `rate-limited` if too much waits already.
    pub fn publish(
        &self,
        stream: StreamId,
        choice: &Choice,
        event: PublishEvent,
        level: Level,
        idempotency_key: Option<&str>,
    ) -> Result<Receipt, Refusal> {
        let slot = self.place(stream, choice, &event)?;
        let Some(key) = idempotency_key else { return self.enqueue(slot, vec![event], level) };
        if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY_BYTES {
            let reason = format!("an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY_BYTES} bytes");
            return Err(Refusal::new(RefusalCode::Invalid, reason));
        }
        let key = [&stream.0[..], key.as_bytes()].concat();
        let time = event.timestamp_ms.unwrap_or(u64::MAX).to_be_bytes();
        let content = event.content.clone();
        let request = [&slot.partition.to_be_bytes()[..], &time, &[event.content_type], &content];
        let mut act = Some(|| self.enqueue(slot, vec![event], level));
        let mut once = || {
            let act = act.take();
            self.done.once(&key, &request, || act.map_or_else(|| Err(stopped()), |act| act()))
        };
        match once()? {
            Remembered::New(receipt) => Ok(receipt),
            Remembered::Repeated(receipt) if receipt.progress().refused.is_none() => Ok(receipt),
            Remembered::Repeated(_) => {
                self.done.forget(&key);
                match once()? {
                    Remembered::New(receipt) | Remembered::Repeated(receipt) => Ok(receipt),
                    Remembered::OtherRequest => Err(other_request()),
                }
            }
            Remembered::OtherRequest => Err(other_request()),
        }
    }

    /// Publishes many events: those of one partition in rising time, otherwise in the order given.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`], for the first event that is refused; nothing is published then unless the reason
    /// is `rate-limited`.
    pub fn publish_all(
        &self,
        stream: StreamId,
        events: Vec<(Choice, PublishEvent)>,
        level: Level,
    ) -> Result<Vec<Receipt>, Refusal> {
        let mut by_slot: BTreeMap<StreamPartition, Vec<PublishEvent>> = BTreeMap::new();
        for (choice, event) in events {
            by_slot.entry(self.place(stream, &choice, &event)?).or_default().push(event);
        }
        let mut receipts = Vec::new();
        for (slot, mut events) in by_slot {
            // Those without a time are of the present, so that they come after all others.
            events.sort_by_key(|event| event.timestamp_ms.unwrap_or(u64::MAX));
            for part in split(events) {
                receipts.push(self.enqueue(slot, part, level)?);
            }
        }
        Ok(receipts)
    }

    /// Checks an event and finds its slot.
    fn place(
        &self,
        stream: StreamId,
        choice: &Choice,
        event: &PublishEvent,
    ) -> Result<StreamPartition, Refusal> {
        let partitions = self.gateway.partitions(stream)?;
        self.gateway.check_publish(stream, self.address())?;
        if event.content.len() > MAX_CONTENT_BYTES {
            let reason = format!(
                "content of {} bytes; at most {MAX_CONTENT_BYTES} are allowed: split it into several events",
                event.content.len()
            );
            return Err(Refusal::new(RefusalCode::Invalid, reason));
        }
        let partition = match choice {
            Choice::Partition(partition) => *partition,
            Choice::Key(key) => partition_of_key(key, partitions),
            Choice::Content => partition_of_key(&event.content, partitions),
        };
        let slot = StreamPartition { stream, partition };
        self.gateway.check_slot(slot)?;
        Ok(slot)
    }

    /// Hands events to their slot's task; starts the task if there is none.
    fn enqueue(
        &self,
        slot: StreamPartition,
        events: Vec<PublishEvent>,
        level: Level,
    ) -> Result<Receipt, Refusal> {
        let (sender, progress) = watch::channel(Progress::default());
        let mut request = Request { events, level, progress: sender };
        let mut slots = self.slots.lock().expect("no holder panics");
        if let Some(queue) = slots.get(&slot) {
            match queue.try_send(request) {
                Ok(()) => return Ok(Receipt { slot, origin: self.address(), progress }),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(too_much()),
                Err(mpsc::error::TrySendError::Closed(back)) => request = back,
            }
        }
        slots.retain(|_, queue| !queue.is_closed());
        if slots.len() >= MAX_PUBLISHING_SLOTS {
            return Err(too_much());
        }
        let (queue, requests) = mpsc::channel(MAX_QUEUED_PUBLISHES);
        queue.try_send(request).expect("a new queue has room");
        slots.insert(slot, queue);
        tokio::spawn(SlotTask::new(self.gateway.clone(), self.key.clone(), slot, requests).run());
        Ok(Receipt { slot, origin: self.address(), progress })
    }
}

/// Cuts events into requests that fit a batch.
fn split(events: Vec<PublishEvent>) -> Vec<Vec<PublishEvent>> {
    let mut parts: Vec<Vec<PublishEvent>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        bytes += event.content.len();
        match parts.last_mut() {
            Some(part) if part.len() < MAX_REQUEST_EVENTS && bytes <= BATCH_TARGET_BYTES => part.push(event),
            _ => {
                bytes = event.content.len();
                parts.push(vec![event]);
            }
        }
    }
    parts
}

fn too_much() -> Refusal {
    let reason = "too many publishes wait here already: wait for acknowledgements before publishing more";
    Refusal::new(RefusalCode::RateLimited, reason)
}

fn other_request() -> Refusal {
    let reason = "this idempotency key was used for another publish: use a new key for a new event";
    Refusal::new(RefusalCode::Invalid, reason)
}

/// Whether content may be called JSON: one JSON text.
pub fn kind_of(content: &[u8], json: bool) -> u8 {
    match (json, std::str::from_utf8(content)) {
        (true, _) => content_type::JSON,
        (false, Ok(_)) => content_type::TEXT,
        (false, Err(_)) => content_type::BINARY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> PublishEvent {
        PublishEvent { content_type: content_type::BINARY, content: vec![0; bytes], timestamp_ms: None }
    }

    #[test]
    fn many_events_are_cut_by_number_and_by_size() {
        let sizes = |events| split(events).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![event(1); 2500]), [1024, 1024, 452]);
        assert_eq!(sizes(vec![event(MAX_CONTENT_BYTES); 3]), [1, 1, 1]);
        assert_eq!(sizes(vec![event(BATCH_TARGET_BYTES / 2); 5]), [2, 2, 1]);
        assert!(sizes(Vec::new()).is_empty());
    }
}
