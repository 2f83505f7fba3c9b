//! What a subscription has got, and where each of its flows is.
//!
//! ```text
//!   Opening ─ feed open at index i ─► History up to i ─► Behind: append order after i ─► Live ─► Over
//!                                                          ▲                              │  home quiet
//!                                                          └── window full, message lost ─┘
//!   feed moved to another replica: back to Opening; positions keep every event from coming twice
//! ```
//!
//! For each lane the subscription knows the next sequence to deliver. Whatever comes from wherever is cut down to
//! what is at or after it: so nothing is delivered twice, and within a lane nothing out of order. A lane lives in one
//! home, so the flows of a stream partition never wait for each other to keep that; only their histories are merged,
//! and none goes past its history before all that answer have.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::Flow;
use super::merge::{Part, merge};
use super::survey::{Beginning, lacks};
use crate::batch::{Batch, Header};
use crate::broker::io::From;
use crate::broker::message::MovedLane;
use crate::broker::retention::agreed;
use crate::ids::{Address, LaneId, PartitionId, StreamId, StreamPartition};
use crate::limits::{MAX_GAPS, SUBSCRIPTION_WINDOW_BYTES};
use crate::log::{Chunk, Position, Query, Slice};

/// One client's subscription to partitions of a stream.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub(super) stream: StreamId,
    pub(super) tracks: BTreeMap<StreamPartition, Track>,
    pub(super) outstanding_bytes: u64,
}

/// How far one stream partition of a subscription is.
#[derive(Clone, Debug)]
pub struct Track {
    beginning: Beginning,
    /// What was delivered of each lane: from its first event on, up to what comes next. Empty where all of it was
    /// withdrawn: what was not wanted before is not wanted now.
    positions: BTreeMap<LaneId, Range<u64>>,
    /// Where sources that left something out went on, by lane: what is not kept any more, or a lie.
    gaps: BTreeMap<LaneId, BTreeMap<Address, u64>>,
    pub(super) tails: BTreeMap<PartitionId, Tail>,
}

/// Where one flow of a subscription is.
#[derive(Clone, Debug)]
pub struct Tail {
    pub(super) phase: Phase,
    /// Where history begins: never after an event that was delivered, for what follows it must not be missed.
    pub(super) start: Position,
    /// Whether the first history is skipped, because only what is new is wanted.
    pub(super) skips_history: bool,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub enum Phase {
    /// The feed has not said where it is.
    Opening,
    /// Reading events in canonical order, up to the feed's index at opening.
    History(Box<History>),
    /// Reading batches in append order after this index. While an answer is on the way, `asked` is the feed's index
    /// when it was asked for: the answer holds everything up to there.
    Behind { after_index: u64, asked: Option<u64> },
    /// Attached to the feed since it was at this index: what came through it later was delivered.
    Live { since_index: u64 },
    /// The home gets nothing any more and everything of it came.
    Over,
}

/// A history being read.
#[derive(Clone, Debug)]
pub struct History {
    /// What came and was not delivered yet.
    pub(super) part: Part,
    /// The next question; while it is `None` and `asked` is set, its answer is on the way.
    pub(super) next: Option<Query>,
    pub(super) asked: bool,
    pub(super) then_after: u64,
}

impl History {
    /// Whether it has events that are not here.
    fn is_awaited(&self) -> bool {
        self.part.is_empty() && (self.asked || self.next.is_some())
    }

    /// Whether all of it was delivered.
    fn is_over(&self) -> bool {
        self.part.is_empty() && !self.asked && self.next.is_none()
    }
}

impl Tail {
    /// History that came and was not delivered yet.
    fn part(&mut self) -> Option<&mut Part> {
        match &mut self.phase {
            Phase::History(history) if !history.part.is_empty() => Some(&mut history.part),
            _ => None,
        }
    }

    /// Whether it has delivered all there was when it was opened.
    fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Live { .. } | Phase::Over)
    }
}

