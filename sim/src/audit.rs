//! Audits: what two runs are compared by, and where two of one tape first differ.
//!
//! Each node's [`Chain`] takes in every step. A chain that differs once differs ever after, so checkpoints of it can be
//! searched by halving: first for the stretch in which two runs part, then, with every step of that stretch kept in a
//! second pair of runs, for the step.

use std::fmt;

use crate::digest::{Chain, Transcript};

/// How much of the chains a run keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditLevel {
    /// The last link of each node: enough for the digest.
    #[default]
    Digest,
    /// Nothing: what the audit costs is seen beside a run without it. The digest says nothing then.
    Nothing,
    /// One link in so many steps.
    Every(u32),
    /// Every step of one node from a step on, this many.
    Stretch {
        /// The node, from 0.
        node: u32,
        /// The first step.
        from_step: u64,
        /// How many.
        count: u64,
    },
}

/// A link of a node's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Steps of the node so far, the last one included.
    pub steps: u64,
    /// When that was, in virtual microseconds.
    pub at_us: u64,
    /// Everything up to it.
    pub chain: Chain,
}

/// One node's chain and what is kept of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAudit {
    chain: Chain,
    steps: u64,
    at_us: u64,
    /// Nothing is taken in.
    off: bool,
    /// Checkpoints are kept from this step on, up to that one, one in so many.
    kept: Option<(u64, u64, u64)>,
    checkpoints: Vec<Checkpoint>,
}

impl NodeAudit {
    /// The audit of node `number` at a level.
    pub fn new(number: u32, level: AuditLevel) -> Self {
        let kept = match level {
            AuditLevel::Digest | AuditLevel::Nothing => None,
            AuditLevel::Every(steps) => Some((1, u64::MAX, u64::from(steps.max(1)))),
            AuditLevel::Stretch { node, from_step, count } => {
                (node == number).then_some((from_step, from_step.saturating_add(count), 1))
            }
        };
        Self { kept, off: level == AuditLevel::Nothing, ..Self::default() }
    }

    /// Whether steps are taken in.
    pub fn is_on(&self) -> bool {
        !self.off
    }

    /// A step is over: takes in its transcript.
    #[inline]
    pub fn step(&mut self, at_us: u64, transcript: &mut Transcript) {
        transcript.seal(&mut self.chain);
        self.steps += 1;
        self.at_us = at_us;
        if let Some((from, to, every)) = self.kept
            && self.steps >= from
            && self.steps < to
            && self.steps.is_multiple_of(every)
        {
            self.checkpoints.push(Checkpoint { steps: self.steps, at_us, chain: self.chain });
        }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The chain so far.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    fn last(&self) -> Checkpoint {
        Checkpoint { steps: self.steps, at_us: self.at_us, chain: self.chain }
    }
}

/// The audit of a run: one chain a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// By node.
    pub nodes: Vec<NodeAudit>,
}

/// Where two runs part: the step before was the same for this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The node, from 0.
    pub node: u32,
    /// Its first step that differs, from 0.
    pub step: u64,
    /// When that step was in either run, in virtual microseconds; `None` where a run has no such step.
    pub at_us: [Option<u64>; 2],
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at_us: Option<u64>| at_us.map_or("never".to_string(), |at_us| format!("at {at_us} µs"));
        let [first, second] = self.at_us.map(time);
        write!(f, "node {} differs first in its step {}: {first} and {second}", self.node, self.step)
    }
}

/// Steps between checkpoints of the first pass.
const EVERY: u32 = 256;

impl Audit {
    /// The digest of the run: of all chains, in the order of nodes.
    pub fn digest(&self) -> u128 {
        let (mut digest, mut transcript) = (Chain::default(), Transcript::default());
        self.nodes.iter().for_each(|node| transcript.bytes(&node.chain.0.to_le_bytes()));
        transcript.seal(&mut digest);
        digest.0
    }

