//! Where the last `count` events of a stream partition begin: the canonical merge, walked backwards.
//!
//! Only counts matter here, so a batch that overlaps no other lane is counted from the index alone. Memory is
//! one summary for each of at most `count` lanes, and one batch for each lane that overlaps where the walk
//! stands.

use std::collections::BTreeMap;

use weir_kernel::log::Position;

use crate::error::LogError;
use crate::index::{Index, LaneEntry, Run, Scope};
use crate::times::{EventTimes, Times};

/// Place of the first of the last `count` events, and how many they are; the very beginning when there are
/// fewer; `None` for none.
pub(crate) fn start(
    index: &impl Index,
    times: EventTimes,
    scope: Scope,
    count: u64,
    up_to_index: u64,
) -> Result<Option<(Position, u64)>, LogError> {
    let mut ends = ends(index, scope, count, up_to_index)?;
    let mut remaining = count;
    while remaining > 0 {
        let Some((end, mut walk)) = ends.pop_last() else {
            let found = count - remaining;
            return Ok((found > 0).then_some((Position::default(), found)));
        };
        let other = ends.last_key_value().map(|(position, _)| *position);
        let entry = walk.entry(index, end.sequence)?;
        let offset = (end.sequence - entry.sequence) as u32;
        // Events of this batch from `first` to `offset` come after every other lane's.
        let first = match other {
            Some(other) if entry.first() < other => walk.first_after(index, times, offset, other)?,
            _ => 0,
        };
        let taken = u64::from(offset - first + 1);
        if taken >= remaining {
            let begin = offset - (remaining - 1) as u32;
            return Ok(Some((walk.place(index, times, begin)?, count)));
        }
        remaining -= taken;
        if first > 0 {
            let place = walk.place(index, times, first - 1)?;
            ends.insert(place, walk);
        } else if let Some(place) = walk.back(index)? {
            ends.insert(place, walk);
        }
    }
    Ok(None)
}

/// The runs that end last, by the place of their last wanted event: as many as there are events to find,
/// because each holds at least one.
fn ends(
    index: &impl Index,
    scope: Scope,
    count: u64,
    up_to_index: u64,
) -> Result<BTreeMap<Position, Walk>, LogError> {
    let mut ends = BTreeMap::new();
    for run in index.runs(scope, 0..=u64::MAX) {
        let run = run?;
        if run.first_index > up_to_index {
            continue;
        }
        let end = if run.last_index <= up_to_index {
            run.last()
        } else {
            let above = run.first_where(index, |entry| entry.index > up_to_index)?;
            let above = above.expect("the run's last batch is above the bound");
            run.holding(index, above.sequence - 1)?.last()
        };
        ends.insert(end, Walk { run, open: None });
        if ends.len() as u64 > count {
            ends.pop_first();
        }
    }
    Ok(ends)
}

/// One run, walked backwards.
struct Walk {
    run: Run,
    open: Option<(LaneEntry, Option<Times>)>,
}

impl Walk {
    /// The batch that holds a sequence, which becomes the open one.
    fn entry(&mut self, index: &impl Index, sequence: u64) -> Result<LaneEntry, LogError> {
        if let Some((entry, _)) = &self.open
            && (entry.sequence..entry.end()).contains(&sequence)
        {
            return Ok(*entry);
        }
        let entry = self.run.holding(index, sequence)?;
        self.open = Some((entry, None));
        Ok(entry)
    }

    fn times(&mut self, index: &impl Index, decode: EventTimes) -> Result<(LaneEntry, &Times), LogError> {
        let (entry, times) = self.open.as_mut().expect("a batch is open");
        if times.is_none() {
            let bytes = index.batch(entry.stored())?;
            *times = Some(Times::of(entry, &bytes, decode)?);
        }
        Ok((*entry, times.as_ref().expect("the times were just read")))
    }

    fn place(&mut self, index: &impl Index, decode: EventTimes, offset: u32) -> Result<Position, LogError> {
        // The index knows both ends of a batch.
        match &self.open {
            Some((entry, _)) if offset == 0 => return Ok(entry.first()),
            Some((entry, _)) if offset == entry.count - 1 => return Ok(entry.last()),
            _ => {}
        }
        let (entry, times) = self.times(index, decode)?;
        let sequence = entry.sequence + u64::from(offset);
        Ok(Position { timestamp_ms: times.at(offset), lane: entry.lane, sequence })
    }

    /// Offset of the first event after `other`, which `last` is known to be.
    fn first_after(
        &mut self,
        index: &impl Index,
        decode: EventTimes,
        last: u32,
        other: Position,
    ) -> Result<u32, LogError> {
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.place(index, decode, middle)? > other {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    /// Moves to the batch before; returns the place of its last event, `None` at the run's beginning.
    fn back(&mut self, index: &impl Index) -> Result<Option<Position>, LogError> {
        let (entry, _) = self.open.as_ref().expect("a batch is open");
        if entry.sequence == self.run.held_sequence {
            return Ok(None);
        }
        let sequence = entry.sequence - 1;
        Ok(Some(self.entry(index, sequence)?.last()))
    }
}
