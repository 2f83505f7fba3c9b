//! The reader: stored events of a stream in canonical order (timestamp, lane, sequence).
//!
//! One partition is read as its replicas answer it; several are merged. Everything is pulled: a partition holds at
//! most one chunk here, and its next one is asked for when it is used up, so that an answer of any length is read in
//! bounded memory at the pace of whoever takes it. When the broker of the session stops, the reading goes on at
//! another one from the last event taken.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use weir_kernel::broker::{Command, Reading, Refusal, RefusalCode, Reply};
use weir_kernel::ids::{Address, LaneId, StreamId, StreamPartition};
use weir_kernel::log::Position;

use super::event::{EventView, events_of};
use super::gateway::Gateway;
use super::limits::{MAX_MERGED_LAST, READ_AHEAD, REOPEN_TIMEOUT};
use crate::handle::Session;

/// The last place there is.
pub const LAST_POSITION: Position =
    Position { timestamp_ms: u64::MAX, lane: LaneId([0xFF; 32]), sequence: u64::MAX };

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The stream.
    pub stream: StreamId,
    /// Which of its partitions; `None` for all.
    pub partition: Option<u32>,
    /// Which events.
    pub reading: Reading,
    /// Only this lane's.
    pub lane: Option<LaneId>,
    /// At exactly the first place's time, only events with at least this sequence.
    pub from_sequence: Option<u64>,
    /// At exactly the last place's time, only events with at most this sequence.
    pub to_sequence: Option<u64>,
}

/// One stream partition of a reading.
#[derive(Debug)]
struct Cursor {
    slot: StreamPartition,
    /// What is left to read.
    reading: Reading,
    /// How many events are left to take, if they are counted.
    left: Option<u64>,
    events: VecDeque<EventView>,
    /// Bytes of the chunk that `events` came from.
    chunk_bytes: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The session knows nothing of it.
    Closed,
    /// A chunk is asked for.
    Asked,
    /// A chunk came; the next one can be asked for.
    Open,
    /// All of it came.
    Done,
}

/// Reads events in order. See the module's text.
#[derive(Debug)]
pub struct Reader {
    gateway: Arc<Gateway>,
    identity: Option<Address>,
    session: Option<Session>,
    cursors: Vec<Cursor>,
    /// The next event of every cursor that has one.
    heads: BTreeSet<(Position, usize)>,
    /// The cursor whose next event must be known before anything else is given out.
    hungry: Option<usize>,
    started: bool,
    filter: Filter,
}

/// What of the events read is given on.
#[derive(Clone, Debug, Default)]
struct Filter {
    lane: Option<LaneId>,
    from: Option<(u64, u64)>,
    to: Option<(u64, u64)>,
    /// Exactly these places, if there.
    places: Option<BTreeSet<(Position, u32)>>,
}

impl Filter {
    fn passes(&self, event: &EventView) -> bool {
        let Position { timestamp_ms, lane, sequence } = event.position();
        let at = |(time, _): &(u64, u64)| *time == timestamp_ms;
        let before = self.from.filter(at).is_some_and(|(_, first)| sequence < first);
        let after = self.to.filter(at).is_some_and(|(_, last)| sequence > last);
        let wanted =
            |places: &BTreeSet<(Position, u32)>| places.contains(&(event.position(), event.slot().partition));
        self.lane.is_none_or(|wanted| wanted == lane)
            && !before
            && !after
            && self.places.as_ref().is_none_or(wanted)
    }
}

