//! A directed run: partitions are added while clients publish, read and subscribe.
//!
//! Lanes that opened before go on in their old homes, lanes that open afterwards live in new ones, at the same times.
//! Whoever subscribed before, between or after, and whoever reads a range or the last events, gets everything once,
//! and stored events in canonical order.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_kernel::batch::{Batch, NewEvent, content_type};
use weir_kernel::broker::{Command, From, Level, Reading, Reply, SessionId};
use weir_kernel::ids::{LaneId, PartitionId, StreamPartition};
use weir_kernel::log::{Chunk, Position, Slice};

use super::publisher::Lane;
use super::{Network, STREAM_PARTITIONS};

/// Content of an event: a few dozen of them are more than one chunk.
const CONTENT_BYTES: usize = 12_000;

/// Batches that each lane gets in one stage of the run.
const BATCHES: usize = 14;

/// The place after all others.
const END: Position = Position { timestamp_ms: u64::MAX, lane: LaneId([0xFF; 32]), sequence: u64::MAX };

/// The session that publishes.
const PUBLISHER: SessionId = SessionId(1);

/// The session that reads.
const READER: SessionId = SessionId(40);

/// A subscription, and what it got.
struct Witness {
    who: usize,
    session: SessionId,
    /// It must get all of the lanes from this one on, and of the others what comes after it began.
    first_lane: usize,
    /// By lane: the first sequence that came, and the next.
    got: BTreeMap<LaneId, (u64, u64)>,
    /// Of the history, the place of the last event; none once live ones came.
    at: BTreeMap<StreamPartition, Position>,
}

impl Network {
    /// See the module's text. Returns how many stream partitions moved.
    pub fn grow_while_publishing(&mut self) -> usize {
        self.heard = Some(Vec::new());
        let slots: Vec<_> = (0..STREAM_PARTITIONS)
            .map(|partition| StreamPartition { stream: self.chain.stream, partition })
            .collect();
        let before: Vec<PartitionId> = slots.iter().map(|slot| self.chain.state().home(*slot)).collect();
        let mut witnesses = vec![self.subscribe(0, 50, From::All, 0), self.subscribe(1, 51, From::Latest, 0)];
        for _ in 0..8 {
            self.block(&mut witnesses);
        }
        self.open_lanes(&slots);
        self.publish_all(&mut witnesses);
        self.chain.let_grow();
        for _ in 0..20 {
            self.block(&mut witnesses);
        }
        assert_eq!(self.chain.state().partition_count(), 8, "four brokers want two partitions each");
        self.open_lanes(&slots);
        let homes = |slot: &StreamPartition| self.chain.state().homes(*slot).len();
        let moved = slots.iter().filter(|slot| homes(slot) > 1).count();
        for (slot, home) in slots.iter().zip(&before) {
            let opened = self.lanes.iter().find(|lane| lane.slot == *slot).expect("every slot has a lane");
            let header = opened.batches[0].header();
            assert_eq!(self.chain.state().home_at(*slot, header.opening_block), *home, "lanes do not move");
        }
        let second = self.lanes.len() / 2;
        witnesses.push(self.subscribe(2, 52, From::All, 0));
        witnesses.push(self.subscribe(3, 53, From::Latest, second));
        for _ in 0..4 {
            self.block(&mut witnesses);
        }
        self.publish_all(&mut witnesses);
        witnesses.push(self.subscribe(1, 54, From::All, 0));
        for _ in 0..8 {
            self.block(&mut witnesses);
        }
        witnesses.iter().for_each(|witness| self.check_witness(witness));
        for slot in slots {
            self.check_readings(slot);
        }
        moved
    }

    fn subscribe(&mut self, who: usize, session: u64, from: From, first_lane: usize) -> Witness {
        let session = SessionId(session);
        let stream = self.chain.stream;
        let command = Command::Subscribe { request: 1, stream, partitions: Vec::new(), from };
        self.effect(who, |broker, now| broker.command(now, session, command));
        Witness { who, session, first_lane, got: BTreeMap::new(), at: BTreeMap::new() }
    }

    /// One lane a stream partition, opened in the newest block.
    fn open_lanes(&mut self, slots: &[StreamPartition]) {
        let opening_block = self.chain.state().height;
        for slot in slots {
            let number = self.lanes.len() as u8;
            self.lanes.push(Lane::open(*slot, opening_block, number, false));
        }
    }

    /// Every lane gets batches in turn, so that events of all homes alternate.
    fn publish_all(&mut self, witnesses: &mut [Witness]) {
        for turn in 0..BATCHES {
            for lane in 0..self.lanes.len() {
                self.pass(7);
                let event = NewEvent::new(self.now.wall_ms, content_type::BINARY, [7; CONTENT_BYTES]);
                let batch = self.lanes[lane].write_events(vec![event.clone(), event]);
                let (request, who) = (self.request(), turn % self.brokers.len());
                self.checks.asked((who, PUBLISHER), request, lane, &batch);
                let command = Command::Publish { request, batch, level: Level::Stored };
                self.effect(who, |broker, now| broker.command(now, PUBLISHER, command));
                self.settle_clients(witnesses);
                let heard = self.heard.take().expect("a directed run listens");
                self.heard = Some(Vec::new());
                let stored = heard.iter().any(|(_, _, reply)| {
                    matches!(reply, Reply::Published { request: of, level: Level::Stored, .. } if *of == request)
                });
                assert!(stored, "lane {lane} batch {turn} is stored at once: {heard:?}");
            }
        }
    }

