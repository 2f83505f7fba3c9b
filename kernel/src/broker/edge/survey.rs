//! Surveys: the rule by which an edge notices what its source leaves out at the end of a lane.
//!
//! ```text
//!   edge ── Survey ──► f+1 replicas, the source not among them, others in each epoch
//!        ◄─ Surveyed ─ lanes that moved since this replica was asked last
//!     │  some subscription has less: a doubt; what is on its way comes meanwhile
//!     ▼
//!        ── ReadLane ► the same replica: show the batch
//!        ◄─ Answer ─── signed: the feed moves to who has it. Nothing: the doubt is dropped in the end
//! ```
//!
//! A gap within a lane shows by itself; that its end is missing shows only beside what others hold. What a replica
//! claims is believed once it shows the batch, so a claim of what does not exist costs a few small questions.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::broker::io::From;
use crate::broker::message::MovedLane;
use crate::ids::{Address, Epoch, LaneId};
use crate::limits::{LATEST_EPOCHS, MAX_SURVEYED_LANES, SURVEY_ATTEMPTS, SURVEY_GRACE_US};

/// Where a subscription begins, for lanes of which it has nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub(super) from: From,
    /// A little before it began, in milliseconds since 1970 UTC, for one from now on: events on their way when it began
    /// are rather delivered than lost when the feed moves.
    pub(super) begun_ms: u64,
    /// The newest block then: lanes that open later are new, whatever their events' times.
    pub(super) block: u64,
    /// When everything there was had come for the first time, on this broker's clock.
    pub(super) caught_up_ms: Option<u64>,
}

/// Whether a subscription lacks something of a lane that got this far. `next` is what comes next of it, if anything of
/// it was delivered.
pub(super) fn lacks(beginning: &Beginning, next: Option<u64>, moved: &MovedLane) -> bool {
    if let Some(next) = next {
        return next < moved.next_sequence;
    }
    let concerns = match beginning.from {
        From::All => true,
        From::Time(ms) => moved.last_time_ms >= ms,
        From::Latest => {
            let is_new = moved.opening_block > beginning.block
                || beginning.caught_up_ms.is_some_and(|ms| moved.last_time_ms >= ms);
            is_new && moved.last_time_ms >= beginning.begun_ms
        }
    };
    concerns && moved.next_sequence > 0
}

/// What a feed's edge asked other replicas than its source, and what of their answers has not come yet.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    witnesses: BTreeMap<Address, Witness>,
    /// Whoever was never asked is asked for what moved after this epoch.
    since: Epoch,
    /// How many were asked so far.
    asked: usize,
    /// The last epoch in which the feed moved to who had shown more, and how often.
    moved: (Epoch, usize),
}

#[derive(Clone, Debug)]
struct Witness {
    /// What it had sealed up to this epoch was looked at.
    since: Epoch,
    /// The lane after which its next answer begins, and up to which epoch the first part of the list went.
    after: LaneId,
    up_to: Option<Epoch>,
    is_asked: bool,
    doubts: BTreeMap<LaneId, Doubt>,
}

#[derive(Clone, Debug)]
struct Doubt {
    moved: MovedLane,
    since_us: u64,
    asked: u32,
}

/// What a replica is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) witness: Address,
    pub(super) since: Epoch,
    pub(super) after: LaneId,
}

/// What a replica answered.
#[derive(Clone, Debug)]
pub struct Testimony {
    pub since: Epoch,
    pub after: LaneId,
    pub up_to: Epoch,
    pub lanes: Vec<MovedLane>,
    pub more: bool,
}

/// What subscriptions say of a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict<T> {
    /// All have it.
    Settled,
    /// Some lack it that read what they missed: it may be in that.
    Open,
    /// This one is live and lacks it.
    Lacking(T),
}

impl Survey {
    pub(super) fn new() -> Self {
        Self { witnesses: BTreeMap::new(), since: Epoch::MAX, asked: 0, moved: (0, 0) }
    }

