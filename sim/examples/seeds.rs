//! Runs scenarios from the command line: `seeds calm|rough|swarm|harsh BROKERS FIRST_SEED COUNT`.
//!
//! Prints the report of every run that broke a promise, and at the end how fast it went.

#![allow(clippy::disallowed_methods, reason = "the clock measures the simulator, it is no part of a run")]

use std::time::Instant;

use weir_sim::{Scenario, run};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(Ok(default), |text| text.parse());
    let (Ok(brokers), Ok(first), Ok(count)) = (number(1, 5), number(2, 1), number(3, 1)) else {
        eprintln!("seeds calm|rough|swarm|harsh BROKERS FIRST_SEED COUNT: the last three are numbers");
        std::process::exit(2);
    };
    let kind = arguments.first().map_or("calm", String::as_str);
    let begun = Instant::now();
    let (mut virtual_ms, mut steps, mut failed) = (0, 0, 0);
    for seed in first..first + count {
        let scenario = match kind {
            "rough" => Scenario::rough(brokers as u32),
            "swarm" => Scenario::swarm(seed),
            "harsh" => Scenario::harsh(seed),
            _ => Scenario::calm(brokers as u32),
        };
        let report = run(seed, &scenario);
        (virtual_ms, steps) = (virtual_ms + report.virtual_ms, steps + report.steps);
        if !report.violations.is_empty() {
            failed += 1;
            println!("seed {seed}: {scenario:?}\n{report}");
        } else if count == 1 {
            println!("{report}");
        }
    }
    let real_s = begun.elapsed().as_secs_f64();
    println!(
        "{count} seeds, {failed} failed, in {real_s:.1} s: {:.2} seeds/s, {:.0} virtual s a real s, {:.0} steps/s",
        count as f64 / real_s,
        virtual_ms as f64 / 1_000.0 / real_s,
        steps as f64 / real_s
    );
    std::process::exit(i32::from(failed > 0));
}
