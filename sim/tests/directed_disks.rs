//! Disks and processes: torn writes, rot, failed syncs, full and slow disks, and processes that stall.

use weir_sim::{Fault, FaultKind, Report, Scenario};

use common::{fault, held};

mod common;

fn held_under(seed: u64, faults: Vec<Fault>) -> Report {
    let busy = Scenario { publishers: 5, publish_interval_ms: 80, ..Scenario::calm(5) };
    let scenario =
        Scenario { faults, sync_us: (2_000, 40_000), duration_ms: 120_000, heal_ms: 40_000, ..busy };
    held(seed, &scenario)
}

/// Of what was not synced some is there after the crash, and some is not.
#[test]
fn torn_writes_lose_nothing_that_was_acknowledged() {
    let faults =
        (0..15).map(|n| fault(25_000 + n * 3_500, n as u32 % 5, FaultKind::TornWrite, 900)).collect();
    let report = held_under(1, faults);
    assert_eq!((report.crashes, report.quarantines), (15, 0));
}

#[test]
fn rot_is_found_by_checksums_and_the_disk_exchanged() {
    let report = held_under(
        2,
        vec![fault(35_000, 1, FaultKind::BitRot, 8_000), fault(60_000, 2, FaultKind::BitRot, 8_000)],
    );
    assert!(report.damaged_reads > 0, "somebody asked for what was rotten");
    assert!(report.crashes > 0, "a disk was exchanged");
}

#[test]
fn a_failed_sync_stops_the_process_which_says_why() {
    let faults = (0..4).map(|n| fault(30_000 + n * 9_000, n as u32, FaultKind::FailedSync, 3_000)).collect();
    let report = held_under(3, faults);
    assert_eq!(report.stops.get("the device failed"), Some(&4));
    assert_eq!(report.crashes, 4);
}

#[test]
fn a_full_disk_stops_the_process_until_there_is_room() {
    let report = held_under(4, vec![fault(35_000, 3, FaultKind::FullDisk, 15_000)]);
    assert!(report.stops.get("no space left").is_some_and(|stops| *stops >= 1));
}

#[test]
fn a_slow_disk_delays_and_loses_nothing() {
    let report = held_under(5, vec![fault(25_000, 0, FaultKind::SlowDisk { factor: 80 }, 50_000)]);
    assert!(report.seals >= 5 * 9, "{} seals", report.seals);
}

/// Longer than a round, than an epoch, and than clients wait.
#[test]
fn a_process_that_stalls_goes_on_where_it_was() {
    let report = held_under(
        6,
        vec![
            fault(26_000, 1, FaultKind::Pause, 2_500),
            fault(35_000, 2, FaultKind::Pause, 9_000),
            fault(50_000, 3, FaultKind::Pause, 20_000),
        ],
    );
    assert_eq!(report.crashes, 0);
}
