//! Many brokers; and the same seed gives the same run.

use weir_sim::{Scenario, run};

#[test]
fn fifty_brokers_run_twice_to_the_same_digest() {
    let scenario = Scenario {
        partitions: 50,
        publishers: 12,
        subscribers: 9,
        duration_ms: 60_000,
        heal_ms: 20_000,
        ..Scenario::rough(50)
    };
    let report = run(1, &scenario);
    println!("{report}");
    assert_eq!(report.violations, []);
    assert!(report.seals >= 50);
    assert_eq!(run(1, &scenario), report);
    assert_ne!(run(2, &Scenario { duration_ms: 10_000, ..scenario.clone() }).digest, report.digest);
}

/// A minute of a network as large as the whitepaper has in mind, with lossy links and a crash every few seconds.
#[test]
fn a_thousand_brokers_seal_and_lose_nothing() {
    let scenario = Scenario {
        partitions: 250,
        epoch_blocks: 16,
        streams: 20,
        stream_partitions: 10,
        publishers: 60,
        publisher_partitions: 2,
        subscribers: 40,
        crash_interval_ms: 4_000,
        duration_ms: 75_000,
        heal_ms: 30_000,
        ..Scenario::rough(1_000)
    };
    let report = run(1, &scenario);
    println!("{report}");
    assert_eq!(report.violations, []);
    assert_eq!(report.stored_events, report.published_events);
    assert!(report.seals >= 250 && report.crashes > 5, "{report}");
}

#[test]
fn real_signatures_hold_too() {
    let scenario =
        Scenario { real_signatures: true, duration_ms: 50_000, heal_ms: 15_000, ..Scenario::rough(4) };
    let report = run(5, &scenario);
    assert_eq!(report.violations, []);
    assert!(report.stored_events > 0);
}
