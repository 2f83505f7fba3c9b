//! What clients are given in a step, and what they want done.

use weir_kernel::broker::Command;
use weir_kernel::coordinator::State;

use crate::clients::published::Publications;
use crate::report::{MAX_VIOLATIONS, Violation};
use crate::tape::{Actor, ActorDecider};
use crate::verifier::SimulationVerifier;

/// What a client wants done.
#[derive(Debug)]
pub enum Effect {
    /// Tell the edge.
    Command(Command),
    /// Leave this edge and go to another.
    Move,
    /// Be woken after so many microseconds.
    WakeIn(u64),
}

/// A client's step.
pub struct Surroundings<'a> {
    /// Virtual time.
    pub now_us: u64,
    /// The same as a wall clock shows it.
    pub wall_ms: u64,
    /// When publishing ends.
    pub heal_at_us: u64,
    /// The newest view of the chain.
    pub view: &'a State,
    /// Decides for this client.
    pub decide: ActorDecider<'a>,
    /// What was published, as the publishers know it.
    pub publications: &'a mut Publications,
    /// Verifies what this client signed.
    pub verifier: &'a SimulationVerifier,
    /// What the client wants done.
    pub effects: Vec<Effect>,
    /// What did not hold.
    pub violations: &'a mut Vec<Violation>,
}

impl Surroundings<'_> {
    /// Tells the edge.
    pub fn command(&mut self, command: Command) {
        self.effects.push(Effect::Command(command));
    }

    /// Notes that a promise did not hold.
    pub fn violation(&mut self, oracle: &'static str, what: String) {
        note_about(self.violations, self.now_us, oracle, what, vec![self.decide.actor()]);
    }
}

/// Keeps a violation; the first of a run are kept.
pub fn note(violations: &mut Vec<Violation>, at_us: u64, oracle: &'static str, what: String) {
    note_about(violations, at_us, oracle, what, Vec::new());
}

/// Keeps a violation that was seen at somebody.
pub fn note_about(
    violations: &mut Vec<Violation>,
    at_us: u64,
    oracle: &'static str,
    what: String,
    about: Vec<Actor>,
) {
    if violations.len() < MAX_VIOLATIONS {
        violations.push(Violation { at_us, oracle, what, about });
    }
}