    /// The first difference between two runs, each of which is repeated at the level that is asked for. `None` when
    /// their digests are equal. With runs that are not the same each time, what is named is a difference of some of
    /// them.
    pub fn bisect(
        mut first: impl FnMut(AuditLevel) -> Self,
        mut second: impl FnMut(AuditLevel) -> Self,
    ) -> Option<Divergence> {
        let coarse = (first(AuditLevel::Every(EVERY)), second(AuditLevel::Every(EVERY)));
        if coarse.0.digest() == coarse.1.digest() {
            return None;
        }
        // The stretch that begins first in virtual time may still not hold the first difference: all that may are
        // looked at.
        let mut stretches: Vec<(u32, Stretch)> = (0..coarse.0.nodes.len().max(coarse.1.nodes.len()) as u32)
            .filter_map(|node| Some((node, Stretch::of(&coarse.0, &coarse.1, node)?)))
            .collect();
        stretches.sort_by_key(|(node, stretch)| (stretch.from_us, *node));
        let mut found: Option<Divergence> = None;
        for (node, stretch) in stretches {
            let earliest_us = found.map(|found| found.when());
            if earliest_us.is_some_and(|earliest_us| stretch.from_us > earliest_us) {
                break;
            }
            let level =
                AuditLevel::Stretch { node, from_step: stretch.from_step + 1, count: u64::from(EVERY) + 1 };
            let here = Self::first_step(&first(level), &second(level), node);
            found = found.into_iter().chain(here).min_by_key(Divergence::when);
        }
        found
    }

    /// The first difference among the steps that both kept, in virtual time.
    pub fn first_difference(&self, other: &Self) -> Option<Divergence> {
        let nodes = 0..self.nodes.len().max(other.nodes.len()) as u32;
        nodes.filter_map(|node| Self::first_step(self, other, node)).min_by_key(Divergence::when)
    }

    /// The first step that differs among those that both kept of a node.
    fn first_step(first: &Self, second: &Self, node: u32) -> Option<Divergence> {
        let of = |audit: &Self| audit.nodes.get(node as usize).map_or(Vec::new(), |n| n.checkpoints.clone());
        let (first, second) = (of(first), of(second));
        let at = (0..first.len().max(second.len()))
            .find(|at| first.get(*at).map(|c| c.chain) != second.get(*at).map(|c| c.chain))?;
        let (first, second) = (first.get(at), second.get(at));
        let steps = first.or(second)?.steps;
        Some(Divergence { node, step: steps - 1, at_us: [first, second].map(|c| Some(c?.at_us)) })
    }
}

impl Divergence {
    /// When it is seen first.
    fn when(&self) -> u64 {
        self.at_us.into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// Where a node's chains were last equal.
struct Stretch {
    from_step: u64,
    from_us: u64,
}

impl Stretch {
    fn of(first: &Audit, second: &Audit, node: u32) -> Option<Self> {
        let empty = NodeAudit::default();
        let [first, second] = [first, second].map(|audit| audit.nodes.get(node as usize).unwrap_or(&empty));
        if first.last() == second.last() {
            return None;
        }
        let pairs = first.checkpoints.len().min(second.checkpoints.len());
        let equal = partition_point(pairs, |at| first.checkpoints[at].chain == second.checkpoints[at].chain);
        let before = equal.checked_sub(1).map(|at| first.checkpoints[at]);
        Some(
            before
                .map_or(Self { from_step: 0, from_us: 0 }, |c| Self { from_step: c.steps, from_us: c.at_us }),
        )
    }
}

/// How many of the first numbers below `count` a property holds for, if it holds up to some number and not after.
fn partition_point(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three nodes, a step a microsecond each; `spoiled` steps take in something else.
    fn run(level: AuditLevel, steps: u64, spoiled: &[(u32, u64)]) -> Audit {
        let mut nodes: Vec<NodeAudit> = (0..3).map(|number| NodeAudit::new(number, level)).collect();
        let mut transcript = Transcript::default();
        for step in 0..steps {
            for (number, node) in (0..).zip(&mut nodes) {
                transcript.number(step);
                if spoiled.contains(&(number, step)) {
                    transcript.number(1);
                }
                node.step(step * 10 + u64::from(number), &mut transcript);
            }
        }
        Audit { nodes }
    }

    #[test]
    fn the_first_node_and_step_that_differ_are_named() {
        for (node, step) in [(0, 0), (1, 255), (2, 256), (1, 700), (0, 999)] {
            let later = (2 - node, step + 1);
            let found = Audit::bisect(
                |level| run(level, 1_000, &[]),
                |level| run(level, 1_000, &[(node, step), later]),
            );
            let at_us = Some(step * 10 + u64::from(node));
            assert_eq!(found, Some(Divergence { node, step, at_us: [at_us, at_us] }));
        }
        assert_eq!(Audit::bisect(|level| run(level, 50, &[]), |level| run(level, 50, &[])), None);
    }

    #[test]
    fn a_run_that_stops_sooner_differs_where_it_stops() {
        let found = Audit::bisect(|level| run(level, 300, &[]), |level| run(level, 290, &[])).unwrap();
        assert_eq!((found.node, found.step, found.at_us), (0, 290, [Some(2_900), None]));
        assert_eq!(found.to_string(), "node 0 differs first in its step 290: at 2900 µs and never");
    }
}
