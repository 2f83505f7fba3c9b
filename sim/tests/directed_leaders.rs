//! "If none comes, the next round's leader proposes": leaders that keep silent cost rounds, never a seal.

use weir_sim::{Fault, FaultKind, Report, Scenario};

use common::{fault, held};

mod common;

fn silent(at_ms: u64, broker: u32, for_ms: u64) -> Fault {
    fault(at_ms, broker, FaultKind::SilentLeader, for_ms)
}

fn held_under(seed: u64, faults: Vec<Fault>) -> Report {
    let scenario = Scenario { faults, duration_ms: 120_000, heal_ms: 40_000, ..Scenario::calm(4) };
    held(seed, &scenario)
}

/// 15 epochs of 4 partitions, less those before the founding and the one that runs.
#[test]
fn a_leader_that_keeps_silent_in_its_rounds_delays_no_epoch() {
    for seed in 1..3 {
        let report = held_under(seed, vec![silent(0, 1, 120_000)]);
        assert!(report.seals >= 4 * 11, "{} seals: the next leader proposes within the epoch", report.seals);
    }
}

/// Two silent leaders of four in turn take four of the eight blocks of an epoch; still each epoch is sealed.
#[test]
fn two_leaders_that_keep_silent_delay_no_epoch() {
    let report = held_under(3, vec![silent(0, 1, 120_000), silent(0, 2, 120_000)]);
    assert!(report.seals >= 4 * 11, "{} seals", report.seals);
}
