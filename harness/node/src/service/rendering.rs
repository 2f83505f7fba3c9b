//! Renderings: what subscribers get of a batch, made once however many of them get it.
//!
//! A batch that comes to a hundred subscribers, live or from disk, is decoded once and written as JSON once; each
//! sends pieces of the same bytes. What was made last is kept, within [`MAX_RENDERED_BYTES`]: subscribers that keep up
//! get a batch at about the same time. A rendering that is forgotten lives on for those who hold it, and the next one
//! who wants it makes it again.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use bytes::Bytes;
use weir_kernel::batch::{Batch, BatchError};
use weir_kernel::limits::HEADER_BYTES;
use weir_kernel::log::{Chunk, Slice};

use super::event::{DamagedChunk, EventView, JsonWriter};
use super::limits::MAX_RENDERED_BYTES;

/// A header: it names its batch, whose events it has the hash of.
type Key = [u8; HEADER_BYTES];

/// What was rendered last.
#[derive(Debug, Default)]
pub struct Renderings {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<Key, (Arc<Rendering>, usize)>,
    oldest_first: VecDeque<Key>,
    bytes: usize,
}

/// One batch, and what was made of it.
#[derive(Debug)]
pub struct Rendering {
    batch: Batch,
    /// Without and with signatures.
    texts: [OnceLock<Texts>; 2],
    binary: OnceLock<Bytes>,
}

/// The JSON of every event of a batch.
#[derive(Debug)]
struct Texts {
    bytes: Bytes,
    /// Where the text of each event ends.
    ends: Vec<usize>,
}

/// Consecutive events of one batch, at least one.
#[derive(Clone, Debug)]
pub struct Run {
    rendering: Arc<Rendering>,
    first: u32,
    count: u32,
}

impl Kept {
    fn keep(&mut self, key: Key, rendering: Arc<Rendering>) {
        let bytes = rendering.batch.bytes().len();
        if self.entries.insert(key, (rendering, bytes)).is_none() {
            self.oldest_first.push_back(key);
            self.bytes += bytes;
        }
        self.forget();
    }

    fn grow(&mut self, rendering: &Arc<Rendering>, more: usize) {
        let key = key_of(rendering.batch.bytes()).expect("a batch has a header");
        if let Some((known, bytes)) = self.entries.get_mut(&key)
            && Arc::ptr_eq(known, rendering)
        {
            *bytes += more;
            self.bytes += more;
        }
        self.forget();
    }

    fn forget(&mut self) {
        while self.bytes > MAX_RENDERED_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else { return };
            if let Some((_, bytes)) = self.entries.remove(&oldest) {
                self.bytes -= bytes;
            }
        }
    }
}

fn key_of(bytes: &[u8]) -> Option<Key> {
    bytes.first_chunk().copied()
}

