//! Seals and seats: one checksum for each (partition, epoch), paid once; distinct members, at most R.

use std::collections::BTreeMap;

use weir_kernel::coordinator::{Fact, SealedEntry, Seats, State};
use weir_kernel::ids::{Epoch, Hash, PartitionId};

use crate::report::Violation;
use crate::surroundings::note;

/// What was sealed so far.
#[derive(Debug, Default)]
pub struct Seals {
    on_chain: BTreeMap<(PartitionId, Epoch), Hash>,
    members: BTreeMap<PartitionId, Seats>,
    /// Epoch of the last seal when faults stopped.
    at_heal: BTreeMap<PartitionId, Epoch>,
    /// Certificates that were accepted.
    pub accepted: u64,
    /// Changes of members after the founding.
    pub handovers: u64,
    /// Epochs that passed.
    pub epochs: Epoch,
}

/// Epochs that a healed partition may lag behind: the one that runs, the one being sealed, and a round lost.
const LAG_EPOCHS: Epoch = 3;

impl Seals {
    pub(super) fn on_block(
        &mut self,
        now_us: u64,
        view: &State,
        facts: &[Fact],
        violations: &mut Vec<Violation>,
    ) {
        self.epochs = view.epoch();
        for fact in facts {
            match fact {
                Fact::PartitionsSealed { entries, signers } => {
                    entries.iter().for_each(|entry| self.seal(now_us, entry, violations));
                    if signers.brokers().count() < view.quorum() {
                        let sealed: Vec<_> = entries.iter().map(|entry| entry.partition.0).collect();
                        let what = format!("partitions {sealed:?} were sealed by {signers:?}");
                        note(violations, now_us, "quorum", what);
                    }
                }
                Fact::MembersInstalled { partition, members, .. } => {
                    self.install(now_us, view, *partition, *members, violations);
                }
                _ => {}
            }
        }
    }

    fn seal(&mut self, now_us: u64, entry: &SealedEntry, violations: &mut Vec<Violation>) {
        let SealedEntry { partition, epoch, checksum, .. } = *entry;
        self.accepted += 1;
        let last = self.on_chain.range((partition, 0)..=(partition, Epoch::MAX)).next_back();
        if last.is_some_and(|((_, last), _)| *last >= epoch) {
            let what = format!("partition {partition}: epoch {epoch} was sealed after {last:?}");
            note(violations, now_us, "paid once", what);
        }
        self.on_chain.insert((partition, epoch), checksum);
    }

    fn install(
        &mut self,
        now_us: u64,
        view: &State,
        partition: PartitionId,
        members: Seats,
        violations: &mut Vec<Violation>,
    ) {
        let brokers: std::collections::BTreeSet<_> = members.brokers().collect();
        let seats = usize::from(view.params.replicas);
        if brokers.len() != members.brokers().count() || brokers.len() > seats {
            let what = format!("partition {partition} has members {members:?} in {seats} seats");
            note(violations, now_us, "seats", what);
        }
        if let Some(before) = self.members.insert(partition, members) {
            self.handovers += 1;
            let newcomers = brokers.iter().filter(|broker| !before.contains(**broker)).count();
            let allowed = (seats - view.quorum()).max(1);
            if newcomers > allowed {
                let what =
                    format!("partition {partition}: {newcomers} newcomers at once, {allowed} are allowed");
                note(violations, now_us, "handover", what);
            }
        }
    }

    /// The members of a partition as the chain last installed them.
    pub fn members(&self, partition: PartitionId) -> Seats {
        self.members.get(&partition).copied().unwrap_or(Seats::VACANT)
    }

    /// A replica adopted a cut. Replicas follow the chain, so the chain has sealed it before.
    pub fn on_adopted(
        &self,
        now_us: u64,
        (partition, epoch): (PartitionId, Epoch),
        checksum: Hash,
        violations: &mut Vec<Violation>,
    ) {
        match self.on_chain.get(&(partition, epoch)) {
            Some(sealed) if *sealed == checksum => {}
            Some(sealed) => {
                let what =
                    format!("partition {partition}, epoch {epoch}: adopted {checksum}, sealed {sealed}");
                note(violations, now_us, "one checksum", what);
            }
            None => {
                let what =
                    format!("partition {partition}, epoch {epoch}: {checksum} was adopted and never sealed");
                note(violations, now_us, "one checksum", what);
            }
        }
    }