impl Subscription {
    pub(super) fn flows(&self) -> impl Iterator<Item = Flow> + '_ {
        self.tracks.iter().flat_map(|(slot, track)| {
            let followed = track.tails.iter().filter(|(_, tail)| !matches!(tail.phase, Phase::Over));
            followed.map(|(home, _)| Flow { slot: *slot, home: *home })
        })
    }

    pub(super) fn taken(&mut self, bytes: u64) {
        self.outstanding_bytes = self.outstanding_bytes.saturating_sub(bytes);
    }

    pub(super) fn has_room(&self) -> bool {
        self.outstanding_bytes < SUBSCRIPTION_WINDOW_BYTES
    }
}

impl Track {
    /// A track of a subscription that begins at this time.
    pub(super) fn new(from: From, begun_ms: u64, height: u64) -> Self {
        let (positions, gaps, tails) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let beginning = Beginning { from, begun_ms, block: height, caught_up_ms: None };
        Self { beginning, positions, gaps, tails }
    }

    /// Whether anything was delivered.
    pub(super) fn has_delivered(&self) -> bool {
        !self.positions.is_empty()
    }

    /// Forgets what was delivered.
    pub(super) fn forget(&mut self) {
        self.positions.clear();
    }

    /// Adds a home that the stream partition has as the subscription begins. From now on, a quiet one has nothing.
    pub(super) fn add_home(&mut self, home: PartitionId, is_quiet: bool) {
        let Beginning { from, begun_ms, .. } = self.beginning;
        let from_now = from == From::Latest;
        let start = match from {
            From::Latest => Position::at(begun_ms),
            From::All => Position::default(),
            From::Time(ms) => Position::at(ms),
        };
        let phase = if from_now && is_quiet { Phase::Over } else { Phase::Opening };
        self.tails.insert(home, Tail { phase, start, skips_history: from_now });
    }

    /// Adds a home that the stream partition got meanwhile: all its lanes are new.
    pub(super) fn add_new_home(&mut self, home: PartitionId) {
        let start =
            if let From::Time(ms) = self.beginning.from { Position::at(ms) } else { Position::default() };
        self.tails.insert(home, Tail { phase: Phase::Opening, start, skips_history: false });
    }

    /// Whether every flow has delivered all there was when it was opened.
    pub(super) fn is_caught_up(&self) -> bool {
        self.tails.values().all(Tail::is_settled)
    }

    /// Everything there was has come.
    pub(super) fn note_caught_up(&mut self, wall_ms: u64) {
        self.beginning.caught_up_ms.get_or_insert(wall_ms);
    }

    /// Whether a lane got further than what the client has of it.
    pub(super) fn lacks(&self, moved: &MovedLane) -> bool {
        lacks(&self.beginning, self.delivered_next(&moved.lane), moved)
    }

    /// Whether a history is under way, which the others wait for.
    pub(super) fn has_history(&self) -> bool {
        self.tails.values().any(|tail| matches!(tail.phase, Phase::History(_)))
    }

    /// What comes next of the histories, in canonical order. `None` if there is nothing or a flow may still have
    /// something before it; `is_opening` says of which home that is expected although it has said nothing.
    pub(super) fn next_history(&mut self, is_opening: impl Fn(PartitionId) -> bool) -> Option<Chunk> {
        let is_awaited = |(home, tail): (&PartitionId, &Tail)| match &tail.phase {
            Phase::Opening => is_opening(*home),
            Phase::History(history) => history.is_awaited(),
            Phase::Behind { .. } | Phase::Live { .. } | Phase::Over => false,
        };
        if self.tails.iter().any(is_awaited) {
            return None;
        }
        let parts: Vec<&mut Part> = self.tails.values_mut().filter_map(Tail::part).collect();
        if parts.is_empty() {
            return None;
        }
        let chunk = merge(parts);
        Some(self.cut_down(chunk, true))
    }

