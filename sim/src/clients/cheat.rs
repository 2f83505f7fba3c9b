//! Publishers that break a rule within one lane: what they sign and send is made in advance, and with each batch it is
//! said what the network owes it. Which rule is broken is each cheat's own file.

use weir_kernel::batch::{Batch, LaneWriter, NewEvent, SignedHeader, UnsignedBatch};
use weir_kernel::broker::{Command, Level, RefusalCode, Reply};
use weir_kernel::ids::{Hash, StreamPartition};
use weir_kernel::verify::Verified;

use super::published::Standing;
use super::{Signer, events};
use crate::chain::START_MS;
use crate::random::Random;
use crate::surroundings::{Effect, Surroundings};
use crate::verifier::SimulationVerifier;

/// What the network owes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It breaks no rule, and what was before it in the lane neither: it is stored.
    Stored,
    /// It is refused with this code and stored nowhere.
    Refused(RefusalCode),
    /// It comes after something that is stored nowhere, and so is it, whatever is said of it.
    Nothing,
}

/// A batch, and what it is owed.
#[derive(Debug)]
pub struct Offer {
    batch: Verified<Batch>,
    due: Due,
    /// When it was sent last.
    sent_us: Option<u64>,
    answered: bool,
}

/// What is owed an answer and gets none is sent again after this.
const RESEND_US: u64 = 3_000_000;

/// One such publisher.
#[derive(Debug)]
pub struct Cheat {
    offers: Vec<Offer>,
    begin_us: u64,
    interval_us: u64,
}

/// Makes the batches of one lane.
pub struct Lane<'a> {
    signer: &'a Signer,
    verifier: &'a SimulationVerifier,
    writer: LaneWriter,
    payload: u64,
    begin_us: u64,
    interval_us: u64,
    offers: Vec<Offer>,
}

impl<'a> Lane<'a> {
    /// A lane that opens at this block. Its first batch is sent at `begin_us`, the others at intervals; what they hold
    /// grows from `random`.
    pub fn open(
        signer: &'a Signer,
        verifier: &'a SimulationVerifier,
        (slot, opening_block): (StreamPartition, u64),
        (begin_us, interval_us): (u64, u64),
        mut random: Random,
    ) -> Self {
        let (nonce, kind) = (random.bytes(), signer.signature_type());
        let writer = LaneWriter::new(slot, signer.address(), opening_block, nonce, Hash::ZERO, kind);
        let payload = random.next_u64();
        Self { signer, verifier, writer, payload, begin_us, interval_us, offers: Vec::new() }
    }

    /// What the wall clock says when the next batch is sent.
    pub fn wall_ms(&self) -> u64 {
        START_MS + (self.begin_us + self.offers.len() as u64 * self.interval_us) / 1_000
    }

    /// The next batch of the lane, at these times or later.
    pub fn next(&mut self, count: u64, wall_ms: u64) -> UnsignedBatch {
        let payload = self.payload.wrapping_add(self.writer.next_sequence());
        let events: Vec<NewEvent> = events(payload, count, wall_ms, self.writer.last_time_ms());
        self.writer.next_batch(events).expect("a few small events in order of time")
    }

    /// The next batch of the lane, with times before those of the batch before it.
    pub fn next_back_in_time(&mut self, count: u64, wall_ms: u64) -> UnsignedBatch {
        let last = self.offers.last().expect("there is one before it").batch.signed_header().into_inner();
        let mut forgetful = last;
        forgetful.header.last_time_ms = 0;
        let payload = self.payload.wrapping_add(last.header.next_sequence());
        let made = LaneWriter::resume(&forgetful).next_batch(events(payload, count, wall_ms, 0));
        let made = made.expect("a few small events in order of time").following(last.header.digest());
        // Going on asks for the header alone, whatever the signature.
        self.writer = LaneWriter::resume(&SignedHeader { header: *made.header(), ..last });
        made
    }

    /// Events in the lane so far.
    pub fn events(&self) -> u64 {
        self.writer.next_sequence()
    }

    /// Signs a batch and sends it in its turn.
    pub fn offer(&mut self, unsigned: UnsignedBatch, due: Due) {
        let batch = self.signer.sign(unsigned, self.verifier);
        self.offers.push(Offer { batch, due, sent_us: None, answered: false });
    }

    /// The publisher of what was offered.
    pub fn publisher(self) -> Cheat {
        Cheat { offers: self.offers, begin_us: self.begin_us, interval_us: self.interval_us }
    }
}

impl Cheat {
    pub(super) fn on_connected(&mut self, s: &mut Surroundings<'_>) {
        self.offers.iter_mut().for_each(|offer| offer.sent_us = None);
        self.send(s);
    }

    pub(super) fn on_wake(&mut self, s: &mut Surroundings<'_>) {
        self.send(s);
        s.effects.push(Effect::WakeIn(self.interval_us));
    }

    fn send(&mut self, s: &mut Surroundings<'_>) {
        let Some(passed_us) = s.now_us.checked_sub(self.begin_us) else { return };
        let due = (passed_us / self.interval_us + 1).min(self.offers.len() as u64) as usize;
        for (request, offer) in self.offers[..due].iter_mut().enumerate().filter(|(_, offer)| !offer.answered)
        {
            let again = |sent_us| offer.due != Due::Nothing && s.now_us >= sent_us + RESEND_US;
            if offer.sent_us.is_some_and(|sent_us| !again(sent_us)) {
                continue;
            }
            offer.sent_us = Some(s.now_us);
            let standing = if offer.due == Due::Stored { Standing::Cheat } else { Standing::Unwelcome };
            s.publications.add(&offer.batch, s.now_us, standing);
            let (request, batch) = (request as u64, offer.batch.clone());
            s.command(Command::Publish { request, batch, level: Level::Stored });
        }
    }

    pub(super) fn on_reply(&mut self, s: &mut Surroundings<'_>, reply: Reply) {
        let (request, code) = match &reply {
            Reply::Published { request, .. } => (*request, None),
            Reply::Refused { request, refusal } => (*request, Some(refusal.code)),
            _ => {
                let what = "a publisher got an answer to a question it never asked".into();
                return s.violation("sessions", what);
            }
        };
        let Some(offer) = self.offers.get_mut(request as usize) else { return };
        let header = offer.batch.header();
        let temporary = matches!(
            code,
            Some(RefusalCode::Unavailable | RefusalCode::RateLimited | RefusalCode::OutOfOrder)
        );
        match (offer.due, code) {
            (Due::Stored, None) => {
                s.publications.acknowledge(offer.batch.lane(), header.sequence, s.now_us, false);
                offer.answered = true;
            }
            (Due::Refused(due), Some(code)) if code == due => offer.answered = true,
            (Due::Nothing, Some(_)) => offer.answered = true,
            (_, Some(_)) if temporary => {}
            (due, code) => {
                let lane = offer.batch.lane();
                let said = code.map_or("stored", RefusalCode::as_str);
                let what = format!("lane {lane}, sequence {}: {said}, it is owed {due:?}", header.sequence);
                s.violation("cheats", what);
            }
        }
    }

    /// What was owed an answer and never got it.
    pub fn unanswered(&self) -> Vec<String> {
        let waits = |offer: &&Offer| !offer.answered && offer.due != Due::Nothing && offer.sent_us.is_some();
        let text = |offer: &Offer| {
            let (lane, sequence) = (offer.batch.lane(), offer.batch.header().sequence);
            format!("lane {lane}, sequence {sequence}: never {:?}", offer.due)
        };
        self.offers.iter().filter(waits).map(text).collect()
    }
}
