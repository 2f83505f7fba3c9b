//! Prints the digest of a few runs: any two builds of the same sources print the same.

use weir_sim::tape::MADE_BY;
use weir_sim::{Scenario, run};

fn main() {
    println!("sources {MADE_BY}");
    for seed in 1..4 {
        let scenario = Scenario { duration_ms: 60_000, heal_ms: 20_000, ..Scenario::swarm(seed) };
        println!("seed {seed}: {:032x}", run(seed, &scenario).digest);
    }
}