impl Renderings {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no holder panics")
    }

    /// The rendering of a batch of exactly these bytes, if it is kept.
    fn find(&self, key: &Key, bytes: &Arc<[u8]>) -> Option<Arc<Rendering>> {
        let found = self.lock().entries.get(key).map(|(rendering, _)| Arc::clone(rendering))?;
        let known = found.batch.bytes();
        (Arc::ptr_eq(known, bytes) || known == bytes).then_some(found)
    }

    fn keep(&self, batch: Batch) -> Arc<Rendering> {
        let key = key_of(batch.bytes()).expect("a batch has a header");
        let rendering = Arc::new(Rendering { batch, texts: Default::default(), binary: OnceLock::new() });
        self.lock().keep(key, Arc::clone(&rendering));
        rendering
    }

    /// The events of a live batch from `first` on, of which there is one at least.
    pub fn live(&self, batch: &Batch, first: u32) -> Run {
        let key = key_of(batch.bytes()).expect("a batch has a header");
        let rendering = self.find(&key, batch.bytes()).unwrap_or_else(|| self.keep(batch.clone()));
        assert!(first < batch.len(), "a delivery has an event");
        Run { rendering, first, count: batch.len() - first }
    }

    fn decoded(&self, bytes: &Arc<[u8]>) -> Result<Arc<Rendering>, BatchError> {
        match key_of(bytes).and_then(|key| self.find(&key, bytes)) {
            Some(known) => Ok(known),
            None => Ok(self.keep(Batch::decode(Arc::clone(bytes))?)),
        }
    }

    /// The events of a chunk in its order.
    ///
    /// # Errors
    ///
    /// [`DamagedChunk`] if a batch does not decode or a slice points outside.
    pub fn chunk(&self, chunk: &Chunk) -> Result<Vec<Run>, DamagedChunk> {
        let decoded: Result<Vec<_>, _> = chunk.batches.iter().map(|bytes| self.decoded(bytes)).collect();
        let decoded = decoded.map_err(|error| DamagedChunk::new(error.to_string()))?;
        let run = |slice: &Slice| {
            let rendering = decoded.get(slice.batch as usize);
            let rendering = rendering.filter(|rendering| {
                let end = slice.first.checked_add(slice.count);
                slice.count > 0 && end.is_some_and(|end| end <= rendering.batch.len())
            });
            let rendering =
                rendering.ok_or_else(|| DamagedChunk::new(format!("slice {slice:?} points outside")))?;
            Ok(Run { rendering: Arc::clone(rendering), first: slice.first, count: slice.count })
        };
        chunk.order.iter().map(run).collect()
    }

    /// The JSON text of each event of a run.
    pub fn texts<'a>(&self, run: &'a Run, signatures: bool) -> impl Iterator<Item = Bytes> + 'a {
        let rendering = &run.rendering;
        let mut made = 0;
        let texts = rendering.texts[usize::from(signatures)].get_or_init(|| {
            let texts = write_texts(&rendering.batch, signatures);
            made = texts.bytes.len() + size_of_val(texts.ends.as_slice());
            texts
        });
        if made > 0 {
            self.lock().grow(rendering, made);
        }
        run.indexes().map(|index| {
            let index = index as usize;
            let start = if index == 0 { 0 } else { texts.ends[index - 1] };
            texts.bytes.slice(start..texts.ends[index])
        })
    }

    /// A run as a program takes it: number of its first event in the batch u32, number of its events u32, both
    /// big-endian, and the signed batch.
    pub fn binary(&self, run: &Run) -> Bytes {
        let write = || {
            let mut bytes = Vec::with_capacity(8 + run.batch().bytes().len());
            bytes.extend_from_slice(&run.first.to_be_bytes());
            bytes.extend_from_slice(&run.count.to_be_bytes());
            bytes.extend_from_slice(run.batch().bytes());
            Bytes::from(bytes)
        };
        if run.count < run.batch().len() {
            return write();
        }
        let mut made = 0;
        let binary = run.rendering.binary.get_or_init(|| {
            let binary = write();
            made = binary.len();
            binary
        });
        if made > 0 {
            self.lock().grow(&run.rendering, made);
        }
        binary.clone()
    }

    /// Bytes that are kept.
    pub fn held_bytes(&self) -> usize {
        self.lock().bytes
    }
}

fn write_texts(batch: &Batch, signatures: bool) -> Texts {
    let mut text = String::with_capacity(batch.bytes().len() + batch.len() as usize * 320);
    let mut ends = Vec::with_capacity(batch.len() as usize);
    let mut writer = JsonWriter::default();
    for index in 0..batch.len() {
        let event = EventView::new(batch.clone(), index).expect("the index is below the count");
        writer.write(&mut text, &event, false, signatures);
        ends.push(text.len());
    }
    text.shrink_to_fit();
    Texts { bytes: Bytes::from(text), ends }
}

impl Run {
    /// The signed batch that holds it.
    pub fn batch(&self) -> &Batch {
        &self.rendering.batch
    }

    /// Numbers of its events in the batch.
    pub fn indexes(&self) -> Range<u32> {
        self.first..self.first + self.count
    }

    /// Sequence of its first event.
    pub fn sequence(&self) -> u64 {
        self.batch().header().sequence + u64::from(self.first)
    }

