//! Targets: who should sit in a partition, and the small steps that lead there (WP 2.4.6).
//!
//! A partition wants the R best brokers, each by its best ticket ([`target`]). A contract cannot search for
//! them, but it can check one candidate in constant gas ([`useful`]). A change is useful if the candidate is
//! active (it has a draw, has not left, and the ticket is below its tickets) and
//!
//! 1. it sits there already and this ticket scores higher than the seat's: the seat takes the ticket; or
//! 2. it does not, and a seat is vacant or its ticket is no longer valid: it takes the lowest such seat; or
//! 3. it does not, and it beats the lowest-scoring seat: it takes that one.
//!
//! A change that is not useful does nothing. While brokers stay as they are, every useful change raises the
//! set, so any order of useful changes by anybody ends where none is left, which is the target: a broker of
//! the target that does not sit, or sits with a lesser ticket, always has a useful change. A (broker, ticket)
//! pair that was displaced never comes back, because the lowest seat only rises; with best tickets alone, as
//! [`useful_changes`] gives them, that is at most one step a broker.

use alloc::vec::Vec;

use super::Partition;
use super::assignment::Tickets;
use super::fact::{Change, Fact};
use super::refusal::Refusal;
use super::score::{self, rank};
use super::seats::{Seat, Seats};
use super::state::State;
use crate::ids::{BrokerIndex, PartitionId};

/// Where a useful change seats its candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The seat.
    pub seat: usize,
    /// Who sat there; 0 if nobody did. The candidate itself if only its ticket changes.
    pub replaced: BrokerIndex,
}

/// A broker that may take seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The broker.
    pub broker: BrokerIndex,
    /// Its key in scores.
    pub key: u64,
    /// Its tickets, at least 1.
    pub tickets: u8,
}

impl Candidate {
    /// Its best ticket in a partition with that ticket's score.
    pub(super) fn best(&self, partition_key: u64) -> (u64, u8) {
        let scores = (0..self.tickets).map(|ticket| (score::score(partition_key, self.key, ticket), ticket));
        scores.max().expect("a candidate has a ticket")
    }
}

/// The score of a seat in a partition, if the seat is valid: its broker is active and has the ticket.
pub fn seat_score(state: &State, partition: &Partition, seat: Seat) -> Option<u64> {
    let key = state.broker(seat.broker)?.ticket_key(seat.ticket, state.epoch())?;
    Some(score::score(partition.key, key, seat.ticket))
}

/// Whether a change is useful, and which seat it takes.
pub fn useful(state: &State, change: Change) -> Option<Proposal> {
    let partition = state.partition(change.partition)?;
    let candidate = Seat { broker: change.broker, ticket: change.ticket };
    let own = seat_score(state, partition, candidate)?;
    let score_at = |seat: usize| seat_score(state, partition, partition.target.get(seat)?);
    let proposal = |seat: usize| {
        let replaced = partition.target.get(seat).map_or(BrokerIndex(0), |seat| seat.broker);
        Proposal { seat, replaced }
    };
    if let Some(seat) = partition.target.position(change.broker) {
        return score_at(seat).is_none_or(|present| own > present).then(|| proposal(seat));
    }
    let seats = 0..state.params.seats();
    if let Some(seat) = seats.clone().find(|seat| score_at(*seat).is_none()) {
        return Some(proposal(seat));
    }
    let ranked = seats.filter_map(|seat| Some(((score_at(seat)?, partition.target.get(seat)?.broker), seat)));
    let (lowest, seat) = ranked.min_by(|(a, _), (b, _)| rank(*a, *b)).expect("a partition has a seat");
    rank((own, change.broker), lowest).is_gt().then(|| proposal(seat))
}

/// The fact of a useful change; `sponsor` is the caller's broker, or nobody.
pub(super) fn proposed(change: Change, proposal: Proposal, sponsor: BrokerIndex) -> Fact {
    let Change { partition, broker, ticket } = change;
    let Proposal { seat, replaced } = proposal;
    Fact::SeatProposed { partition, seat: seat as u8, broker, ticket, replaced, sponsor }
}

/// `evict`, which anybody may call: clears a target seat whose ticket is no longer valid.
pub(super) fn evict(state: &State, id: PartitionId, seat: u8) -> Result<Fact, Refusal> {
    let partition = state.known_partition(id)?;
    if usize::from(seat) >= state.params.seats() {
        return Err(Refusal::UnknownSeat { seat, replicas: state.params.replicas });
    }
    let taken = partition.target.get(usize::from(seat));
    let taken = taken.ok_or(Refusal::SeatIsVacant { partition: id, seat })?;
    match seat_score(state, partition, taken) {
        Some(_) => Err(Refusal::SeatIsValid { partition: id, seat, broker: taken.broker }),
        None => Ok(Fact::SeatVacated { partition: id, seat, broker: taken.broker }),
    }
}

/// The brokers that may take seats, by index.
pub fn candidates(state: &State) -> Vec<Candidate> {
    let epoch = state.epoch();
    let candidate = |(index, broker): (&BrokerIndex, &alloc::sync::Arc<super::Broker>)| {
        let tickets = broker.tickets_in(epoch);
        broker.ticket_key(0, epoch).map(|key| Candidate { broker: *index, key, tickets })
    };
    state.brokers.iter().filter_map(candidate).collect()
}

/// The best `seats` brokers of a partition, each by its best ticket, best first. The contract's target holds
/// the same seats in some order once no useful change is left. For many partitions
/// [`Tickets::best`](super::assignment::Tickets::best) finds the same sooner.
pub fn target(partition_key: u64, candidates: &[Candidate], seats: usize) -> Seats {
    let mut best: Vec<((u64, BrokerIndex), u8)> = Vec::with_capacity(seats + 1);
    for candidate in candidates {
        let (score, ticket) = candidate.best(partition_key);
        let place = best.partition_point(|(other, _)| rank(*other, (score, candidate.broker)).is_gt());
        if place < seats {
            best.insert(place, ((score, candidate.broker), ticket));
            best.truncate(seats);
        }
    }
    Seats::of(best.into_iter().map(|((_, broker), ticket)| Seat { broker, ticket }))
}

/// Changes that move partitions to their targets, at most `limit` of them: each is useful when the ones
/// before it were made, and with all of them made a partition is at its target.
pub fn useful_changes(state: &State, limit: usize) -> Vec<Change> {
    let tickets = Tickets::of(&candidates(state));
    let missing = |(id, partition): (usize, &Partition)| {
        let present = partition.target;
        tickets
            .best(partition.key, state.params.seats())
            .taken()
            .map(|(_, seat)| seat)
            .filter(|seat| present.taken().all(|(_, other)| other != *seat))
            .map(|seat| Change {
                partition: PartitionId(id as u32),
                broker: seat.broker,
                ticket: seat.ticket,
            })
            .collect::<Vec<_>>()
    };
    state.partitions.iter().enumerate().flat_map(missing).take(limit).collect()
}
