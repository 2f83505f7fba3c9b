//! Tallies: who signed and who missed how many seals, and how they are settled (WP 2.4.6, 2.4.7).
//!
//! Paying and rating every signer at every seal would touch a slot a broker; on chain that is most of what a seal
//! costs. So a seal of an epoch of the present members only *counts*: one more seal, and one more miss for each member
//! that did not sign. A *settlement* turns the counts into pay ([`rewards`]) and reliability ([`reliability`]). It
//! comes
//!
//! - in the call of the seal in which a seat misses its third or the partition has its 255th: the counts have two bits
//!   a seat and eight bits, so that they lie in the word of the checksum;
//! - before newcomers are installed, so that a tally is always that of the present members;
//! - when anybody asks for it, whoever wants to be paid sooner.
//!
//! A member that missed a seal and attests it later, before the tally is settled, counts as one that signed it.
//!
//! *The previous members.* A seal that needs them is rare. They are settled at once: if its epoch is before the present
//! members' first, each of them for one seal, signed or missed; if the seal is of both, those who signed it and are not
//! members, for one seal signed.
//!
//! *Probation.* A newcomer has a seat that somebody else could have, so it must show that it serves. If it missed
//! [`PROBATION`] seals before it signed one, a settlement takes all of its reliability: it has no tickets left, anybody
//! may take its seat in the target, and it pays the join fee again if it wants to come back.

use super::Partition;
use super::fact::Fact;
use super::reliability;
use super::rewards;
use super::seats::{Counts, SEATS, Seats};
use super::state::State;
use crate::ids::{BrokerIndex, PartitionId};

/// Misses of one seat at which a tally is settled: two bits are full.
pub const MOST_MISSES: u8 = 3;

/// Seals at which a tally is settled: eight bits are full.
pub const MOST_SEALS: u8 = u8::MAX;

/// Seals that a newcomer may miss before it signed one.
pub const PROBATION: u8 = 3;

/// What was counted since the last settlement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Seals of epochs of the present members.
    pub seals: u8,
    /// For each seat, those that its member did not sign.
    pub misses: Counts,
}

impl Tally {
    /// Counts a seal. Returns a bit for each member's seat that did not sign.
    #[must_use]
    pub fn count(&mut self, members: Seats, signers: Seats) -> u8 {
        assert!(!self.is_full(), "a full tally is settled in the call that filled it");
        self.seals += 1;
        let absent = absent(members, signers);
        for seat in (0..SEATS).filter(|seat| absent & (1 << seat) != 0) {
            self.misses[seat] += 1;
        }
        absent
    }

    /// Whether it has no room for another seal or miss.
    pub fn is_full(&self) -> bool {
        self.seals == MOST_SEALS || self.misses.contains(&MOST_MISSES)
    }

    /// How many seals the member of a seat signed.
    pub fn signed(&self, seat: usize) -> u8 {
        self.seals.checked_sub(self.misses[seat]).expect("nobody misses more seals than there were")
    }
}

/// A bit for each seat of a set that is not among the signers.
pub fn absent(set: Seats, signers: Seats) -> u8 {
    let silent = set.taken().filter(|(_, seat)| !signers.contains(seat.broker));
    silent.fold(0, |mask, (seat, _)| mask | 1 << seat)
}

/// The settlement of a partition's tally; none if nothing was counted.
pub(super) fn settlement(state: &State, id: PartitionId) -> Option<Fact> {
    let partition = state.partition(id).filter(|partition| partition.tally.seals > 0)?;
    Some(settlement_of(state, id, partition.members, &partition.tally))
}

/// The settlement of members that lose their partition: their tally, and one more seal that all of them missed.
pub(super) fn last_settlement(state: &State, id: PartitionId, partition: &Partition) -> Fact {
    let mut tally = partition.tally;
    let absent = tally.count(partition.members, Seats::VACANT);
    assert_eq!(absent.count_ones() as usize, partition.members.len(), "nobody signed");
    settlement_of(state, id, partition.members, &tally)
}

fn settlement_of(state: &State, id: PartitionId, members: Seats, tally: &Tally) -> Fact {
    let (mut signed, mut missed) = (Counts::default(), Counts::default());
    for (seat, _) in members.taken() {
        (signed[seat], missed[seat]) = (tally.signed(seat), tally.misses[seat]);
    }
    settled(state, id, members, signed, missed)
}

/// The settlement of one seal among previous members: of all of them if it was their epoch's, else of those who signed
/// and are not members. None if there is nobody to settle.
pub(super) fn former_settlement(
    state: &State,
    id: PartitionId,
    signers: Seats,
    was_theirs: bool,
) -> Option<Fact> {
    let partition = state.partition(id)?;
    let (mut signed, mut missed) = (Counts::default(), Counts::default());
    for (seat, member) in partition.previous_members.taken() {
        let has_signed = signers.contains(member.broker);
        let is_former = was_theirs || !partition.members.contains(member.broker);
        signed[seat] = u8::from(has_signed && is_former);
        missed[seat] = u8::from(!has_signed && was_theirs);
    }
    let anybody = signed != Counts::default() || missed != Counts::default();
    anybody.then(|| settled(state, id, partition.previous_members, signed, missed))
}

