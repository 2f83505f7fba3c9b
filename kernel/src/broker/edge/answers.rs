//! Answers: whether what came can be what a replica that tells the truth answers to what it was asked (WP 2.4.4).
//!
//! An edge asks one replica, which may lie, and keeps no history to compare with. What can be seen from an answer alone
//! is looked at before anything of it goes to a client:
//!
//! - its batches are of the stream partition asked about, and its slices lie within them;
//! - a range comes in canonical order, from where it was asked for and no further than to where it was;
//! - of the last n events there are at most n;
//! - it goes on, if it does, with the rest of the same question, so that chunks fit together and come to an end.
//!
//! Signatures are the client's to check, and what a replica leaves out shows in the lane
//! ([`tails`](super::tails)), not here.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::batch::{Batch, Header};
use crate::ids::{LaneId, StreamPartition};
use crate::log::{Chunk, Position, Query, Slice};

/// The place after all others.
pub(super) const END: Position =
    Position { timestamp_ms: u64::MAX, lane: LaneId([0xff; 32]), sequence: u64::MAX };

/// Whether this can be an answer to that question about a stream partition.
pub(super) fn is_sound(query: &Query, slot: StreamPartition, chunk: &Chunk) -> bool {
    let Some(headers) = headers_of(chunk, slot) else { return false };
    let within = |slice: &Slice| {
        let count = headers.get(slice.batch as usize).map_or(0, |header| header.count);
        slice.count > 0 && slice.first < count && slice.count <= count - slice.first
    };
    if !chunk.order.iter().all(within) {
        return false;
    }
    match query {
        Query::Range { partition, from, to, up_to_index, origin, .. } => {
            let rest = |from| {
                let (to, origin) = (*to, *origin);
                Query::Range { partition: *partition, slot, from, to, up_to_index: *up_to_index, origin }
            };
            headers.iter().all(|header| origin.is_none_or(|origin| header.origin == origin))
                && Places::of(chunk, &headers).rise(*from, *to, rest)
        }
        Query::Last { partition, count, up_to_index, .. } => {
            let events: u64 = chunk.order.iter().map(|slice| u64::from(slice.count)).sum();
            let rest = |from| {
                let (to, up_to_index) = (END, *up_to_index);
                Query::Range { partition: *partition, slot, from, to, up_to_index, origin: None }
            };
            events <= chunk.total
                && chunk.total <= *count
                && Places::of(chunk, &headers).rise(Position::default(), END, rest)
        }
        Query::Append { partition, after_index, .. } => chunk.next.as_ref().is_none_or(|next| {
            let rest = Query::Append { partition: *partition, slot, after_index: chunk.last_index };
            chunk.last_index > *after_index && *next == rest
        }),
        Query::Lane { .. } | Query::Rows { .. } => true,
    }
}

/// The headers of all batches, if all are of this stream partition.
fn headers_of(chunk: &Chunk, slot: StreamPartition) -> Option<Vec<Header>> {
    let of_slot = |header: &Header| header.slot() == slot;
    chunk.batches.iter().map(|bytes| Header::of_batch(bytes).filter(of_slot)).collect()
}

/// An event of a chunk.
#[derive(Clone, Copy, Debug)]
struct Place {
    timestamp_ms: u64,
    sequence: u64,
    /// The number of its batch.
    batch: u32,
}

/// Where the events of a chunk are in canonical order. Batches that are wanted whole, as most are, are not looked into,
/// and lanes are hashed only where times tie.
struct Places<'a> {
    chunk: &'a Chunk,
    headers: &'a [Header],
    opened: BTreeMap<u32, Option<Batch>>,
}

impl<'a> Places<'a> {
    fn of(chunk: &'a Chunk, headers: &'a [Header]) -> Self {
        Self { chunk, headers, opened: BTreeMap::new() }
    }

    /// Whether events only rise, from one place to another, and what comes next is the rest.
    fn rise(mut self, from: Position, to: Position, rest: impl Fn(Position) -> Query) -> bool {
        let chunk = self.chunk;
        let mut before: Option<Place> = None;
        for slice in &chunk.order {
            let first = self.place(slice.batch, slice.first);
            let last = self.place(slice.batch, slice.first + (slice.count - 1));
            let (Some(first), Some(last)) = (first, last) else { return false };
            let follows = match before {
                None => from <= self.position(first),
                Some(before) => self.is_before(before, first),
            };
            if !follows || first.timestamp_ms > last.timestamp_ms {
                return false;
            }
            before = Some(last);
        }
        let last = before.map(|place| self.position(place));
        let Some(Query::Range { from: next, up_to_index, .. }) = &chunk.next else {
            return chunk.next.is_none() && last.is_none_or(|last| last <= to);
        };
        // A replica answers from what it has at the first question, and so limits those that follow.
        let expected = rest(*next);
        let Query::Range { up_to_index: most, .. } = expected else { return false };
        let same = chunk.next.clone().map(Query::unpinned) == Some(expected.unpinned());
        same && *up_to_index <= most && *next <= to && last.unwrap_or(from) < *next
    }

