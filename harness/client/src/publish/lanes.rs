//! Turns events into signed batches: chooses a lane, takes what fits into one batch, signs it.
//!
//! Times never go back within a lane, so an event that is older than a lane's last one needs another lane. A
//! few lanes a stream partition are kept open: an input that mixes series of different pace (now and a
//! backfill, say) then settles into one lane each instead of opening one at every turn.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use weir_kernel::batch::{LaneWriter, NewEvent, content_type};
use weir_kernel::ids::{Hash, LaneId, StreamId, StreamPartition};
use weir_kernel::limits::LANE_LIFETIME_EPOCHS;
use weir_kernel::signature::SECP256K1;

use super::signer::Signer;

/// Events in one batch at most: one signature is spread thin enough, and an acknowledgement stays quick.
pub(crate) const BATCH_EVENTS: usize = 1024;

/// Content bytes in one batch at most, unless a single event has more.
pub(crate) const BATCH_BYTES: usize = 512 << 10;

/// Lanes that are kept open in a stream partition.
const OPEN_LANES: usize = 8;

/// A lane is left when half its life is over: the other half is for resending its last batches.
const ROLL_OVER_EPOCHS: u64 = LANE_LIFETIME_EPOCHS / 2;

/// How far this machine's clock may go back before its events take another lane.
const CLOCK_SLACK_MS: u64 = 2000;

/// An event that waits to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Its number in the session, from 0.
    pub index: u64,
    pub content: Bytes,
    pub timestamp_ms: u64,
    /// The time is this machine's clock, so it may be moved up to the lane's last one when the clock went
    /// back.
    pub stamped: bool,
}

/// A signed batch with the events it was made of.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub lane: LaneId,
    pub sequence: u64,
    pub partition: u32,
    pub bytes: Bytes,
    pub events: Vec<Pending>,
}

/// The open lanes of a session.
pub(crate) struct Lanes {
    signer: Signer,
    chain_id: u64,
    epoch_blocks: u64,
    stream: StreamId,
    open: BTreeMap<u32, VecDeque<LaneWriter>>,
}

impl Lanes {
    pub fn new(signer: Signer, chain_id: u64, epoch_blocks: u64, stream: StreamId) -> Self {
        assert!(epoch_blocks > 0, "an epoch has blocks");
        Self { signer, chain_id, epoch_blocks, stream, open: BTreeMap::new() }
    }

    /// The first block in which nothing can be signed any more, if the signer's session is over then.
    pub fn expiry_block(&self) -> Option<u64> {
        self.signer.expiry_block()
    }

    /// Makes a batch of the first events that wait for a stream partition. `height` is the newest block that
    /// the node acts on: a lane opened now is judged there.
    ///
    /// The events have been checked one by one, so that a batch of them cannot fail. `height` is below
    /// [`Self::expiry_block`].
    pub fn cut(&mut self, partition: u32, pending: &mut VecDeque<Pending>, height: u64) -> Flight {
        let first = pending.front().expect("a batch has at least one event");
        let mut writer = self.take_writer(partition, first, height);
        let mut last_ms = writer.last_time_ms();
        let others: Vec<u64> = self.open[&partition].iter().map(LaneWriter::last_time_ms).collect();
        let mut events: Vec<Pending> = Vec::new();
        let mut bytes = 0;
        while let Some(mut event) = pending.pop_front() {
            if event.stamped && last_ms <= event.timestamp_ms + CLOCK_SLACK_MS {
                event.timestamp_ms = event.timestamp_ms.max(last_ms);
            }
            bytes += event.content.len();
            let full = events.len() == BATCH_EVENTS || (bytes > BATCH_BYTES && !events.is_empty());
            // An event that continues another lane more closely is left to that one, or this lane would run
            // ahead of the series that it carries.
            let elsewhere = !events.is_empty()
                && others.iter().any(|other_ms| *other_ms > last_ms && *other_ms <= event.timestamp_ms);
            if full || elsewhere || event.timestamp_ms < last_ms {
                pending.push_front(event);
                break;
            }
            last_ms = event.timestamp_ms;
            events.push(event);
        }
        let contents = events
            .iter()
            .map(|event| NewEvent::new(event.timestamp_ms, content_type::JSON, event.content.to_vec()));
        let (lane, sequence) = (writer.lane(), writer.next_sequence());
        let unsigned = writer.next_batch(contents.collect()).expect("checked events make a batch");
        let signature = self.signer.sign(&unsigned, self.chain_id);
        let batch = unsigned.sign(signature).expect("the lane was opened for this type of signature");
        self.open.entry(partition).or_default().push_front(writer);
        Flight { lane, sequence, partition, bytes: Bytes::copy_from_slice(batch.bytes()), events }
    }

    /// Leaves a lane: nothing more can follow in it.
    pub fn close(&mut self, lane: LaneId) {
        self.open.values_mut().for_each(|writers| writers.retain(|writer| writer.lane() != lane));
    }

