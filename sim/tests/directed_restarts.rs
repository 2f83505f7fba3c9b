//! Restarts at the worst moments: between writing a report and signing it, all brokers at once, one after the other
//! with lost disks, and one of four away for many epochs.

use weir_sim::{FaultKind, Scenario};

use common::{at_reports, fault, held};

mod common;

/// "At most one report for each (partition, epoch, round, previous), persisted before it is sent": replicas and
/// leaders crash before the report is on disk, and after it is but before it is signed.
#[test]
fn a_restart_between_closing_and_report_signs_no_second_report() {
    for seed in 1..5 {
        let scenario = Scenario {
            crash_at: at_reports(150_000, 700),
            block_ms: 2_000,
            epoch_blocks: 5,
            duration_ms: 150_000,
            heal_ms: 50_000,
            ..Scenario::rough(4)
        };
        let report = held(seed, &scenario);
        assert!(report.crashes >= 5, "{} crashes at reports", report.crashes);
    }
}

/// "What was acknowledged survives a crash at any instant": all brokers at the same instant.
#[test]
fn the_whole_network_is_killed_at_once_and_goes_on() {
    for seed in 1..4 {
        let all = |at_ms| (0..5).map(move |broker| fault(at_ms, broker, FaultKind::Crash, 2_000));
        let faults = all(35_000).chain(all(47_500)).chain(all(60_250)).collect();
        // Slow disks and busy publishers: at each instant something is on its way to a disk.
        let scenario = Scenario {
            faults,
            sync_us: (20_000, 90_000),
            publishers: 6,
            publish_interval_ms: 60,
            duration_ms: 120_000,
            heal_ms: 40_000,
            ..Scenario::calm(5)
        };
        let report = held(seed, &scenario);
        assert_eq!((report.crashes, report.quarantines), (15, 0));
    }
}

/// "Sealing goes on while at most R−q seats are silent": one of four, away for eight epochs, with nobody to spare.
#[test]
fn one_broker_of_four_is_away_for_many_epochs_and_comes_back() {
    for seed in 1..3 {
        let faults = vec![fault(30_000, 2, FaultKind::Crash, 65_000)];
        let scenario = Scenario { faults, duration_ms: 140_000, heal_ms: 40_000, ..Scenario::calm(4) };
        let report = held(seed, &scenario);
        assert!(report.seals >= 4 * 12, "{} seals: three of four go on", report.seals);
    }
}

/// "Fewer than q−f lost disks, counting each until it has fetched everything again and may sign": one after the other.
#[test]
fn two_disks_lost_one_after_the_other_lose_nothing() {
    for seed in 1..4 {
        let faults =
            vec![fault(36_000, 0, FaultKind::LostDisk, 1_000), fault(70_000, 1, FaultKind::LostDisk, 1_000)];
        let scenario = Scenario { faults, duration_ms: 140_000, heal_ms: 45_000, ..Scenario::rough(4) };
        let report = held(seed, &scenario);
        assert!(report.quarantines >= 2);
    }
}

/// "A store that lacks its marker signs nothing until the chain has sealed the epoch in which it restarted": with
/// R = 3, broker 2 knows nothing of what the others stored, broker 0 forgets it, and broker 1, who has it, is away. The
/// two that are there are a quorum, and must not seal without it.
#[test]
fn who_lost_its_memory_does_not_sign_away_what_it_stored() {
    for seed in 1..5 {
        let faults = vec![
            fault(33_000, 2, FaultKind::Isolated, 3_500),
            fault(36_000, 0, FaultKind::LostDisk, 200),
            fault(36_100, 1, FaultKind::Crash, 14_000),
        ];
        let scenario = Scenario {
            replicas: 3,
            partitions: 1,
            faults,
            links: Scenario::calm(3).links,
            duration_ms: 110_000,
            heal_ms: 50_000,
            ..Scenario::calm(3)
        };
        held(seed, &scenario);
    }
}
