//! Events in canonical order: a merge over the lanes of a stream partition.
//!
//! Lanes are opened when the merge reaches their first event and closed at their last one, so that memory is
//! one batch for each lane whose time overlaps the place where the merge stands. Where a batch overlaps no
//! other lane it is taken whole and never decoded.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use weir_kernel::ids::{Address, LaneId};
use weir_kernel::log::{Chunk, Position, Query, Slice};

use super::Answer;
use crate::error::LogError;
use crate::index::{Index, LaneEntry, Rows, Run, Scope};
use crate::times::{EventTimes, Times};

/// After every event that can be.
pub(crate) const LAST_POSITION: Position =
    Position { timestamp_ms: u64::MAX, lane: LaneId([0xff; 32]), sequence: u64::MAX };

/// The arguments of [`Query::Range`].
pub(crate) struct Range {
    pub(crate) scope: Scope,
    pub(crate) from: Position,
    pub(crate) to: Position,
    pub(crate) up_to_index: u64,
    /// What of that this view may show.
    pub(crate) visible: u64,
    pub(crate) origin: Option<Address>,
}

impl Range {
    /// Answers with a chunk whose `next` is the same range from the first event not returned.
    pub(crate) fn answer(
        &self,
        index: &impl Index,
        times: EventTimes,
        answer: Answer,
    ) -> Result<Chunk, LogError> {
        let mut merge = Merge { range: self, index, times, open: BTreeMap::new(), answer };
        let mut later = self.runs(index, self.from.timestamp_ms.checked_add(1), self.to.timestamp_ms);
        for run in self.runs(index, Some(0), self.from.timestamp_ms) {
            merge.open(&run?)?;
        }
        let next = merge.run(&mut later)?;
        Ok(merge.answer.finish(next.map(|from| self.query(from))))
    }

    fn query(&self, from: Position) -> Query {
        Query::Range {
            partition: self.scope.partition,
            slot: self.scope.slot,
            from,
            to: self.to,
            up_to_index: self.up_to_index,
            origin: self.origin,
        }
    }

    /// Runs that start within these times and may hold a wanted event.
    fn runs<'a>(&'a self, index: &'a impl Index, first: Option<u64>, last: u64) -> Peekable<Rows<'a, Run>> {
        let wanted = move |run: &Run| {
            run.first_index <= self.visible
                && self.origin.is_none_or(|origin| origin == run.origin)
                && run.last() >= self.from
                && run.first() <= self.to
        };
        let Some(first) = first.filter(|first| *first <= last) else {
            let none: Rows<'a, Run> = Box::new(std::iter::empty());
            return none.peekable();
        };
        let runs = index.runs(self.scope, first..=last);
        let runs: Rows<'a, Run> = Box::new(runs.filter(move |run| run.as_ref().map_or(true, wanted)));
        runs.peekable()
    }
}

/// The lanes that overlap the place where the merge stands, by the place of their next event.
struct Merge<'a, I> {
    range: &'a Range,
    index: &'a I,
    times: EventTimes,
    open: BTreeMap<Position, Source>,
    answer: Answer,
}

impl<I: Index> Merge<'_, I> {
    /// Merges until the end or the budget; returns the first place not returned.
    fn run(&mut self, later: &mut Peekable<Rows<'_, Run>>) -> Result<Option<Position>, LogError> {
        loop {
            let bound = self.open_due(later)?;
            let Some((position, mut source)) = self.open.pop_first() else { return Ok(None) };
            if position > self.range.to {
                return Ok(None);
            }
            let fits = match source.number {
                Some(_) => !self.answer.is_full(),
                None => self.answer.fits(source.entry.length as usize),
            };
            if !fits {
                return Ok(Some(position));
            }
            let others = self.open.first_key_value().map(|(position, _)| *position);
            let bound = [bound, others].into_iter().flatten().min();
            let count = source.count_before(self.index, self.times, bound, self.range.to)?;
            let number = source.number(self.index, &mut self.answer)?;
            self.answer.push(Slice { batch: number, first: source.offset, count });
            source.offset += count;
            self.advance(source)?;
        }
    }

    /// Opens the lanes that start at or before the next event; returns where the first unopened one starts.
    fn open_due(&mut self, later: &mut Peekable<Rows<'_, Run>>) -> Result<Option<Position>, LogError> {
        loop {
            let start = match later.peek() {
                None => return Ok(None),
                Some(Ok(run)) => run.first(),
                Some(Err(error)) => return Err(error.clone()),
            };
            if self.open.first_key_value().is_some_and(|(next, _)| *next < start) {
                return Ok(Some(start));
            }
            let run = later.next().expect("a run was just seen there")?;
            self.open(&run)?;
        }
    }

    /// Opens a run at its first wanted event.
    fn open(&mut self, run: &Run) -> Result<(), LogError> {
        let from = self.range.from;
        let found = run.first_where(self.index, |entry| entry.last() >= from)?;
        let Some(entry) = found.filter(|entry| entry.index <= self.range.visible) else { return Ok(()) };
        let mut source = Source::at(*run, entry);
        if entry.first() < from {
            source.skip_before(self.index, self.times, from)?;
        }
        self.insert(source)
    }

    /// Puts a source back, at its next event or its next batch, unless the run is at its end.
    fn advance(&mut self, source: Source) -> Result<(), LogError> {
        if source.offset < source.entry.count {
            return self.insert(source);
        }
        let end = source.entry.end();
        if end >= source.run.next_sequence {
            return Ok(());
        }
        let entry = source.run.holding(self.index, end)?;
        if entry.index > self.range.visible {
            return Ok(());
        }
        self.insert(Source::at(source.run, entry))
    }

    fn insert(&mut self, mut source: Source) -> Result<(), LogError> {
        let position = source.position(self.index, self.times)?;
        if source.bytes.is_none() && position <= self.range.to {
            self.index.prefetch(source.entry.stored());
        }
        let other = self.open.insert(position, source);
        assert!(other.is_none(), "two runs hold one event of one lane");
        Ok(())
    }
}