    fn block(&mut self, witnesses: &mut [Witness]) {
        self.settle_clients(witnesses);
        self.pass(400);
        self.chain.advance();
        self.show_newest();
        self.check();
        self.settle_clients(witnesses);
    }

    /// Everything arrives, and subscribers take in what they get.
    fn settle_clients(&mut self, witnesses: &mut [Witness]) {
        loop {
            self.settle();
            let mut credits = Vec::new();
            let mut kept = Vec::new();
            for (who, session, reply) in self.heard.take().into_iter().flatten() {
                match witnesses.iter_mut().find(|witness| (witness.who, witness.session) == (who, session)) {
                    Some(witness) => credits.extend(witness.hear(&reply).map(|bytes| (who, session, bytes))),
                    None => kept.push((who, session, reply)),
                }
            }
            self.heard = Some(kept);
            if credits.is_empty() {
                return;
            }
            for (who, session, bytes) in credits {
                let command = Command::More { request: 1, bytes };
                self.effect(who, |broker, now| broker.command(now, session, command));
            }
        }
    }

    fn check_witness(&self, witness: &Witness) {
        for (number, lane) in self.lanes.iter().enumerate() {
            let expected = lane.batches.last().expect("every lane has batches").header().next_sequence();
            let got = witness.got.get(&lane.id);
            let session = witness.session;
            if number >= witness.first_lane {
                assert_eq!(got, Some(&(0, expected)), "session {session:?} got all of lane {number}");
            } else {
                assert!(
                    got.is_some_and(|(_, next)| *next == expected),
                    "{session:?}, lane {number}: {got:?}"
                );
            }
        }
    }

    fn check_readings(&mut self, slot: StreamPartition) {
        let mut expected: Vec<Position> = self
            .lanes
            .iter()
            .filter(|lane| lane.slot == slot)
            .flat_map(|lane| &lane.batches)
            .flat_map(|batch| places(batch))
            .collect();
        expected.sort();
        for who in 0..self.brokers.len() {
            let whole = Reading::Range { from: Position::default(), to: END, origin: None };
            assert_eq!(self.read(who, slot, whole), expected, "broker {who} reads all of {slot:?}");
            let (from, to) = (expected[5], expected[expected.len() - 9]);
            let middle = Reading::Range { from, to, origin: None };
            assert_eq!(self.read(who, slot, middle), expected[5..=expected.len() - 9]);
            for count in [1, 10, 50, expected.len() + 1] {
                let last = &expected[expected.len().saturating_sub(count)..];
                assert_eq!(self.read(who, slot, Reading::Last(count as u64)), last, "the last {count}");
            }
        }
    }

    /// A whole reading, chunk by chunk.
    fn read(&mut self, who: usize, slot: StreamPartition, reading: Reading) -> Vec<Position> {
        let request = self.request();
        let mut next = Some(Command::Read { request, slot, reading });
        let mut read = Vec::new();
        while let Some(command) = next.take() {
            self.effect(who, |broker, now| broker.command(now, READER, command));
            self.settle();
            for (_, _, reply) in self.heard.take().into_iter().flatten() {
                match reply {
                    Reply::Chunk { chunk, .. } => {
                        read.extend(places_of(&chunk));
                        next = Some(Command::More { request, bytes: 0 });
                    }
                    Reply::End { .. } => next = None,
                    other => panic!("a reading is answered: {other:?}"),
                }
            }
            self.heard = Some(Vec::new());
        }
        read
    }
}

impl Witness {
    /// Takes a reply; returns how many bytes to give credit for.
    fn hear(&mut self, reply: &Reply) -> Option<u64> {
        match reply {
            Reply::Chunk { chunk, slot, .. } => {
                for place in places_of(chunk) {
                    self.take(place);
                    let before = self.at.insert(*slot, place);
                    assert!(before.is_none_or(|before| before < place), "history is in canonical order");
                }
                Some(chunk.batches.iter().map(|bytes| bytes.len() as u64).sum())
            }
            Reply::Live { batch, first, slot, .. } => {
                self.at.remove(slot);
                places(batch).into_iter().skip(*first as usize).for_each(|place| self.take(place));
                Some(batch.bytes().len() as u64)
            }
            Reply::CaughtUp { .. } => None,
            other => panic!("a subscription goes on: {other:?}"),
        }
    }

    fn take(&mut self, place: Position) {
        let (_, next) = self.got.entry(place.lane).or_insert((place.sequence, place.sequence));
        let (session, lane) = (self.session, place.lane);
        assert_eq!(place.sequence, *next, "session {session:?}, lane {lane}: once and in order");
        *next += 1;
    }
}

/// The place of each event of a batch.
fn places(batch: &Batch) -> Vec<Position> {
    let header = batch.header();
    let place = |index| {
        let timestamp_ms = batch.timestamp_ms(index).expect("the batch has this event");
        Position { timestamp_ms, lane: header.lane(), sequence: header.sequence + u64::from(index) }
    };
    (0..header.count).map(place).collect()
}

/// The place of each event of a chunk.
fn places_of(chunk: &Chunk) -> Vec<Position> {
    let place = |slice: &Slice| {
        let bytes = Arc::clone(&chunk.batches[slice.batch as usize]);
        let places = places(&Batch::decode(bytes).expect("stored batches decode"));
        places[slice.first as usize..][..slice.count as usize].to_vec()
    };
    chunk.order.iter().flat_map(place).collect()
}
