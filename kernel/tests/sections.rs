//! Which sections of the whitepaper are served: by code that names them, and by tests that would fail without.
//!
//! Sections that are not served yet are in [`LATER`], so that what is claimed stays what is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A section, and tests that hold it: file and function.
const SERVED: [(&str, &[(&str, &str)]); 13] = [
    ("2.4.1", &[("kernel/tests/vectors.rs", "what_is_committed_reads_back_as_described")]),
    ("2.4.2", &[("kernel/src/coordinator/tests/calls.rs", "a_stream_is_its_owners_alone_until_shared")]),
    (
        "2.4.3",
        &[
            ("sim/tests/faults.rs", "lossy_links_lose_no_event"),
            ("sim/tests/faults.rs", "crashes_lose_nothing_that_was_acknowledged"),
        ],
    ),
    ("2.4.4", &[("sim/tests/calm.rs", "five_brokers_store_seal_and_deliver_everything")]),
    (
        "2.4.5",
        &[
            ("kernel/src/coordinator/score.rs", "homes_are_balanced"),
            ("kernel/src/broker/lane.rs", "batches_come_in_order_and_only_once"),
        ],
    ),
    (
        "2.4.6",
        &[
            (
                "kernel/src/coordinator/tests/targets.rs",
                "listed_changes_are_each_useful_and_lead_to_the_target",
            ),
            ("kernel/src/agreement/cut.rs", "the_checksum_binds_every_field"),
            ("sim/tests/handover.rs", "newcomers_take_seats_without_loss"),
        ],
    ),
    (
        "2.4.7",
        &[
            ("kernel/src/coordinator/tests/certificates.rs", "a_seal_counts_and_a_settlement_pays_and_rates"),
            ("kernel/tests/batch_rules.rs", "the_first_batch_of_a_lane_meters_exactly_its_content"),
        ],
    ),
    ("2.4.8", &[("store/tests/crash.rs", "a_killed_process_keeps_what_it_called_durable")]),
    ("2.4.9", &[("kernel/tests/batch_properties.rs", "no_changed_bit_and_no_cut_verifies")]),
    ("2.5.1", &[("kernel/src/coordinator/tests/calls.rs", "who_may_grant_may_not_touch_the_owner")]),
    ("2.5.2", &[("kernel/src/coordinator/tests/calls.rs", "names_are_unique_among_an_owners_streams")]),
    ("2.5.3", &[("kernel/src/coordinator/tests/calls.rs", "joining_takes_stake_and_fee")]),
    ("3", &[("kernel/src/coordinator/tests/calls.rs", "tokens_go_to_somebody")]),
];

/// Sections that no code serves yet, and what they ask for.
const LATER: [(&str, &str); 3] = [
    ("2.3", "a market for data: licences bought with the token"),
    ("2.4.10", "confidentiality: content keys for the readers of a stream"),
    ("2.5.4", "licence contracts: price, period and terms of use"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kernel lies in the workspace").to_path_buf()
}

/// All code of the kernel.
fn kernel() -> String {
    let mut text = String::new();
    let mut folders = vec![root().join("kernel/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text += &fs::read_to_string(&path).expect("a source is text");
            }
        }
    }
    text
}

/// The sections that `WP` is followed by: one, several with commas, or a range within one chapter.
fn mentioned(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in text.split("WP ").skip(1) {
        let list: String = after.chars().take_while(|c| c.is_ascii_digit() || ".,– ".contains(*c)).collect();
        for item in list.split(',').map(|item| item.trim().trim_end_matches('.')) {
            match item.split_once('–') {
                Some((first, last)) => found.extend(range(first, last)),
                None => drop(found.insert(item.to_string())),
            }
        }
    }
    found.remove("");
    found
}

fn range(first: &str, last: &str) -> Vec<String> {
    let (chapter, from) = first.rsplit_once('.').expect("a range is within a chapter");
    let to = last.rsplit_once('.').map_or(last, |(_, number)| number);
    let numbers = from.parse::<u32>().expect("a number")..=to.parse().expect("a number");
    numbers.map(|number| format!("{chapter}.{number}")).collect()
}

#[test]
fn every_served_section_has_code_and_tests() {
    let mentioned = mentioned(&kernel());
    for (section, tests) in SERVED {
        assert!(mentioned.contains(section), "no code of the kernel names WP {section}");
        assert!(!tests.is_empty(), "WP {section} has no test");
        for (file, test) in tests {
            let text = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test} for WP {section}");
        }
    }
}

#[test]
fn what_the_code_names_is_served_or_said_to_come_later() {
    let known: BTreeSet<&str> =
        SERVED.iter().map(|(section, _)| *section).chain(LATER.iter().map(|(section, _)| *section)).collect();
    assert_eq!(known.len(), SERVED.len() + LATER.len(), "a section is served or comes later");
    for section in mentioned(&kernel()) {
        assert!(known.contains(section.as_str()), "WP {section} is named in the kernel and in no list here");
    }
}

#[test]
fn mentions_are_read_in_every_form() {
    let found = mentioned("(WP 2.4.1, 2.4.9) and (WP 2.4.3–2.4.5). WP 3): WP 2.5.1.");
    let wanted = ["2.4.1", "2.4.3", "2.4.4", "2.4.5", "2.4.9", "2.5.1", "3"];
    assert!(found.iter().map(String::as_str).eq(wanted), "{found:?}");
}