/// One open run of a lane.
struct Source {
    run: Run,
    entry: LaneEntry,
    /// The next event within the batch.
    offset: u32,
    bytes: Option<Arc<[u8]>>,
    times: Option<Times>,
    /// What the chunk calls the batch, once it holds it.
    number: Option<u32>,
}

impl Source {
    fn at(run: Run, entry: LaneEntry) -> Self {
        Self { run, entry, offset: 0, bytes: None, times: None, number: None }
    }

    fn bytes(&mut self, index: &impl Index) -> Result<Arc<[u8]>, LogError> {
        if let Some(bytes) = &self.bytes {
            return Ok(bytes.clone());
        }
        let bytes = index.batch(self.entry.stored())?;
        self.bytes = Some(bytes.clone());
        Ok(bytes)
    }

    fn times(&mut self, index: &impl Index, decode: EventTimes) -> Result<&Times, LogError> {
        if self.times.is_none() {
            let bytes = self.bytes(index)?;
            self.times = Some(Times::of(&self.entry, &bytes, decode)?);
        }
        Ok(self.times.as_ref().expect("the times were just read"))
    }

    fn number(&mut self, index: &impl Index, answer: &mut Answer) -> Result<u32, LogError> {
        if let Some(number) = self.number {
            return Ok(number);
        }
        let number = answer.add(self.bytes(index)?);
        self.number = Some(number);
        Ok(number)
    }

    /// Place of the next event. The index knows that of a batch's first one.
    fn position(&mut self, index: &impl Index, decode: EventTimes) -> Result<Position, LogError> {
        if self.offset == 0 {
            return Ok(self.entry.first());
        }
        let offset = self.offset;
        let timestamp_ms = self.times(index, decode)?.at(offset);
        let sequence = self.entry.sequence + u64::from(offset);
        Ok(Position { timestamp_ms, lane: self.entry.lane, sequence })
    }

    /// Moves to the first event at or after `from`, which the batch is known to hold.
    fn skip_before(
        &mut self,
        index: &impl Index,
        decode: EventTimes,
        from: Position,
    ) -> Result<(), LogError> {
        let entry = self.entry;
        let times = self.times(index, decode)?;
        self.offset = first_at_or_after(&entry, times, 0, from);
        assert!(self.offset < entry.count, "the last event is at or after the place looked for");
        Ok(())
    }

    /// How many of the next events come before `bound` and not after `to`: at least one.
    fn count_before(
        &mut self,
        index: &impl Index,
        decode: EventTimes,
        bound: Option<Position>,
        to: Position,
    ) -> Result<u32, LogError> {
        let (entry, offset) = (self.entry, self.offset);
        let last = entry.last();
        let whole = bound.is_none_or(|bound| last < bound) && last <= to;
        if whole {
            return Ok(entry.count - offset);
        }
        let times = self.times(index, decode)?;
        let mut end = bound.map_or(entry.count, |bound| first_at_or_after(&entry, times, offset, bound));
        if last > to {
            end = end.min(first_after(&entry, times, offset, to));
        }
        assert!(end > offset, "the next event comes before every other one");
        Ok(end - offset)
    }
}

/// Offset of the first event from `start` on that is at or after `bound`; the batch's count when there is
/// none.
fn first_at_or_after(entry: &LaneEntry, times: &Times, start: u32, bound: Position) -> u32 {
    partition_point(start, entry.count, |offset| place(entry, times, offset) < bound)
}

fn first_after(entry: &LaneEntry, times: &Times, start: u32, bound: Position) -> u32 {
    partition_point(start, entry.count, |offset| place(entry, times, offset) <= bound)
}

fn place(entry: &LaneEntry, times: &Times, offset: u32) -> Position {
    let sequence = entry.sequence + u64::from(offset);
    Position { timestamp_ms: times.at(offset), lane: entry.lane, sequence }
}

/// First number in `low..high` for which `before` is false.
fn partition_point(mut low: u32, mut high: u32, before: impl Fn(u32) -> bool) -> u32 {
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
