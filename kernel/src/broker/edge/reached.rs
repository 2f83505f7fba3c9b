//! Reached: how far everybody who was attached to a feed has its lanes, so that a survey need not ask each of them.
//!
//! A live batch goes to every subscription that is attached. So of a lane that came through the feed it is enough to
//! know how far, and at which index of the feed: who has been attached since before has it, and a survey looks only at
//! the others: those who attached later, and those who read from disk.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::tails::{Phase, Track};
use crate::broker::io::SessionId;
use crate::broker::message::MovedLane;
use crate::ids::{LaneId, PartitionId};
use crate::limits::MAX_REACHED_LANES;

/// How far the lanes of a feed are. It forgets those that have not moved for longest, many at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    recent: BTreeMap<LaneId, Step>,
    older: BTreeMap<LaneId, Step>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    next_sequence: u64,
    index: u64,
}

impl Reached {
    /// Everybody who was attached when the feed came to this index has the lane up to this sequence.
    pub(super) fn note(&mut self, lane: LaneId, next_sequence: u64, index: u64) {
        if self.get(&lane).is_some_and(|step| step.next_sequence >= next_sequence) {
            return;
        }
        if self.recent.len() >= MAX_REACHED_LANES {
            self.older = core::mem::take(&mut self.recent);
        }
        self.recent.insert(lane, Step { next_sequence, index });
    }

    /// Some of what came of a lane does not count.
    pub(super) fn forget(&mut self, lane: &LaneId) {
        self.recent.remove(lane);
        self.older.remove(lane);
    }

    /// Who was attached before the feed came to this index has as much of the lane; nobody for sure at 0.
    fn index_of(&self, moved: &MovedLane) -> u64 {
        let step = self.get(&moved.lane).filter(|step| step.next_sequence >= moved.next_sequence);
        step.map_or(0, |step| step.index)
    }

    fn get(&self, lane: &LaneId) -> Option<&Step> {
        self.recent.get(lane).or_else(|| self.older.get(lane))
    }
}

/// A subscription as a survey sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listener<'a> {
    pub(super) id: (SessionId, u64),
    pub(super) track: &'a Track,
    pub(super) is_live: bool,
    /// The feed's index when it attached; beyond all while it reads from disk.
    since_index: u64,
}

impl<'a> Listener<'a> {
    /// A subscription of a feed; `None` where it has got all that there will be.
    pub(super) fn of(id: (SessionId, u64), track: &'a Track, home: PartitionId) -> Option<Self> {
        let (is_live, since_index) = match track.tails.get(&home)?.phase {
            Phase::Live { since_index } => (true, since_index),
            Phase::Opening | Phase::History(_) | Phase::Behind { .. } => (false, u64::MAX),
            Phase::Over => return None,
        };
        Some(Self { id, track, is_live, since_index })
    }
}

/// A feed's subscriptions, those first that attached last.
#[derive(Clone, Debug)]
pub(super) struct Audience<'a>(Vec<Listener<'a>>);

impl<'a> Audience<'a> {
    pub(super) fn new(listeners: impl Iterator<Item = Listener<'a>>) -> Self {
        let mut listeners: Vec<_> = listeners.collect();
        listeners.sort_by_key(|listener| (Reverse(listener.since_index), listener.id));
        Self(listeners)
    }

    /// Those that may have less of a lane.
    pub(super) fn in_question(&self, reached: &Reached, moved: &MovedLane) -> &[Listener<'a>] {
        let index = reached.index_of(moved);
        &self.0[..self.0.partition_point(|listener| listener.since_index >= index)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::io::From;

    const HOME: PartitionId = PartitionId(2);

    fn moved(number: u8, next_sequence: u64) -> MovedLane {
        MovedLane { lane: LaneId([number; 32]), next_sequence, opening_block: 10, last_time_ms: 1_000 }
    }

    fn lane(number: u64) -> LaneId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        LaneId(id)
    }

    fn track(phase: Phase) -> Track {
        let mut track = Track::new(From::All, 0, 3);
        track.add_new_home(HOME);
        track.tails.get_mut(&HOME).expect("it was added").phase = phase;
        track
    }

    fn listener(number: u64, track: &Track) -> Option<Listener<'_>> {
        Listener::of((SessionId(number), 1), track, HOME)
    }

    fn ids(listeners: &[Listener<'_>]) -> Vec<u64> {
        listeners.iter().map(|listener| listener.id.0.0).collect()
    }

    #[test]
    fn who_attached_before_is_not_in_question() {
        let phases = [
            Phase::Live { since_index: 4 },
            Phase::Live { since_index: 5 },
            Phase::Behind { after_index: 1, asked: None },
            Phase::Live { since_index: 0 },
            Phase::Over,
        ];
        let tracks = phases.map(track);
        let listeners = (1..).zip(&tracks).filter_map(|(number, track)| listener(number, track));
        let audience = Audience::new(listeners);
        let mut reached = Reached::default();
        reached.note(LaneId([1; 32]), 8, 5);
        let asked = |reached: &Reached, moved: MovedLane| ids(audience.in_question(reached, &moved));
        assert_eq!(asked(&reached, moved(1, 8)), [3, 2], "the others were told at index 5");
        assert_eq!(asked(&reached, moved(1, 9)), [3, 2, 1, 4], "nobody was told of that");
        assert_eq!(asked(&reached, moved(2, 1)), [3, 2, 1, 4]);
        // What comes again does not make it known to fewer.
        reached.note(LaneId([1; 32]), 4, 9);
        assert_eq!(asked(&reached, moved(1, 8)), [3, 2]);
        reached.forget(&LaneId([1; 32]));
        assert_eq!(asked(&reached, moved(1, 8)), [3, 2, 1, 4]);
    }

    /// Five thousand subscriptions and a whole list of lanes: what is looked up is who attached meanwhile.
    #[test]
    fn a_survey_looks_up_few_of_many() {
        const MANY: u64 = 5_000;
        let live = |index: u64| {
            track(Phase::Live { since_index: if index < 3 { 2_000 + index } else { index % 7 } })
        };
        let tracks: Vec<Track> = (0..MANY).map(live).collect();
        let audience =
            Audience::new((0..).zip(&tracks).filter_map(|(number, track)| listener(number, track)));
        let mut reached = Reached::default();
        (0..1_000).for_each(|number| reached.note(lane(number), 4, 1_000 + number));
        let looked_up: usize = (0..1_000)
            .map(|number| MovedLane { lane: lane(number), ..moved(0, 4) })
            .map(|moved| audience.in_question(&reached, &moved).len())
            .sum();
        assert_eq!(looked_up, 3 * 1_000, "three attached after all of it");
    }

    #[test]
    fn what_has_not_moved_for_longest_is_forgotten() {
        let mut reached = Reached::default();
        let most = MAX_REACHED_LANES as u64;
        for number in 0..3 * most {
            reached.note(lane(number), 4, 1 + number);
            assert!(reached.recent.len() + reached.older.len() <= 2 * MAX_REACHED_LANES);
        }
        let index_of = |number| reached.index_of(&MovedLane { lane: lane(number), ..moved(0, 4) });
        assert_eq!(index_of(most - 1), 0);
        assert_eq!(index_of(2 * most), 1 + 2 * most);
    }
}
