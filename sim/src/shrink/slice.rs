//! The causal slice: of a failing run, what can have led to the violation.
//!
//! Going back in time from those whom the violation is about, a message matters if it reached somebody before the last
//! moment that matters of them, and then its sender matters up to when it was sent (Lamport's happened-before). The
//! chain would join everybody with everybody and is left out, so the slice is a guess: its run says whether it was
//! right.

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::rules::Rules;

use crate::observer::{Happening, Observer};
use crate::report::Violation;
use crate::simulation::{Options, Source, simulate};
use crate::tape::{Actor, Tape};

/// A message, once it has arrived.
struct Hop {
    from: Actor,
    to: Actor,
    sent_us: u64,
    at_us: u64,
    /// The frame's number on its link.
    ordinal: Option<u64>,
}

#[derive(Default)]
struct Hops(Vec<Hop>);

impl Observer for Hops {
    fn observe(&mut self, at_us: u64, happening: &Happening<'_>) {
        let (from, to, sent_us, ordinal) = match happening {
            Happening::Received { from, to, ordinal, sent_us } => {
                (Actor::Node(*from), Actor::Node(*to), *sent_us, Some(*ordinal))
            }
            Happening::Asked { client, node, .. } => (*client, Actor::Node(*node), at_us, None),
            Happening::Answered { client, node, .. } => (Actor::Node(*node), *client, at_us, None),
            _ => return,
        };
        self.0.push(Hop { from, to, sent_us, at_us, ordinal });
    }
}

/// The part of a tape that its violation can depend on.
pub(super) fn of(tape: &Tape, violation: &Violation, rules: Rules) -> Tape {
    if violation.about.is_empty() {
        return tape.clone();
    }
    let mut hops = Hops::default();
    let stop_at = Some(violation.oracle);
    let options = Options { rules, stop_at, observer: Some(&mut hops), ..Options::default() };
    simulate(Source::Tape(tape), options);
    let (until_us, frames) = backwards(&hops.0, violation);
    let matters = |actor: &Actor| match actor {
        Actor::Network | Actor::Chain => true,
        Actor::Link(from, to) => {
            [from, to].into_iter().all(|node| until_us.contains_key(&Actor::Node(*node)))
        }
        Actor::Node(_) | Actor::Client(..) => until_us.contains_key(actor),
    };
    let mut sliced = tape.clone();
    // A frame that never arrived led to nothing, but that it did not arrive may have: losses stay.
    let arrived: BTreeSet<(Actor, u64)> = hops.0.iter().filter_map(Hop::frame).collect();
    sliced.decisions.retain(|decision| {
        let frame = (decision.actor, decision.ordinal);
        matters(&decision.actor) && (!arrived.contains(&frame) || frames.contains(&frame))
    });
    sliced.scenario.faults.retain(|fault| match fault.kind {
        _ if fault.kind.is_about_links() => fault.at_ms * 1_000 <= violation.at_us,
        _ => {
            until_us.get(&Actor::Node(fault.broker)).is_some_and(|until_us| fault.at_ms * 1_000 <= *until_us)
        }
    });
    let idle = sliced.scenario.clients().filter(|client| !matters(client) && sliced.scenario.has(*client));
    let idle: Vec<Actor> = idle.collect();
    sliced.scenario.without.extend(idle);
    sliced.scenario.without.sort_unstable();
    sliced
}

impl Hop {
    fn frame(&self) -> Option<(Actor, u64)> {
        let (Actor::Node(from), Actor::Node(to)) = (self.from, self.to) else { return None };
        Some((Actor::Link(from, to), self.ordinal?))
    }
}

/// Up to when each actor matters, and which frames do.
fn backwards(hops: &[Hop], violation: &Violation) -> (BTreeMap<Actor, u64>, BTreeSet<(Actor, u64)>) {
    let mut until_us: BTreeMap<Actor, u64> =
        violation.about.iter().map(|actor| (*actor, violation.at_us)).collect();
    let mut frames = BTreeSet::new();
    for hop in hops.iter().rev() {
        if until_us.get(&hop.to).is_some_and(|until_us| hop.at_us <= *until_us) {
            let from_us = until_us.entry(hop.from).or_insert(hop.sent_us);
            *from_us = hop.sent_us.max(*from_us);
            frames.extend(hop.frame());
        }
    }
    (until_us, frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(from: u32, to: u32, sent_us: u64, at_us: u64) -> Hop {
        Hop { from: Actor::Node(from), to: Actor::Node(to), sent_us, at_us, ordinal: Some(sent_us) }
    }

    #[test]
    fn what_came_before_matters_and_what_came_after_does_not() {
        // 2 tells 1 in time to tell 0; what 3 says comes too late for 1 to pass it on; 4 never speaks.
        let hops = [hop(2, 1, 10, 20), hop(1, 0, 30, 60), hop(3, 1, 5, 40), hop(0, 4, 50, 70)];
        let violation =
            Violation { at_us: 65, oracle: "x", what: String::new(), about: vec![Actor::Node(0)] };
        let (until_us, frames) = backwards(&hops, &violation);
        let expected = [(Actor::Node(0), 65), (Actor::Node(1), 30), (Actor::Node(2), 10)];
        assert_eq!(until_us, BTreeMap::from(expected));
        assert_eq!(frames, BTreeSet::from([(Actor::Link(1, 0), 30), (Actor::Link(2, 1), 10)]));
    }
}