    /// Faults have stopped.
    pub fn on_heal(&mut self, view: &State) {
        let partitions = (0..).map(PartitionId).zip(view.partitions.iter());
        self.at_heal = partitions.map(|(id, partition)| (id, partition.sealed_epoch)).collect();
    }

    /// The run is over: every partition must have been founded, and sealed again after the faults. Brokers may see
    /// the chain so many epochs late.
    pub fn on_end(&self, now_us: u64, view: &State, late_epochs: Epoch, violations: &mut Vec<Violation>) {
        for (id, partition) in (0..).map(PartitionId).zip(view.partitions.iter()) {
            if !partition.founded {
                note(violations, now_us, "liveness", format!("partition {id} was never founded"));
                continue;
            }
            let before = self.at_heal.get(&id).copied().unwrap_or(0);
            let late = partition.sealed_epoch + LAG_EPOCHS + late_epochs < view.epoch();
            if late || partition.sealed_epoch <= before {
                let sealed = partition.sealed_epoch;
                let what = format!(
                    "partition {id} is sealed up to epoch {sealed} in epoch {}, {before} when faults stopped",
                    view.epoch()
                );
                note(violations, now_us, "liveness", what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::coordinator::{Contracts, Params};
    use weir_kernel::ids::BrokerIndex;

    fn sealed(epoch: Epoch, signers: u32) -> Fact {
        let entry = SealedEntry { epoch, checksum: Hash([epoch as u8; 32]), ..SealedEntry::default() };
        let signers = Seats::of_brokers((1..=signers).map(BrokerIndex));
        Fact::PartitionsSealed { entries: vec![entry], signers }
    }

    fn broken(facts: &[Fact]) -> Vec<&'static str> {
        let view = State::new(1, Contracts::default(), Params::default());
        let (mut seals, mut violations) = (Seals::default(), Vec::new());
        facts.iter().for_each(|fact| seals.on_block(0, &view, std::slice::from_ref(fact), &mut violations));
        violations.iter().map(|violation| violation.oracle).collect()
    }

    #[test]
    fn an_epoch_sealed_twice_or_by_too_few_is_noticed() {
        assert_eq!(broken(&[sealed(3, 3), sealed(5, 4)]), [""; 0]);
        assert_eq!(broken(&[sealed(3, 3), sealed(3, 3)]), ["paid once"]);
        assert_eq!(broken(&[sealed(3, 3), sealed(2, 3)]), ["paid once"]);
        assert_eq!(broken(&[sealed(3, 2)]), ["quorum"]);
    }

    #[test]
    fn too_many_newcomers_and_repeated_members_are_noticed() {
        let install = |brokers: &[u32]| Fact::MembersInstalled {
            partition: PartitionId(0),
            since_epoch: 1,
            members: Seats::of_brokers(brokers.iter().copied().map(BrokerIndex)),
        };
        assert_eq!(broken(&[install(&[1, 2, 3, 4]), install(&[1, 2, 3, 5])]), [""; 0]);
        assert_eq!(broken(&[install(&[1, 2, 3, 4]), install(&[1, 2, 5, 6])]), ["handover"]);
        assert_eq!(broken(&[install(&[1, 2, 2, 4])]), ["seats"]);
    }

    #[test]
    fn another_checksum_than_the_chains_is_noticed() {
        let view = State::new(1, Contracts::default(), Params::default());
        let (mut seals, mut violations) = (Seals::default(), Vec::new());
        seals.on_block(0, &view, &[sealed(3, 3)], &mut violations);
        seals.on_adopted(0, (PartitionId(0), 3), Hash([3; 32]), &mut violations);
        assert_eq!(violations, []);
        seals.on_adopted(0, (PartitionId(0), 3), Hash([4; 32]), &mut violations);
        seals.on_adopted(0, (PartitionId(0), 4), Hash([4; 32]), &mut violations);
        assert_eq!(violations.len(), 2);
    }
}
