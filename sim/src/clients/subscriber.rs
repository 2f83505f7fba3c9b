//! Subscribers: they check what they are promised with every event that comes (WP 2.4.4).

use std::collections::BTreeMap;
use std::ops::Range;

use weir_kernel::batch::Header;
use weir_kernel::broker::{Command, From, RefusalCode, Reply};
use weir_kernel::ids::{LaneId, StreamId, StreamPartition};

use super::published::{Publication, Publications};
use crate::surroundings::{Effect, Surroundings};
use crate::tape::Purpose;

/// Mean time between looks at whether to go elsewhere, and of a slow reader between taking events in.
const LOOK_US: u64 = 1_000_000;

/// One subscriber; it keeps nothing over a change of edges but its question.
#[derive(Debug)]
pub struct Subscriber {
    stream: StreamId,
    from: From,
    slow: bool,
    /// Chance, per million and look, of leaving for another edge.
    restless: u32,
    request: u64,
    /// What came of each lane and still counts.
    came: BTreeMap<LaneId, Range<u64>>,
    caught_up_us: BTreeMap<StreamPartition, u64>,
    untaken_bytes: u64,
    /// Events that came, over all sessions.
    pub delivered: u64,
    /// Lanes that it was told to take back.
    pub withdrawals: u64,
}

impl Subscriber {
    /// Subscribes to all partitions of a stream.
    pub fn new(stream: StreamId, from: From, slow: bool, restless: u32) -> Self {
        Self {
            stream,
            from,
            slow,
            restless,
            request: 0,
            came: BTreeMap::new(),
            caught_up_us: BTreeMap::new(),
            untaken_bytes: 0,
            delivered: 0,
            withdrawals: 0,
        }
    }

    pub(super) fn on_connected(&mut self, s: &mut Surroundings<'_>) {
        self.request += 1;
        self.came.clear();
        self.caught_up_us.clear();
        self.untaken_bytes = 0;
        let (request, stream, from) = (self.request, self.stream, self.from);
        s.command(Command::Subscribe { request, stream, partitions: Vec::new(), from });
    }

    pub(super) fn on_wake(&mut self, s: &mut Surroundings<'_>) {
        self.take(s);
        let wait_us = s.decide.around(Purpose::Wait, LOOK_US);
        s.effects.push(Effect::WakeIn(wait_us));
        if s.now_us < s.heal_at_us && s.decide.chance(Purpose::Move, self.restless) {
            s.effects.push(Effect::Move);
        }
    }

    fn take(&mut self, s: &mut Surroundings<'_>) {
        if self.untaken_bytes > 0 {
            let (request, bytes) = (self.request, std::mem::take(&mut self.untaken_bytes));
            s.command(Command::More { request, bytes });
        }
    }

    pub(super) fn on_reply(&mut self, s: &mut Surroundings<'_>, reply: Reply) {
        match reply {
            Reply::Chunk { request, slot, chunk } if request == self.request => {
                for slice in &chunk.order {
                    let bytes = &chunk.batches[slice.batch as usize];
                    let Some(header) = Header::of_batch(bytes) else {
                        s.violation("delivery", "a batch that is none was delivered".into());
                        continue;
                    };
                    let events = (u64::from(slice.first), u64::from(slice.count));
                    self.deliver(s, slot, (header.lane(), &header, bytes), events);
                }
                self.untaken_bytes += chunk.batches.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
            }
            Reply::Live { request, slot, batch, first } if request == self.request => {
                let (first, count) = (u64::from(first), u64::from(batch.header().count));
                self.deliver(s, slot, (batch.lane(), batch.header(), batch.bytes()), (first, count - first));
                self.untaken_bytes += batch.bytes().len() as u64;
            }
            Reply::CaughtUp { request, slot } if request == self.request => {
                self.caught_up_us.entry(slot).or_insert(s.now_us);
            }
            Reply::Withdrawn { request, lane, from } if request == self.request => {
                self.withdrawals += 1;
                if !s.publications.is_forked(lane) {
                    s.violation(
                        "withdrawals",
                        format!("events of lane {lane} were withdrawn, which never forked"),
                    );
                }
                // Where it began further on, the branch that counts begins anew for it.
                let counts = self.came.remove(&lane).filter(|came| came.start < from);
                counts.map(|came| self.came.insert(lane, came.start..from));
            }
            Reply::Refused { request, refusal } if request == self.request => {
                if refusal.code != RefusalCode::Unavailable {
                    s.violation("admission", format!("a subscriber was refused: {refusal}"));
                }
                s.effects.push(Effect::Move);
            }
            Reply::Published { .. } | Reply::End { .. } => {
                s.violation("sessions", "a subscriber got an answer to a question it never asked".into());
            }
            // An answer to a question of an earlier session.
            _ => {}
        }
        if !self.slow {
            self.take(s);
        }
    }

    fn deliver(
        &mut self,
        s: &mut Surroundings<'_>,
        slot: StreamPartition,
        (lane, header, bytes): (LaneId, &Header, &[u8]),
        (first, count): (u64, u64),
    ) {
        let sequence = header.sequence + first;
        self.delivered += count;
        if !s.publications.is_published(lane, header.sequence, bytes) || header.slot() != slot {
            s.violation(
                "delivery",
                format!("lane {lane}, sequence {sequence}: nobody published these bytes there"),
            );
        }
        let whole = self.from == From::All;
        let expected = self.next(lane).or(whole.then_some(0));
        match expected {
            Some(expected)
                if s.publications.are_old(lane, expected, sequence, s.now_us) && sequence > expected => {}
            Some(expected) if sequence > expected => s.violation(
                "lane order",
                format!("{:?} lane {lane}: {sequence} came where {expected} was next: a gap", self.from),
            ),
            Some(expected) if sequence < expected => s.violation(
                "lane order",
                format!("{:?} lane {lane}: {sequence} came where {expected} was next: again", self.from),
            ),
            _ => {}
        }
        self.came.entry(lane).or_insert(sequence..sequence).end = sequence + count;
    }

    /// The sequence after the last that came of a lane.
    fn next(&self, lane: LaneId) -> Option<u64> {
        self.came.get(&lane).map(|came| came.end)
    }

    /// Acknowledged batches that this subscription should have delivered by now and has not.
    pub fn missing(&self, publications: &Publications, now_us: u64) -> Vec<String> {
        let of_this = |publication: &Publication| match self.from {
            From::All => true,
            From::Time(ms) => publication.first_time_ms >= ms,
            From::Latest => self
                .caught_up_us
                .get(&publication.slot)
                .is_some_and(|caught_up| publication.sent_us > *caught_up),
        };
        publications
            .acknowledged_of(self.stream)
            .filter(|(_, _, publication)| of_this(publication))
            .filter(|(lane, _, publication)| {
                self.next(*lane).is_none_or(|next| next < publication.next_sequence)
                    && !publications.is_old(publication, now_us)
            })
            .map(|(lane, sequence, _)| {
                let next = self.next(lane);
                format!(
                    "subscriber {:?}: lane {lane}, sequence {sequence} never came; next is {next:?}",
                    self.from
                )
            })
            .collect()
    }
}
