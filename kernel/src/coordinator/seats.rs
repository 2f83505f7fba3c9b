//! Seats: the brokers of a partition, packed as the contract keeps them.
//!
//! A set of seats is one 256-bit word: seat i lies at bits 32·i, as `broker (24 bits) << 8 | ticket (8
//! bits)`. A zero is a vacant seat, because broker indices start at 1. So lies a partition's target. Its members have
//! no tickets, nor have sponsors or the signers of a certificate, who come ascending: there the contract leaves out the
//! tickets, and seat i lies in the 24 bits from bit 24·i ([`Seats::to_set`]).

use core::fmt;

use bincode::{Decode, Encode};

use crate::ids::BrokerIndex;

/// How many seats a word holds: the most replicas a partition can have.
pub const SEATS: usize = 8;

/// A small number for each seat. On chain, seat i's lies at 8 bits from bit 8·i.
pub type Counts = [u8; SEATS];

/// Counts of at most 3 as the contract packs them: seat i's lies at 2 bits from bit 2·i.
pub fn packed(counts: &Counts) -> u16 {
    counts.iter().enumerate().fold(0, |word, (seat, count)| {
        assert!(*count <= 3, "a count of {count} has more than two bits");
        word | u16::from(*count) << (2 * seat)
    })
}

/// The largest broker index, 2^24 − 1.
pub const MAX_BROKER: u32 = (1 << 24) - 1;

/// A taken seat: a broker and the ticket that it sits there with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Seat {
    /// The broker, 1 to [`MAX_BROKER`].
    pub broker: BrokerIndex,
    /// Which of the broker's tickets, from 0.
    pub ticket: u8,
}

/// Up to eight seats, each vacant or taken; see the module's text for the layout.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Seats([u32; SEATS]);

impl Seats {
    /// No seat taken.
    pub const VACANT: Self = Self([0; SEATS]);

    /// The seat at `index`, or `None` where it is vacant.
    pub fn get(&self, index: usize) -> Option<Seat> {
        let word = self.0[index];
        (word != 0).then_some(Seat { broker: BrokerIndex(word >> 8), ticket: (word & 0xFF) as u8 })
    }

    /// Takes or vacates the seat at `index`.
    pub fn set(&mut self, index: usize, seat: Option<Seat>) {
        self.0[index] = seat.map_or(0, |Seat { broker, ticket }| {
            assert!((1..=MAX_BROKER).contains(&broker.0), "a seat's broker has an index of 24 bits, not 0");
            broker.0 << 8 | u32::from(ticket)
        });
    }

    /// The seats of `seats`, in order.
    pub fn of(seats: impl IntoIterator<Item = Seat>) -> Self {
        let mut packed = Self::VACANT;
        seats.into_iter().enumerate().for_each(|(index, seat)| packed.set(index, Some(seat)));
        packed
    }

    /// The brokers of `brokers` with ticket 0, in order: how signers are packed.
    pub fn of_brokers(brokers: impl IntoIterator<Item = BrokerIndex>) -> Self {
        Self::of(brokers.into_iter().map(|broker| Seat { broker, ticket: 0 }))
    }