impl Reader {
    /// Begins a reading by `identity` (nobody in particular if `None`).
    ///
    /// # Errors
    ///
    /// `not-found`, `unauthorized`, `invalid` for a partition that does not exist or a count that is too large, and
    /// `unavailable`.
    pub async fn open(
        gateway: Arc<Gateway>,
        identity: Option<Address>,
        request: ReadRequest,
    ) -> Result<Self, Refusal> {
        let count = gateway.partitions(request.stream)?;
        gateway.check_subscribe(request.stream, identity)?;
        let partitions: Vec<u32> = match request.partition {
            Some(partition) => {
                gateway.check_slot(StreamPartition { stream: request.stream, partition })?;
                vec![partition]
            }
            None => (0..count).collect(),
        };
        let mut filter = Filter { lane: request.lane, ..Filter::default() };
        let reading = match (&request.reading, partitions.len()) {
            (Reading::Last(0), _) => {
                return Ok(Self::new(gateway, identity, request.stream, Vec::new(), filter));
            }
            (Reading::Last(_), 1) => request.reading.clone(),
            (Reading::Last(count), _) => {
                let places = last_places(&gateway, identity, request.stream, &partitions, *count).await?;
                let ends = places.first().zip(places.last()).map(|(first, last)| (first.0, last.0));
                let Some((from, to)) = ends else {
                    return Ok(Self::new(gateway, identity, request.stream, Vec::new(), filter));
                };
                filter.places = Some(places);
                Reading::Range { from, to, origin: None }
            }
            (Reading::Range { from, to, origin }, _) => {
                filter.from = request.from_sequence.map(|sequence| (from.timestamp_ms, sequence));
                filter.to = request.to_sequence.map(|sequence| (to.timestamp_ms, sequence));
                Reading::Range { from: *from, to: *to, origin: *origin }
            }
        };
        let readings = partitions.into_iter().map(|partition| (partition, reading.clone())).collect();
        Ok(Self::new(gateway, identity, request.stream, readings, filter))
    }

    fn new(
        gateway: Arc<Gateway>,
        identity: Option<Address>,
        stream: StreamId,
        readings: Vec<(u32, Reading)>,
        filter: Filter,
    ) -> Self {
        let cursor = |(partition, reading)| Cursor {
            slot: StreamPartition { stream, partition },
            left: if let Reading::Last(count) = reading { Some(count) } else { None },
            reading,
            events: VecDeque::new(),
            chunk_bytes: 0,
            stage: Stage::Closed,
        };
        let cursors = readings.into_iter().map(cursor).collect();
        Self {
            gateway,
            identity,
            session: None,
            cursors,
            heads: BTreeSet::new(),
            hungry: None,
            started: false,
            filter,
        }
    }

    /// The next event, or `None` after the last.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`]; the reading is over then.
    pub async fn next(&mut self) -> Result<Option<EventView>, Refusal> {
        if !self.started {
            self.start().await?;
        }
        loop {
            if let Some(index) = self.hungry {
                self.fill(index).await?;
                self.hungry = None;
                self.show_head(index);
            }
            let Some((_, index)) = self.heads.pop_first() else { return Ok(None) };
            let cursor = &mut self.cursors[index];
            let event = cursor.events.pop_front().expect("a head is the front of its cursor");
            if cursor.events.is_empty() {
                self.hungry = Some(index);
            } else {
                self.show_head(index);
            }
            if self.filter.passes(&event) {
                return Ok(Some(event));
            }
        }
    }

    fn show_head(&mut self, index: usize) {
        self.heads.extend(self.cursors[index].events.front().map(|event| (event.position(), index)));
    }

    /// Asks every partition for its first chunk, a few at a time.
    async fn start(&mut self) -> Result<(), Refusal> {
        for first in (0..self.cursors.len()).step_by(READ_AHEAD) {
            let end = (first + READ_AHEAD).min(self.cursors.len());
            for index in first..end {
                self.ask(index).await?;
            }
            for index in first..end {
                self.fill(index).await?;
            }
        }
        (0..self.cursors.len()).for_each(|index| self.show_head(index));
        self.started = true;
        Ok(())
    }

    /// Waits until a cursor has an event or is done.
    async fn fill(&mut self, index: usize) -> Result<(), Refusal> {
        while self.cursors[index].events.is_empty() && self.cursors[index].stage != Stage::Done {
            self.ask(index).await?;
            self.hear().await?;
        }
        Ok(())
    }

