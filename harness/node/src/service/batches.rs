//! The batch reader: stored events as the signed batches that hold them, for programs that read much and check
//! signatures by themselves.
//!
//! Batches are handed on as they are kept: nothing is decoded here. Partitions are read one after the other, each in
//! canonical order as far as batches have one: by the first of their events that is meant. A batch comes once a chunk
//! with the stretch of its events that the chunk holds, so that every event is meant once, whatever lanes lie beside
//! each other in time. The next chunk is asked for as soon as one has come: at most two are held.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use weir_kernel::batch::Batch;
use weir_kernel::broker::{Command, Reading, Refusal, RefusalCode, Reply};
use weir_kernel::ids::{Address, StreamPartition};
use weir_kernel::log::{Chunk, Position};

use super::gateway::Gateway;
use super::limits::REOPEN_TIMEOUT;
use super::reader::{LAST_POSITION, ReadRequest};
use crate::handle::Session;

/// The number of the one request that is open in a session.
const REQUEST: u64 = 0;

/// A signed batch, and which of its events are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPart {
    /// The signed batch.
    pub bytes: Arc<[u8]>,
    /// Number of the first event in the batch.
    pub first: u32,
    /// How many events, at least 1.
    pub count: u32,
}

/// Reads batches. See the module's text.
#[derive(Debug)]
pub struct BatchReader {
    gateway: Arc<Gateway>,
    identity: Option<Address>,
    /// What is left to read: the partition that is being read is the first.
    slots: VecDeque<(StreamPartition, Reading)>,
    session: Option<Session>,
    /// How many events are left to take of the first partition, if they are counted.
    left: Option<u64>,
    /// The last event that came, should another broker go on.
    last: Option<(Arc<[u8]>, u32)>,
    /// Came and was not given on.
    parts: VecDeque<BatchPart>,
    started: bool,
}

impl BatchReader {
    /// Begins a reading by `identity` (nobody in particular if `None`).
    ///
    /// # Errors
    ///
    /// `not-found`, `unauthorized`, `unavailable`, and `invalid` for a partition that does not exist and for what only
    /// single events can answer: the last over several partitions, one lane, bounds by sequence.
    pub fn open(
        gateway: Arc<Gateway>,
        identity: Option<Address>,
        request: ReadRequest,
    ) -> Result<Self, Refusal> {
        let invalid = |reason: &str| Err(Refusal::new(RefusalCode::Invalid, reason));
        if request.lane.is_some() || request.from_sequence.is_some() || request.to_sequence.is_some() {
            return invalid("binary batches are not cut by lane or sequence: their headers name both");
        }
        let count = gateway.partitions(request.stream)?;
        gateway.check_subscribe(request.stream, identity)?;
        let partitions = match (request.partition, &request.reading) {
            (Some(partition), _) => {
                gateway.check_slot(StreamPartition { stream: request.stream, partition })?;
                partition..partition + 1
            }
            (None, Reading::Last(_)) if count > 1 => {
                return invalid("the last events as binary batches: name one partition");
            }
            (None, _) => 0..count,
        };
        let slot =
            |partition| (StreamPartition { stream: request.stream, partition }, request.reading.clone());
        let slots = match request.reading {
            Reading::Last(0) => VecDeque::new(),
            _ => partitions.map(slot).collect(),
        };
        let left = if let Reading::Last(count) = request.reading { Some(count) } else { None };
        let (session, last, parts) = (None, None, VecDeque::new());
        Ok(Self { gateway, identity, slots, session, left, last, parts, started: false })
    }

    /// The next part, or `None` after the last.
    ///
    /// # Errors
    ///
    /// As [`BatchReader::open`]; the reading is over then.
    pub async fn next(&mut self) -> Result<Option<BatchPart>, Refusal> {
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Ok(Some(part));
            }
            if self.slots.is_empty() {
                return Ok(None);
            }
            self.hear().await?;
        }
    }

    /// Takes one reply; asks first where nothing is asked.
    async fn hear(&mut self) -> Result<(), Refusal> {
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                let patience = if self.started { REOPEN_TIMEOUT } else { Duration::from_secs(1) };
                let session = self.gateway.open_identified(self.identity, patience).await?;
                let (slot, reading) = self.slots.front().expect("there is something to read").clone();
                // If the broker stopped meanwhile, the next reply shows it.
                let _ = session.command(Command::Read { request: REQUEST, slot, reading }).await;
                self.started = true;
                self.session.insert(session)
            }
        };
        match session.reply().await {
            None => self.go_on_elsewhere()?,
            Some(Reply::Chunk { chunk, .. }) => {
                // Any number asks for the next chunk, which comes while this one is given on.
                let _ = session.command(Command::More { request: REQUEST, bytes: 1 }).await;
                self.take(&chunk);
            }
            Some(Reply::End { .. }) => self.end_partition(),
            Some(Reply::Refused { refusal, .. }) => return Err(refusal),
            Some(_) => {}
        }
        Ok(())
    }

    /// The session goes with the partition: what it may still have to say is not of the next one.
    fn end_partition(&mut self) {
        self.slots.pop_front();
        (self.session, self.last) = (None, None);
    }

    /// Takes a chunk: each of its batches once, with the stretch of events that is meant. Of a batch these are
    /// consecutive, for all its events lie in one lane, whose order is that of the answer.
    fn take(&mut self, chunk: &Chunk) {
        let mut parts: Vec<Option<usize>> = vec![None; chunk.batches.len()];
        let begin = self.parts.len();
        for slice in &chunk.order {
            let count = match &mut self.left {
                Some(left) => {
                    let count = u32::try_from(*left).unwrap_or(u32::MAX).min(slice.count);
                    *left -= u64::from(count);
                    count
                }
                None => slice.count,
            };
            if count == 0 {
                break;
            }
            let bytes = &chunk.batches[slice.batch as usize];
            self.last = Some((Arc::clone(bytes), slice.first + count - 1));
            match parts[slice.batch as usize].and_then(|at| self.parts.get_mut(begin + at)) {
                Some(part) if part.first + part.count == slice.first => part.count += count,
                _ => {
                    parts[slice.batch as usize] = Some(self.parts.len() - begin);
                    self.parts.push_back(BatchPart { bytes: Arc::clone(bytes), first: slice.first, count });
                }
            }
        }
        if self.left == Some(0) {
            self.end_partition();
        }
    }

    /// The broker stopped: another one goes on after the last event that came.
    fn go_on_elsewhere(&mut self) -> Result<(), Refusal> {
        self.session = None;
        let Some((bytes, index)) = self.last.take() else { return Ok(()) };
        let damaged = |error: weir_kernel::batch::BatchError| {
            Refusal::new(
                RefusalCode::Unavailable,
                format!("a broker sent a batch that cannot be read ({error})"),
            )
        };
        let batch = Batch::decode(bytes).map_err(damaged)?;
        let timestamp_ms = batch.timestamp_ms(index).unwrap_or(batch.header().last_time_ms);
        let sequence = batch.header().sequence + u64::from(index) + 1;
        let from = Position { timestamp_ms, lane: batch.lane(), sequence };
        if let Some((_, reading)) = self.slots.front_mut() {
            *reading = match reading {
                Reading::Range { to, origin, .. } => Reading::Range { from, to: *to, origin: *origin },
                Reading::Last(_) => Reading::Range { from, to: LAST_POSITION, origin: None },
            };
        }
        Ok(())
    }
}
