//! Runs scenarios from the command line: `seeds calm|rough|swarm|wild|harsh BROKERS FIRST_SEED COUNT [JOBS] [record]`.
//!
//! Prints the report of every run that broke a promise and leaves its tape, and at the end what all runs came through
//! and how fast it went. BROKERS is for those kinds that do not draw it. With `record` every run is recorded, which
//! shows what that costs.

#![allow(clippy::disallowed_methods, reason = "the clock measures the simulator, it is no part of a run")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Instant;

use weir_kernel::rules::Rules;
use weir_sim::parallel::over_seeds;
use weir_sim::{Options, Report, Scenario, Source, run_seed, simulate};

/// What all runs together came to.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "it is printed")]
struct Totals {
    published_events: u64,
    stored_events: u64,
    delivered_events: u64,
    frames: u64,
    seals: u64,
    handovers: u64,
    crashes: u64,
    quarantines: u64,
    forks_found: u64,
    misconducts: u64,
    slashed: u64,
    refused_frames: u64,
    left: u64,
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.published_events += report.published_events;
        self.stored_events += report.stored_events;
        self.delivered_events += report.delivered_events;
        self.frames += report.frames;
        self.seals += report.seals;
        self.handovers += report.handovers;
        self.crashes += report.crashes;
        self.quarantines += report.quarantines;
        self.forks_found += report.forks_found;
        self.misconducts += report.misconducts;
        self.slashed += report.slashed;
        self.refused_frames += report.refused_frames;
        self.left += report.left;
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(Ok(default), |text| text.parse());
    let kind = arguments.first().map_or("calm", String::as_str);
    let (Ok(brokers), Ok(first), Ok(count), Ok(jobs)) =
        (number(1, 5), number(2, 1), number(3, 1), number(4, 1))
    else {
        eprintln!("seeds calm|rough|swarm|wild|harsh BROKERS FIRST_SEED COUNT [JOBS] [record]: four numbers");
        std::process::exit(2);
    };
    if Scenario::named(kind, brokers as u32, first).is_none() {
        eprintln!("{kind:?} is none of calm, rough, swarm, wild, harsh");
        std::process::exit(2);
    }
    let record = arguments.get(5).is_some_and(|word| word == "record");
    let begun = Instant::now();
    let (mut virtual_ms, mut steps, mut failed) = (0, 0, 0);
    let (mut faults, mut totals) = (BTreeMap::<String, u64>::new(), Totals::default());
    let work = |seed| {
        let scenario = Scenario::named(kind, brokers as u32, seed).unwrap_or_default();
        if record {
            let options = Options { record: true, ..Options::default() };
            let outcome = simulate(Source::Seed(seed, &scenario), options);
            return (outcome.report, outcome.tape);
        }
        let verdict = run_seed(seed, &scenario, Rules::sound());
        (verdict.report, verdict.tape)
    };
    let jobs = NonZeroUsize::new(jobs as usize).unwrap_or(NonZeroUsize::MIN);
    over_seeds(first..first + count, jobs, work, |seed, (report, tape)| {
        (virtual_ms, steps) = (virtual_ms + report.virtual_ms, steps + report.steps);
        report.faults.iter().for_each(|(kind, count)| *faults.entry(kind.clone()).or_default() += count);
        totals.add(&report);
        if !report.violations.is_empty() {
            failed += 1;
            let path = std::env::temp_dir().join(format!("{kind}-{seed}.tape"));
            let written = tape.map(|tape| std::fs::write(&path, tape.encode()));
            println!("seed {seed}, tape {}: {written:?}\n{report}", path.display());
        } else if count == 1 {
            println!("{report}");
        }
        ControlFlow::Continue(())
    });
    faults.iter().for_each(|(kind, count)| println!("{kind}: {count}"));
    println!("{totals:?}, {:.1} virtual hours", virtual_ms as f64 / 3_600_000.0);
    let real_s = begun.elapsed().as_secs_f64();
    println!(
        "{count} seeds, {failed} failed, in {real_s:.1} s: {:.2} seeds/s, {:.0} virtual s a real s, {:.0} steps/s",
        count as f64 / real_s,
        virtual_ms as f64 / 1_000.0 / real_s,
        steps as f64 / real_s
    );
    std::process::exit(i32::from(failed > 0));
}