    /// Asks for a cursor's next chunk unless that is under way.
    async fn ask(&mut self, index: usize) -> Result<(), Refusal> {
        loop {
            if self.session.is_none() {
                let patience = if self.started { REOPEN_TIMEOUT } else { Duration::from_secs(1) };
                self.session = Some(self.gateway.open_identified(self.identity, patience).await?);
            }
            let Some(session) = &self.session else { continue };
            let cursor = &mut self.cursors[index];
            let request = index as u64;
            let command = match cursor.stage {
                Stage::Asked | Stage::Done => return Ok(()),
                Stage::Open => Command::More { request, bytes: cursor.chunk_bytes },
                Stage::Closed => {
                    Command::Read { request, slot: cursor.slot, reading: cursor.reading.clone() }
                }
            };
            if session.command(command).await.is_ok() {
                cursor.stage = Stage::Asked;
                return Ok(());
            }
            self.lose_session();
        }
    }

    /// Takes one reply, whichever cursor it is for.
    async fn hear(&mut self) -> Result<(), Refusal> {
        let Some(session) = &mut self.session else { return Ok(()) };
        match session.reply().await {
            None => self.lose_session(),
            Some(Reply::Chunk { request, chunk, .. }) => {
                let damaged = |error: super::event::DamagedChunk| {
                    Refusal::new(RefusalCode::Unavailable, error.to_string())
                };
                let events = events_of(&chunk).map_err(damaged)?;
                if let Some(cursor) = self.cursors.get_mut(request as usize) {
                    cursor.take(events, chunk.batches.iter().map(|batch| batch.len() as u64).sum());
                }
            }
            Some(Reply::End { request }) => {
                if let Some(cursor) = self.cursors.get_mut(request as usize) {
                    cursor.stage = Stage::Done;
                }
            }
            Some(Reply::Refused { refusal, .. }) => return Err(refusal),
            Some(_) => {}
        }
        Ok(())
    }

    fn lose_session(&mut self) {
        self.session = None;
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.stage != Stage::Done) {
            cursor.stage = Stage::Closed;
        }
    }
}

impl Cursor {
    /// Takes a chunk, and narrows what is left to what comes after it: should another broker go on with it, that one
    /// begins there, and of a "last n" it gives as many as are missing.
    fn take(&mut self, mut events: Vec<EventView>, chunk_bytes: u64) {
        self.stage = Stage::Open;
        self.chunk_bytes = chunk_bytes;
        if let Some(left) = &mut self.left {
            events.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= events.len() as u64;
            if *left == 0 {
                self.stage = Stage::Done;
            }
        }
        let Some(last) = events.last().map(EventView::position) else { return };
        let after = Position { sequence: last.sequence.saturating_add(1), ..last };
        self.reading = match &self.reading {
            Reading::Range { to, origin, .. } => Reading::Range { from: after, to: *to, origin: *origin },
            Reading::Last(_) => Reading::Range { from: after, to: LAST_POSITION, origin: None },
        };
        self.events.extend(events);
    }
}

/// The places of the last `count` events over some partitions, in order.
async fn last_places(
    gateway: &Arc<Gateway>,
    identity: Option<Address>,
    stream: StreamId,
    partitions: &[u32],
    count: u64,
) -> Result<BTreeSet<(Position, u32)>, Refusal> {
    if count > MAX_MERGED_LAST {
        let reason = format!(
            "count {count} over several partitions; at most {MAX_MERGED_LAST}: name one partition, or read from a time"
        );
        return Err(Refusal::new(RefusalCode::Invalid, reason));
    }
    let mut places = BTreeSet::new();
    for partition in partitions {
        let reading = vec![(*partition, Reading::Last(count))];
        let mut reader = Reader::new(gateway.clone(), identity, stream, reading, Filter::default());
        while let Some(event) = reader.next().await? {
            places.insert((event.position(), *partition));
            if places.len() as u64 > count {
                places.pop_first();
            }
        }
    }
    Ok(places)
}