    /// A subscription joins: what concerns it is asked for, whatever others have seen.
    pub(super) fn concerns(&mut self, from_now: bool, epoch: Epoch) {
        let since = if from_now { epoch.saturating_sub(LATEST_EPOCHS) } else { 0 };
        self.since = self.since.min(since);
        for witness in self.witnesses.values_mut().filter(|witness| witness.since > since) {
            (witness.since, witness.after, witness.up_to) = (since, LaneId::ZERO, None);
        }
    }

    /// Whom to ask in a new epoch, of these: others each time, so that all are in a few.
    pub(super) fn questions(&mut self, others: &[Address], count: usize) -> Vec<Question> {
        self.witnesses.retain(|witness, _| others.contains(witness));
        let (first, since) = (self.asked, self.since);
        let count = count.min(others.len());
        self.asked = self.asked.wrapping_add(count);
        let question = |number: usize| {
            let address = others[first.wrapping_add(number) % others.len()];
            let witness = self.witnesses.entry(address).or_insert_with(|| Witness {
                since,
                after: LaneId::ZERO,
                up_to: None,
                is_asked: false,
                doubts: BTreeMap::new(),
            });
            witness.is_asked = true;
            Question { witness: address, since: witness.since, after: witness.after }
        };
        (0..count).map(question).collect()
    }

    /// Takes an answer in, if it was asked for and can be one; `is_lacking` says whether a subscription has less.
    /// Says whether there are new doubts.
    pub(super) fn hear(
        &mut self,
        from: Address,
        now_us: u64,
        testimony: Testimony,
        is_lacking: impl Fn(&MovedLane) -> bool,
    ) -> bool {
        let Testimony { since, after, up_to, lanes, more } = testimony;
        let asked_for = |w: &&mut Witness| w.is_asked && (w.since, w.after) == (since, after);
        let Some(witness) = self.witnesses.get_mut(&from).filter(asked_for) else { return false };
        let rises = lanes.first().is_none_or(|first| first.lane > after)
            && lanes.windows(2).all(|pair| pair[0].lane < pair[1].lane);
        if !rises || lanes.len() > MAX_SURVEYED_LANES || more && lanes.is_empty() {
            return false;
        }
        witness.is_asked = false;
        witness.doubts.retain(|_, doubt| is_lacking(&doubt.moved));
        let last = lanes.last().map(|moved| moved.lane);
        let lacking: Vec<MovedLane> = lanes.into_iter().filter(|moved| is_lacking(moved)).collect();
        // With too much open it is asked for the same again.
        if witness.doubts.len() + lacking.len() > MAX_SURVEYED_LANES {
            return false;
        }
        let doubts_before = witness.doubts.len();
        for moved in lacking {
            witness.doubts.entry(moved.lane).or_insert(Doubt { moved, since_us: now_us, asked: 0 });
        }
        let up_to = *witness.up_to.get_or_insert(up_to);
        match last.filter(|_| more) {
            Some(last) => witness.after = last,
            None => {
                (witness.since, witness.after, witness.up_to) = (up_to.max(since), LaneId::ZERO, None);
            }
        }
        witness.doubts.len() > doubts_before
    }

    /// Doubts whose time has come, at most one of each replica: who is to show the batch with that sequence, and to
    /// which subscription.
    pub(super) fn due<T>(
        &mut self,
        now_us: u64,
        source: Option<Address>,
        judge: impl Fn(&MovedLane) -> Verdict<T>,
    ) -> Vec<(Address, T, LaneId, u64)> {
        let mut due = Vec::new();
        for (address, witness) in self.witnesses.iter_mut().filter(|(address, _)| Some(**address) != source) {
            let mut found = None;
            witness.doubts.retain(|lane, doubt| {
                if found.is_some() || now_us < doubt.since_us.saturating_add(SURVEY_GRACE_US) {
                    return true;
                }
                match judge(&doubt.moved) {
                    Verdict::Settled => false,
                    Verdict::Open => true,
                    Verdict::Lacking(id) => {
                        doubt.asked += 1;
                        doubt.since_us = now_us;
                        found = Some((*address, id, *lane, doubt.moved.next_sequence - 1));
                        doubt.asked < SURVEY_ATTEMPTS
                    }
                }
            });
            due.extend(found);
        }
        due
    }

