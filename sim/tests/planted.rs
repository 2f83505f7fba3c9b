//! Planted mistakes: for each, brokers that make it are run from one seed after the other until an oracle says so.
//!
//! A simulator that finds nothing proves nothing. Each mistake here is one that a competent engineer makes; the table
//! that this prints names the oracle that catches it and the median number of seeds it takes. Scenarios are small and
//! have the faults under which the mistake shows; the sound rules hold in each of them.

use weir_kernel::rules::Rules;

use common::mistakes::{Case, caught_by, on_all};

mod common;

/// The searches for one mistake begin at these seeds.
const STARTS: [u64; 3] = [1, 1_001, 2_001];

/// A search gives up after so many seeds.
const MOST_SEEDS: usize = 40;

/// The median number of seeds may be this.
const MOST_MEDIAN: usize = 20;

// ---- The search ---------------------------------------------------------------------------------------------

/// Seeds that it takes from each start on, and the oracles that caught the mistake.
fn search(case: &Case) -> (Vec<usize>, Vec<&'static str>) {
    let from = |start: u64| {
        let mut seeds = (start..).zip(1..=MOST_SEEDS);
        seeds.find_map(|(seed, tried)| Some((tried, caught_by(seed, case, Rules::with(case.bug))?)))
    };
    STARTS.into_iter().map(|start| from(start).unwrap_or((usize::MAX, "nothing"))).unzip()
}

#[test]
fn every_planted_mistake_is_caught_within_a_few_seeds() {
    let found = on_all(search);
    println!("| mistake | oracle | seeds, median of {} | what it is |", STARTS.len());
    println!("| --- | --- | --- | --- |");
    let mut wrong = Vec::new();
    for (case, (mut seeds, oracles)) in found {
        seeds.sort_unstable();
        let median = seeds[seeds.len() / 2];
        println!("| {:?} | {} | {median} | {} |", case.bug, oracles.join(", "), case.bug.sentence());
        if median > MOST_MEDIAN || oracles.iter().filter(|oracle| case.expects(oracle)).count() < 2 {
            wrong
                .push(format!("{:?}: {} expected, {oracles:?} after {seeds:?} seeds", case.bug, case.oracle));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// Else what is caught above would say nothing about the mistakes.
#[test]
fn the_sound_rules_hold_where_mistakes_are_looked_for() {
    let found = on_all(|case| STARTS.map(|seed| caught_by(seed, case, Rules::sound())));
    let wrong: Vec<_> = found.iter().filter(|(_, oracles)| *oracles != [None; 3]).collect();
    let wrong: Vec<_> = wrong.iter().map(|(case, oracles)| (case.bug, oracles)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
