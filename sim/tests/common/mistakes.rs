//! Where each planted mistake shows: the oracle that catches it, and a small scenario with the faults that lead to it.

use std::sync::Mutex;

use weir_kernel::rules::{Bug, Rules};
use weir_sim::{FaultKind, Join, LinkFaults, Options, Scenario, Source, simulate};

use super::{crashes_at_reports, fault, leaving, withholding};

/// A mistake, the oracle that catches it, and a scenario for a seed.
pub struct Case {
    /// The mistake.
    pub bug: Bug,
    /// The oracle.
    pub oracle: &'static str,
    /// Another one that sees the same mistake, and speaks first in some runs.
    pub other_oracle: Option<&'static str>,
    /// The scenario.
    pub scenario: fn(u64) -> Scenario,
}

/// Where a mistake shows.
pub fn case(bug: Bug) -> Case {
    let (oracle, scenario): (_, fn(u64) -> Scenario) = match bug {
        Bug::AcknowledgesBeforeWrite => ("receipts", |_| small()),
        Bug::ReleasesBeforeDurable => ("receipts", |_| busy()),
        Bug::QuorumOffByOne => ("stored by a quorum", |_| small()),
        Bug::CountsVoteTwice => ("stored by a quorum", |_| half_isolated()),
        Bug::ForgetsForks => ("receipts", |_| forks_and_restarts()),
        Bug::AcknowledgesBelowCut => ("receipts", |_| long_absences()),
        Bug::EntersEpochEarly => ("receipts", |_| small()),
        Bug::RepeatsNoReceipts => ("receipts", |_| small()),
        Bug::FetchTimerStops => ("durability", |_| isolated_in_turn()),
        Bug::MissesAmnesia => ("receipts", |_| lost_disk()),
        Bug::SignsBelowClosing => ("closing heads", |_| heard_by_nobody()),
        Bug::ForgetsReports => ("one report", |_| crashes_at_reports(small())),
        Bug::CutGoesBack => ("cuts rise", |_| Scenario { crash_interval_ms: 4_000, ..small() }),
        Bug::AdoptsWhatItSigned => ("one checksum", |_| Scenario { transaction_loss: 500_000, ..small() }),
        Bug::ForkDropsSealed => ("sealed is kept", |_| Scenario { forks: 2, ..small() }),
        Bug::PaysTwice => ("paid once", |_| small()),
        Bug::RestsBeforeHandover => ("liveness", handover_and_lost_disk),
        Bug::DropsBeforeHandover => ("given back", |_| leaving(small())),
        Bug::DeliversPastGap => ("lane order", |_| lossy(Scenario::rough(7), 100_000)),
        Bug::DeliversTwiceAfterMove | Bug::MoveDropsTail => ("lane order", |_| moving_feeds()),
        Bug::NeverSurveys => ("delivery", |_| withholding()),
        Bug::CachesPermission => ("access", |_| Scenario { guests: 3, ..small() }),
        Bug::CountsOnFromDisk => ("lane order", |_| short_crashes()),
        Bug::SendsToNewestHome => ("admission", |_| growing()),
        Bug::ReadsNewestHome => ("durability", |_| growing()),
        Bug::ForgetsWhatItSent => ("paid once", |_| small()),
        Bug::NeverSettlesTallies => ("paid for work", |_| Scenario {
            block_ms: 250,
            epoch_blocks: 4,
            duration_ms: 100_000,
            ..small()
        }),
        Bug::LeavesOutLaterSeals => ("settled", |_| paying()),
        Bug::RejoinsAtOnce | Bug::ForgetsToApprove => ("rejoins", |_| suspended()),
    };
    // Who lacks a batch for good can sign no cut that names it: whether that or the missing batch is noticed first is
    // a matter of which frames are lost.
    let other_oracle = (bug == Bug::FetchTimerStops).then_some("liveness");
    Case { bug, oracle, other_oracle, scenario }
}

impl Case {
    /// Whether this oracle is one that is to catch the mistake.
    pub fn expects(&self, oracle: &str) -> bool {
        oracle == self.oracle || self.other_oracle == Some(oracle)
    }
}