    /// Histories that are delivered go on in append order.
    pub(super) fn end_histories(&mut self) {
        for tail in self.tails.values_mut() {
            if let Phase::History(history) = &tail.phase
                && history.is_over()
            {
                tail.phase = Phase::Behind { after_index: history.then_after, asked: None };
            }
        }
    }

    /// The sequence that comes next in a lane, where that is known: whoever gets everything gets a lane from its start.
    fn next_of(&self, lane: &LaneId) -> Option<u64> {
        let start = (self.beginning.from == From::All).then_some(0);
        self.delivered_next(lane).or(start)
    }

    /// The sequence after what was delivered of a lane, if anything was.
    fn delivered_next(&self, lane: &LaneId) -> Option<u64> {
        self.positions.get(lane).filter(|delivered| !delivered.is_empty()).map(|delivered| delivered.end)
    }

    /// Where a live batch goes on that leaves out what comes next in its lane. An honest replica has no gap to show but
    /// what retention let go.
    pub(super) fn gap_before(&self, batch: &Batch) -> Option<(LaneId, u64)> {
        let (lane, sequence) = (batch.lane(), batch.header().sequence);
        self.next_of(&lane).is_some_and(|next| sequence > next).then_some((lane, sequence))
    }

    /// The same of an answer: within each lane it goes on where the client is, or before.
    pub(super) fn gaps_in(&self, chunk: &Chunk) -> Vec<(LaneId, u64)> {
        let headers = headers_of(chunk);
        let mut expected: BTreeMap<LaneId, u64> = BTreeMap::new();
        let gap = |slice: &Slice| {
            let (lane, header) = headers.get(slice.batch as usize)?.as_ref()?;
            let first = header.sequence.saturating_add(u64::from(slice.first));
            let known = expected.get(lane).copied().or_else(|| self.next_of(lane));
            expected.insert(*lane, known.unwrap_or(first).max(first.saturating_add(u64::from(slice.count))));
            known.is_some_and(|next| first > next).then_some((*lane, first))
        };
        chunk.order.iter().filter_map(gap).collect()
    }

    /// A source goes on in these lanes after something that the client has not got. It is not kept any more once f+1
    /// sources go on there or later.
    pub(super) fn believes_gone(&mut self, source: Address, gaps: &[(LaneId, u64)], liars: usize) -> bool {
        if self.gaps.len() > MAX_GAPS {
            self.gaps.clear();
        }
        for (lane, first) in gaps {
            self.gaps.entry(*lane).or_default().insert(source, *first);
        }
        let is_agreed = |(lane, first): &(LaneId, u64)| {
            let claims = self.gaps.get(lane).into_iter().flat_map(|claims| claims.values().copied());
            agreed(claims, liars).is_some_and(|agreed| agreed >= *first)
        };
        let all = gaps.iter().all(is_agreed);
        if all {
            gaps.iter().for_each(|(lane, _)| drop(self.gaps.remove(lane)));
        }
        all
    }

    /// How many of a live batch's first events are not to be delivered; `None` if none is. Takes the others as
    /// delivered.
    pub(super) fn first_of_live(&mut self, batch: &Batch) -> Option<u32> {
        let header = batch.header();
        let oldest_ms = self.oldest_ms(&batch.lane(), header, false);
        let old = too_old(oldest_ms, (0..header.count).map(|index| batch.timestamp_ms(index)));
        // A lane of which nothing was wanted yet has no place: answers begin where it is wanted, and leave out the
        // rest.
        if old >= header.count {
            return None;
        }
        let first = self.skip(batch.lane(), header.sequence, header.count, old);
        (first < header.count).then(|| {
            self.note_delivered(header);
            first
        })
    }

