//! Who decides: a seed, which draws, or a tape, which remembers.

use super::key::{Actor, Counts, Purpose};
use crate::random::Random;

/// One decision: its name and its value. What the value means is the purpose's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision {
    /// Who.
    pub actor: Actor,
    /// What about.
    pub purpose: Purpose,
    /// For which time, from 0.
    pub ordinal: u64,
    /// What was decided.
    pub value: u64,
}

impl Decision {
    fn key(&self) -> (Actor, Purpose, u64) {
        (self.actor, self.purpose, self.ordinal)
    }
}

/// Makes every choice of a run, and remembers it if asked to.
#[derive(Debug)]
pub struct Decider {
    seed: u64,
    source: Source,
    recorded: Option<Vec<Decision>>,
}

#[derive(Debug)]
enum Source {
    Seed,
    /// In the order of names.
    Tape(Vec<Decision>),
}

impl Decider {
    /// Decides by drawing from the streams of a seed.
    pub fn seeded(seed: u64, record: bool) -> Self {
        Self { seed, source: Source::Seed, recorded: record.then(Vec::new) }
    }

    /// Decides as was decided before; what is not there falls back to its default. Of what it records, everything was
    /// asked for: decisions that a run no longer makes are gone from it.
    pub fn taped(seed: u64, mut decisions: Vec<Decision>, record: bool) -> Self {
        decisions.sort_unstable();
        decisions.dedup_by_key(|decision| decision.key());
        Self { seed, source: Source::Tape(decisions), recorded: record.then(Vec::new) }
    }

    /// The root seed: identities follow from it, whoever decides.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A choice with a value in any case: drawn, or looked up, or `default`.
    #[inline]
    pub fn choose(
        &mut self,
        (actor, purpose, ordinal): (Actor, Purpose, u64),
        default: u64,
        draw: impl FnOnce(&mut Random) -> u64,
    ) -> u64 {
        let found = match &self.source {
            Source::Seed => Some(draw(&mut Random::of(self.seed, actor, purpose, ordinal))),
            Source::Tape(decisions) => find(decisions, (actor, purpose, ordinal)),
        };
        match found {
            Some(value) if value != default => {
                self.note(Decision { actor, purpose, ordinal, value });
                value
            }
            _ => default,
        }
    }

    /// Something that happens or does not: what it is if it does. On a tape it happens where there is a record.
    #[inline]
    pub fn happens(
        &mut self,
        (actor, purpose, ordinal): (Actor, Purpose, u64),
        draw: impl FnOnce(&mut Random) -> Option<u64>,
    ) -> Option<u64> {
        let found = match &self.source {
            Source::Seed => draw(&mut Random::of(self.seed, actor, purpose, ordinal)),
            Source::Tape(decisions) => find(decisions, (actor, purpose, ordinal)),
        };
        if let Some(value) = found {
            self.note(Decision { actor, purpose, ordinal, value });
        }
        found
    }

    /// For decisions that are drawn together from one stream: the stream when a seed decides, `None` when a tape does.
    /// What is drawn has to be [`Decider::note`]d, what a tape holds is [`Decider::find`].
    #[inline]
    pub fn stream(&self, (actor, purpose, ordinal): (Actor, Purpose, u64)) -> Option<Random> {
        matches!(self.source, Source::Seed).then(|| Random::of(self.seed, actor, purpose, ordinal))
    }

    /// A decision on the tape, if a tape decides and has it. It counts as made.
    pub fn find(&mut self, (actor, purpose, ordinal): (Actor, Purpose, u64)) -> Option<u64> {
        let Source::Tape(decisions) = &self.source else { return None };
        let value = find(decisions, (actor, purpose, ordinal))?;
        self.note(Decision { actor, purpose, ordinal, value });
        Some(value)
    }

    /// Remembers a decision.
    #[inline]
    pub fn note(&mut self, decision: Decision) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push(decision);
        }
    }

    /// What was decided, in the order of names, each once: a name that says when, as a block's height does, may have
    /// been asked about again, and then the answer was the same.
    pub fn into_recorded(self) -> Option<Vec<Decision>> {
        let mut recorded = self.recorded?;
        recorded.sort_unstable();
        recorded.dedup();
        Some(recorded)
    }

    /// Decides for an actor that counts its decisions.
    #[inline]
    pub fn of<'a>(&'a mut self, actor: Actor, counts: &'a mut Counts) -> ActorDecider<'a> {
        ActorDecider { decider: self, actor, counts }
    }
}

fn find(decisions: &[Decision], key: (Actor, Purpose, u64)) -> Option<u64> {
    let at = decisions.binary_search_by_key(&key, Decision::key).ok()?;
    Some(decisions[at].value)
}

/// A [`Decider`] for one actor: ordinals are counted for each purpose.
#[derive(Debug)]
pub struct ActorDecider<'a> {
    decider: &'a mut Decider,
    actor: Actor,
    counts: &'a mut Counts,
}

