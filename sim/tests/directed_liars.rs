//! Byzantine brokers, one of four: none costs an acknowledged event, none stops a partition from being sealed, and
//! where what they do can be proven it is.

use weir_kernel::marks::Rare;
use weir_sim::{FaultKind, Report, Scenario};

use common::{fault, held, withholding};

mod common;

/// One broker of four lies for nearly as long as events are published.
fn lying(kind: FaultKind) -> Scenario {
    let lie = fault(5_000, 1, kind, 70_000);
    Scenario { faults: vec![lie], duration_ms: 120_000, heal_ms: 40_000, subscribers: 6, ..Scenario::calm(4) }
}

/// 15 epochs of 4 partitions, less those before the founding and the one that runs.
fn sealed_all_along(report: &Report) {
    assert!(report.seals >= 4 * 10, "{} seals: three of four go on", report.seals);
}

#[test]
fn an_equivocator_is_proven_and_loses_its_stake() {
    let report = held(1, &lying(FaultKind::Equivocator));
    assert!(report.misconducts > 0, "two reports of one broker reached an honest leader");
    assert!(report.slashed > 0, "the chain took of its stake");
    sealed_all_along(&report);
}

#[test]
fn a_censor_keeps_no_event_from_the_others() {
    let report = held(2, &lying(FaultKind::Censor));
    assert!(report.delivered_events > 1_000);
    sealed_all_along(&report);
}

#[test]
fn a_checksum_liar_is_outvoted() {
    let report = held(3, &lying(FaultKind::ChecksumLiar));
    // Over another checksum the others' signatures are nobody's: simulated ones name nobody, real ones a stranger.
    assert!(report.reverts.contains_key("InvalidSignature"), "the chain refuses its certificates");
    sealed_all_along(&report);
}

/// It passes for a replica as long as it lies; that it holds nothing costs nothing, for a quorum has one honest disk
/// more than may be lost.
#[test]
fn a_lazy_copier_and_a_lost_disk_lose_nothing() {
    for seed in 4..6 {
        let mut scenario = lying(FaultKind::LazyCopier);
        let lost = fault(50_000, 2, FaultKind::LostDisk, 1_000);
        scenario.faults.push(lost);
        scenario.faults[0].at_ms = 0;
        let report = held(seed, &scenario);
        assert!(report.quarantines > 0);
    }
}

#[test]
fn a_replayer_changes_nothing() {
    let report = held(6, &lying(FaultKind::Replayer));
    assert_eq!(report.misconducts, 0, "the same said twice is no contradiction");
    sealed_all_along(&report);
}

#[test]
fn a_flooder_keeps_nobody_from_its_work() {
    let report = held(7, &lying(FaultKind::Flooder));
    sealed_all_along(&report);
}

#[test]
fn a_wire_mutator_is_refused_frame_by_frame() {
    let report = held(8, &lying(FaultKind::WireMutator));
    assert!(report.refused_frames > 100, "{} frames refused", report.refused_frames);
    sealed_all_along(&report);
}

/// Nothing that comes later shows what it leaves out: what others hold does.
#[test]
fn a_withholder_is_left_for_who_has_more() {
    for seed in [9, 11] {
        let report = held(seed, &withholding());
        assert!(report.marks.count(Rare::OmissionShown) > 0, "somebody followed it");
        sealed_all_along(&report);
    }
}