fn settled(state: &State, partition: PartitionId, set: Seats, signed: Counts, missed: Counts) -> Fact {
    let reward = rewards::share(&state.params, state.partition_count());
    let paid = rewards::total(reward, &signed, state.reserve());
    Fact::PartitionSettled { partition, set, signed, missed, reward, paid }
}

/// A settlement, as the event tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settlement {
    pub set: Seats,
    pub signed: Counts,
    pub missed: Counts,
    pub reward: u128,
    pub paid: u128,
}

/// A set is paid and rated; if it is the members', their tally begins anew.
pub(super) fn apply(state: &mut State, id: PartitionId, settlement: &Settlement) {
    let Settlement { set, signed, missed, reward, paid } = *settlement;
    let shares = rewards::shares(reward, &signed, paid);
    assert_eq!(shares.iter().sum::<u128>(), paid, "a settlement pays what it says");
    for (seat, member) in set.taken() {
        pay(state, member.broker, shares[seat]);
        let epoch = state.epoch();
        let step = |reliability| reliability::settled(reliability, signed[seat], missed[seat]);
        state.broker_mut(member.broker).rate(epoch, step);
    }
    // Previous members are settled only while they differ from the members.
    if state.partition_mut(id).members == set {
        state.partition_mut(id).tally = Tally::default();
        set.taken().for_each(|(seat, member)| {
            try_newcomer(state, id, seat, member.broker, (signed[seat], missed[seat]));
        });
    }
}

/// Ends the probation of a member that signed; takes the reliability of one that missed too many seals.
fn try_newcomer(
    state: &mut State,
    id: PartitionId,
    seat: usize,
    member: BrokerIndex,
    (signed, missed): (u8, u8),
) {
    let probation = &mut state.partition_mut(id).probation[seat];
    if *probation == 0 {
        return;
    }
    *probation = if signed > 0 { 0 } else { probation.saturating_sub(missed) };
    if signed == 0 && *probation == 0 {
        let epoch = state.epoch();
        state.broker_mut(member).rate(epoch, |_| 0);
    }
}

/// A broker earned a reward.
pub(super) fn pay(state: &mut State, index: BrokerIndex, amount: u128) {
    state.broker_mut(index).accrued += amount;
    state.unpaid += amount;
}

impl State {
    /// What a broker has earned and not claimed: what has accrued, and what the tallies of its partitions pay when they
    /// are settled. In the token's smallest unit; 0 for an unknown broker.
    pub fn earned(&self, index: BrokerIndex) -> u128 {
        self.earned_in(index, (0..self.partition_count()).map(PartitionId))
    }

    /// The same for a broker that is a member of none but these partitions.
    pub fn earned_in(&self, index: BrokerIndex, partitions: impl Iterator<Item = PartitionId>) -> u128 {
        let Some(broker) = self.broker(index) else { return 0 };
        let share = rewards::share(&self.params, self.partition_count());
        let seals = partitions.filter_map(|id| {
            let partition = self.partition(id)?;
            let seat = partition.members.position(index)?;
            Some(u128::from(partition.tally.signed(seat)))
        });
        broker.accrued + share.saturating_mul(seals.sum()).min(self.reserve())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(brokers: &[u32]) -> Seats {
        Seats::of_brokers(brokers.iter().copied().map(BrokerIndex))
    }

    #[test]
    fn a_seal_counts_once_and_its_misses_by_seat() {
        let mut tally = Tally::default();
        let members = seats(&[7, 3, 9]);
        assert_eq!(tally.count(members, seats(&[3, 9])), 0b001);
        assert_eq!(tally.count(members, seats(&[7, 9])), 0b010);
        assert_eq!(tally.count(members, seats(&[9])), 0b011);
        assert_eq!((tally.seals, &tally.misses[..4]), (3, &[2, 2, 0, 0][..]));
        assert_eq!([0, 1, 2].map(|seat| tally.signed(seat)), [1, 1, 3]);
        assert!(!tally.is_full());
        assert_eq!(tally.count(members, seats(&[3, 9])), 0b001);
        assert!(tally.is_full());
    }

    #[test]
    fn a_vacant_seat_misses_nothing() {
        let mut members = seats(&[7, 3, 9]);
        members.set(1, None);
        let mut tally = Tally::default();
        assert_eq!(tally.count(members, seats(&[9])), 0b001);
        assert_eq!(tally.misses[1], 0);
    }

    #[test]
    #[should_panic(expected = "a full tally is settled")]
    fn a_full_tally_takes_no_seal() {
        let mut tally = Tally { seals: MOST_SEALS, ..Tally::default() };
        let _ = tally.count(Seats::VACANT, Seats::VACANT);
    }
}