    /// The taken seats with their positions, lowest position first.
    pub fn taken(&self) -> impl Iterator<Item = (usize, Seat)> + '_ {
        (0..SEATS).filter_map(|index| self.get(index).map(|seat| (index, seat)))
    }

    /// The brokers that sit here, lowest position first.
    pub fn brokers(&self) -> impl Iterator<Item = BrokerIndex> + '_ {
        self.taken().map(|(_, seat)| seat.broker)
    }

    /// Where a broker sits.
    pub fn position(&self, broker: BrokerIndex) -> Option<usize> {
        self.taken().find(|(_, seat)| seat.broker == broker).map(|(index, _)| index)
    }

    /// Whether a broker sits here.
    pub fn contains(&self, broker: BrokerIndex) -> bool {
        self.position(broker).is_some()
    }

    /// How many seats are taken.
    pub fn len(&self) -> usize {
        self.taken().count()
    }

    /// Whether every seat is vacant.
    pub fn is_empty(&self) -> bool {
        *self == Self::VACANT
    }

    /// Whether no broker sits twice.
    pub fn are_distinct(&self) -> bool {
        self.taken().all(|(index, seat)| self.position(seat.broker) == Some(index))
    }

    /// The word as the contract's `uint256`, most significant byte first.
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.rchunks_exact_mut(4).zip(self.0) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The brokers as the contract's `uint192`, most significant byte first.
    pub fn to_set(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (chunk, word) in bytes.rchunks_exact_mut(3).zip(self.0) {
            chunk.copy_from_slice(&word.to_be_bytes()[..3]);
        }
        bytes
    }

    /// Reads the contract's `uint192`, most significant byte first; tickets are 0.
    pub fn of_set(bytes: [u8; 24]) -> Self {
        let mut words = [0; SEATS];
        for (chunk, word) in bytes.rchunks_exact(3).zip(&mut words) {
            *word = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], 0]);
        }
        Self(words)
    }

    /// The same brokers in the same seats, with ticket 0.
    pub fn without_tickets(self) -> Self {
        Self(self.0.map(|word| word & !0xFF))
    }

    /// Reads the contract's `uint256`, most significant byte first. A ticket without a broker reads as it
    /// stands and is never written by the contract.
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let mut words = [0; SEATS];
        for (chunk, word) in bytes.rchunks_exact(4).zip(&mut words) {
            *word = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        Self(words)
    }
}

impl fmt::Debug for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.taken().map(|(at, seat)| (at, (seat.broker.0, seat.ticket)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seat_i_lies_at_bits_32_i() {
        let mut seats = Seats::VACANT;
        seats.set(0, Some(Seat { broker: BrokerIndex(0x010203), ticket: 4 }));
        seats.set(7, Some(Seat { broker: BrokerIndex(MAX_BROKER), ticket: 255 }));
        let bytes = seats.to_be_bytes();
        assert_eq!(bytes[28..], [1, 2, 3, 4]);
        assert_eq!(bytes[..4], [255; 4]);
        assert_eq!(bytes[4..28], [0; 24]);
    }

    #[test]
    fn a_set_has_24_bits_a_seat_and_counts_have_2() {
        let set = Seats::of_brokers([0x010203, 0x040506].map(BrokerIndex)).to_set();
        assert_eq!(set[18..], [4, 5, 6, 1, 2, 3]);
        assert_eq!(set[..18], [0; 18]);
        assert_eq!(packed(&[1, 2, 3, 0, 0, 0, 0, 3]), 0b1100_0000_0011_1001);
    }

    #[test]
    fn a_broker_is_found_where_it_sits() {
        let mut seats = Seats::of_brokers([5, 3].map(BrokerIndex));
        assert_eq!((seats.position(BrokerIndex(3)), seats.len()), (Some(1), 2));
        seats.set(0, None);
        assert!(!seats.contains(BrokerIndex(5)));
        assert_eq!(seats.position(BrokerIndex(3)), Some(1));
    }

    proptest! {
        #[test]
        fn packing_round_trips(words in prop::array::uniform8(
            prop::option::of((1..=MAX_BROKER, any::<u8>()))
        )) {
            let mut seats = Seats::VACANT;
            for (index, word) in words.iter().enumerate() {
                seats.set(index, word.map(|(broker, ticket)| Seat { broker: BrokerIndex(broker), ticket }));
            }
            let back = Seats::from_be_bytes(seats.to_be_bytes());
            prop_assert_eq!(back, seats);
            prop_assert_eq!(Seats::of_set(seats.to_set()), seats.without_tickets());
            for (index, word) in words.iter().enumerate() {
                prop_assert_eq!(back.get(index).map(|seat| (seat.broker.0, seat.ticket)), *word);
            }
        }
    }
}
