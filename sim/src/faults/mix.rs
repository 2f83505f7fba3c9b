//! The mix: faults of many kinds at rates of their own, with what they need to know drawn from the seed.
//!
//! A scenario says how often each kind comes, [`crate::scenario::Scenario::fault_intervals_ms`]. As in [`super::plan`],
//! each fault of a kind has a stream of its own, so that a kind whose rate changes leaves the others as they were.
//! All lies of a run are one broker's: that is what a partition of four or five survives.

use std::collections::BTreeMap;

use super::plan::MAX_PLANNED;
use super::{Fault, FaultKind};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::tape::{Actor, Purpose};

/// Kinds that have a rate here. Places stay, so that plans stay: a new kind comes last.
pub const KINDS: [&str; 30] = [
    "torn-write",
    "bit-rot",
    "failed-sync",
    "full-disk",
    "slow-disk",
    "pause",
    "clock-step",
    "clock-drift",
    "isolated",
    "bridge",
    "ring",
    "flapping",
    "corruption",
    "bandwidth",
    "clog",
    "late-links",
    "late-inclusion",
    "rpc-outage",
    "stale-reads",
    "silent-leader",
    "equivocator",
    "censor",
    "checksum-liar",
    "lazy-copier",
    "replayer",
    "flooder",
    "wire-mutator",
    "dropped-transactions",
    "reorg",
    "withholder",
];

/// The places of kinds that are lies, but for the newest.
const LIES: std::ops::Range<usize> = 19..27;

/// The lie that came last. It is drawn from a stream of its own, so that seeds that do not draw it stay as they were.
const NEWEST_LIE: &str = "withholder";

/// The first ordinal of this file's streams, beyond those of [`super::plan`].
const STREAMS: u64 = 64;

/// Whether a kind has a rate here.
pub fn is_planned(name: &str) -> bool {
    KINDS.contains(&name)
}

/// Whether a kind is a broker's own will.
pub fn is_lie(name: &str) -> bool {
    KINDS[LIES].contains(&name) || name == NEWEST_LIE
}

/// A subset of all kinds, each with a mean interval; of lies one at most, each as likely as another. Whether it is the
/// newest, `newest` says.
pub fn drawn(random: &mut Random, newest: &mut Random) -> BTreeMap<String, u64> {
    let mut intervals = BTreeMap::new();
    let mut draw = |random: &mut Random, kinds: &[&str]| {
        for name in kinds {
            let interval_ms = random.between((8_000, 45_000));
            if random.chance(220_000) {
                intervals.insert((*name).to_string(), interval_ms);
            }
        }
    };
    draw(random, &KINDS[..LIES.start]);
    let (lie, interval_ms) = (random.index(LIES.len()), random.between((12_000, 40_000)));
    let lies = random.chance(650_000);
    draw(random, &KINDS[LIES.end..KINDS.len() - 1]);
    let is_newest = newest.index(LIES.len() + 1) == LIES.len();
    if lies {
        let lie = if is_newest { NEWEST_LIE } else { KINDS[LIES][lie] };
        intervals.insert(lie.to_string(), interval_ms);
    }
    intervals
}

/// Adds the faults of every kind that has a rate.
pub(super) fn plan(seed: u64, scenario: &Scenario, faults: &mut Vec<Fault>) {
    let (until_ms, brokers) = (scenario.heal_at_us() / 1_000, scenario.all_brokers());
    let stream = |number| Random::of(seed, Actor::Network, Purpose::Plan, number);
    let liar = stream(STREAMS << 32).below(u64::from(scenario.brokers)) as u32;
    for (place, name) in (1..).zip(KINDS) {
        let mean_ms = scenario.fault_intervals_ms.get(name).copied().unwrap_or(0);
        // Where every block counts at once none can be replaced.
        let mean_ms = if name == "reorg" && scenario.confirmations < 2 { 0 } else { mean_ms };
        let mut at_ms = 0;
        for number in 0..if mean_ms == 0 { 0 } else { MAX_PLANNED } {
            let mut random = stream((STREAMS + place) << 32 | number);
            at_ms += random.around(mean_ms).max(1);
            if at_ms >= until_ms {
                break;
            }
            let broker = random.below(u64::from(brokers)) as u32;
            let broker = if is_lie(name) { liar } else { broker };
            let (kind, down_ms) = kind(name, &mut random, scenario);
            // What lasts is over when the world heals.
            let down_ms = down_ms.min(until_ms - at_ms).max(1);
            faults.push(Fault { at_ms, broker, kind, down_ms });
        }
    }
}

