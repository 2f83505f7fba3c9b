//! What is taken out of a tape, in which order: large things first, so that later runs are quick.

use std::collections::BTreeSet;

use super::{Shrinker, clients, nodes, slice};
use crate::scenario::Scenario;
use crate::tape::{Actor, Decision, Purpose, Tape};

/// Rounds over all passes at most: each one but the last has made the tape smaller.
const MAX_ROUNDS: u32 = 8;

/// What a calm network needs until all partitions are founded and have sealed, in virtual milliseconds.
const FOUNDING_MS: u64 = 30_000;

/// A decision's name.
type Name = (Actor, Purpose, u64);

fn name(decision: &Decision) -> Name {
    (decision.actor, decision.purpose, decision.ordinal)
}

impl Shrinker {
    /// All passes, until none finds anything; whether the budget allowed that.
    pub(super) fn shrink_all(&mut self) -> bool {
        for _ in 0..MAX_ROUNDS {
            let before = self.best.clone();
            self.slice();
            self.drop_each(clients, without_actors);
            self.drop_each(nodes, without_actors);
            self.drop_each(fault_numbers, without_faults);
            self.drop_each(moment_numbers, without_moments);
            self.drop_each(purposes, |tape, gone| {
                filtered(tape, |decision| !gone.contains(&decision.purpose))
            });
            self.drop_each(actors, |tape, gone| filtered(tape, |decision| !gone.contains(&decision.actor)));
            self.shrink_scenario();
            self.drop_each(names, |tape, gone| filtered(tape, |decision| !gone.contains(&name(decision))));
            self.shrink_payloads();
            if self.best == before {
                self.tidy();
                return !self.is_spent();
            }
            if self.is_spent() {
                break;
            }
        }
        self.tidy();
        false
    }

    /// Delta debugging: takes out all of what `keys` names, then halves, quarters, and at last each one. A success may
    /// take more out with it, so keys are asked for again.
    fn drop_each<K: Ord + Clone>(
        &mut self,
        keys: impl Fn(&Tape) -> Vec<K>,
        without: impl Fn(&Tape, &BTreeSet<K>) -> Tape,
    ) {
        let mut chunk = keys(&self.best).len();
        while chunk > 0 && !self.is_spent() {
            let mut start = 0;
            loop {
                let all = keys(&self.best);
                if start >= all.len() || self.is_spent() {
                    break;
                }
                let gone = all[start..(start + chunk).min(all.len())].iter().cloned().collect();
                if !self.attempt(without(&self.best, &gone)) {
                    start += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
    }

    /// Keeps what can have led to the violation.
    fn slice(&mut self) {
        let candidate = slice::of(&self.best, &self.violation, self.rules);
        if candidate != self.best {
            self.attempt(candidate);
        }
    }

    /// Smaller numbers, where they are numbers of things.
    fn shrink_scenario(&mut self) {
        self.lower(|s| &mut s.publishers, 0);
        self.lower(|s| &mut s.subscribers, 0);
        self.lower(|s| &mut s.forks, 0);
        self.lower(|s| &mut s.partitions, 1);
        self.lower(|s| &mut s.streams, 1);
        self.lower(|s| &mut s.stream_partitions, 1);
        if self.best.scenario.joins.is_empty() {
            let least = u64::from(self.best.scenario.replicas);
            self.lower(|s| &mut s.brokers, least);
        }
        for at in 0..self.best.scenario.faults.len() {
            self.lower(|s| &mut s.faults[at].down_ms, 0);
        }
        // A violation at the end of a run may come sooner when the run ends sooner.
        if self.violation.at_us >= self.best.scenario.end_us() {
            // But what is promised after healing is promised for the time that there was, and after a founding.
            let least = self.best.scenario.heal_ms + FOUNDING_MS;
            self.lower(|s| &mut s.duration_ms, least);
        }
    }

    /// Tries the least value of a number, then those half-way between it and the last that failed.
    fn lower<N: Into<u64> + TryFrom<u64> + Copy>(
        &mut self,
        mut field: impl FnMut(&mut Scenario) -> &mut N,
        least: u64,
    ) {
        let mut low = least;
        loop {
            let mut candidate = self.best.clone();
            let number = field(&mut candidate.scenario);
            let value: u64 = (*number).into();
            let Ok(next) = N::try_from(low) else { return };
            if low >= value || self.is_spent() {
                return;
            }
            *number = next;
            if !self.attempt(candidate) {
                // Far enough: a tape need not be minimal in milliseconds.
                low = low + (value - low) / 2 + 1;
                if (value - low.min(value)) * 10 < value {
                    return;
                }
            }
        }
    }

    /// One event a batch, for all publications at once and then for each.
    fn shrink_payloads(&mut self) {
        let large =
            |decision: &Decision| decision.purpose == Purpose::Publish && decision.value >> 8 & 0xff_ffff > 1;
        let keys = |tape: &Tape| tape.decisions.iter().filter(|d| large(d)).map(name).collect::<Vec<Name>>();
        self.drop_each(keys, |tape, gone| {
            let mut tape = tape.clone();
            for decision in tape.decisions.iter_mut().filter(|decision| gone.contains(&name(decision))) {
                decision.value = decision.value & !0xffff_ff00 | 1 << 8;
            }
            tape
        });
    }

    /// Takes out what a tape's run never looks at: rates are drawn by seeds alone.
    fn tidy(&mut self) {
        let scenario = &mut self.best.scenario;
        scenario.links.loss = 0;
        scenario.links.duplication = 0;
        scenario.links.reordering = 0;
        scenario.transaction_loss = 0;
        let known: BTreeSet<Actor> =
            (0..scenario.all_brokers()).map(Actor::Node).chain(scenario.clients()).collect();
        scenario.without.retain(|actor| known.contains(actor));
    }
}

fn filtered(tape: &Tape, keep: impl Fn(&Decision) -> bool) -> Tape {
    let decisions = tape.decisions.iter().copied().filter(|decision| keep(decision)).collect();
    Tape { decisions, ..tape.clone() }
}

fn purposes(tape: &Tape) -> Vec<Purpose> {
    tape.decisions.iter().map(|decision| decision.purpose).collect::<BTreeSet<_>>().into_iter().collect()
}

fn actors(tape: &Tape) -> Vec<Actor> {
    tape.decisions.iter().map(|decision| decision.actor).collect::<BTreeSet<_>>().into_iter().collect()
}

fn names(tape: &Tape) -> Vec<Name> {
    tape.decisions.iter().map(name).collect()
}

fn without_actors(tape: &Tape, gone: &BTreeSet<Actor>) -> Tape {
    let mut tape = tape.clone();
    tape.scenario.without.extend(gone);
    tape.scenario.without.sort_unstable();
    tape
}

fn fault_numbers(tape: &Tape) -> Vec<usize> {
    (0..tape.scenario.faults.len()).collect()
}

fn without_faults(tape: &Tape, gone: &BTreeSet<usize>) -> Tape {
    let mut tape = tape.clone();
    let mut number = 0..;
    tape.scenario.faults.retain(|_| number.next().is_some_and(|number| !gone.contains(&number)));
    tape
}

fn moment_numbers(tape: &Tape) -> Vec<usize> {
    (0..tape.scenario.crash_at.len()).collect()
}

fn without_moments(tape: &Tape, gone: &BTreeSet<usize>) -> Tape {
    let mut tape = tape.clone();
    let mut number = 0..;
    tape.scenario.crash_at.retain(|_| number.next().is_some_and(|number| !gone.contains(&number)));
    tape
}
