//! Drafts: calls that do several things, each upon the ones before it.

use alloc::vec::Vec;

use super::call::{MAXIMUM_LIST, SignedCertificate};
use super::certificates::{self, NeededSets};
use super::entry::Entry;
use super::fact::{Change, Fact};
use super::refusal::Refusal;
use super::seats::Seats;
use super::state::State;
use super::{BlockRef, bounties, conduct, evolve, founding, newcomers, tallies, targets};
use crate::ids::{Address, PartitionId};

/// The state as the call changes it, and what has happened so far.
pub(super) struct Draft {
    pub(super) state: State,
    pub(super) block: BlockRef,
    pub(super) facts: Vec<Fact>,
}

impl Draft {
    fn emit(&mut self, fact: Fact) {
        evolve(&mut self.state, self.block, &fact);
        self.facts.push(fact);
    }

    /// `rebalance`: what is not useful does nothing. The caller's broker sponsors what is.
    pub(super) fn rebalance(mut self, caller: Address, changes: &[Change]) -> Result<Vec<Fact>, Refusal> {
        check_list(changes)?;
        let sponsor = self.state.broker_index(caller).unwrap_or_default();
        for change in changes {
            let Some(proposal) = targets::useful(&self.state, *change) else { continue };
            self.emit(targets::proposed(*change, proposal, sponsor));
            if founding::is_due(&self.state, self.state.known_partition(change.partition)?) {
                self.install_founders(change.partition)?;
            }
        }
        Ok(self.facts)
    }

    /// `found`.
    pub(super) fn found(mut self, id: PartitionId) -> Result<Vec<Fact>, Refusal> {
        founding::check(&self.state, id)?;
        self.install_founders(id)?;
        Ok(self.facts)
    }

    /// `declareQuorumLost`.
    pub(super) fn declare_quorum_lost(mut self, id: PartitionId) -> Result<Vec<Fact>, Refusal> {
        conduct::losing(&self.state, id)?.into_iter().for_each(|fact| self.emit(fact));
        self.install_founders(id)?;
        Ok(self.facts)
    }

    /// The target's valid seats become the members. Founders take nobody's seat.
    fn install_founders(&mut self, id: PartitionId) -> Result<(), Refusal> {
        let partition = self.state.known_partition(id)?;
        let (sponsors, fact) = (partition.sponsors, founding::founded(&self.state, id, partition));
        self.emit(fact);
        self.reward_sponsors(id, sponsors, false);
        Ok(())
    }

    /// `settle`: a partition without a seal since the last settlement is skipped.
    pub(super) fn settle(mut self, partitions: &[PartitionId]) -> Result<Vec<Fact>, Refusal> {
        check_list(partitions)?;
        partitions.iter().for_each(|id| self.settle_tally(*id));
        Ok(self.facts)
    }

    fn settle_tally(&mut self, id: PartitionId) {
        if let Some(fact) = tallies::settlement(&self.state, id) {
            self.emit(fact);
        }
    }

    /// `submitCertificates`: what is stale is skipped, unless it is all there is.
    pub(super) fn submit(mut self, certificates: &[SignedCertificate]) -> Result<Vec<Fact>, Refusal> {
        check_list(certificates)?;
        for certificate in certificates {
            match certificates::check_entries(&self.state, certificate) {
                Err(refusal) if certificates::is_stale(&refusal) && certificates.len() > 1 => continue,
                checked => checked?,
            }
            let signers = Seats::of_brokers(certificates::check_signers(&self.state, certificate)?);
            let entries = &certificate.entries;
            let needed = entries.iter().map(|entry| self.needed(entry)).collect::<Result<Vec<_>, _>>()?;
            self.emit(certificates::sealed(entries, signers));
            for (entry, needed) in entries.iter().zip(needed) {
                self.follow_seal(entry, signers, needed)?;
            }
        }
        Ok(self.facts)
    }

    fn needed(&self, entry: &Entry) -> Result<NeededSets, Refusal> {
        Ok(NeededSets::of(self.state.known_partition(entry.partition)?, entry.epoch))
    }

    /// What a seal brings about: former members are settled, newcomers installed, a full tally settled.
    fn follow_seal(&mut self, entry: &Entry, signers: Seats, needed: NeededSets) -> Result<(), Refusal> {
        let id = entry.partition;
        if !needed.former.is_empty() {
            let was_theirs = needed.members.is_empty();
            let settlement = tallies::former_settlement(&self.state, id, signers, was_theirs);
            settlement.into_iter().for_each(|fact| self.emit(fact));
        }
        let partition = self.state.known_partition(id)?;
        let is_valid = |seat| targets::seat_score(&self.state, partition, seat).is_some();
        let next = newcomers::next_members(partition, &self.state.params, entry.epoch, is_valid);
        if next.is_some() || partition.tally.is_full() {
            self.settle_tally(id);
        }
        if let Some(members) = next {
            let sponsors = self.state.known_partition(id)?.sponsors;
            let since_epoch = self.state.epoch() + 1;
            self.emit(Fact::MembersInstalled { partition: id, since_epoch, members });
            self.reward_sponsors(id, sponsors, true);
        }
        Ok(())
    }

    /// The sponsors of the newcomers earn their bounties.
    fn reward_sponsors(&mut self, id: PartitionId, sponsors: Seats, is_replacing: bool) {
        for newcomer in bounties::newcomers(&self.state, id) {
            let offender = if is_replacing { bounties::replaced(&self.state, id, newcomer) } else { None };
            if let Some(fact) = bounties::reward(&self.state, id, sponsors, newcomer, offender) {
                self.emit(fact);
            }
        }
    }
}

fn check_list<T>(list: &[T]) -> Result<(), Refusal> {
    let (length, maximum) = (list.len(), MAXIMUM_LIST);
    if length > maximum { Err(Refusal::ListTooLong { length, maximum }) } else { Ok(()) }
}
