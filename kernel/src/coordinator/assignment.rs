//! Assignment at scale: who should sit in each of tens of thousands of partitions of as many brokers (WP 2.4.6).
//!
//! [`target`](super::targets::target) says for one partition what is wanted; this says the same for many, by doing
//! less for each pair of a partition and a ticket, because their number is the product of both:
//!
//! - the part of a score that is the ticket's own is computed once for all partitions ([`Tickets`]);
//! - a ticket that does not beat the lowest of the R best so far costs one score and one comparison, and of T tickets
//!   in random order only about R · ln(T / R) do beat it;
//! - a broker that joins asks of each partition only whether its best ticket beats one of the R seats
//!   ([`useful_changes_of`]), whatever the number of other brokers.

use alloc::vec::Vec;

use super::fact::Change;
use super::score::{mix64, rank, score, ticket_key};
use super::seats::{SEATS, Seat, Seats};
use super::targets::{Candidate, candidates};
use super::{Partition, State};
use crate::ids::{BrokerIndex, PartitionId};

/// Tickets that are scored before any of them is looked at: their scores are independent of each other, so that a
/// processor computes them side by side.
const LANES: usize = 8;

/// The tickets of all brokers that may take seats, ready to be scored in many partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tickets {
    /// [`ticket_key`] of each ticket; a broker's tickets are beside each other.
    keys: Vec<u64>,
    /// Whose they are.
    seats: Vec<Seat>,
}

impl Tickets {
    /// All tickets of these brokers.
    pub fn of(candidates: &[Candidate]) -> Self {
        let count = candidates.iter().map(|candidate| usize::from(candidate.tickets)).sum();
        let mut tickets = Self { keys: Vec::with_capacity(count), seats: Vec::with_capacity(count) };
        for Candidate { broker, key, tickets: held } in candidates.iter().copied() {
            for ticket in 0..held {
                tickets.keys.push(ticket_key(key, ticket));
                tickets.seats.push(Seat { broker, ticket });
            }
        }
        tickets
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nobody may take a seat.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The best `seats` brokers of a partition, each by its best ticket, best first: what
    /// [`target`](super::targets::target) gives for the same brokers.
    pub fn best(&self, partition_key: u64, seats: usize) -> Seats {
        assert!((1..=SEATS).contains(&seats), "a partition has 1 to {SEATS} seats");
        assert_eq!(self.keys.len(), self.seats.len(), "each key is of a ticket");
        let mut best = Best { seats, taken: Vec::with_capacity(seats) };
        let mut floor = 0;
        let chunks = self.keys.chunks_exact(LANES);
        let rest = chunks.remainder();
        for (at, chunk) in chunks.enumerate() {
            let mut scores = [0; LANES];
            for (score, key) in scores.iter_mut().zip(chunk) {
                *score = mix64(partition_key ^ key);
            }
            if scores.iter().any(|score| *score >= floor) {
                let tickets = &self.seats[at * LANES..][..LANES];
                scores.into_iter().zip(tickets).for_each(|(score, seat)| best.offer(score, *seat));
                floor = best.floor();
            }
        }
        for (key, seat) in rest.iter().zip(&self.seats[self.seats.len() - rest.len()..]) {
            best.offer(mix64(partition_key ^ key), *seat);
        }
        Seats::of(best.taken.into_iter().map(|(_, seat)| seat))
    }
}

/// The best brokers of a partition among the tickets seen so far.
struct Best {
    seats: usize,
    /// With their scores, best first; at most `seats`, no broker twice.
    taken: Vec<(u64, Seat)>,
}

impl Best {
    /// A score below this changes nothing.
    fn floor(&self) -> u64 {
        if self.taken.len() < self.seats { 0 } else { self.taken[self.seats - 1].0 }
    }

    fn offer(&mut self, score: u64, seat: Seat) {
        if score < self.floor() {
            return;
        }
        let own = self.taken.iter().position(|(_, other)| other.broker == seat.broker);
        match own {
            Some(at) if self.taken[at].0 >= score => return,
            Some(at) => drop(self.taken.remove(at)),
            None => {}
        }
        let better =
            |(other, taken): &(u64, Seat)| rank((*other, taken.broker), (score, seat.broker)).is_gt();
        let place = self.taken.partition_point(better);
        self.taken.insert(place, (score, seat));
        self.taken.truncate(self.seats);
    }
}

/// The useful changes that seat one broker where its best ticket beats who sits there now, at most `limit` of them,
/// lowest partition first. In a network that is at its targets these are all that its joining asks for.
pub fn useful_changes_of(state: &State, broker: BrokerIndex, limit: usize) -> Vec<Change> {
    let active = candidates(state);
    let Some(own) = active.iter().find(|candidate| candidate.broker == broker).copied() else {
        return Vec::new();
    };
    let known = Known::of(&active);
    let change = |(id, partition): (usize, &Partition)| {
        let (score, ticket) = own.best(partition.key);
        let wins = known.would_take(partition, state.params.seats(), (score, broker));
        wins.then_some(Change { partition: PartitionId(id as u32), broker, ticket })
    };
    state.partitions.iter().enumerate().filter_map(change).take(limit).collect()
}

/// Keys and tickets by broker index; brokers that may not sit have no tickets.
struct Known(Vec<(u64, u8)>);

impl Known {
    fn of(candidates: &[Candidate]) -> Self {
        let last = candidates.last().map_or(0, |candidate| candidate.broker.0 as usize);
        let mut known = Vec::new();
        known.resize(last + 1, (0, 0));
        for candidate in candidates {
            known[candidate.broker.0 as usize] = (candidate.key, candidate.tickets);
        }
        Self(known)
    }

    /// The score of a seat, if it is valid.
    fn score(&self, partition: &Partition, seat: Seat) -> Option<u64> {
        let (key, tickets) = *self.0.get(seat.broker.0 as usize)?;
        (seat.ticket < tickets).then(|| score(partition.key, key, seat.ticket))
    }

    /// Whether a broker's ticket of this score is a useful change: see [`targets`](super::targets).
    fn would_take(&self, partition: &Partition, seats: usize, own: (u64, BrokerIndex)) -> bool {
        let score = |at: usize| self.score(partition, partition.target.get(at)?);
        if let Some(at) = partition.target.position(own.1) {
            return score(at).is_none_or(|present| own.0 > present);
        }
        (0..seats).any(|at| {
            let sits = partition.target.get(at).map(|seat| seat.broker).zip(score(at));
            sits.is_none_or(|(broker, present)| rank(own, (present, broker)).is_gt())
        })
    }
}
