//! Marks: every rare branch of the kernel is taken by some run of the suite, or the suite says less than it seems to.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use weir_kernel::marks::{Marks, Rare};
use weir_sim::parallel::over_seeds;
use weir_sim::{FaultKind, Forking, LinkFaults, Report, Scenario, run};

use common::{crashes_at_reports, fault};

mod common;

/// Branches that only liars lead to, and no honest broker however late or lost its frames are.
const NEED_LIARS: [Rare; 1] = [Rare::CutsRefused];

/// Swarms of short epochs and many faults, and of everything.
const SEEDS: std::ops::Range<u64> = 1..25;

/// One broker is alone with one branch of a forked lane while the others seal the other branch.
fn minority_branch() -> Scenario {
    Scenario {
        forks: 1,
        forking: Forking { edges: Some([0, 3]), batches: [9, 14] },
        faults: vec![fault(38_000, 3, FaultKind::Isolated, 22_000)],
        subscribers: 9,
        duration_ms: 130_000,
        heal_ms: 40_000,
        ..Scenario::calm(4)
    }
}

/// For longer than edges try, nobody reaches anybody, and edges that are no replicas have nothing to read from.
fn silence() -> Scenario {
    let faults = (0..6).map(|broker| fault(22_000, broker, FaultKind::Isolated, 68_000)).collect();
    Scenario { faults, duration_ms: 140_000, heal_ms: 45_000, ..Scenario::calm(6) }
}

/// More comes in a second than a slow subscriber is sent ahead; afterwards it has the time to take it all in.
fn flood() -> Scenario {
    let publishing =
        Scenario { publishers: 2, publish_interval_ms: 400, batch_events: 3_000, ..Scenario::calm(4) };
    Scenario { streams: 1, partitions: 2, subscribers: 8, duration_ms: 65_000, heal_ms: 42_000, ..publishing }
}

/// Frames that are held up come epochs later.
fn late_frames() -> Scenario {
    let calm = Scenario::calm(4);
    let links = LinkFaults { reordering: 60_000, hold_us: (1_000_000, 14_000_000), ..calm.links.clone() };
    Scenario { links, epoch_blocks: 2, block_ms: 400, duration_ms: 80_000, heal_ms: 35_000, ..calm }
}

fn directed() -> Vec<Scenario> {
    vec![minority_branch(), crashes_at_reports(Scenario::rough(4)), silence(), flood(), late_frames()]
}

#[test]
fn every_rare_branch_is_taken_by_some_run() {
    let jobs = NonZeroUsize::new(2).expect("two is not zero");
    let (directed, mut marks) = (directed(), Marks::default());
    let mut broken = Vec::new();
    let mut take = |name: &str, seed: u64, report: Report| {
        marks.add(&report.marks);
        broken.extend(
            report.violations.into_iter().map(|violation| format!("{name}, seed {seed}: {violation}")),
        );
        ControlFlow::Continue(())
    };
    let twice = 2 * directed.len() as u64;
    let of = |at: u64| (1 + at % 2, &directed[at as usize / 2]);
    over_seeds(
        0..twice,
        jobs,
        |at| run(of(at).0, of(at).1),
        |at, report| take(&format!("directed scenario {}", at / 2), of(at).0, report),
    );
    over_seeds(
        SEEDS,
        jobs,
        |seed| run(seed, &Scenario::harsh(seed)),
        |seed, report| take("harsh", seed, report),
    );
    over_seeds(
        SEEDS,
        jobs,
        |seed| run(seed, &Scenario::swarm(seed)),
        |seed, report| take("swarm", seed, report),
    );
    for rare in Rare::ALL {
        println!("{:>9} times: {}", marks.count(*rare), rare.sentence());
    }
    assert_eq!(broken, [""; 0]);
    let missing: Vec<Rare> = marks.missing().collect();
    assert_eq!(missing, NEED_LIARS, "a branch that no run takes; one that is taken needs no excuse");
}
