//! Networks in which nothing goes wrong: everything is stored, sealed and delivered.

use weir_sim::{Scenario, run};

#[test]
fn five_brokers_store_seal_and_deliver_everything() {
    let report = run(1, &Scenario::calm(5));
    println!("{report}");
    assert_eq!(report.violations, []);
    assert_eq!(report.stored_events, report.published_events);
    assert!(report.published_events > 1_000 && report.delivered_events > 1_000);
    assert!(report.sealed_events > 0 && report.read_events > report.published_events);
    assert!(report.seals >= 5 * 5, "five partitions in about ten epochs");
}