/// Works on all mistakes, two at a time; in their order.
pub fn on_all<T: Send>(work: impl Fn(&Case) -> T + Sync) -> Vec<(Case, T)> {
    let todo = Mutex::new(Bug::ALL.iter().rev().copied().collect::<Vec<Bug>>());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(bug) = todo.lock().expect("nobody panics with it").pop() else { return };
                    let case = case(bug);
                    let result = work(&case);
                    done.lock().expect("nobody panics with it").push((case, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("nobody panics with it");
    done.sort_by_key(|(case, _)| case.bug);
    done
}

// ---- Scenarios ----------------------------------------------------------------------------------------------

/// Four brokers, each with a seat in both partitions, over links that lose, repeat and reorder.
fn small() -> Scenario {
    Scenario { partitions: 2, streams: 1, duration_ms: 70_000, heal_ms: 25_000, ..Scenario::rough(4) }
}

fn lossy(scenario: Scenario, loss: u32) -> Scenario {
    Scenario { links: LinkFaults { loss, ..scenario.links.clone() }, ..scenario }
}

/// Slow disks and publishers that do not wait for them: writes queue up behind each other.
fn busy() -> Scenario {
    Scenario { sync_us: (5_000, 40_000), publish_interval_ms: 60, ..small() }
}

/// Two of four are away when epochs change, again and again: the others' receipts are all that edges get.
fn half_isolated() -> Scenario {
    let both = |at_ms| [1, 2].map(|broker| fault(at_ms, broker, FaultKind::Isolated, 5_000));
    let faults = [28_000, 34_000, 40_000].into_iter().flat_map(both).collect();
    Scenario { epoch_blocks: 4, faults, ..small() }
}

/// Lanes fork at 30 s; everybody restarts shortly before the epoch ends at 40 s, too late to find the forks again.
fn forks_and_restarts() -> Scenario {
    let restart = |broker: u32| fault(39_600 + 350 * u64::from(broker), broker, FaultKind::Crash, 200);
    Scenario { forks: 2, epoch_blocks: 12, faults: (0..4).map(restart).collect(), ..small() }
}

/// Brokers are down for epochs and miss seals.
fn long_absences() -> Scenario {
    Scenario { crash_interval_ms: 4_000, crash_down_ms: (3_000, 12_000), epoch_blocks: 4, ..small() }
}

/// One broker after the other misses what is stored, over links on which asking for it often fails.
fn isolated_in_turn() -> Scenario {
    let isolated = |n: u64| fault(22_000 + 5_000 * n, (n % 4) as u32, FaultKind::Isolated, 4_000);
    lossy(Scenario { faults: (0..5).map(isolated).collect(), duration_ms: 80_000, ..small() }, 200_000)
}

fn lost_disk() -> Scenario {
    Scenario { faults: vec![fault(36_000, 1, FaultKind::LostDisk, 500)], ..small() }
}

/// One broker after the other hears everything and is heard by nobody when an epoch ends.
fn heard_by_nobody() -> Scenario {
    let silenced = |n: u64| {
        let kind = FaultKind::Cut { side: vec![(n % 4) as u32], both: false };
        fault(22_500 + 4_000 * n, 0, kind, 3_500)
    };
    Scenario { epoch_blocks: 4, faults: (0..5).map(silenced).collect(), ..small() }
}

/// Seats change hands, and one of those who keep theirs loses its disk meanwhile: only with the replaced one's word
/// is there a quorum of the old set.
fn handover_and_lost_disk(seed: u64) -> Scenario {
    let at_ms = 33_000 + seed * 7_919 % 16_000;
    let join = |at_ms| Join { at_ms, tickets: 4 };
    Scenario {
        replicas: 3,
        partitions: 4,
        joins: vec![join(28_000), join(30_000)],
        faults: vec![fault(at_ms, (seed % 3) as u32, FaultKind::LostDisk, 500)],
        duration_ms: 110_000,
        heal_ms: 45_000,
        ..Scenario::rough(3)
    }
}

/// More brokers than seats, so that edges follow others, which crash.
fn moving_feeds() -> Scenario {
    Scenario {
        crash_interval_ms: 2_000,
        crash_down_ms: (3_000, 5_000),
        streams: 1,
        subscribers: 8,
        ..Scenario::rough(7)
    }
}

/// Brokers crash with much on its way to slow disks, and are back before edges look for another source.
fn short_crashes() -> Scenario {
    Scenario {
        crash_interval_ms: 900,
        crash_down_ms: (50, 400),
        sync_us: (50_000, 250_000),
        publishers: 10,
        publish_interval_ms: 60,
        stream_partitions: 4,
        subscribers: 16,
        ..small()
    }
}

/// Two brokers join, and partitions are added while events are published.
pub fn growing() -> Scenario {
    let join = |at_ms| Join { at_ms, tickets: 4 };
    Scenario {
        partitions_per_broker: 2,
        joins: vec![join(28_000), join(34_000)],
        lane_batches: 40,
        duration_ms: 110_000,
        heal_ms: 35_000,
        ..Scenario::rough(4)
    }
}

/// Publishers pay for short lanes, with signatures that contracts check.
pub fn paying() -> Scenario {
    Scenario {
        free_events: Some(10),
        real_signatures: true,
        publishers: 2,
        publish_interval_ms: 500,
        lane_batches: 12,
        block_ms: 250,
        epoch_blocks: 4,
        duration_ms: 110_000,
        heal_ms: 25_000,
        ..Scenario::calm(4)
    }
}

/// A broker sees the chain and is heard by nobody until it has lost its seats.
fn suspended() -> Scenario {
    Scenario {
        faults: vec![fault(20_000, 3, FaultKind::Isolated, 40_000)],
        block_ms: 250,
        epoch_blocks: 4,
        duration_ms: 140_000,
        heal_ms: 75_000,
        ..Scenario::calm(5)
    }
}

/// The oracle that is the first to speak up, if one does.
pub fn caught_by(seed: u64, case: &Case, rules: Rules) -> Option<&'static str> {
    let scenario = (case.scenario)(seed);
    let options = Options { rules, stop_at: Some(case.oracle), ..Options::default() };
    let report = simulate(Source::Seed(seed, &scenario), options).report;
    report.violations.first().map(|violation| violation.oracle)
}
