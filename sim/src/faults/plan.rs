//! Plans: a scenario's rates become a list of faults, drawn from the seed before the run begins.
//!
//! Each kind has streams of its own, and each fault one of those, so that a kind whose rate changes leaves the others'
//! times as they were. What is planned stands in the tape's scenario, where faults can be taken out one by one.

use super::{Fault, FaultKind, mix};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::tape::{Actor, Purpose};

/// Kinds that have a rate, and the first ordinal of their streams. Numbers stay, so that plans stay.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Planned {
    Crashes = 0,
    Cuts = 1,
    Disks = 2,
}

/// Faults of one kind that a plan has at most: rates of a run of hours are a mistake.
pub(super) const MAX_PLANNED: u64 = 100_000;

impl Planned {
    /// The stream of the n-th fault of this kind.
    fn stream(self, seed: u64, number: u64) -> Random {
        Random::of(seed, Actor::Network, Purpose::Plan, (self as u64) << 32 | number)
    }

    /// Faults at intervals until faults stop. `next` draws the time until the one after, in milliseconds.
    fn at_intervals(
        self,
        seed: u64,
        scenario: &Scenario,
        next: impl Fn(&mut Random) -> u64,
        mut fault: impl FnMut(&mut Random, u64),
    ) {
        let until_ms = scenario.heal_at_us() / 1_000;
        let mut at_ms = 0;
        for number in 0..MAX_PLANNED {
            let mut random = self.stream(seed, number);
            at_ms += next(&mut random).max(1);
            if at_ms >= until_ms {
                return;
            }
            fault(&mut random, at_ms);
        }
    }
}

impl Scenario {
    /// The same scenario with every fault in its list and no rate of faults left, but those that depend on what happens
    /// in the run. Of an explicit scenario it is the same.
    pub fn explicit(&self, seed: u64) -> Self {
        let mut explicit = self.clone();
        plan_crashes(seed, self, &mut explicit.faults);
        plan_cuts(seed, self, &mut explicit.faults);
        plan_lost_disks(seed, self, &mut explicit.faults);
        mix::plan(seed, self, &mut explicit.faults);
        explicit.fault_intervals_ms.clear();
        explicit.crash_interval_ms = 0;
        explicit.cut_interval_ms = 0;
        explicit.disk_loss_interval_ms = 0;
        explicit
    }
}

fn plan_crashes(seed: u64, scenario: &Scenario, faults: &mut Vec<Fault>) {
    let (mean_ms, nodes) = (scenario.crash_interval_ms, scenario.all_brokers() as usize);
    if mean_ms == 0 {
        return;
    }
    let next = |random: &mut Random| random.around(mean_ms);
    Planned::Crashes.at_intervals(seed, scenario, next, |random, at_ms| {
        let (broker, down_ms) = (random.index(nodes) as u32, random.between(scenario.crash_down_ms));
        faults.push(Fault { at_ms, broker, kind: FaultKind::Crash, down_ms });
    });
}

/// Parts a random side from the other, in one direction or in both.
fn plan_cuts(seed: u64, scenario: &Scenario, faults: &mut Vec<Fault>) {
    let mean_ms = scenario.cut_interval_ms;
    if mean_ms == 0 {
        return;
    }
    let next = |random: &mut Random| random.around(mean_ms);
    Planned::Cuts.at_intervals(seed, scenario, next, |random, at_ms| {
        let side = (0..scenario.all_brokers()).filter(|_| random.chance(400_000)).collect();
        let (both, down_ms) = (random.chance(500_000), random.between(scenario.cut_ms));
        faults.push(Fault { at_ms, broker: 0, kind: FaultKind::Cut { side, both }, down_ms });
    });
}

/// Never sooner than the mean after the last: one at a time.
fn plan_lost_disks(seed: u64, scenario: &Scenario, faults: &mut Vec<Fault>) {
    let (mean_ms, nodes) = (scenario.disk_loss_interval_ms, scenario.all_brokers() as usize);
    if mean_ms == 0 {
        return;
    }
    let first = |random: &mut Random| mean_ms / 2 + random.below(mean_ms + 1);
    let mut last_ms = None;
    Planned::Disks.at_intervals(seed, scenario, first, |random, at_ms| {
        if last_ms.is_some_and(|last_ms| at_ms < last_ms + mean_ms) {
            return;
        }
        last_ms = Some(at_ms);
        let (broker, down_ms) = (random.index(nodes) as u32, random.between((500, 5_000)));
        faults.push(Fault { at_ms, broker, kind: FaultKind::SurvivableLostDisk, down_ms });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(faults: &[Fault], name: &str) -> Vec<Fault> {
        faults.iter().filter(|fault| fault.kind.name() == name).cloned().collect()
    }

    #[test]
    fn a_plan_is_made_once_and_a_kind_leaves_the_others_alone() {
        let rates = Scenario {
            crash_interval_ms: 5_000,
            cut_interval_ms: 6_000,
            disk_loss_interval_ms: 30_000,
            duration_ms: 300_000,
            ..Scenario::calm(5)
        };
        let all = rates.explicit(3);
        assert_eq!(all.explicit(4), all, "an explicit scenario has nothing left to draw");
        assert!(all.faults.iter().all(|fault| fault.at_ms * 1_000 < rates.heal_at_us()));
        let fewer = Scenario { cut_interval_ms: 0, ..rates.clone() }.explicit(3);
        assert_eq!(of(&fewer.faults, "crash"), of(&all.faults, "crash"));
        assert_eq!(of(&fewer.faults, "survivable-lost-disk"), of(&all.faults, "survivable-lost-disk"));
        assert!(of(&all.faults, "crash").len() > 30 && of(&all.faults, "cut").len() > 25);
        let disks: Vec<u64> =
            of(&all.faults, "survivable-lost-disk").iter().map(|fault| fault.at_ms).collect();
        assert!(disks.len() > 2 && disks.windows(2).all(|pair| pair[1] >= pair[0] + 30_000));
        assert_ne!(rates.explicit(4).faults, all.faults);
    }
}