    /// How many events it has.
    #[allow(clippy::len_without_is_empty, reason = "no run is empty")]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Without its first events; `None` if none is left.
    pub fn skip(self, events: u32) -> Option<Self> {
        let count = self.count.checked_sub(events).filter(|count| *count > 0)?;
        Some(Self { first: self.first + events, count, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::event::tests::{batch, lane};
    use weir_kernel::ids::StreamPartition;

    fn texts(renderings: &Renderings, run: &Run) -> Vec<String> {
        renderings.texts(run, false).map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_batch_is_rendered_once_whoever_gets_which_part() {
        let batch = batch(&mut lane(StreamPartition::default(), 1), &[10, 11, 12]);
        let renderings = Renderings::default();
        let live = renderings.live(&batch, 0);
        let copy: Arc<[u8]> = batch.bytes().to_vec().into();
        let order = vec![Slice { batch: 0, first: 1, count: 1 }, Slice { batch: 0, first: 2, count: 1 }];
        let chunk = renderings.chunk(&Chunk { batches: vec![copy], order, ..Chunk::default() }).unwrap();
        assert!(chunk.iter().all(|run| Arc::ptr_eq(&run.rendering, &live.rendering)));
        let all = texts(&renderings, &live);
        assert_eq!(texts(&renderings, &chunk[1]), all[2..]);
        let mut alone = String::new();
        JsonWriter::default().write(&mut alone, &EventView::new(batch.clone(), 1).unwrap(), false, false);
        assert_eq!(all[1], alone);
        let held = renderings.held_bytes();
        assert_eq!(
            (texts(&renderings, &live), renderings.held_bytes()),
            (all, held),
            "nothing is made again"
        );
    }

    #[test]
    fn other_bytes_under_a_known_header_are_looked_at_by_themselves() {
        let batch = batch(&mut lane(StreamPartition::default(), 1), &[10, 11]);
        let renderings = Renderings::default();
        renderings.live(&batch, 0);
        let mut damaged = batch.bytes().to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        let order = vec![Slice { batch: 0, first: 0, count: 1 }];
        let chunk = Chunk { batches: vec![damaged.into()], order, ..Chunk::default() };
        assert!(renderings.chunk(&chunk).is_err());
    }

    #[test]
    fn slices_outside_a_batch_are_refused() {
        let batches = vec![batch(&mut lane(StreamPartition::default(), 5), &[10, 20]).bytes().clone()];
        let renderings = Renderings::default();
        let read = |batch, first, count| {
            let order = vec![Slice { batch, first, count }];
            renderings.chunk(&Chunk { batches: batches.clone(), order, ..Chunk::default() })
        };
        assert_eq!(read(0, 1, 1).unwrap()[0].sequence(), 1);
        for (batch, first, count) in [(1, 0, 1), (0, 2, 1), (0, 0, 3), (0, u32::MAX, 2), (0, 0, 0)] {
            assert!(read(batch, first, count).is_err());
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut lane = lane(StreamPartition::default(), 1);
        let renderings = Renderings::default();
        let times: Vec<u64> = (0..2000).collect();
        let first = renderings.live(&batch(&mut lane, &times), 0);
        let each = {
            renderings.texts(&first, false).count();
            renderings.held_bytes()
        };
        for _ in 0..MAX_RENDERED_BYTES / each + 2 {
            let run = renderings.live(&batch(&mut lane, &[3000; 2000]), 0);
            assert_eq!(renderings.texts(&run, false).count(), 2000);
            assert!(renderings.held_bytes() <= MAX_RENDERED_BYTES);
        }
        let again = renderings.live(first.batch(), 0);
        assert!(!Arc::ptr_eq(&again.rendering, &first.rendering), "the oldest was forgotten");
    }

    #[test]
    fn the_binary_form_names_the_events_that_are_meant() {
        let batch = batch(&mut lane(StreamPartition::default(), 1), &[10, 11, 12]);
        let renderings = Renderings::default();
        let binary = renderings.binary(&renderings.live(&batch, 1));
        assert_eq!(binary[..8], [0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(binary[8..], batch.bytes()[..]);
        assert_eq!(renderings.binary(&renderings.live(&batch, 0))[..8], [0, 0, 0, 0, 0, 0, 0, 3]);
    }
}
