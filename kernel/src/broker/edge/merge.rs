//! The merge: one answer in canonical order out of the answers of several homes.
//!
//! While partitions are added, lanes of one stream partition live in more than one of them. Each home answers in
//! canonical order (timestamp, lane, sequence), chunk by chunk. What is known of the order of all is everything up to
//! where the first of the chunks at hand ends that has another one after it: so much is given out, then that home is
//! asked for more. With one home, its chunks pass as they are. At most one chunk a home is held.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::batch::{Batch, Header};
use crate::log::{Chunk, Position, Slice};

/// What is left of one home's chunk.
#[derive(Clone, Debug, Default)]
pub struct Part {
    chunk: Chunk,
    /// The first slice that is not used up.
    at: usize,
    /// How many of its events are.
    used: u32,
    open: Option<Open>,
}

/// The batch that the next event is in.
#[derive(Clone, Debug)]
struct Open {
    number: u32,
    header: Header,
    batch: Option<Batch>,
}

impl Part {
    /// A chunk whose slices lie within their batches.
    pub fn new(chunk: Chunk) -> Self {
        Self { chunk, ..Self::default() }
    }

    /// Whether all of it is used up.
    pub fn is_empty(&self) -> bool {
        self.at >= self.chunk.order.len()
    }

    /// Whether the home has more after it.
    fn has_more(&self) -> bool {
        self.chunk.next.is_some()
    }

    /// What is left of the slice that is next.
    fn slice(&self) -> Option<Slice> {
        let slice = self.chunk.order.get(self.at)?;
        Some(Slice { first: slice.first + self.used, count: slice.count - self.used, ..*slice })
    }

    /// The place of the next event.
    fn head(&mut self) -> Option<Position> {
        let slice = self.slice()?;
        self.place(slice.batch, slice.first)
    }

    /// The place of an event. A batch that does not decode goes by the time in its header; its reader will notice.
    fn place(&mut self, number: u32, index: u32) -> Option<Position> {
        if self.open.as_ref().is_none_or(|open| open.number != number) {
            let bytes = self.chunk.batches.get(number as usize)?;
            let header = Header::of_batch(bytes)?;
            self.open = Some(Open { number, header, batch: Batch::decode(bytes.clone()).ok() });
        }
        let Open { header, batch, .. } = self.open.as_ref()?;
        let time = batch.as_ref().and_then(|batch| batch.timestamp_ms(index));
        Some(Position {
            timestamp_ms: time.unwrap_or(header.first_time_ms),
            lane: header.lane(),
            sequence: header.sequence + u64::from(index),
        })
    }

    /// Uses the events of the next slice that come before `end`, one at least.
    fn take(&mut self, end: Option<Position>) -> Option<Slice> {
        let slice = self.slice()?;
        let count = match end {
            None => slice.count,
            Some(end) => {
                let is_before =
                    |index: &u32| self.place(slice.batch, *index).is_some_and(|place| place < end);
                let before = (slice.first..slice.first + slice.count).take_while(is_before).count();
                u32::try_from(before).expect("a slice has a 32-bit count").max(1)
            }
        };
        self.used += count;
        if count == slice.count {
            (self.at, self.used) = (self.at + 1, 0);
        }
        Some(Slice { count, ..slice })
    }
}

/// The next events of all parts in canonical order, up to the end of one whose home has more, or of all. The chunk says
/// nothing of how to go on.
pub fn merge(mut parts: Vec<&mut Part>) -> Chunk {
    let mut merged = Chunk::default();
    let mut numbers: BTreeMap<(usize, u32), u32> = BTreeMap::new();
    while let Some((at, end)) = first_of(&mut parts) {
        let Some(slice) = parts[at].take(end) else { break };
        let number = *numbers.entry((at, slice.batch)).or_insert_with(|| {
            merged.batches.push(parts[at].chunk.batches[slice.batch as usize].clone());
            u32::try_from(merged.batches.len() - 1).expect("batches of a chunk have 32-bit numbers")
        });
        merged.order.push(Slice { batch: number, ..slice });
        if parts[at].is_empty() && parts[at].has_more() {
            break;
        }
    }
    merged
}

/// Which part comes next, and the place where another one does.
fn first_of(parts: &mut [&mut Part]) -> Option<(usize, Option<Position>)> {
    let left: Vec<usize> = (0..parts.len()).filter(|at| !parts[*at].is_empty()).collect();
    if let [alone] = left[..] {
        return Some((alone, None));
    }
    let mut heads: Vec<(Option<Position>, usize)> =
        left.into_iter().map(|at| (parts[at].head(), at)).collect();
    heads.sort_unstable();
    let (_, at) = heads.first()?;
    Some((*at, heads.get(1).and_then(|(place, _)| *place)))
}