    /// What of a chunk the client does not have yet; takes it as delivered.
    pub(super) fn cut_down(&mut self, chunk: Chunk, in_history: bool) -> Chunk {
        let headers = headers_of(&chunk);
        let mut order: Vec<Slice> = Vec::with_capacity(chunk.order.len());
        for slice in &chunk.order {
            let Some(Some((lane, header))) = headers.get(slice.batch as usize) else { continue };
            let oldest_ms = self.oldest_ms(lane, header, in_history);
            let old = old_of_slice(oldest_ms, header, slice, &chunk);
            if old >= slice.count {
                continue;
            }
            let first_sequence = header.sequence + u64::from(slice.first);
            let skipped = self.skip(*lane, first_sequence, slice.count, old);
            if skipped < slice.count {
                self.note_delivered(header);
                order.push(Slice {
                    batch: slice.batch,
                    first: slice.first + skipped,
                    count: slice.count - skipped,
                });
            }
        }
        Chunk { order, ..chunk }
    }

    /// Takes back what was delivered of a lane from this sequence on; says whether there was any.
    pub(super) fn withdraw(&mut self, lane: LaneId, from: u64) -> bool {
        let position =
            self.positions.get_mut(&lane).filter(|delivered| delivered.end > from && !delivered.is_empty());
        let Some(delivered) = position else { return false };
        delivered.end = from.max(delivered.start);
        true
    }

    /// How many of so many events from this sequence on are not to be delivered: those that are too old, and those that
    /// the client has already. Takes the others as delivered.
    fn skip(&mut self, lane: LaneId, first_sequence: u64, count: u32, old: u32) -> u32 {
        let wanted = first_sequence + u64::from(old);
        let delivered = self.positions.entry(lane).or_default();
        if delivered.is_empty() {
            *delivered = wanted..wanted;
        }
        let held = delivered.end.saturating_sub(first_sequence).min(count.into());
        delivered.end = delivered.end.max(first_sequence + u64::from(count));
        old.max(u32::try_from(held).expect("at most the 32-bit count"))
    }

    /// Events before this time are not delivered. What is asked for from a time begins there wherever it comes from;
    /// what is asked for from now on is whatever arrives, so that only history, of older lanes not seen yet, is too
    /// old.
    fn oldest_ms(&self, lane: &LaneId, header: &Header, in_history: bool) -> u64 {
        let Beginning { from, begun_ms, block, .. } = self.beginning;
        let is_new = !in_history || header.opening_block > block || self.positions.contains_key(lane);
        match from {
            From::All => 0,
            From::Time(ms) => ms,
            From::Latest => {
                if is_new {
                    0
                } else {
                    begun_ms
                }
            }
        }
    }

    fn note_delivered(&mut self, header: &Header) {
        let first = Position::at(header.first_time_ms);
        self.tails.values_mut().for_each(|tail| tail.start = tail.start.min(first));
    }
}

/// The lane and header of each batch; `None` for one that does not decode. A lane's id is a hash: once a batch, however
/// many slices it is in.
fn headers_of(chunk: &Chunk) -> Vec<Option<(LaneId, Header)>> {
    let with_lane = |header: Header| (header.lane(), header);
    chunk.batches.iter().map(|bytes| Header::of_batch(bytes).map(with_lane)).collect()
}

/// How many of the first of these event times lie before `oldest_ms`; times never go back.
fn too_old(oldest_ms: u64, times: impl Iterator<Item = Option<u64>>) -> u32 {
    let before = times.take_while(|time| time.is_some_and(|ms| ms < oldest_ms)).count();
    u32::try_from(before).expect("a batch has fewer events than 2^32")
}

