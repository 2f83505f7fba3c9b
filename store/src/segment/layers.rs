//! What the index on disk does not hold yet: layers of changes in memory, the newest on top.
//!
//! The newest layer takes each write's changes. When it is large it is closed, and the indexer takes the oldest one
//! into the index. A view keeps the layers it began with. In the newest one it may see batches that came since,
//! which it tells by their append index; whatever takes something away begins a new layer, so that no view sees it
//! half done.

use std::collections::{BTreeMap, VecDeque};
use std::iter::Peekable;
use std::ops::{Bound, RangeInclusive};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard};

use super::files::Segments;
use crate::draft::Draft;
use crate::error::LogError;
use crate::index::Rows;
use crate::layout::Place;
use crate::limits::MERGE_ROWS;

/// One layer.
#[derive(Default)]
pub(super) struct Layer {
    changes: RwLock<Draft>,
    /// By how many batches the number that each segment holds has changed.
    held: Mutex<BTreeMap<u64, i64>>,
    /// The place in the log after the last change, once no more are added.
    end: OnceLock<Place>,
}

impl Layer {
    pub(super) fn changes(&self) -> RwLockReadGuard<'_, Draft> {
        self.changes.read().expect("adding rows does not panic")
    }

    /// By how many batches the number that each segment holds has changed, by where the segment begins.
    pub(super) fn held(&self) -> MutexGuard<'_, BTreeMap<u64, i64>> {
        self.held.lock().expect("adding numbers does not panic")
    }

    /// Counts what a write appends to the segment that begins at `segment`, and what it removes from any.
    pub(super) fn count(&self, draft: &Draft, segment: u64, segments: &Segments) {
        let mut held = self.held();
        *held.entry(segment).or_insert(0) += draft.placed.len() as i64;
        for position in &draft.removed {
            let start = if *position >= segment { segment } else { segments.start_of(*position) };
            *held.entry(start).or_insert(0) -= 1;
        }
    }

    /// Adds a write's changes; returns how many rows they are.
    pub(super) fn add(&self, draft: Draft) -> usize {
        assert!(self.end.get().is_none(), "a closed layer takes no more");
        let mut changes = self.changes.write().expect("adding rows does not panic");
        let Draft { lanes, runs, appends, rows, totals, .. } = draft;
        let added = lanes.len() + appends.len() + rows.len();
        changes.lanes.extend(lanes);
        changes.runs.extend(runs);
        changes.appends.extend(appends);
        changes.rows.extend(rows);
        changes.totals.extend(totals);
        added
    }

    /// No more is added; it covers the log up to here.
    pub(super) fn close(&self, end: Place) {
        self.end.set(end).expect("a layer is closed once");
    }

    /// The end of a closed layer.
    pub(super) fn end(&self) -> Option<Place> {
        self.end.get().copied()
    }
}

/// The rows of one kind in a layer.
pub(super) type Select<K, V> = fn(&Draft) -> &BTreeMap<K, Option<V>>;

/// Rows of all layers over those of the index, in the order of their keys. The layers come oldest first.
pub(super) fn merged<'a, K: Ord + Clone + 'a, V: Clone + 'a>(
    layers: &'a [Arc<Layer>],
    select: Select<K, V>,
    range: RangeInclusive<K>,
    below: Rows<'a, (K, V)>,
) -> Rows<'a, (K, V)> {
    let (from, to) = range.into_inner();
    if from > to {
        return Box::new(std::iter::empty());
    }
    let cursor = |layer: &'a Arc<Layer>| {
        let (from, to, queue) = (Bound::Included(from.clone()), to.clone(), VecDeque::new());
        Cursor { layer, select, from, to, queue }
    };
    Box::new(Merge { cursors: layers.iter().map(cursor).collect(), below: below.peekable() })
}

struct Merge<'a, K, V> {
    cursors: Vec<Cursor<'a, K, V>>,
    below: Peekable<Rows<'a, (K, V)>>,
}

impl<K: Ord + Clone, V: Clone> Iterator for Merge<'_, K, V> {
    type Item = Result<(K, V), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut least = match self.below.peek() {
                Some(Err(_)) => return self.below.next(),
                Some(Ok((key, _))) => Some(key.clone()),
                None => None,
            };
            for cursor in &mut self.cursors {
                if let Some(key) = cursor.peek()
                    && least.as_ref().is_none_or(|least| key < least)
                {
                    least = Some(key.clone());
                }
            }
            let least = least?;
            let below = self.below.next_if(|row| matches!(row, Ok((key, _)) if *key == least));
            let mut found = below.and_then(Result::ok).map(|(_, value)| value);
            // The newest layer has the last word.
            for cursor in &mut self.cursors {
                if let Some(value) = cursor.take(&least) {
                    found = value;
                }
            }
            if let Some(value) = found {
                return Some(Ok((least, value)));
            }
        }
    }
}

/// Goes through the rows of one layer, a few at a time, so that its lock is held shortly.
struct Cursor<'a, K, V> {
    layer: &'a Layer,
    select: Select<K, V>,
    from: Bound<K>,
    to: K,
    queue: VecDeque<(K, Option<V>)>,
}

impl<K: Ord + Clone, V: Clone> Cursor<'_, K, V> {
    fn peek(&mut self) -> Option<&K> {
        if self.queue.is_empty() && self.is_before_end() {
            let changes = self.layer.changes();
            let rows = (self.select)(&changes).range((self.from.clone(), Bound::Included(self.to.clone())));
            self.queue.extend(rows.take(MERGE_ROWS).map(|(key, value)| (key.clone(), value.clone())));
            let last = self.queue.back().map_or(&self.to, |(key, _)| key);
            self.from = Bound::Excluded(last.clone());
        }
        self.queue.front().map(|(key, _)| key)
    }

    /// A range that excludes its only key is not one that the map takes.
    fn is_before_end(&self) -> bool {
        match &self.from {
            Bound::Included(from) | Bound::Excluded(from) => {
                *from < self.to || (*from == self.to && matches!(self.from, Bound::Included(_)))
            }
            Bound::Unbounded => true,
        }
    }

    fn take(&mut self, wanted: &K) -> Option<Option<V>> {
        if self.peek() != Some(wanted) {
            return None;
        }
        self.queue.pop_front().map(|(_, value)| value)
    }
}