impl ActorDecider<'_> {
    /// Who decides.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// See [`Decider::choose`].
    pub fn choose(&mut self, purpose: Purpose, default: u64, draw: impl FnOnce(&mut Random) -> u64) -> u64 {
        let ordinal = self.counts.next(purpose);
        self.decider.choose((self.actor, purpose, ordinal), default, draw)
    }

    /// See [`Decider::happens`].
    pub fn happens(
        &mut self,
        purpose: Purpose,
        draw: impl FnOnce(&mut Random) -> Option<u64>,
    ) -> Option<u64> {
        let ordinal = self.counts.next(purpose);
        self.decider.happens((self.actor, purpose, ordinal), draw)
    }

    /// As [`ActorDecider::choose`], where something else than a count tells decisions apart.
    pub fn choose_at(
        &mut self,
        purpose: Purpose,
        ordinal: u64,
        default: u64,
        draw: impl FnOnce(&mut Random) -> u64,
    ) -> u64 {
        self.decider.choose((self.actor, purpose, ordinal), default, draw)
    }

    /// As [`ActorDecider::happens`], where something else than a count tells decisions apart.
    pub fn happens_at(
        &mut self,
        purpose: Purpose,
        ordinal: u64,
        draw: impl FnOnce(&mut Random) -> Option<u64>,
    ) -> Option<u64> {
        self.decider.happens((self.actor, purpose, ordinal), draw)
    }

    /// Something that happens so many times in a million.
    pub fn chance(&mut self, purpose: Purpose, per_million: u32) -> bool {
        self.happens(purpose, |random| random.chance(per_million).then_some(1)).is_some()
    }

    /// A value of a range; its low end by default.
    pub fn between(&mut self, purpose: Purpose, range: (u64, u64)) -> u64 {
        self.choose(purpose, range.0, |random| random.between(range))
    }

    /// A waiting time around a mean; the mean by default.
    pub fn around(&mut self, purpose: Purpose, mean: u64) -> u64 {
        self.choose(purpose, mean, |random| random.around(mean))
    }

    /// What follows from the seed and is no choice: the same whoever decides.
    pub fn identity(&self, ordinal: u64) -> Random {
        Random::of(self.decider.seed, self.actor, Purpose::Identity, ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (Actor, Purpose, u64) = (Actor::Link(1, 2), Purpose::Delay, 3);
    const SEEN: Decision = Decision { actor: Actor::Node(5), purpose: Purpose::View, ordinal: 42, value: 0 };

    fn play(decider: &mut Decider) -> Vec<u64> {
        let mut seen = Vec::new();
        for ordinal in 0..50 {
            let key = (Actor::Node(4), Purpose::Sync, ordinal);
            seen.push(decider.choose(key, 7, |random| random.between((7, 12))));
            let key = (Actor::Link(0, 1), Purpose::Loss, ordinal);
            let lost = decider.happens(key, |random| random.chance(300_000).then_some(1));
            seen.push(lost.unwrap_or(0));
        }
        seen
    }

    #[test]
    fn a_tape_decides_as_its_seed_did_and_records_itself() {
        let mut seeded = Decider::seeded(5, true);
        let first = play(&mut seeded);
        let tape = seeded.into_recorded().unwrap();
        assert!(tape.iter().all(|decision| decision.value != 7), "defaults need no record");
        let mut taped = Decider::taped(5, tape.clone(), true);
        assert_eq!(play(&mut taped), first);
        assert_eq!(taped.into_recorded().unwrap(), tape);
    }

    #[test]
    fn a_decision_is_found_when_others_are_gone_and_unasked_ones_go() {
        let mut seeded = Decider::seeded(5, true);
        let first = play(&mut seeded);
        let mut tape = seeded.into_recorded().unwrap();
        let kept = tape.split_off(tape.len() / 2);
        let (actor, purpose, ordinal) = KEY;
        let unasked = Decision { actor, purpose, ordinal, value: 9 };
        let mut taped = Decider::taped(5, [kept.clone(), vec![unasked]].concat(), true);
        let second = play(&mut taped);
        assert!(first.iter().zip(&second).all(|(was, is)| was == is || *is == 7 || *is == 0));
        assert_eq!(taped.into_recorded().unwrap(), kept);
    }

    /// A tape holds each name once, or it cannot be read back.
    #[test]
    fn what_is_asked_twice_is_recorded_once() {
        for mut decider in
            [Decider::seeded(5, true), Decider::taped(5, vec![Decision { value: 9, ..SEEN }], true)]
        {
            let mut ask = || {
                decider.choose((SEEN.actor, SEEN.purpose, SEEN.ordinal), 7, |random| random.between((8, 12)))
            };
            let value = ask();
            assert_eq!(ask(), value);
            assert_eq!(decider.into_recorded(), Some(vec![Decision { value, ..SEEN }]));
        }
    }

    #[test]
    fn without_a_record_the_default_holds() {
        let mut decider = Decider::taped(1, Vec::new(), false);
        assert_eq!(decider.choose(KEY, 11, |_| unreachable!("a tape draws nothing")), 11);
        assert_eq!(decider.happens(KEY, |_| unreachable!("a tape draws nothing")), None);
        assert_eq!((decider.find(KEY), decider.into_recorded()), (None, None));
    }
}
