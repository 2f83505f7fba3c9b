//! Seats: the contract's word and the kernel's seats say the same.

use weir_kernel::coordinator::seats::{MAX_BROKER, SEATS};
use weir_kernel::coordinator::{Seat, Seats};
use weir_kernel::ids::BrokerIndex;

use crate::input::Input;

/// Any bytes as the contract's word, then as seats taken and left.
pub fn seats(data: &[u8]) {
    let mut input = Input::new(data);
    let word: [u8; 32] = input.array();
    let mut seats = Seats::from_be_bytes(word);
    assert_eq!(seats.to_be_bytes(), word, "a word has one meaning");
    check(&seats);
    while let Some(choice) = input.choice() {
        let (at, seat) = (usize::from(choice) % SEATS, choice & 0x80 != 0);
        let broker = 1 + u32::from_be_bytes(input.array()) % MAX_BROKER;
        let seat = seat.then_some(Seat { broker: BrokerIndex(broker), ticket: input.byte() });
        seats.set(at, seat);
        assert_eq!(seats.get(at), seat, "a seat is what it was set to");
        check(&seats);
        assert_eq!(Seats::from_be_bytes(seats.to_be_bytes()), seats);
    }
}

fn check(seats: &Seats) {
    assert_eq!(seats.len(), (0..SEATS).filter(|at| seats.get(*at).is_some()).count());
    assert_eq!(seats.is_empty(), seats.taken().next().is_none());
    for (at, seat) in seats.taken() {
        let found = seats.position(seat.broker).expect("who sits here is found");
        assert!(found <= at && seats.contains(seat.broker));
        assert!(found == at || !seats.are_distinct());
    }
}
