//! The merge: one answer in canonical order out of the answers of several homes.
//!
//! While partitions are added, lanes of one stream partition live in more than one of them. Each home answers in
//! canonical order (timestamp, lane, sequence), chunk by chunk. What is known of the order of all is everything up to
//! where the first of the chunks at hand ends: so much is given out, then that home is asked for more. With one home,
//! its chunks pass as they are. At most one chunk a home is held.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::batch::{Batch, Header};
use crate::limits::HEADER_BYTES;
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
            let header = Header::decode(bytes.get(..HEADER_BYTES)?).ok()?;
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

/// The next events of all parts in canonical order, as far as one of them is used up. The chunk says nothing of how
/// to go on.
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
        if parts[at].is_empty() {
            break;
        }
    }
    merged
}

/// Which part comes next, and the place where another one does.
fn first_of(parts: &mut [&mut Part]) -> Option<(usize, Option<Position>)> {
    if parts.len() == 1 {
        return Some((0, None));
    }
    let mut heads: Vec<(Option<Position>, usize)> =
        parts.iter_mut().enumerate().map(|(at, part)| (part.head(), at)).collect();
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
