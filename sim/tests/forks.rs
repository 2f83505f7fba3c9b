//! Publishers that sign two branches of a lane lose that lane's unsealed events, and nobody else loses anything.

use weir_sim::Scenario;

use common::held;

mod common;

#[test]
fn a_fork_closes_its_lane_and_nothing_else() {
    let mut withdrawals = 0;
    for seed in 1..4 {
        let scenario = Scenario { forks: 1, subscribers: 9, duration_ms: 110_000, ..Scenario::calm(5) };
        let report = held(seed, &scenario);
        assert!(report.forks_found >= 3, "a quorum of replicas keeps the proof");
        withdrawals += report.withdrawals;
    }
    assert!(withdrawals > 0, "subscribers that saw a branch are told");
}