/// Leaves out the first events of a chunk; returns how many are still to be left out.
pub fn skip(chunk: &mut Chunk, mut events: u64) -> u64 {
    chunk.order.retain_mut(|slice| {
        let skipped = u32::try_from(events).unwrap_or(u32::MAX).min(slice.count);
        events -= u64::from(skipped);
        slice.first += skipped;
        slice.count -= skipped;
        slice.count > 0
    });
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::fixture;
    use crate::ids::{LaneId, PartitionId, StreamId, StreamPartition};
    use crate::limits::HEADER_BYTES;
    use crate::log::Query;
    use alloc::vec;
    use proptest::prelude::*;

    /// The batches of a lane whose events have these times, one list a batch.
    fn lane(number: u8, times: &[Vec<u64>]) -> Vec<Batch> {
        let mut writer = fixture::writer(number);
        times.iter().map(|times| fixture::next(&mut writer, times)).collect()
    }

    fn places(batch: &Batch, slice: &Slice) -> Vec<Position> {
        let header = batch.header();
        let place = |index| Position {
            timestamp_ms: batch.timestamp_ms(index).expect("the event is there"),
            lane: batch.lane(),
            sequence: header.sequence + u64::from(index),
        };
        (slice.first..slice.first + slice.count).map(place).collect()
    }

    fn places_of(chunk: &Chunk) -> Vec<Position> {
        let decoded = |slice: &Slice| {
            let bytes = chunk.batches[slice.batch as usize].clone();
            places(&Batch::decode(bytes).expect("a batch"), slice)
        };
        chunk.order.iter().flat_map(decoded).collect()
    }

    /// What a home with these lanes answers: its events in canonical order, in chunks of `size` events.
    fn answer(lanes: &[Vec<Batch>], size: usize) -> Vec<Chunk> {
        let one = |index| Slice { batch: 0, first: index, count: 1 };
        let events = lanes.iter().flatten().flat_map(|batch| {
            (0..batch.header().count).map(move |index| (places(batch, &one(index))[0], batch, index))
        });
        let mut events: Vec<_> = events.collect();
        events.sort_by_key(|(place, ..)| *place);
        // How to go on does not matter here, only that there is more.
        let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
        let next = Query::Append { partition: PartitionId(0), slot, after_index: 0 };
        let chunk = |events: &[(Position, &Batch, u32)]| {
            let mut chunk = Chunk::default();
            for (number, (_, batch, index)) in (0..).zip(events) {
                chunk.batches.push(batch.bytes().clone());
                chunk.order.push(Slice { batch: number, first: *index, count: 1 });
            }
            chunk
        };
        let mut chunks: Vec<Chunk> = events.chunks(size).map(chunk).collect();
        let last = chunks.len().saturating_sub(1);
        chunks[..last].iter_mut().for_each(|chunk| chunk.next = Some(next.clone()));
        chunks
    }

    /// Everything that homes answer, merged as an edge does it.
    fn merge_all(mut answers: Vec<Vec<Chunk>>) -> Vec<Position> {
        let mut parts: Vec<Part> = answers.iter().map(|_| Part::default()).collect();
        let mut merged = Vec::new();
        loop {
            for (part, answer) in parts.iter_mut().zip(&mut answers) {
                if part.is_empty() && !answer.is_empty() {
                    *part = Part::new(answer.remove(0));
                }
            }
            let chunk = merge(parts.iter_mut().filter(|part| !part.is_empty()).collect());
            merged.extend(places_of(&chunk));
            let waits = |(part, answer): (&Part, &Vec<Chunk>)| part.is_empty() && !answer.is_empty();
            if !parts.iter().zip(&answers).any(waits) {
                assert!(parts.iter().all(Part::is_empty), "whoever asks nobody gets all there is");
                return merged;
            }
        }
    }

    fn times() -> impl Strategy<Value = Vec<Vec<u64>>> {
        let batch = prop::collection::vec(0u64..3, 1..5);
        prop::collection::vec(batch, 0..5).prop_map(|steps| {
            let mut time = 0;
            let mut go = |step: u64| {
                time += step;
                time
            };
            steps.into_iter().map(|batch| batch.into_iter().map(&mut go).collect()).collect()
        })
    }

    proptest! {
        #[test]
        fn homes_together_answer_like_one(
            homes in prop::collection::vec(prop::collection::vec(times(), 0..3), 1..4),
            size in 1usize..6,
        ) {
            let mut number = 0;
            let mut write = |times: &Vec<Vec<u64>>| {
                number += 1;
                lane(number, times)
            };
            let homes: Vec<Vec<Vec<Batch>>> =
                homes.iter().map(|lanes| lanes.iter().map(&mut write).collect()).collect();
            let one: Vec<Vec<Batch>> = homes.iter().flatten().cloned().collect();
            let expected = merge_all(vec![answer(&one, usize::MAX)]);
            prop_assert!(expected.is_sorted());
            let answers = homes.iter().map(|lanes| answer(lanes, size)).collect();
            prop_assert_eq!(merge_all(answers), expected);
        }

        #[test]
        fn as_many_events_as_are_to_be_left_out_are(times in times(), events in 0u64..30) {
            let mut chunk = answer(&[lane(1, &times)], usize::MAX).pop().unwrap_or_default();
            let all = places_of(&chunk);
            let left = skip(&mut chunk, events);
            let skipped = (events as usize).min(all.len());
            prop_assert_eq!(left, events - skipped as u64);
            prop_assert_eq!(places_of(&chunk), &all[skipped..]);
        }
    }

    #[test]
    fn a_batch_that_does_not_decode_goes_by_its_header() {
        let mut damaged = answer(&[lane(1, &[vec![7, 9]])], usize::MAX).remove(0);
        damaged.batches[0] = damaged.batches[0][..HEADER_BYTES].into();
        let mut part = Part::new(damaged);
        let place = part.head().expect("the header is whole");
        assert_eq!((place.timestamp_ms, place.sequence), (7, 0));
        assert_ne!(place.lane, LaneId::ZERO);
    }
}
