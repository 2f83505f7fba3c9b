//! Honest publishers: they resend identical bytes until they are acknowledged, and never sign a second branch.
//!
//! What a publisher publishes at a wake is one decision: its place among its stream partitions shifted left by 32 bits,
//! the number of events shifted by 8, and 1 if it wants the batch sealed and not only stored.

use std::collections::BTreeMap;

use weir_kernel::batch::{Batch, LaneWriter};
use weir_kernel::broker::{Command, Level, RefusalCode, Reply};
use weir_kernel::ids::{Hash, StreamPartition};
use weir_kernel::verify::Verified;

use super::published::Standing;
use super::{Signer, events};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::surroundings::{Effect, Surroundings};
use crate::tape::Purpose;

/// After this long without an acknowledgement a batch is sent again.
const RESEND_US: u64 = 3_000_000;

/// Batches without acknowledgement; then the publisher waits.
const WINDOW: usize = 32;

/// One publisher.
#[derive(Debug)]
pub struct Publisher {
    signer: Signer,
    slots: Vec<StreamPartition>,
    lanes: BTreeMap<StreamPartition, OpenLane>,
    outstanding: BTreeMap<u64, Outstanding>,
    next_request: u64,
    /// Times that it woke: what it publishes is decided for each.
    wakes: u64,
    interval_us: u64,
    batch_events: u32,
    sealed_share: u32,
    lane_batches: u32,
}

#[derive(Debug)]
struct OpenLane {
    writer: LaneWriter,
    batches: u32,
}

#[derive(Debug)]
struct Outstanding {
    batch: Verified<Batch>,
    level: Level,
    sent_us: u64,
}

impl Publisher {
    /// Publishes to these stream partitions.
    pub fn new(signer: Signer, slots: Vec<StreamPartition>, scenario: &Scenario) -> Self {
        Self {
            signer,
            slots,
            lanes: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            next_request: 0,
            wakes: 0,
            interval_us: scenario.publish_interval_ms * 1_000,
            batch_events: scenario.batch_events,
            sealed_share: scenario.sealed_share,
            lane_batches: scenario.lane_batches,
        }
    }

    /// Where it publishes.
    pub fn slots(&self) -> &[StreamPartition] {
        &self.slots
    }

    /// How many batches wait for an acknowledgement.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub(super) fn on_connected(&mut self, s: &mut Surroundings<'_>) {
        for (request, waiting) in &mut self.outstanding {
            waiting.sent_us = s.now_us;
            s.command(publish(*request, waiting));
        }
    }

    pub(super) fn on_wake(&mut self, s: &mut Surroundings<'_>) {
        self.wakes += 1;
        if s.now_us < s.heal_at_us && self.outstanding.len() < WINDOW {
            self.publish_next(s);
        }
        let wait_us = s.decide.around(Purpose::Wait, self.interval_us);
        s.effects.push(Effect::WakeIn(wait_us));
        let now_us = s.now_us;
        let overdue = |waiting: &Outstanding| now_us >= waiting.sent_us + RESEND_US;
        if !self.outstanding.values().any(overdue) {
            return;
        }
        if s.decide.chance(Purpose::Move, 500_000) {
            // What is overdue at this edge may be better off at another one, which gets all of it.
            s.effects.push(Effect::Move);
            return;
        }
        for (request, waiting) in self.outstanding.iter_mut().filter(|(_, waiting)| overdue(waiting)) {
            waiting.sent_us = now_us;
            s.command(publish(*request, waiting));
        }
    }

    fn publish_next(&mut self, s: &mut Surroundings<'_>) {
        let (slots, most, sealed) =
            (self.slots.len(), u64::from(self.batch_events.max(1)), self.sealed_share);
        let draw = |random: &mut Random| {
            let (slot, count) = (random.index(slots) as u64, random.between((1, most)));
            Some(slot << 32 | count << 8 | u64::from(random.chance(sealed)))
        };
        let Some(decided) = s.decide.happens_at(Purpose::Publish, self.wakes, draw) else { return };
        let payload = s.decide.choose_at(Purpose::Payload, self.wakes, 0, Random::next_u64);
        let slot = self.slots[(decided >> 32) as usize % slots];
        let count = (decided >> 8 & 0xff_ffff).clamp(1, most);
        let (nonce, opening_block) = (s.decide.identity(self.wakes).bytes(), s.view.height);
        let (origin, kind) = (self.signer.address(), self.signer.signature_type());
        let open = |batches| OpenLane {
            writer: LaneWriter::new(slot, origin, opening_block, nonce, Hash::ZERO, kind),
            batches,
        };
        let lane = self.lanes.entry(slot).or_insert_with(|| open(0));
        if lane.batches >= self.lane_batches {
            *lane = open(0);
        }
        lane.batches += 1;
        let events = events(payload, count, s.wall_ms, lane.writer.last_time_ms());
        let unsigned = lane.writer.next_batch(events).expect("a few small events in order of time");
        let batch = self.signer.sign(unsigned, s.verifier);
        s.publications.add(&batch, s.now_us, Standing::Honest);
        let level = if decided & 1 == 1 { Level::Sealed } else { Level::Stored };
        self.next_request += 1;
        let waiting = Outstanding { batch, level, sent_us: s.now_us };
        s.command(publish(self.next_request, &waiting));
        self.outstanding.insert(self.next_request, waiting);
    }

    pub(super) fn on_reply(&mut self, s: &mut Surroundings<'_>, reply: Reply) {
        match reply {
            Reply::Published { request, lane, next_sequence, level } => {
                let Some(waiting) = self.outstanding.get(&request) else { return };
                let header = waiting.batch.header();
                if (waiting.batch.lane(), header.next_sequence()) != (lane, next_sequence) {
                    s.violation(
                        "acknowledgements",
                        format!("request {request} was answered for lane {lane}"),
                    );
                }
                s.publications.acknowledge(lane, header.sequence, s.now_us, level == Level::Sealed);
                if level >= waiting.level {
                    self.outstanding.remove(&request);
                }
            }
            Reply::Refused { request, refusal } => {
                let temporary = matches!(
                    refusal.code,
                    RefusalCode::Unavailable | RefusalCode::RateLimited | RefusalCode::OutOfOrder
                );
                if !temporary && self.outstanding.contains_key(&request) {
                    s.violation("admission", format!("an honest publisher was refused: {refusal}"));
                }
            }
            _ => s.violation("sessions", "a publisher got an answer to a question it never asked".into()),
        }
    }
}

fn publish(request: u64, waiting: &Outstanding) -> Command {
    Command::Publish { request, batch: waiting.batch.clone(), level: waiting.level }
}
