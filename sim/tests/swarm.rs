//! The swarm: every seed draws its own sizes, rates and faults, liars and cheats among them. Every promise holds in
//! every run, and every rare branch of the kernel is taken by some run, or the swarm says less than it seems to.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use weir_kernel::marks::{Marks, Rare};
use weir_kernel::rules::Rules;
use weir_sim::parallel::over_seeds;
use weir_sim::workflow::replay_command;
use weir_sim::{FaultKind, Forking, LinkFaults, Scenario, run_seed};

use common::mistakes::{growing, paying};
use common::{back_and_forth, crashes_at_reports, fallen_behind, fault, forgotten, leaving, withholding};

mod common;

/// Swarms of 5 to 50 brokers.
const CROWDS: std::ops::Range<u64> = 1..241;

/// Swarms of 3 to 8 brokers with short epochs, late views, and frequent crashes and cuts.
const HARSH: std::ops::Range<u64> = 1..25;

/// As [`Scenario::wild`], of more brokers: most of a few, some of many, which have less virtual time.
fn crowd(seed: u64) -> Scenario {
    let wild = Scenario::wild(seed);
    let (brokers, duration_ms) = match seed % 20 {
        0 => (21 + seed * 7 % 30, 62_000),
        1..=3 => (10 + seed * 3 % 11, 68_000),
        _ => (5 + seed % 5, 80_000),
    };
    let brokers = u32::try_from(brokers).expect("fifty at most");
    Scenario { brokers, duration_ms, heal_ms: 28_000, ..wild }
}

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

/// A broker is away until it has lost its seats to another, and joins again.
fn suspended() -> Scenario {
    let faults = vec![fault(20_000, 3, FaultKind::Crash, 50_000)];
    Scenario {
        faults,
        epoch_blocks: 2,
        block_ms: 500,
        duration_ms: 120_000,
        heal_ms: 50_000,
        ..Scenario::calm(5)
    }
}

/// A broker that was away asks for cuts, and one of those who answer does not tell the truth.
fn lies_to_a_latecomer() -> Scenario {
    let away = |n: u64| fault(30_000 + 14_000 * n, 2, FaultKind::Isolated, 10_000);
    let lies = [FaultKind::ChecksumLiar, FaultKind::Equivocator];
    let lies = lies.map(|kind| fault(15_000, 1, kind, 70_000));
    let faults = (0..4).map(away).chain(lies).collect();
    Scenario { faults, epoch_blocks: 3, duration_ms: 120_000, heal_ms: 35_000, ..Scenario::calm(4) }
}

/// What some marks need, whatever seeds draw.
fn directed() -> Vec<Scenario> {
    vec![
        minority_branch(),
        crashes_at_reports(Scenario::rough(4)),
        silence(),
        flood(),
        late_frames(),
        suspended(),
        paying(),
        lies_to_a_latecomer(),
        growing(),
        fallen_behind(),
        forgotten(),
        withholding(),
        leaving(Scenario::calm(5)),
        back_and_forth(),
    ]
}

#[test]
fn every_seed_holds_and_every_rare_branch_is_taken() {
    let jobs = NonZeroUsize::new(2).expect("two is not zero");
    let (directed, mut marks, mut broken) = (directed(), Marks::default(), Vec::new());
    let mut all = |name: &str, seeds: std::ops::Range<u64>, scenario: &(dyn Fn(u64) -> Scenario + Sync)| {
        let work = |seed| run_seed(seed, &scenario(seed), Rules::sound());
        over_seeds(seeds, jobs, work, |seed, verdict| {
            marks.add(&verdict.report.marks);
            let (Some(violation), Some(tape)) = (verdict.violated, verdict.tape) else {
                return ControlFlow::Continue(());
            };
            let path = std::env::temp_dir().join(format!("weir-{name}-{seed}.tape"));
            std::fs::write(&path, tape.encode()).expect("the folder for temporary files takes a tape");
            broken.push(format!("{name}, seed {seed}: {violation}; {}", replay_command(&path)));
            ControlFlow::Continue(())
        });
    };
    for (at, scenario) in directed.iter().enumerate() {
        all(&format!("directed-{at}"), 1..3, &|_| scenario.clone());
    }
    all("harsh", HARSH, &Scenario::harsh);
    all("crowd", CROWDS, &crowd);
    for rare in Rare::ALL {
        println!("{:>9} times: {}", marks.count(*rare), rare.sentence());
    }
    assert_eq!(broken, [""; 0]);
    let missing: Vec<Rare> = marks.missing().collect();
    assert_eq!(missing, [], "no run takes these branches");
}