    fn place(&mut self, batch: u32, index: u32) -> Option<Place> {
        let header = self.headers.get(batch as usize)?;
        let timestamp_ms = if index == 0 {
            header.first_time_ms
        } else if index + 1 == header.count {
            header.last_time_ms
        } else {
            let bytes = self.chunk.batches.get(batch as usize)?;
            let open = || Batch::decode(bytes.clone()).ok();
            self.opened.entry(batch).or_insert_with(open).as_ref()?.timestamp_ms(index)?
        };
        let sequence = header.sequence.checked_add(u64::from(index))?;
        Some(Place { timestamp_ms, sequence, batch })
    }

    fn is_before(&self, a: Place, b: Place) -> bool {
        a.timestamp_ms < b.timestamp_ms
            || a.timestamp_ms == b.timestamp_ms && self.position(a) < self.position(b)
    }

    fn position(&self, place: Place) -> Position {
        let lane = self.headers[place.batch as usize].lane();
        Position { timestamp_ms: place.timestamp_ms, lane, sequence: place.sequence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::fixture::{self, SLOT};
    use crate::ids::PartitionId;
    use alloc::sync::Arc;
    use alloc::vec;

    const HOME: PartitionId = PartitionId(2);

    /// One batch of a lane of its own, with events at these times.
    fn batch(nonce: u8, times: &[u64]) -> Arc<[u8]> {
        fixture::next(&mut fixture::writer(nonce), times).bytes().clone()
    }

    fn slice(batch: u32, first: u32, count: u32) -> Slice {
        Slice { batch, first, count }
    }

    /// Events at 10, 30 and 50 of one lane, and at 20 and 40 of another, in canonical order.
    fn interleaved() -> Chunk {
        Chunk {
            batches: vec![batch(1, &[10, 30, 50]), batch(2, &[20, 40])],
            order: vec![slice(0, 0, 1), slice(1, 0, 1), slice(0, 1, 1), slice(1, 1, 1), slice(0, 2, 1)],
            ..Chunk::default()
        }
    }

    fn range(from_ms: u64, to: Position, up_to_index: u64) -> Query {
        let from = Position::at(from_ms);
        Query::Range { partition: HOME, slot: SLOT, from, to, up_to_index, origin: None }
    }

    fn is_range(chunk: &Chunk) -> bool {
        is_sound(&range(10, END, u64::MAX), SLOT, chunk)
    }

    #[test]
    fn a_range_rises_within_its_bounds() {
        let chunk = interleaved();
        assert!(is_range(&chunk));
        assert!(!is_sound(&range(11, END, u64::MAX), SLOT, &chunk), "it begins too early");
        assert!(!is_sound(&range(10, Position::at(50), u64::MAX), SLOT, &chunk), "it goes too far");
        let elsewhere = StreamPartition { partition: 1, ..SLOT };
        assert!(!is_sound(&range(10, END, u64::MAX), elsewhere, &chunk), "it is of another partition");
    }

    #[test]
    fn events_out_of_order_or_twice_are_noticed() {
        for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)] {
            let mut chunk = interleaved();
            chunk.order.swap(a, b);
            assert!(!is_range(&chunk), "{a} and {b} changed places");
        }
        let mut twice = interleaved();
        twice.order.insert(2, slice(1, 0, 1));
        assert!(!is_range(&twice));
    }

    #[test]
    fn slices_lie_within_their_batches() {
        for wrong in [slice(2, 0, 1), slice(0, 3, 1), slice(0, 2, 2), slice(0, 1, u32::MAX), slice(0, 0, 0)] {
            let mut chunk = interleaved();
            chunk.order.push(wrong);
            assert!(!is_range(&chunk), "{wrong:?}");
        }
    }

    #[test]
    fn an_answer_goes_on_with_the_rest_of_its_question() {
        let goes_on = |next| is_range(&Chunk { next: Some(next), ..interleaved() });
        assert!(goes_on(range(51, END, u64::MAX)));
        assert!(goes_on(range(51, END, 7)), "it is limited to what was there at first");
        assert!(!goes_on(range(50, END, u64::MAX)), "it goes back");
        assert!(!goes_on(range(51, Position::at(99), u64::MAX)), "it stops before the end");
        assert!(!goes_on(Query::Append { partition: HOME, slot: SLOT, after_index: 9 }));
        let pinned = Chunk { next: Some(range(51, END, 8)), ..interleaved() };
        assert!(!is_sound(&range(10, END, 7), SLOT, &pinned), "more than was there at first");
        let idle = Chunk { next: Some(range(10, END, 7)), ..Chunk::default() };
        assert!(!is_range(&idle), "it would go on without end");
    }

    #[test]
    fn of_the_last_events_there_are_no_more_than_asked_for() {
        let is_last = |count, total| {
            let query = Query::Last { partition: HOME, slot: SLOT, count, up_to_index: u64::MAX };
            is_sound(&query, SLOT, &Chunk { total, ..interleaved() })
        };
        assert!(is_last(5, 5) && is_last(8, 5) && is_last(8, 6));
        assert!(!is_last(4, 5) && !is_last(8, 4) && !is_last(4, 4));
    }

    #[test]
    fn an_answer_in_append_order_goes_on_behind_what_it_has() {
        let appended = |last_index, next: Option<u64>| {
            let rest = |after_index| Query::Append { partition: HOME, slot: SLOT, after_index };
            is_sound(&rest(3), SLOT, &Chunk { last_index, next: next.map(rest), ..interleaved() })
        };
        assert!(appended(9, None) && appended(9, Some(9)));
        assert!(!appended(9, Some(8)) && !appended(3, Some(3)));
    }
}