/// A fault of this name, and how long it lasts.
fn kind(name: &str, random: &mut Random, scenario: &Scenario) -> (FaultKind, u64) {
    let brokers = scenario.all_brokers();
    let sign =
        |random: &mut Random, size: u64| if random.chance(500_000) { size as i64 } else { -(size as i64) };
    let down_ms = random.between((1_000, 12_000));
    let kind = match name {
        "torn-write" => FaultKind::TornWrite,
        "bit-rot" => FaultKind::BitRot,
        "failed-sync" => FaultKind::FailedSync,
        "full-disk" => FaultKind::FullDisk,
        "slow-disk" => FaultKind::SlowDisk { factor: random.between((3, 60)) as u32 },
        "pause" => FaultKind::Pause,
        "clock-step" => {
            let size_ms = random.between((200, 900_000));
            FaultKind::ClockStep { by_ms: sign(random, size_ms) }
        }
        "clock-drift" => {
            let size = random.between((100, 300_000));
            FaultKind::ClockDrift { per_million: sign(random, size) as i32 }
        }
        "isolated" => FaultKind::Isolated,
        "bridge" => FaultKind::Bridge,
        "ring" => FaultKind::Ring,
        "flapping" => {
            let side = (0..brokers).filter(|_| random.chance(400_000)).collect();
            FaultKind::Flapping { side, period_ms: random.between((100, 3_000)) }
        }
        "corruption" => FaultKind::Corruption { rate: random.between((1_000, 300_000)) as u32 },
        "bandwidth" => FaultKind::Bandwidth { bytes_per_s: random.between((2_000, 200_000)) },
        "clog" => FaultKind::Clog,
        "late-links" => FaultKind::LateLinks { by_ms: random.between((50, 1_500)) },
        "late-inclusion" => FaultKind::LateInclusion { by_ms: random.between((500, 12_000)) },
        "dropped-transactions" => {
            FaultKind::DroppedTransactions { rate: random.between((100_000, 900_000)) as u32 }
        }
        "reorg" => {
            let most = u64::from(scenario.confirmations) - 1;
            FaultKind::Reorg { blocks: random.between((1, most)) as u32 }
        }
        "rpc-outage" => FaultKind::RpcOutage,
        "stale-reads" => FaultKind::StaleReads { blocks: random.between((1, 12)) as u32 },
        "silent-leader" => FaultKind::SilentLeader,
        "equivocator" => FaultKind::Equivocator,
        "censor" => FaultKind::Censor,
        "checksum-liar" => FaultKind::ChecksumLiar,
        "lazy-copier" => FaultKind::LazyCopier,
        "replayer" => FaultKind::Replayer,
        "flooder" => FaultKind::Flooder,
        "wire-mutator" => FaultKind::WireMutator,
        "withholder" => FaultKind::Withholder,
        other => unreachable!("{other} is among the kinds"),
    };
    let down_ms = if kind.is_lie() { random.between((10_000, 30_000)) } else { down_ms };
    (kind, down_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_kinds() -> Scenario {
        let fault_intervals_ms = KINDS.iter().map(|name| ((*name).to_string(), 9_000)).collect();
        Scenario { fault_intervals_ms, confirmations: 4, duration_ms: 200_000, ..Scenario::calm(5) }
    }

    #[test]
    fn every_kind_is_planned_under_its_name_and_leaves_the_others_alone() {
        let rates = all_kinds();
        let explicit = rates.explicit(3);
        assert_eq!(explicit.explicit(4), explicit, "an explicit scenario has nothing left to draw");
        assert_eq!(explicit.check(), Ok(()));
        for name in KINDS {
            let of_kind = explicit.faults.iter().filter(|fault| fault.kind.name() == name);
            assert!(of_kind.clone().count() > 5, "{name}");
            assert!(of_kind.clone().all(|fault| fault.kind.is_lie() == is_lie(name)));
            assert!(of_kind.clone().all(|fault| fault.end_us() <= rates.heal_at_us()));
        }
        let mut fewer = rates.clone();
        fewer.fault_intervals_ms.remove("clog");
        let without: Vec<Fault> =
            explicit.faults.iter().filter(|fault| fault.kind != FaultKind::Clog).cloned().collect();
        assert_eq!(fewer.explicit(3).faults, without);
    }

    #[test]
    fn one_broker_tells_all_lies() {
        let explicit = all_kinds().explicit(9);
        let mut liars: Vec<u32> =
            explicit.faults.iter().filter(|fault| fault.kind.is_lie()).map(|fault| fault.broker).collect();
        liars.sort_unstable();
        liars.dedup();
        assert_eq!(liars.len(), 1);
    }

    #[test]
    fn every_kind_is_drawn_and_the_newest_lie_leaves_the_others_as_they_were() {
        let of = |seed, ordinal| Random::of(seed, Actor::Network, Purpose::Swarm, ordinal);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..400 {
            let (one, other) =
                (drawn(&mut of(seed, 1), &mut of(seed, 2)), drawn(&mut of(seed, 1), &mut of(seed, 3)));
            let honest = |all: &BTreeMap<String, u64>| {
                all.clone().into_iter().filter(|(name, _)| !is_lie(name)).collect::<Vec<_>>()
            };
            assert_eq!(honest(&one), honest(&other));
            assert!(one.keys().filter(|name| is_lie(name)).count() <= 1);
            seen.extend(one.into_keys());
        }
        assert!(KINDS.iter().all(|name| seen.contains(*name)), "{seen:?}");
    }

    #[test]
    fn a_name_that_no_fault_has_is_refused() {
        let error = Scenario::from_toml("fault_intervals_ms = { clogg = 5 }").unwrap_err();
        assert!(error.to_string().contains("clogg"), "{error}");
        let read = Scenario::from_toml("fault_intervals_ms = { clog = 5 }").unwrap();
        assert_eq!(read.fault_intervals_ms.get("clog"), Some(&5));
    }
}
