//! The chain of a search: the contracts' twin, as a tree of blocks. A block is empty or takes one certificate.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_kernel::agreement::{Cut, LaneHead};
use weir_kernel::coordinator::{
    Block, Call, Entry, Fact, SignedCertificate, State, begin_block, decide, evolve,
};
use weir_kernel::ids::{Epoch, Hash, LaneId};

use super::fingerprint::Numbered;
use super::properties::{Broken, Property};
use super::setting::{EDGE, PARTITION, Setting, address};

/// An accepted certificate, or the founding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The sealed epoch.
    pub epoch: Epoch,
    /// The checksum.
    pub checksum: Hash,
    /// Where every lane stands that was ever sealed.
    pub heads: BTreeMap<LaneId, LaneHead>,
}

/// A block, and all before it.
#[derive(Debug)]
pub struct Tip {
    /// The contracts after it.
    pub state: Arc<State>,
    /// Every block of this branch by height above the first, itself last.
    pub line: Vec<u32>,
    /// What was sealed, the founding first.
    pub seals: Vec<Seal>,
    /// What the block did.
    pub sealed: Option<(Epoch, Hash)>,
    /// What must not be and is.
    pub broken: Option<Broken>,
}

impl Tip {
    /// The last seal.
    pub fn last(&self) -> &Seal {
        self.seals.last().expect("the partition is founded")
    }
}

/// Every block of every branch, numbered.
#[derive(Debug)]
pub struct Tips {
    tips: Vec<Tip>,
    children: Numbered<(u32, u32), Option<u32>>,
    cuts: BTreeMap<Hash, Cut>,
}

/// In the place of a certificate's number: the block is empty.
pub const EMPTY: u32 = u32::MAX;

impl Tips {
    /// The chain up to the start.
    pub fn new(setting: &Setting) -> Self {
        let mut tips = Vec::new();
        for (at, state) in setting.history.iter().enumerate() {
            let seals = if at == 0 { Vec::new() } else { vec![founding(state)] };
            let line = (0..=at as u32).collect();
            tips.push(Tip { state: Arc::clone(state), line, seals, sealed: None, broken: None });
        }
        Self { tips, children: Numbered::default(), cuts: BTreeMap::new() }
    }

    /// The start.
    pub fn start(setting: &Setting) -> u32 {
        setting.history.len() as u32 - 1
    }

    /// A block.
    pub fn get(&self, tip: u32) -> &Tip {
        &self.tips[tip as usize]
    }

    /// The block after `seen` on the branch of `tip`, if there is one.
    pub fn next(&self, tip: u32, seen: u32) -> Option<u32> {
        let (line, height) = (&self.get(tip).line, self.get(seen).line.len());
        line.get(height).copied()
    }

    /// Remembers a cut, so that a checksum can be read.
    pub fn learn(&mut self, cut: &Cut) {
        self.cuts.entry(cut.checksum()).or_insert_with(|| cut.clone());
    }

    /// The cut under a checksum.
    pub fn cut(&self, checksum: &Hash) -> Option<&Cut> {
        self.cuts.get(checksum)
    }

    /// The next block, empty or with this certificate; `None` if the contracts refuse it.
    pub fn extend(&mut self, tip: u32, certificate: Option<(u32, &Entry, &[usize])>) -> Option<u32> {
        let key = (tip, certificate.map_or(EMPTY, |(number, _, _)| number));
        if let Some(known) = self.children.get(&key) {
            return *known;
        }
        let child = self.make(tip, certificate.map(|(_, entry, signers)| (entry, signers)));
        self.children.insert(key, child);
        child
    }

    fn make(&mut self, tip: u32, certificate: Option<(&Entry, &[usize])>) -> Option<u32> {
        let before = self.get(tip);
        let mut state = State::clone(&before.state);
        let (number, timestamp_s) = (state.height + 1, state.timestamp_s + 1);
        begin_block(&mut state, number, timestamp_s);
        let mut seals = before.seals.clone();
        let mut broken = None;
        let mut sealed = None;
        if let Some((entry, signers)) = certificate {
            let facts = submit(&state, entry, signers)?;
            let block = Block { number, timestamp_s, hash_of: &|_| None }.reference();
            facts.iter().for_each(|fact| evolve(&mut state, block, fact));
            let (seal, problem) = self.seal(seals.last()?, entry);
            sealed = Some((seal.epoch, seal.checksum));
            broken = problem;
            seals.push(seal);
        }
        let child = self.tips.len() as u32;
        let line = before.line.iter().copied().chain([child]).collect();
        self.tips.push(Tip { state: Arc::new(state), line, seals, sealed, broken });
        Some(child)
    }

    /// What is sealed now, and whether it goes back.
    fn seal(&self, last: &Seal, entry: &Entry) -> (Seal, Option<Broken>) {
        let mut heads = last.heads.clone();
        let cut = self.cut(&entry.checksum).expect("what was signed was proposed");
        let mut broken = None;
        for head in &cut.heads {
            let before = heads.insert(head.lane, *head);
            if before.is_some_and(|before| before.next_sequence >= head.next_sequence) {
                let what = format!("the cut of epoch {} names {head:?} after {before:?}", entry.epoch);
                broken = Some(Broken { property: Property::CutsRise, what });
            }
        }
        if entry.epoch <= last.epoch {
            let what = format!("epoch {} is sealed after epoch {}", entry.epoch, last.epoch);
            broken = Some(Broken { property: Property::OneChecksum, what });
        }
        (Seal { epoch: entry.epoch, checksum: entry.checksum, heads }, broken)
    }
}

fn founding(state: &State) -> Seal {
    let partition = state.partition(PARTITION).expect("there is one partition");
    Seal { epoch: partition.sealed_epoch, checksum: partition.checksum, heads: BTreeMap::new() }
}

/// The facts of a certificate, if the contracts take it.
fn submit(state: &State, entry: &Entry, signers: &[usize]) -> Option<Vec<Fact>> {
    let signers = signers.iter().map(|broker| Some(address(*broker))).collect();
    let call = Call::SubmitCertificates(vec![SignedCertificate { entries: vec![*entry], signers }]);
    let block = Block { number: state.height, timestamp_s: state.timestamp_s, hash_of: &|_| None };
    decide(state, block, EDGE, call).ok()
}
