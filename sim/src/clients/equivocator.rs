//! A publisher that forks its lane: two of these share a key and a lane, agree on the first batches, and then go
//! different ways.

use weir_kernel::batch::{Batch, LaneWriter};
use weir_kernel::broker::{Command, Level, RefusalCode, Reply};
use weir_kernel::ids::{Hash, StreamPartition};
use weir_kernel::verify::Verified;

use super::published::Standing;
use super::{Signer, events};
use crate::chain::START_MS;
use crate::random::Random;
use crate::surroundings::{Effect, Surroundings};
use crate::verifier::SimulationVerifier;

/// Batches that both branches share.
const COMMON: usize = 6;

/// Between two batches.
const INTERVAL_US: u64 = 1_500_000;

/// One branch of a forked lane.
#[derive(Debug)]
pub struct Equivocator {
    batches: Vec<Verified<Batch>>,
    begin_us: u64,
    acknowledged: Vec<bool>,
    /// The network said that it knows.
    pub refused: bool,
}

impl Equivocator {
    /// Branch 0 or 1 of a lane, of `count` batches, those in common included. Everything but `branch` and `count` must
    /// be equal for both; what they sign grows from `random`.
    pub fn new(
        signer: &Signer,
        (slot, opening_block): (StreamPartition, u64),
        begin_us: u64,
        (branch, count): (u64, usize),
        mut random: Random,
        verifier: &SimulationVerifier,
    ) -> Self {
        let kind = signer.signature_type();
        let mut writer =
            LaneWriter::new(slot, signer.address(), opening_block, random.bytes(), Hash::ZERO, kind);
        let root = random.next_u64();
        let batches: Vec<Verified<Batch>> = (0..count)
            .map(|number| {
                let wall_ms = START_MS + (begin_us + number as u64 * INTERVAL_US) / 1_000;
                let payload = root.wrapping_add(number as u64);
                let payload =
                    if number < COMMON { payload } else { payload.wrapping_add((branch + 1) << 32) };
                let events = events(payload, 2, wall_ms, writer.last_time_ms());
                let unsigned = writer.next_batch(events).expect("a few small events in order of time");
                signer.sign(unsigned, verifier)
            })
            .collect();
        Self { acknowledged: vec![false; batches.len()], batches, begin_us, refused: false }
    }

    pub(super) fn on_connected(&mut self, s: &mut Surroundings<'_>) {
        self.send(s);
    }

    pub(super) fn on_wake(&mut self, s: &mut Surroundings<'_>) {
        self.send(s);
        s.effects.push(Effect::WakeIn(INTERVAL_US));
    }

    fn send(&mut self, s: &mut Surroundings<'_>) {
        if self.refused || s.now_us < self.begin_us {
            return;
        }
        let due = ((s.now_us - self.begin_us) / INTERVAL_US + 1).min(self.batches.len() as u64) as usize;
        for (request, batch) in self.batches[..due].iter().enumerate() {
            if !self.acknowledged[request] {
                s.publications.add(batch, s.now_us, Standing::Forked);
                let (request, batch) = (request as u64, batch.clone());
                s.command(Command::Publish { request, batch, level: Level::Stored });
            }
        }
    }

    pub(super) fn on_reply(&mut self, s: &mut Surroundings<'_>, reply: Reply) {
        match reply {
            Reply::Published { request, .. } => self.acknowledged[request as usize] = true,
            Reply::Refused { refusal, .. } => self.refused |= refusal.code == RefusalCode::Forked,
            _ => s.violation("sessions", "a publisher got an answer to a question it never asked".into()),
        }
    }
}
