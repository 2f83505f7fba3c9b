//! Shrinking: a tape whose run violates a promise becomes a small tape whose run violates the same promise.
//!
//! ```text
//!   tape ─► causal slice ─► drop clients, nodes, faults ─► drop decisions (delta debugging) ─► smaller values ─┐
//!               ▲                                                                                             │
//!               └──────────────────────── until nothing more can go, or the budget is spent ◄─────────────────┘
//! ```
//!
//! Every candidate is a tape and is run; it replaces the best one when the same [`Property`] does not hold. What the
//! run did not ask for falls off by itself, see [`crate::tape::Decider::taped`]. Nothing is random: the same tape and
//! budget give the same result.

use weir_kernel::rules::Rules;

use crate::report::Violation;
use crate::simulation::{Options, Source, simulate};
use crate::tape::{Actor, Tape};

mod passes;
mod slice;

/// What must go on failing: the oracle, and the first plain words of what it says, so that one failure is not taken for
/// another that the same oracle finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The oracle's name.
    pub oracle: &'static str,
    words: Vec<String>,
}

/// Words of a message that tell failures apart.
const WORDS: usize = 3;

impl Property {
    /// The property that a violation is one of.
    pub fn of(violation: &Violation) -> Self {
        let plain = |word: &&str| !word.chars().any(|c| c.is_ascii_digit());
        let words = violation.what.split_whitespace().filter(plain).take(WORDS);
        Self { oracle: violation.oracle, words: words.map(str::to_string).collect() }
    }
}

/// How large a failing run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Brokers that take part.
    pub nodes: usize,
    /// Clients that take part.
    pub clients: usize,
    /// Faults at given times.
    pub faults: usize,
    /// Decisions other than defaults.
    pub decisions: usize,
}

/// What shrinking comes to.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest tape that was found.
    pub tape: Tape,
    /// What its run violates.
    pub violation: Violation,
    /// Runs that it took.
    pub runs: u32,
    /// How large the tape was, and is.
    pub sizes: [Size; 2],
    /// Whether nothing more could go; else the budget was spent before.
    pub is_minimal: bool,
}

/// Why there is nothing to shrink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShrinkError {
    /// The run violates nothing.
    #[error("the tape's run violates no promise: there is nothing to shrink")]
    Holds,
    /// The run does not violate what the tape says.
    #[error(
        "the tape says that {expected:?} is violated and its run violates {found:?}: was it made by another version?"
    )]
    OtherOracle {
        /// What the tape says.
        expected: String,
        /// What was seen.
        found: Vec<String>,
    },
}

/// Shrinks a tape with so many runs at most.
///
/// # Errors
///
/// [`ShrinkError`] if the tape's run does not violate what it should.
pub fn shrink(tape: &Tape, rules: Rules, budget_runs: u32) -> Result<Shrunk, ShrinkError> {
    let report = simulate(Source::Tape(tape), Options { rules, ..Options::default() }).report;
    let wanted = |violation: &&Violation| {
        tape.violates.as_ref().is_none_or(|oracle| oracle.as_str() == violation.oracle)
    };
    let Some(violation) = report.violations.iter().find(wanted).cloned() else {
        let Some(expected) = tape.violates.clone().filter(|_| !report.violations.is_empty()) else {
            return Err(ShrinkError::Holds);
        };
        let found = report.violations.iter().map(|violation| violation.oracle.to_string()).collect();
        return Err(ShrinkError::OtherOracle { expected, found });
    };
    let mut shrinker = Shrinker {
        property: Property::of(&violation),
        rules,
        budget_runs,
        runs: 0,
        best: tape.clone(),
        violation,
    };
    let before = shrinker.size();
    shrinker.attempt(tape.clone());
    let is_minimal = shrinker.shrink_all();
    let sizes = [before, shrinker.size()];
    let Shrinker { best, violation, runs, .. } = shrinker;
    Ok(Shrunk { tape: best, violation, runs, sizes, is_minimal })
}

/// The best tape so far, and what has to hold of a better one.
struct Shrinker {
    property: Property,
    rules: Rules,
    budget_runs: u32,
    runs: u32,
    best: Tape,
    violation: Violation,
}

impl Shrinker {
    /// Runs a candidate; it becomes the best tape if the property is violated again.
    fn attempt(&mut self, candidate: Tape) -> bool {
        if self.is_spent() || candidate.scenario.check().is_err() || !has_a_quorum(&candidate) {
            return false;
        }
        self.runs += 1;
        let options = Options {
            record: true,
            stop_at: Some(self.property.oracle),
            rules: self.rules,
            ..Options::default()
        };
        let outcome = simulate(Source::Tape(&candidate), options);
        let same = |violation: &&Violation| Property::of(violation) == self.property;
        let Some(violation) = outcome.report.violations.iter().find(same).cloned() else { return false };
        let Some(tape) = outcome.tape else { return false };
        self.best = Tape { violates: Some(self.property.oracle.to_string()), ..tape };
        self.violation = violation;
        true
    }

    fn is_spent(&self) -> bool {
        self.runs >= self.budget_runs
    }

    fn size(&self) -> Size {
        let scenario = &self.best.scenario;
        Size {
            nodes: nodes(&self.best).len(),
            clients: clients(&self.best).len(),
            faults: scenario.faults.len() + scenario.crash_at.len(),
            decisions: self.best.decisions.len(),
        }
    }
}

/// Brokers that take part.
fn nodes(tape: &Tape) -> Vec<Actor> {
    (0..tape.scenario.all_brokers()).map(Actor::Node).filter(|node| tape.scenario.has(*node)).collect()
}

/// Clients that take part.
fn clients(tape: &Tape) -> Vec<Actor> {
    tape.scenario.clients().filter(|client| tape.scenario.has(*client)).collect()
}

/// With fewer brokers than seats nothing is promised, and everything seems to fail.
fn has_a_quorum(tape: &Tape) -> bool {
    nodes(tape).len() >= usize::from(tape.scenario.replicas)
}
