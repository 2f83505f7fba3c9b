//! Readers: they ask for what is kept and check its order; at the end, that nothing is missing (WP 2.4.8).

use std::collections::BTreeMap;

use weir_kernel::batch::Batch;
use weir_kernel::broker::{Command, Reading, RefusalCode, Reply};
use weir_kernel::ids::{LaneId, StreamPartition};
use weir_kernel::log::{Chunk, Position};

use crate::random::Random;
use crate::surroundings::{Effect, Surroundings};
use crate::tape::Purpose;

/// Mean time between two questions.
const INTERVAL_US: u64 = 1_200_000;

/// One reader.
#[derive(Debug)]
pub struct Reader {
    slots: Vec<StreamPartition>,
    turn: usize,
    /// Readings that begin from here on must find everything that was acknowledged.
    complete_from_us: u64,
    request: u64,
    open: Option<Open>,
    /// Events that came.
    pub read: u64,
    /// Whole readings, begun when nothing may be missing any more.
    pub complete: u64,
}

#[derive(Debug)]
struct Open {
    slot: StreamPartition,
    begun_us: u64,
    /// For a reading of the last events: how many were asked for.
    last: Option<u64>,
    at: Option<Position>,
    lanes: BTreeMap<LaneId, u64>,
    events: u64,
}

/// The place after all others.
const END: Position = Position { timestamp_ms: u64::MAX, lane: LaneId([0xff; 32]), sequence: u64::MAX };

impl Reader {
    /// Reads these stream partitions in turn.
    pub fn new(slots: Vec<StreamPartition>, complete_from_us: u64) -> Self {
        Self { slots, turn: 0, complete_from_us, request: 0, open: None, read: 0, complete: 0 }
    }

    pub(super) fn on_connected(&mut self, s: &mut Surroundings<'_>) {
        self.ask(s);
    }

    pub(super) fn on_wake(&mut self, s: &mut Surroundings<'_>) {
        if self.open.is_none() {
            s.effects.push(Effect::Move);
        }
        let wait_us = s.decide.around(Purpose::Wait, INTERVAL_US);
        s.effects.push(Effect::WakeIn(wait_us));
    }

    fn ask(&mut self, s: &mut Surroundings<'_>) {
        let complete = s.now_us >= self.complete_from_us;
        let slot = self.slots[self.turn % self.slots.len()];
        self.turn += 1;
        self.request += 1;
        let draw = |random: &mut Random| random.chance(300_000).then(|| random.between((1, 40)));
        let last = s.decide.happens(Purpose::Last, draw).filter(|_| !complete);
        let reading =
            last.map_or(Reading::Range { from: Position::default(), to: END, origin: None }, Reading::Last);
        self.open =
            Some(Open { slot, begun_us: s.now_us, last, at: None, lanes: BTreeMap::new(), events: 0 });
        s.command(Command::Read { request: self.request, slot, reading });
    }

    pub(super) fn on_reply(&mut self, s: &mut Surroundings<'_>, reply: Reply) {
        match reply {
            Reply::Chunk { request, chunk, .. } if request == self.request => {
                let more = chunk.next.is_some();
                self.on_chunk(s, &chunk);
                if more {
                    s.command(Command::More { request, bytes: 0 });
                }
            }
            Reply::End { request } if request == self.request => self.on_end(s),
            Reply::Refused { request, refusal } if request == self.request => {
                if refusal.code != RefusalCode::Unavailable {
                    s.violation("admission", format!("a reader was refused: {refusal}"));
                }
                self.open = None;
            }
            _ => {}
        }
    }

    fn on_chunk(&mut self, s: &mut Surroundings<'_>, chunk: &Chunk) {
        let Some(open) = &mut self.open else { return };
        for slice in &chunk.order {
            let bytes = &chunk.batches[slice.batch as usize];
            let Ok(batch) = Batch::decode(bytes.clone()) else {
                return s.violation("reading", "a batch that is none was read".into());
            };
            let (lane, header) = (batch.lane(), *batch.header());
            if !s.publications.is_published(lane, header.sequence, bytes) || header.slot() != open.slot {
                s.violation("reading", format!("lane {lane}: nobody published these bytes there"));
            }
            for index in slice.first..slice.first + slice.count {
                let Some(timestamp_ms) = batch.timestamp_ms(index) else {
                    return s.violation("reading", "a slice goes past the end of its batch".into());
                };
                let sequence = header.sequence + u64::from(index);
                let place = Position { timestamp_ms, lane, sequence };
                if open.at.is_some_and(|before| before >= place) {
                    s.violation("canonical order", format!("{place:?} came after {:?}", open.at));
                }
                open.at = Some(place);
                open.events += 1;
                // While batches arrive, later ones of a lane may be read and earlier ones, that came after their place
                // was read, not.
                let settled = open.last.is_none() && open.begun_us >= self.complete_from_us;
                let next = open.lanes.entry(lane).or_insert(if settled { 0 } else { sequence });
                let wrong = if settled { *next != sequence } else { *next > sequence };
                let begins_later =
                    *next < sequence && s.publications.are_old(lane, *next, sequence, s.now_us);
                if wrong && !begins_later && !s.publications.is_forked(lane) {
                    let what = format!("reading, lane {lane}: {sequence} came where {next} was next");
                    s.violation("lane order", what);
                }
                if let Some(next) = open.lanes.get_mut(&lane) {
                    *next = sequence + 1;
                }
            }
        }
    }

    fn on_end(&mut self, s: &mut Surroundings<'_>) {
        let Some(open) = self.open.take() else { return };
        self.read += open.events;
        if let Some(count) = open.last {
            if open.events > count {
                s.violation("reading", format!("{} events came where {count} were asked for", open.events));
            }
            return;
        }
        if open.begun_us < self.complete_from_us {
            return;
        }
        self.complete += 1;
        let lost: Vec<String> = s
            .publications
            .acknowledged_in(open.slot)
            .filter(|(lane, _, publication)| {
                open.lanes.get(lane).is_none_or(|next| *next < publication.next_sequence)
                    && !s.publications.is_old(publication, s.now_us)
            })
            .map(|(lane, sequence, _)| {
                format!("lane {lane}, sequence {sequence} was acknowledged and cannot be read")
            })
            .collect();
        lost.into_iter().for_each(|what| s.violation("durability", what));
    }
}
