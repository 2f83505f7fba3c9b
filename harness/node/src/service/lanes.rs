//! The application key's lanes in one stream partition: which of them takes an event, and when one is left.
//!
//! Event times never go back within a lane (WP 2.4.5). Who publishes live events and fills in old ones beside them
//! has two rising sequences of times, so a slot keeps a few lanes open and an event goes to the one whose last
//! event is the latest that is not after it; if there is none, a new lane is opened. Only input whose times keep
//! falling needs more lanes than [`MAX_LANES_A_SLOT`], and is refused as out of order: it is to be sorted first.
//!
//! An event without a time gets the present one, never below that of the last such event: a clock that is set
//! back does not open lanes.

use weir_kernel::batch::{Batch, LaneError, LaneWriter, NewEvent};
use weir_kernel::broker::{Refusal, RefusalCode};
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Hash, LaneId, StreamPartition};
use weir_kernel::limits::LANE_LIFETIME_EPOCHS;
use weir_kernel::signature::{SECP256K1, SecretKey, Signature};

use super::limits::{MAX_LANES_A_SLOT, ROLL_OVER_EPOCHS};

const _: () = assert!(ROLL_OVER_EPOCHS < LANE_LIFETIME_EPOCHS);

/// The open lanes of one slot.
#[derive(Debug)]
pub struct Lanes {
    key: SecretKey,
    slot: StreamPartition,
    open: Vec<OpenLane>,
    last_now_ms: u64,
}

#[derive(Debug)]
struct OpenLane {
    id: LaneId,
    writer: LaneWriter,
}

impl Lanes {
    /// No lane is open yet.
    pub fn new(key: SecretKey, slot: StreamPartition) -> Self {
        Self { key, slot, open: Vec::new(), last_now_ms: 0 }
    }

    /// The time of an event that came without one, in milliseconds since 1970 UTC.
    pub fn now_ms(&mut self, wall_ms: u64) -> u64 {
        self.last_now_ms = self.last_now_ms.max(wall_ms);
        self.last_now_ms
    }

    /// The open lane that takes an event of this time, if one does.
    pub fn find(&self, timestamp_ms: u64) -> Option<LaneId> {
        let fitting = self.open.iter().filter(|lane| lane.writer.last_time_ms() <= timestamp_ms);
        fitting.max_by_key(|lane| lane.writer.last_time_ms()).map(|lane| lane.id)
    }

    /// The lane that takes an event of this time; opens it if need be, at the view's block.
    ///
    /// # Errors
    ///
    /// `out-of-order` if too many lanes are open already.
    pub fn find_or_open(&mut self, timestamp_ms: u64, view: &State) -> Result<LaneId, Refusal> {
        self.leave_old(view);
        if let Some(lane) = self.find(timestamp_ms) {
            return Ok(lane);
        }
        if self.open.len() >= MAX_LANES_A_SLOT {
            let reason = format!(
                "timestamp {timestamp_ms} lies before the last event of all {MAX_LANES_A_SLOT} lanes that are open \
                 here: publish events in rising time"
            );
            return Err(Refusal::new(RefusalCode::OutOfOrder, reason));
        }
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let writer =
            LaneWriter::new(self.slot, self.key.address(), view.height, nonce, Hash::ZERO, SECP256K1);
        let id = writer.lane();
        self.open.push(OpenLane { id, writer });
        Ok(id)
    }

    /// Signs the lane's next batch.
    ///
    /// # Errors
    ///
    /// [`LaneError`] if the events are no batch; the lane is then as before.
    ///
    /// # Panics
    ///
    /// If the lane is not open.
    pub fn sign(&mut self, lane: LaneId, events: Vec<NewEvent>, chain_id: u64) -> Result<Batch, LaneError> {
        let found = self.open.iter_mut().find(|open| open.id == lane);
        let open = found.expect("the lane was found in this step");
        let unsigned = open.writer.next_batch(events)?;
        let signature = self.key.sign_hash(&unsigned.signing_hash(chain_id));
        unsigned.sign(Signature::Secp256k1(signature))
    }

    /// Nothing more goes to this lane: a batch of it was refused or given up, and what follows would have a gap.
    pub fn close(&mut self, lane: LaneId) {
        self.open.retain(|open| open.id != lane);
    }

    /// Leaves lanes that are near the end of their life.
    fn leave_old(&mut self, view: &State) {
        let epoch = view.epoch();
        let youngest_left = LANE_LIFETIME_EPOCHS - ROLL_OVER_EPOCHS;
        self.open.retain(|open| view.epoch_of(open.writer.opening_block()) + youngest_left > epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::batch::content_type;
    use weir_kernel::signature::Secp256k1Verifier;
    use weir_kernel::verify;

    fn lanes() -> Lanes {
        Lanes::new(SecretKey::from_bytes(&[3; 32]).unwrap(), StreamPartition::default())
    }

    fn publish(lanes: &mut Lanes, view: &State, timestamp_ms: u64) -> Batch {
        let lane = lanes.find_or_open(timestamp_ms, view).unwrap();
        lanes.sign(lane, vec![NewEvent::new(timestamp_ms, content_type::JSON, b"1")], 7).unwrap()
    }

    #[test]
    fn a_backfill_beside_live_events_takes_two_lanes() {
        let (mut lanes, view) = (lanes(), State::default());
        let found: Vec<_> =
            [1000, 10, 1001, 11, 1002].map(|time| publish(&mut lanes, &view, time)).into_iter().collect();
        assert_eq!(lanes.open.len(), 2);
        assert_eq!(found[0].lane(), found[4].lane());
        assert_eq!(found[1].lane(), found[3].lane());
        assert_eq!((found[4].header().sequence, found[3].header().sequence), (2, 1));
        let verified = verify::verify(found[4].bytes().clone(), 7, &Secp256k1Verifier).unwrap();
        assert_eq!(verified.header().previous, found[2].digest());
    }

    #[test]
    fn falling_times_are_refused_once_every_lane_is_ahead() {
        let (mut lanes, view) = (lanes(), State::default());
        for step in 0..MAX_LANES_A_SLOT as u64 {
            publish(&mut lanes, &view, 1000 - step);
        }
        let refusal = lanes.find_or_open(1, &view).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::OutOfOrder);
        assert!(lanes.find_or_open(1000, &view).is_ok());
    }

    #[test]
    fn a_lane_is_left_before_its_life_ends_and_when_closed() {
        let (mut lanes, mut view) = (lanes(), State::default());
        let first = publish(&mut lanes, &view, 5).lane();
        view.height = view.first_block_of(LANE_LIFETIME_EPOCHS - ROLL_OVER_EPOCHS - 1);
        assert_eq!(lanes.find_or_open(6, &view), Ok(first));
        view.height = view.first_block_of(LANE_LIFETIME_EPOCHS - ROLL_OVER_EPOCHS);
        let second = publish(&mut lanes, &view, 6).lane();
        assert_ne!(first, second);
        lanes.close(second);
        assert_eq!(lanes.find(7), None);
    }

    #[test]
    fn the_present_never_goes_back() {
        let mut lanes = lanes();
        assert_eq!([lanes.now_ms(50), lanes.now_ms(40), lanes.now_ms(60)], [50, 50, 60]);
    }
}
