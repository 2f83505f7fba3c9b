//! One run, from a seed or from a tape.

use std::panic::{AssertUnwindSafe, catch_unwind};

use weir_kernel::rules::Rules;

use crate::audit::{Audit, AuditLevel};
use crate::observer::Observer;
use crate::report::{Progress, Report};
use crate::scenario::Scenario;
use crate::surroundings::note;
use crate::tape::{Decider, Tape};
use crate::world::World;

/// The oracle that a panic of the program under test violates.
pub const PANIC: &str = "panic";

/// Who decides in a run.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A seed draws; the scenario's rates become faults first.
    Seed(u64, &'a Scenario),
    /// A tape remembers.
    Tape(&'a Tape),
}

/// How a run is carried out. None of this changes what happens in it, but for where it stops.
#[derive(Default)]
pub struct Options<'a> {
    /// Remember every decision: [`Outcome::tape`].
    pub record: bool,
    /// How much of the nodes' chains is kept.
    pub audit: AuditLevel,
    /// Stop at the first violation of this oracle.
    pub stop_at: Option<&'a str>,
    /// The rules that brokers go by: tests plant mistakes here.
    pub rules: Rules,
    /// Who is told what happens.
    pub observer: Option<&'a mut dyn Observer>,
    /// Told at each block what the run has done so far.
    pub progress: Option<&'a mut dyn FnMut(Progress)>,
}

/// What a run comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened, in numbers, and which promises did not hold.
    pub report: Report,
    /// Every node's chain.
    pub audit: Audit,
    /// The decisions that were made, if they were to be remembered: replaying it repeats the run.
    pub tape: Option<Tape>,
}

/// Runs a scenario from a seed, or a tape. The same source gives the same outcome, in any process and any build.
pub fn simulate(source: Source<'_>, options: Options<'_>) -> Outcome {
    let record = options.record;
    let (scenario, decider) = match source {
        Source::Seed(seed, scenario) => (scenario.explicit(seed), Decider::seeded(seed, record)),
        Source::Tape(tape) => {
            (tape.scenario.clone(), Decider::taped(tape.seed, tape.decisions.clone(), record))
        }
    };
    let seed = decider.seed();
    // As one that lives as long as this run.
    let observer = options.observer.map(|observer| observer as &mut dyn Observer);
    let progress = options.progress.map(|progress| progress as &mut dyn FnMut(Progress));
    let options = Options { observer, progress, ..options };
    let mut world = World::new(&scenario, decider, options);
    // Assertions are live in every build, so a panic is a finding like any other and shrinks like one.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.run())) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        note(&mut world.report.violations, world.now_us, PANIC, text.to_string());
    }
    let ended = world.finish();
    let first = ended.report.violations.first();
    let violates = first.map(|violation| violation.oracle.to_string());
    let decisions = ended.decider.into_recorded();
    let tape = decisions.map(|decisions| Tape { seed, scenario: scenario.clone(), violates, decisions });
    Outcome { report: ended.report, audit: ended.audit, tape }
}

/// The report of a scenario's run from a seed.
pub fn run(seed: u64, scenario: &Scenario) -> Report {
    simulate(Source::Seed(seed, scenario), Options::default()).report
}
