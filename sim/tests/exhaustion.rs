//! Every world within small bounds, with the kernel's own machines; and mistakes that the search finds.

use weir_kernel::rules::{Bug, Rules};
use weir_sim::exhaustion::{Bounds, Found, Property, Sabotage, search};

fn bounds(name: &str) -> Bounds {
    let mut all = Bounds::small().into_iter().chain(Bounds::large());
    all.find(|bounds| bounds.name == name).expect("the bounds exist")
}

/// Searches to the end and finds nothing broken.
fn holds(name: &str) -> Found {
    let found = search(bounds(name));
    println!("{found}");
    assert!(found.failure.is_none() && found.complete, "{found}");
    assert!(found.seen.stored > 0 && found.ends > 0, "{found}");
    found
}

/// Searches until it finds what is wrong.
fn breaks(bounds: Bounds, property: Property, events: usize) {
    let found = search(Bounds { max_states: 200_000, ..bounds });
    println!("{found}");
    let failure = found.failure.as_ref().unwrap_or_else(|| panic!("nothing was found: {found}"));
    assert_eq!(failure.broken.property, property, "{found}");
    assert!((1..=events).contains(&failure.trace.len()), "the way there is short: {found}");
}

fn planted(bug: Bug, bounds: Bounds) -> Bounds {
    Bounds { rules: Rules::with(bug), ..bounds }
}

#[test]
fn three_replicas_that_see_blocks_late_seal() {
    assert!(holds("three-late").seen.sealed[0] > 0);
}

#[test]
fn two_batches_of_a_lane_are_sealed() {
    assert!(holds("three-two-batches").seen.declined > 0);
}

#[test]
fn two_lanes_are_sealed() {
    assert!(holds("three-two-lanes").seen.sealed[0] > 0);
}

#[test]
fn crashes_between_write_and_sync_lose_nothing_stored() {
    holds("three-crash");
}

#[test]
fn a_restart_forgets_no_promise() {
    assert!(holds("three-restart").seen.sealed[0] > 0);
}

#[test]
fn one_lost_disk_loses_nothing_stored() {
    assert!(holds("three-lost-disk").seen.lost_and_signed > 0);
}

#[test]
fn a_handover_loses_nothing_stored() {
    let seen = holds("three-handover").seen;
    assert!(seen.handed_over > 0 && seen.sealed[1] > 0);
}

#[test]
fn four_replicas_seal() {
    assert!(holds("four").seen.sealed[0] > 0);
}

#[test]
fn a_liar_among_four_breaks_nothing() {
    assert!(holds("four-liar").seen.sealed[0] > 0);
}

#[test]
fn the_test_searches_all_small_bounds() {
    let text = include_str!("exhaustion.rs");
    for bounds in Bounds::small() {
        assert!(text.contains(&format!("holds(\"{}\")", bounds.name)), "{}", bounds.name);
    }
}

#[test]
fn an_acknowledgement_before_the_write_is_found() {
    let bounds = planted(Bug::AcknowledgesBeforeWrite, Bounds { slow_disks: true, ..bounds("three-late") });
    breaks(bounds, Property::OnDiskFirst, 2);
}

#[test]
fn a_signature_below_closing_heads_is_found() {
    breaks(planted(Bug::SignsBelowClosing, bounds("three-two-batches")), Property::NotBelowOwnHeads, 12);
}

#[test]
fn adopting_what_was_only_signed_is_found() {
    breaks(planted(Bug::AdoptsWhatItSigned, bounds("four")), Property::EndsWithSealed, 12);
}

#[test]
fn a_forgotten_report_is_found() {
    breaks(planted(Bug::ForgetsReports, bounds("three-restart")), Property::OneReport, 16);
}

#[test]
fn unnoticed_amnesia_is_found() {
    breaks(planted(Bug::MissesAmnesia, bounds("three-lost-disk")), Property::OneReport, 16);
}

#[test]
fn a_disk_that_lies_is_found() {
    let bounds = Bounds { sabotage: Some(Sabotage::SyncLies), ..bounds("three-crash") };
    breaks(bounds, Property::OnDiskFirst, 2);
}

/// The protocol needs this of its surroundings: a broker whose disk is gone starts on a view of the chain that is no
/// older than any that it acted on. On an older one it takes itself for a new broker, and speaks.
#[test]
fn a_lost_disk_on_an_old_view_is_found() {
    let bounds = Bounds { sabotage: Some(Sabotage::LossOnOldView), ..bounds("three-lost-disk-late") };
    breaks(bounds, Property::StoredIsSealed, 16);
}
