//! Retention: which sealed events a replica may drop, and whom to believe that they are dropped (WP 2.4.8).
//!
//! A stream's owner settles on chain for how long and how much of it is kept
//! ([`Retention`](crate::coordinator::Retention)). A replica goes by the chain's time and by what it has sealed:
//!
//! - Whole batches go, from the beginning of their lanes, once their last event is older than the stream's age, or
//!   older than the newest content that its size allows. What is left of a lane is its end, without a gap.
//! - Nothing above the last sealed cut goes, whatever times its publisher gave it: agreement needs it.
//! - Rows stay: a lane's sealed head and header, cuts, reports, proofs. So meters are settled, late reports made and
//!   forks proven without the events.
//!
//! Dropping comes late, never early: each epoch so many streams are looked at, and the log drops so many batches at
//! a time.
//!
//! Since replicas drop by themselves, one that was away may find that nobody has the beginning of a lane any more, and
//! a reader that fell behind that its source leaves something out. A liar could say so of anything. So both believe
//! what f+1 say, one of whom is honest: [`agreed`].

use alloc::collections::{BTreeMap, VecDeque};

use super::lane::{Lane, Mark};
use crate::coordinator::{Retention, State};
use crate::ids::{Epoch, StreamId, StreamPartition};
use crate::limits::{RETENTION_PARTS, RETENTION_STREAMS};

/// Up to where f+1 of these claims say that all is gone: with `liars` liars among those who claim, one of them is
/// honest.
pub fn agreed(claims: impl IntoIterator<Item = u64>, liars: usize) -> Option<u64> {
    let mut claims: alloc::vec::Vec<u64> = claims.into_iter().collect();
    claims.sort_unstable();
    claims.iter().rev().nth(liars).copied()
}

/// Event times before which a stream's events are too old by its age, in milliseconds since 1970 UTC; 0 for none.
pub fn too_old_ms(retention: Retention, now_s: u64) -> u64 {
    if retention.age_s == 0 { 0 } else { now_s.saturating_sub(retention.age_s).saturating_mul(1_000) }
}

/// For each stream partition the time of the first event that no sealed cut names: from there on everything stays.
pub fn unsealed_from_ms<'a>(lanes: impl Iterator<Item = &'a Lane>) -> BTreeMap<StreamPartition, u64> {
    let mut from: BTreeMap<StreamPartition, u64> = BTreeMap::new();
    for lane in lanes {
        let Some(Mark { header, .. }) = lane.marks.front() else { continue };
        let first = from.entry(lane.slot).or_insert(u64::MAX);
        *first = (*first).min(header.header.first_time_ms);
    }
    from
}

/// How much content was sealed lately in the stream partitions that are kept by size, newest last.
///
/// It is counted from the start of the process, and what was sealed before counts for nothing: so a restart keeps up to
/// twice as much until as much as is wanted was sealed again.
#[derive(Clone, Debug, Default)]
pub struct Sealed {
    slots: BTreeMap<StreamPartition, VecDeque<Part>>,
}

/// Content that was sealed one after the other.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The time of its first event, in milliseconds since 1970 UTC.
    oldest_ms: u64,
    bytes: u64,
}

impl Sealed {
    /// Events were sealed: bytes of their content, and the time of the first of them.
    pub fn note(&mut self, retention: Retention, slot: StreamPartition, bytes: u64, oldest_ms: u64) {
        if retention.size_bytes == 0 {
            self.slots.remove(&slot);
            return;
        }
        let parts = self.slots.entry(slot).or_default();
        let part_bytes = retention.size_bytes / RETENTION_PARTS;
        match parts.back_mut().filter(|last| last.bytes.saturating_add(bytes) <= part_bytes) {
            Some(last) => {
                last.bytes += bytes;
                last.oldest_ms = last.oldest_ms.min(oldest_ms);
            }
            None => parts.push_back(Part { oldest_ms, bytes }),
        }
        // The oldest goes once the others are as much as is wanted.
        let mut all: u64 = parts.iter().fold(0, |sum, part| sum.saturating_add(part.bytes));
        while let Some(first) = parts.front()
            && all - first.bytes >= retention.size_bytes
        {
            all -= first.bytes;
            parts.pop_front();
        }
    }

    /// Event times before which a stream partition has more than is wanted, in milliseconds since 1970 UTC; 0 for none.
    pub fn too_much_ms(&self, retention: Retention, slot: StreamPartition) -> u64 {
        let Some(parts) = self.slots.get(&slot).filter(|_| retention.size_bytes > 0) else { return 0 };
        let all = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.bytes));
        if all < retention.size_bytes {
            0
        } else {
            parts.iter().map(|part| part.oldest_ms).min().unwrap_or(0)
        }
    }
}

/// The stream partitions to look at, a bounded number of streams each epoch, in turn.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    epoch: Epoch,
    /// The stream that is next.
    from: StreamId,
}

impl Turn {
    /// Stream partitions that are not kept for good and whose turn it is; nothing while the epoch lasts.
    pub fn next<'a>(&mut self, view: &'a State) -> impl Iterator<Item = (StreamPartition, Retention)> + 'a {
        let epoch = view.epoch();
        let due = core::mem::replace(&mut self.epoch, epoch) != epoch;
        let (from, most) = (self.from, if due { RETENTION_STREAMS } else { 0 });
        if due {
            // After the last stream comes the first.
            let next = view.streams.iter_from(&from).nth(RETENTION_STREAMS);
            self.from = next.map_or(StreamId::ZERO, |(id, _)| *id);
        }
        let streams = view.streams.iter_from(&from).take(most);
        let bounded = streams.filter(|(_, stream)| is_bounded(stream.retention()));
        bounded.flat_map(|(id, stream)| {
            (0..stream.partitions)
                .map(move |partition| (StreamPartition { stream: *id, partition }, stream.retention()))
        })
    }
}