/// How many events of a slice are too old. The batch is only looked into where its times reach across the bound.
fn old_of_slice(oldest_ms: u64, header: &Header, slice: &Slice, chunk: &Chunk) -> u32 {
    if header.first_time_ms >= oldest_ms {
        return 0;
    }
    if header.last_time_ms < oldest_ms {
        return slice.count;
    }
    let Ok(batch) = Batch::decode(chunk.batches[slice.batch as usize].clone()) else { return slice.count };
    let end = slice.first.saturating_add(slice.count);
    too_old(oldest_ms, (slice.first..end).map(|index| batch.timestamp_ms(index))).min(slice.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::fixture::{self, lane};

    fn answer(batches: &[Batch]) -> Chunk {
        let whole = |batch| Slice { batch, first: 0, count: 1 };
        Chunk {
            batches: batches.iter().map(|batch| batch.bytes().clone()).collect(),
            order: (0..batches.len() as u32).map(whole).collect(),
            ..Chunk::default()
        }
    }

    fn shows_gap(track: &Track, batches: &[Batch]) -> bool {
        !track.gaps_in(&answer(batches)).is_empty()
    }

    #[test]
    fn who_gets_everything_gets_a_lane_from_its_start() {
        let batches = lane(3);
        let mut track = Track::new(From::All, 0, 3);
        assert!(track.gap_before(&batches[1]).is_some() && shows_gap(&track, &batches[1..]));
        assert!(track.gap_before(&batches[0]).is_none() && !shows_gap(&track, &batches));
        assert_eq!(track.first_of_live(&batches[0]), Some(0));
        assert!(track.gap_before(&batches[1]).is_none() && track.gap_before(&batches[2]).is_some());
    }

    #[test]
    fn who_begins_somewhere_may_find_a_lane_under_way() {
        let batches = lane(3);
        for from in [From::Latest, From::Time(11)] {
            let mut track = Track::new(from, 0, 3);
            assert!(track.gap_before(&batches[1]).is_none() && !shows_gap(&track, &batches[1..]));
            assert!(shows_gap(&track, &[batches[0].clone(), batches[2].clone()]));
            track.first_of_live(&batches[1]);
            assert!(track.gap_before(&batches[2]).is_none());
        }
    }

    /// The branch that counts may begin anew below what was asked for: what is left out there is no lie.
    #[test]
    fn who_began_within_a_lane_that_is_withdrawn_begins_anew() {
        let batches = lane(5);
        let mut track = Track::new(From::Time(12), 0, 3);
        assert_eq!(track.first_of_live(&batches[2]), Some(0));
        assert_eq!(track.first_of_live(&batches[3]), Some(0));
        assert!(track.withdraw(batches[0].lane(), 3), "one of two is withdrawn");
        assert!(!shows_gap(&track, &batches[3..]) && shows_gap(&track, &batches[4..]));
        assert!(track.withdraw(batches[0].lane(), 0), "the other as well");
        assert!(!track.withdraw(batches[0].lane(), 0), "there is nothing left");
        assert!(!shows_gap(&track, &batches[2..]), "what comes before was not asked for");
        assert_eq!(track.cut_down(answer(&batches), false).order.len(), 3);
        assert!(track.gap_before(&batches[4]).is_none());
    }

    /// What is too old in the first batch was never delivered, so that its end cannot be withdrawn.
    #[test]
    fn who_began_within_a_batch_has_nothing_before_it() {
        let mut writer = fixture::writer(0);
        let [first, second] = [[10, 11, 12], [13, 14, 15]].map(|times| fixture::next(&mut writer, &times));
        let mut track = Track::new(From::Time(12), 0, 3);
        assert_eq!(track.first_of_live(&first), Some(2));
        assert!(!track.withdraw(first.lane(), 3) && track.withdraw(first.lane(), 1));
        assert!(track.gap_before(&second).is_none(), "another branch may have less that is too old");
    }

    #[test]
    fn a_gap_is_believed_where_more_than_the_liars_show_it() {
        let batches = lane(3);
        let mut track = Track::new(From::All, 0, 3);
        let far = [track.gap_before(&batches[2]).expect("two are left out")];
        let near = [track.gap_before(&batches[1]).expect("one is left out")];
        let source = |number| Address([number; 20]);
        assert!(!track.believes_gone(source(1), &far, 1));
        assert!(!track.believes_gone(source(1), &far, 1), "saying it twice is no proof");
        // The other one has more: what both lack is gone, and no more than that.
        assert!(track.believes_gone(source(2), &near, 1));
        assert!(!track.believes_gone(source(1), &far, 1));
        assert!(track.believes_gone(source(3), &far, 0), "where nobody lies, one is enough");
    }
}