    /// A replica did not show what it holds more of: it may be let go by now, or is a lie.
    pub(super) fn drop_doubt(&mut self, witness: Address, lane: &LaneId) {
        if let Some(witness) = self.witnesses.get_mut(&witness) {
            witness.doubts.remove(lane);
        }
    }

    /// Whether the feed may move once more in this epoch to who has shown more; counts it.
    pub(super) fn may_move(&mut self, epoch: Epoch, most: usize) -> bool {
        let count = if self.moved.0 == epoch { self.moved.1 } else { 0 };
        self.moved = (epoch, count + 1);
        count < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Address = Address([1; 20]);
    const TWO: Address = Address([2; 20]);

    fn moved(number: u8, next_sequence: u64) -> MovedLane {
        MovedLane { lane: LaneId([number; 32]), next_sequence, opening_block: 10, last_time_ms: 1_000 }
    }

    fn testimony(lanes: &[MovedLane]) -> Testimony {
        Testimony { since: 0, after: LaneId::ZERO, up_to: 5, lanes: lanes.to_vec(), more: false }
    }

    fn asked(others: &[Address]) -> Survey {
        let mut survey = Survey::new();
        survey.concerns(false, 7);
        assert_eq!(survey.questions(others, others.len()).len(), others.len());
        survey
    }

    fn beginning(from: From) -> Beginning {
        Beginning { from, begun_ms: 900, block: 10, caught_up_ms: Some(1_001) }
    }

    #[test]
    fn who_has_something_of_a_lane_lacks_what_follows() {
        for from in [From::All, From::Latest, From::Time(5_000)] {
            assert!(lacks(&beginning(from), Some(3), &moved(1, 4)));
            assert!(!lacks(&beginning(from), Some(4), &moved(1, 4)));
        }
    }

    #[test]
    fn who_has_nothing_of_a_lane_lacks_what_it_asked_for() {
        assert!(lacks(&beginning(From::All), None, &moved(1, 1)));
        assert!(!lacks(&beginning(From::All), None, &moved(1, 0)));
        assert!(lacks(&beginning(From::Time(1_000)), None, &moved(1, 1)));
        assert!(!lacks(&beginning(From::Time(1_001)), None, &moved(1, 1)));
        let (old, latest) = (moved(1, 1), beginning(From::Latest));
        assert!(!lacks(&latest, None, &old));
        assert!(lacks(&latest, None, &MovedLane { last_time_ms: 1_001, ..old }));
        assert!(lacks(&latest, None, &MovedLane { opening_block: 11, ..old }));
        assert!(!lacks(&latest, None, &MovedLane { opening_block: 11, last_time_ms: 899, ..old }));
        let behind = Beginning { caught_up_ms: None, ..latest };
        assert!(!lacks(&behind, None, &MovedLane { last_time_ms: 9_999, ..old }));
    }

    #[test]
    fn a_doubt_waits_and_is_asked_a_few_times() {
        let mut survey = asked(&[ONE]);
        assert!(survey.hear(ONE, 100, testimony(&[moved(1, 4)]), |_| true));
        let lacking = |_: &MovedLane| Verdict::Lacking(());
        assert_eq!(survey.due(100 + SURVEY_GRACE_US - 1, None, lacking), []);
        let mut now_us = 100;
        for _ in 0..SURVEY_ATTEMPTS {
            now_us += SURVEY_GRACE_US;
            assert_eq!(survey.due(now_us, Some(ONE), lacking), [], "the source is not asked about itself");
            assert_eq!(survey.due(now_us, None, lacking), [(ONE, (), LaneId([1; 32]), 3)]);
            assert_eq!(survey.due(now_us, None, lacking), []);
        }
        assert_eq!(survey.due(now_us + SURVEY_GRACE_US, None, lacking), [], "nothing was shown");
    }

    #[test]
    fn what_is_not_shown_is_no_doubt_any_more() {
        let mut survey = asked(&[ONE]);
        survey.hear(ONE, 0, testimony(&[moved(1, 4), moved(2, 4)]), |_| true);
        survey.drop_doubt(ONE, &LaneId([1; 32]));
        let due = survey.due(SURVEY_GRACE_US, None, |_| Verdict::Lacking(()));
        assert_eq!(due, [(ONE, (), LaneId([2; 32]), 3)]);
    }

    #[test]
    fn what_has_come_meanwhile_is_no_doubt() {
        let mut survey = asked(&[ONE]);
        assert!(survey.hear(ONE, 0, testimony(&[moved(1, 4), moved(2, 1)]), |moved| moved.next_sequence > 1));
        assert_eq!(survey.due(SURVEY_GRACE_US, None, |_| Verdict::<()>::Open), []);
        assert_eq!(survey.due(SURVEY_GRACE_US, None, |_| Verdict::<()>::Settled), []);
        assert_eq!(survey.due(SURVEY_GRACE_US, None, |_| Verdict::Lacking(())), []);
    }

    #[test]
    fn only_what_was_asked_for_is_heard_and_once() {
        let mut survey = asked(&[ONE]);
        assert!(!survey.hear(TWO, 0, testimony(&[moved(1, 4)]), |_| true));
        assert!(!survey.hear(ONE, 0, Testimony { since: 1, ..testimony(&[moved(1, 4)]) }, |_| true));
        assert!(!survey.hear(ONE, 0, testimony(&[moved(2, 4), moved(1, 4)]), |_| true));
        assert!(survey.hear(ONE, 0, testimony(&[moved(1, 4)]), |_| true));
        assert!(!survey.hear(ONE, 0, testimony(&[moved(3, 4)]), |_| true));
        // What was looked at is not asked for again, but for who joins.
        assert_eq!(survey.questions(&[ONE], 2)[0].since, 5);
        survey.concerns(true, 6);
        assert_eq!(survey.questions(&[ONE], 2)[0].since, 4);
    }

    #[test]
    fn a_long_list_comes_in_parts() {
        let mut survey = asked(&[ONE]);
        let part = Testimony { more: true, ..testimony(&[moved(1, 4), moved(2, 4)]) };
        survey.hear(ONE, 0, part, |_| false);
        let next = survey.questions(&[ONE], 1)[0];
        assert_eq!((next.since, next.after), (0, LaneId([2; 32])));
        let rest = Testimony { after: next.after, up_to: 9, ..testimony(&[moved(3, 4)]) };
        survey.hear(ONE, 0, rest, |_| false);
        let again = survey.questions(&[ONE], 1)[0];
        assert_eq!((again.since, again.after), (5, LaneId::ZERO), "as old as its first part");
    }

    #[test]
    fn everybody_is_asked_in_turn() {
        let others: Vec<Address> = (1..=5).map(|number| Address([number; 20])).collect();
        let mut survey = Survey::new();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let turn = survey.questions(&others, 2);
            assert_ne!(turn[0].witness, turn[1].witness);
            seen.extend(turn.iter().map(|question| question.witness));
        }
        assert!(others.iter().all(|other| seen.contains(other)));
        assert_eq!(survey.questions(&[], 2), []);
    }

    #[test]
    fn moves_are_counted_by_epoch() {
        let mut survey = Survey::new();
        assert!(survey.may_move(3, 2) && survey.may_move(3, 2) && !survey.may_move(3, 2));
        assert!(survey.may_move(4, 2));
    }
}
