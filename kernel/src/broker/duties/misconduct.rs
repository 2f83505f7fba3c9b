//! Two reports of one broker for one (partition, epoch, round, previous) with different checksums: kept until the
//! chain has punished them (WP 2.4.6).
//!
//! A [`Witness`] remembers the first report of each such identity that reached this broker, as leader or by whatever
//! other way, with its signature. When a second one contradicts it, the two are the proof.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::{Duty, Wanted};
use crate::coordinator::conduct::Conflict;
use crate::coordinator::{Intent, Report, State};
use crate::ids::{Address, Epoch, Hash, PartitionId};
use crate::limits::{MAX_MISCONDUCT, MAX_WITNESSED};

/// Two conflicting reports of one broker, each with a signature that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Misconduct {
    /// Who signed both.
    pub broker: Address,
    /// The two.
    pub reports: Box<[Report; 2]>,
}

/// What the reports of one broker are compared by.
pub type Identity = (Address, Epoch, u32, Hash);

impl Misconduct {
    /// Which identity was used twice.
    pub fn identity(&self) -> Identity {
        identity(self.broker, &self.reports[0])
    }

    /// How the chain names it, if it knows the broker.
    fn conflict(&self, view: &State) -> Option<Conflict> {
        let entry = &self.reports[0].entry;
        let index = view.broker_index(self.broker)?;
        Some((index, entry.partition, entry.epoch, entry.round, entry.previous))
    }

    /// Whether nothing can follow from it any more: it was punished, or there is no stake left to take.
    pub fn is_over(&self, view: &State) -> bool {
        self.conflict(view).is_none_or(|conflict| {
            view.punished.contains(&conflict)
                || view.broker(conflict.0).is_none_or(|broker| broker.stake == 0)
        })
    }

    /// The transaction that has it punished.
    pub fn wanted(&self, view: &State) -> Option<Wanted> {
        let conflict = self.conflict(view).filter(|_| !self.is_over(view))?;
        Some((Duty::Slash(conflict), Intent::Slash { index: conflict.0, reports: self.reports.clone() }))
    }
}

/// What one partition's reports showed.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// Few at a time: each lies elsewhere, because a map has room for eleven as soon as it has one.
    seen: BTreeMap<Identity, Box<Report>>,
    proofs: BTreeMap<Identity, Misconduct>,
}

impl Witness {
    /// A report came from its signer; a proof, if it is one with an earlier one and was not known.
    pub fn see(&mut self, broker: Address, report: &Report) -> Option<&Misconduct> {
        let identity = identity(broker, report);
        if self.proofs.contains_key(&identity) {
            return None;
        }
        match self.seen.get(&identity) {
            Some(first) if first.entry.checksum != report.entry.checksum => {
                let reports = Box::new([(**first).clone(), report.clone()]);
                (self.proofs.len() < MAX_MISCONDUCT)
                    .then(|| &*self.proofs.entry(identity).or_insert(Misconduct { broker, reports }))
            }
            Some(_) => None,
            None => {
                // Who signs without end pushes out its own oldest reports, nobody else's.
                let of_broker = (broker, 0, 0, Hash::ZERO)..=(broker, Epoch::MAX, u32::MAX, Hash([0xFF; 32]));
                if self.seen.range(of_broker.clone()).count() >= MAX_WITNESSED {
                    let oldest = self.seen.range(of_broker).next().map(|(identity, _)| *identity);
                    oldest.map(|identity| self.seen.remove(&identity));
                }
                self.seen.insert(identity, Box::new(report.clone()));
                None
            }
        }
    }

    /// Takes a proof back from the store.
    pub fn restore(&mut self, misconduct: Misconduct) {
        self.proofs.insert(misconduct.identity(), misconduct);
    }

    /// Forgets reports of epochs that are sealed; gives the proofs that are over, which are forgotten too.
    pub fn forget(&mut self, view: &State, sealed_epoch: Epoch) -> Vec<Identity> {
        self.seen.retain(|(_, epoch, ..), _| *epoch > sealed_epoch);
        if self.seen.is_empty() {
            // A map that was emptied keeps its memory, and this one is empty most of the time.
            self.seen = BTreeMap::new();
        }
        let is_over = |misconduct: &Misconduct| misconduct.is_over(view);
        let over: Vec<_> = self.proofs.iter().filter(|(_, m)| is_over(m)).map(|(id, _)| *id).collect();
        over.iter().for_each(|identity| drop(self.proofs.remove(identity)));
        over
    }

    /// What is to be punished.
    pub fn proofs(&self) -> impl Iterator<Item = &Misconduct> {
        self.proofs.values()
    }
}

fn identity(broker: Address, report: &Report) -> Identity {
    (broker, report.entry.epoch, report.entry.round, report.entry.previous)
}

/// The key of a proof's row, longer than that of a fork's.
pub fn row_key(partition: PartitionId, (broker, epoch, round, previous): &Identity) -> Vec<u8> {
    let head =
        [&partition.0.to_be_bytes()[..], &broker.0, &epoch.to_be_bytes(), &round.to_be_bytes()].concat();
    [&head[..], &previous.0].concat()
}

/// Bytes of [`row_key`].
pub const ROW_KEY_BYTES: usize = 4 + 20 + 8 + 4 + 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::Entry;

    const LIAR: Address = Address([7; 20]);

    fn report(epoch: Epoch, round: u32, checksum: u8) -> Report {
        let entry = Entry { epoch, round, checksum: Hash([checksum; 32]), ..Entry::default() };
        Report { entry, signature: [checksum; 65] }
    }

    #[test]
    fn two_checksums_under_one_identity_are_a_proof_once() {
        let mut witness = Witness::default();
        assert!(witness.see(LIAR, &report(5, 0, 1)).is_none());
        assert!(witness.see(LIAR, &report(5, 0, 1)).is_none(), "the same again");
        assert!(witness.see(LIAR, &report(5, 1, 2)).is_none(), "another round");
        assert!(witness.see(Address([8; 20]), &report(5, 0, 2)).is_none(), "another broker");
        let proof = witness.see(LIAR, &report(5, 0, 3)).expect("two checksums").clone();
        assert_eq!(
            (proof.broker, proof.reports[0].signature[0], proof.reports[1].signature[0]),
            (LIAR, 1, 3)
        );
        assert!(witness.see(LIAR, &report(5, 0, 4)).is_none(), "one proof is enough");
        assert_eq!(row_key(PartitionId(1), &proof.identity()).len(), ROW_KEY_BYTES);
    }

    #[test]
    fn a_proof_is_over_when_the_chain_has_it_or_the_stake_is_gone() {
        let mut witness = Witness::default();
        witness.see(LIAR, &report(5, 0, 1));
        witness.see(LIAR, &report(5, 0, 2));
        let stranger = State::default();
        assert!(witness.proofs().all(|proof| proof.wanted(&stranger).is_none()));
        let over = witness.forget(&stranger, 9);
        assert_eq!(over, [(LIAR, 5, 0, Hash::ZERO)]);
        assert!(witness.proofs().next().is_none() && witness.seen.is_empty());
    }

    #[test]
    fn a_broker_that_signs_without_end_fills_no_memory() {
        let mut witness = Witness::default();
        for round in 0..3 * MAX_WITNESSED as u32 {
            witness.see(LIAR, &report(5, round, 1));
        }
        assert_eq!(witness.seen.len(), MAX_WITNESSED);
    }
}