    /// The lane whose last time is the latest that is not after the event's; a new one if there is none. It
    /// is taken out; `cut` puts it back in front, so that the lane used longest ago is the one dropped.
    fn take_writer(&mut self, partition: u32, first: &Pending, height: u64) -> LaneWriter {
        let epoch = height / self.epoch_blocks;
        let epoch_blocks = self.epoch_blocks;
        let writers = self.open.entry(partition).or_default();
        writers
            .retain(|writer| epoch.saturating_sub(writer.opening_block() / epoch_blocks) < ROLL_OVER_EPOCHS);
        let latest_ms = first.timestamp_ms + if first.stamped { CLOCK_SLACK_MS } else { 0 };
        let best = (0..writers.len())
            .filter(|place| writers[*place].last_time_ms() <= latest_ms)
            .max_by_key(|place| writers[*place].last_time_ms());
        if let Some(writer) = best.and_then(|place| writers.remove(place)) {
            return writer;
        }
        writers.truncate(OPEN_LANES - 1);
        let slot = StreamPartition { stream: self.stream, partition };
        let origin = self.signer.origin();
        self.signer.opened(LaneWriter::new(slot, origin, height, random_nonce(), Hash::ZERO, SECP256K1))
    }
}

/// Two lanes of one publisher with equal parts would be a fork, so concurrent programs with one key must
/// differ here.
fn random_nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use std::sync::Arc;
    use weir_kernel::batch::Batch;

    fn lanes() -> Lanes {
        Lanes::new(Signer::wallet(Key::development()), 31337, 8, StreamId([7; 20]))
    }

    fn event(index: u64, timestamp_ms: u64) -> Pending {
        Pending { index, content: Bytes::from(format!("{{\"n\":{index}}}")), timestamp_ms, stamped: false }
    }

    fn decode(flight: &Flight) -> Batch {
        Batch::decode(Arc::from(&flight.bytes[..])).expect("canonical")
    }

    #[test]
    fn batches_of_a_lane_chain_and_carry_the_content_as_it_was() {
        let mut lanes = lanes();
        let mut pending: VecDeque<_> = (0..1500).map(|n| event(n, 1000 + n)).collect();
        let first = lanes.cut(3, &mut pending, 20);
        let second = lanes.cut(3, &mut pending, 20);
        assert!(pending.is_empty());
        assert_eq!((first.lane, first.sequence, first.events.len()), (second.lane, 0, BATCH_EVENTS));
        assert_eq!((second.sequence, second.events.len()), (1024, 476));
        let (one, two) = (decode(&first), decode(&second));
        assert_eq!(two.header().previous, one.digest());
        assert_eq!(two.header().opening_block, 20);
        assert_eq!(one.event(7).expect("an event").content, b"{\"n\":7}");
        assert_eq!(one.event(7).expect("an event").timestamp_ms, 1007);
    }

    #[test]
    fn a_batch_is_bounded_by_bytes_but_takes_one_large_event() {
        let mut lanes = lanes();
        let large = |index| Pending { content: Bytes::from(vec![b'1'; 400 << 10]), ..event(index, 5) };
        let mut pending: VecDeque<_> = [large(0), large(1)].into();
        assert_eq!(lanes.cut(0, &mut pending, 1).events.len(), 1);
        let huge = Pending { content: Bytes::from(vec![b'1'; 1 << 20]), ..event(2, 5) };
        pending.push_front(huge);
        assert_eq!(lanes.cut(0, &mut pending, 1).events[0].index, 2);
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn a_time_that_goes_back_takes_another_lane_and_two_paces_take_two() {
        let mut lanes = lanes();
        let mut pending: VecDeque<_> =
            (0..10).map(|n| event(n, if n % 2 == 0 { 1000 + n } else { 10 + n })).collect();
        let mut seen = std::collections::BTreeSet::new();
        while !pending.is_empty() {
            let flight = lanes.cut(0, &mut pending, 1);
            decode(&flight);
            seen.insert(flight.lane);
        }
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn a_clock_that_goes_back_is_held_at_the_lanes_last_time() {
        let mut lanes = lanes();
        let stamped = |index, timestamp_ms| Pending { stamped: true, ..event(index, timestamp_ms) };
        let mut pending: VecDeque<_> = [stamped(0, 50), stamped(1, 40), stamped(2, 60)].into();
        let flight = lanes.cut(0, &mut pending, 1);
        let times: Vec<_> = flight.events.iter().map(|event| event.timestamp_ms).collect();
        assert_eq!(times, [50, 50, 60]);
    }

    #[test]
    fn a_long_lived_lane_rolls_over_and_a_closed_one_is_left() {
        let mut lanes = lanes();
        let one = |lanes: &mut Lanes, height| lanes.cut(0, &mut [event(0, 9)].into(), height).lane;
        let first = one(&mut lanes, 0);
        assert_eq!(one(&mut lanes, 8 * ROLL_OVER_EPOCHS - 1), first);
        let second = one(&mut lanes, 8 * ROLL_OVER_EPOCHS);
        assert_ne!(second, first);
        lanes.close(second);
        assert_ne!(one(&mut lanes, 8 * ROLL_OVER_EPOCHS), second);
    }
}