/// Whether anything of a stream is ever dropped.
pub fn is_bounded(retention: Retention) -> bool {
    retention != Retention::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::LaneHead;
    use crate::batch::fixture::{self, SLOT};
    use crate::ids::Address;

    #[test]
    fn what_one_liar_says_is_not_believed() {
        assert_eq!(agreed([5], 0), Some(5));
        assert_eq!(agreed([900], 1), None);
        assert_eq!(agreed([900, 5], 1), Some(5));
        assert_eq!(agreed([900, 7, 5], 1), Some(7));
        assert_eq!(agreed([900, 800, 5], 2), Some(5));
    }

    #[test]
    fn age_goes_by_the_chains_time() {
        let for_a_minute = Retention { age_s: 60, size_bytes: 0 };
        assert_eq!(too_old_ms(for_a_minute, 100), 40_000);
        assert_eq!(too_old_ms(for_a_minute, 59), 0);
        assert_eq!(too_old_ms(Retention::default(), 100), 0, "no bound keeps everything");
    }

    #[test]
    fn size_keeps_the_newest_content() {
        let retention = Retention { age_s: 0, size_bytes: 1_000 };
        let mut sealed = Sealed::default();
        for number in 1..=100u64 {
            assert_eq!(sealed.too_much_ms(retention, SLOT) > 0, number > 10, "before {number}");
            sealed.note(retention, SLOT, 100, 1_000 * number);
        }
        let from_ms = sealed.too_much_ms(retention, SLOT);
        // Ten of a hundred bytes each are wanted: what begins at 91 s and later.
        assert_eq!(from_ms, 91_000);
        // An event dated far back holds back only as long as it is among the newest.
        sealed.note(retention, SLOT, 100, 5);
        assert_eq!(sealed.too_much_ms(retention, SLOT), 5);
        (101..=110u64).for_each(|number| sealed.note(retention, SLOT, 100, 1_000 * number));
        assert_eq!(sealed.too_much_ms(retention, SLOT), 101_000);
        assert_eq!(sealed.too_much_ms(Retention::default(), SLOT), 0);
    }

    #[test]
    fn small_seals_are_counted_together() {
        let retention = Retention { age_s: 0, size_bytes: 1 << 20 };
        let mut sealed = Sealed::default();
        (0..1_000_000u64).for_each(|number| sealed.note(retention, SLOT, 10, number));
        assert!(
            sealed.slots[&SLOT].len() <= 2 * RETENTION_PARTS as usize + 2,
            "{}",
            sealed.slots[&SLOT].len()
        );
        let kept = 1_000_000 - sealed.too_much_ms(retention, SLOT);
        assert!((104_858..=108_200).contains(&kept), "{kept}");
    }

    fn lane(time_ms: u64, sealed: bool) -> Lane {
        let batch = fixture::next(&mut fixture::writer(0), &[time_ms]);
        let mut lane = Lane::open(batch.header());
        lane.append(batch.signed_header(), 1);
        lane.durable = 1;
        if sealed {
            let head: LaneHead = lane.head();
            lane.seal(&head);
        }
        lane
    }

    #[test]
    fn what_no_cut_names_stays() {
        let lanes = [lane(70, false), lane(50, false), lane(10, true)];
        assert_eq!(unsealed_from_ms(lanes.iter()), [(SLOT, 50)].into());
        assert_eq!(unsealed_from_ms([lane(10, true)].iter()), [].into());
    }

    #[test]
    fn every_stream_has_its_turn_and_few_in_each_epoch() {
        use crate::broker::duties::fixture;
        use crate::coordinator::{BlockRef, Fact, evolve};
        use alloc::collections::BTreeSet;
        let mut view = fixture::view(4, 6);
        let count = 2 * RETENTION_STREAMS as u32 + 3;
        for number in 0..count {
            let mut id = [0; 20];
            id[..4].copy_from_slice(&number.to_be_bytes());
            let stream = StreamId(id);
            let created = Fact::StreamCreated {
                stream,
                owner: Address([3; 20]),
                name: alloc::format!("s{number}"),
                description: "".into(),
                partitions: 1,
            };
            let block = BlockRef { number: view.height, timestamp_s: 0 };
            evolve(&mut view, block, &created);
            if number % 2 == 0 {
                let retention = Retention { age_s: 9, size_bytes: 0 };
                evolve(&mut view, block, &Fact::RetentionSet { stream, retention });
            }
        }
        let (mut turn, mut seen) = (Turn::default(), BTreeSet::new());
        for epoch in 7..10 {
            view.height = view.first_block_of(epoch);
            let slots: alloc::vec::Vec<_> = turn.next(&view).map(|(slot, _)| slot.stream).collect();
            assert!(slots.len() <= RETENTION_STREAMS);
            assert_eq!(turn.next(&view).count(), 0, "once an epoch");
            seen.extend(slots);
        }
        assert_eq!(seen.len() as u32, count.div_ceil(2));
        view.height = view.first_block_of(10);
        assert!(turn.next(&view).next().is_some_and(|(slot, _)| slot.stream == StreamId([0; 20])));
    }
}
