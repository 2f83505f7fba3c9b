//! What runs of random calls have in common: a generator that is the same everywhere, a call that the twin must have
//! foreseen, and a count of what was met.

use std::collections::BTreeMap;
use std::ops::Range;

use alloy_primitives::{Address, Bytes};
use weir_chain::facts::decode_block;
use weir_kernel::coordinator::{Block, Call, Fact, decide, score::mix64};
use weir_kernel::ids::Hash;

use super::{Network, kernel_address, wallet};

/// A small generator, so that a run is the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix64(self.0) % sides
    }

    pub fn coin(&mut self) -> bool {
        self.roll(2) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize].clone()
    }
}

/// Who sends what where, and what the twin knows it as.
pub type Sent = (u8, Address, Bytes, Call);

/// What a call did: its facts, or the name of its refusal.
pub type Outcome = Result<Vec<Fact>, &'static str>;

impl Network {
    /// Sends a call in a block of its own. The twin must have foreseen what it does: the same facts in the same order,
    /// or the error of the same name. The error says how they differ.
    pub fn foreseen(&mut self, (sender, to, data, call): Sent) -> Result<Outcome, String> {
        let head = self.mirror.head().clone();
        let hash_of = |number| self.mirror.block(number).unwrap().map(|block| Hash(block.hash.0));
        let block =
            Block { number: head.number() + 1, timestamp_s: head.header.timestamp + 1, hash_of: &hash_of };
        let caller = kernel_address(wallet(sender).address());
        let foreseen = decide(&self.twin, block, caller, call.clone());
        let mut streams = self.streams.clone();
        let receipt = self.send(sender, to, data);
        match (receipt.failure(), foreseen) {
            (None, Ok(facts)) => {
                let happened = decode_block(&self.addresses, &mut streams, &receipt.logs);
                if happened == facts {
                    return Ok(Ok(facts));
                }
                Err(format!("{caller}: {call:?}: happened {happened:?}, foreseen {facts:?}"))
            }
            (Some(reason), Err(refusal)) => {
                let name = refusal.name();
                if reason.starts_with(&format!("{name}(")) {
                    return Ok(Err(name));
                }
                Err(format!("{caller}: {call:?}: {reason}, but {refusal}"))
            }
            (happened, foreseen) => {
                Err(format!("{caller}: {call:?}: happened {happened:?}, foreseen {foreseen:?}"))
            }
        }
    }
}

/// Runs of random calls, one a seed, and what all of them met. `WEIR_PARITY_SEED` gives another first seed and
/// `WEIR_PARITY_CALLS` another number of calls in all than the committed ones.
///
/// `step` gets how many calls its run has made and says whether it made one more; `end` checks the run once more.
pub fn rounds<R>(
    seeds: Range<u64>,
    calls: u64,
    new: impl Fn(u64) -> R,
    step: impl Fn(&mut R, u64) -> bool,
    mut end: impl FnMut(R) -> Tally,
) -> Tally {
    let count = seeds.end - seeds.start;
    let first = number("WEIR_PARITY_SEED", seeds.start);
    let calls = number("WEIR_PARITY_CALLS", calls) / count;
    let mut seen = Tally::default();
    for seed in first..first + count {
        let mut run = new(seed);
        let mut made = 0;
        while made < calls {
            made += u64::from(step(&mut run, made));
        }
        seen.add(end(run));
    }
    seen
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// The name that a debug text begins with.
pub fn variant(debug: &str) -> String {
    debug.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// How often what was met: the names of events and of refusals.
#[derive(Default)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub fn count(&mut self, name: String) {
        *self.0.entry(name).or_default() += 1;
    }

    /// Counts the facts by `name`, or the refusal.
    pub fn outcome(&mut self, outcome: &Outcome, name: impl Fn(&Fact) -> String) {
        match outcome {
            Ok(facts) => facts.iter().for_each(|fact| self.count(name(fact))),
            Err(refusal) => self.count((*refusal).into()),
        }
    }

    pub fn add(&mut self, other: Self) {
        other.0.into_iter().for_each(|(name, count)| *self.0.entry(name).or_default() += count);
    }

    /// Prints the counts; fails unless each of these was met.
    pub fn complete<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) {
        self.0.iter().for_each(|(name, count)| println!("{count:>7} {name}"));
        let missed: Vec<_> = wanted.into_iter().filter(|name| !self.0.contains_key(*name)).collect();
        assert!(missed.is_empty(), "never happened: {missed:?}");
    }
}
