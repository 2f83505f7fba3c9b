//! Newcomers: how members follow the target, a few at each certificate (WP 2.4.6).
//!
//! A proposed broker becomes a member only through a certificate, and only if it was proposed by the last
//! block of the sealed epoch, so that it had the time to fetch what it will sign for. One certificate seats
//! at most max(1, R − q) newcomers: as many as may be silent at once. None is seated before an epoch of the
//! present members is sealed, so that two sets at most ever share a seal. Members that left and have no
//! replacement stay, silent.
//!
//! Newcomers are the target's brokers with a valid ticket that are not members, lowest target seat first.
//! Each takes a vacant seat, or else that of a member outside the target, lowest seat first. Where only
//! tickets differ there is nothing to do: a member's ticket does not matter once it sits. Most of the time all brokers
//! of the target are members; then its epoch reads 0 and a seal does not look at the target at all.

use super::Partition;
use super::params::Params;
use super::seats::{Seat, Seats};
use crate::ids::Epoch;

/// The members that follow the sealing of `sealed`, if they differ from the present ones; with ticket 0. `is_valid`
/// tells whether the ticket of a target seat is still valid.
pub fn next_members(
    partition: &Partition,
    params: &Params,
    sealed: Epoch,
    is_valid: impl Fn(Seat) -> bool,
) -> Option<Seats> {
    let changed_epoch = partition.target_changed_epoch;
    if sealed < partition.since_epoch || changed_epoch == 0 || changed_epoch > sealed {
        return None;
    }
    let newcomers = partition
        .target
        .taken()
        .map(|(_, seat)| seat)
        .filter(|seat| !partition.members.contains(seat.broker) && is_valid(*seat))
        .take(params.newcomers());
    let mut next = partition.members;
    newcomers.for_each(|Seat { broker, .. }| {
        seat(&mut next, partition.target, params.seats(), Seat { broker, ticket: 0 });
    });
    (next != partition.members).then_some(next)
}

/// Seats a newcomer: there is a place for it, because target and members have equally many seats.
fn seat(members: &mut Seats, target: Seats, seats: usize, newcomer: Seat) {
    let vacant = (0..seats).find(|seat| members.get(*seat).is_none());
    let replaceable = || members.taken().find(|(_, seat)| !target.contains(seat.broker)).map(|(at, _)| at);
    if let Some(at) = vacant.or_else(replaceable) {
        members.set(at, Some(newcomer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::State;
    use crate::ids::BrokerIndex;

    fn partition(members: &[u32], target: &[u32]) -> (Partition, Params) {
        let seats = |brokers: &[u32]| Seats::of_brokers(brokers.iter().copied().map(BrokerIndex));
        let mut partition = State::default().partitions[0].clone();
        partition.founded = true;
        partition.target_changed_epoch = 1;
        partition.members = seats(members);
        partition.target = seats(target);
        (partition, Params { replicas: 4, ..Params::default() })
    }

    fn brokers(seats: Option<Seats>) -> Option<[u32; 4]> {
        seats.map(|seats| core::array::from_fn(|at| seats.get(at).map_or(0, |seat| seat.broker.0)))
    }

    #[test]
    fn one_at_a_time_replaces_the_lowest_outsider() {
        let (partition, params) = partition(&[1, 2, 3, 4], &[9, 2, 8, 4]);
        assert_eq!(brokers(next_members(&partition, &params, 1, |_| true)), Some([9, 2, 3, 4]));
    }

    #[test]
    fn a_vacant_seat_comes_first() {
        let (partition, params) = partition(&[1, 2, 3], &[9, 2, 3]);
        assert_eq!(brokers(next_members(&partition, &params, 1, |_| true)), Some([1, 2, 3, 9]));
    }

    #[test]
    fn seven_seats_take_two() {
        let (partition, params) = partition(&[1, 2, 3, 4, 5, 6, 7], &[9, 8, 7, 1, 2, 3, 10]);
        let params = Params { replicas: 7, ..params };
        let next = next_members(&partition, &params, 1, |_| true).expect("newcomers");
        assert_eq!(next, Seats::of_brokers([1, 2, 3, 9, 8, 6, 7].map(BrokerIndex)));
    }

    #[test]
    fn the_same_brokers_in_other_seats_are_no_newcomers() {
        let (partition, params) = partition(&[1, 2, 3, 4], &[4, 3, 2, 1]);
        assert_eq!(next_members(&partition, &params, 1, |_| true), None);
    }

    #[test]
    fn too_early_or_too_fresh_installs_nothing() {
        let (mut partition, params) = partition(&[1, 2, 3, 4], &[9, 2, 3, 4]);
        let install =
            |partition: &Partition, sealed| brokers(next_members(partition, &params, sealed, |_| true));
        partition.since_epoch = 5;
        partition.target_changed_epoch = 3;
        assert_eq!([4, 5].map(|sealed| install(&partition, sealed)), [None, Some([9, 2, 3, 4])]);
        partition.target_changed_epoch = 6;
        assert_eq!([5, 6].map(|sealed| install(&partition, sealed)), [None, Some([9, 2, 3, 4])]);
        partition.target_changed_epoch = 0;
        assert_eq!(install(&partition, 7), None, "0 says that the target's brokers are all members");
    }

    #[test]
    fn a_broker_that_left_is_no_newcomer() {
        let (partition, params) = partition(&[1, 2, 3, 4], &[9, 2, 8, 4]);
        let next = next_members(&partition, &params, 1, |seat| seat.broker != BrokerIndex(9));
        assert_eq!(brokers(next), Some([8, 2, 3, 4]));
    }

    #[test]
    fn members_that_left_and_have_no_replacement_stay() {
        let (partition, params) = partition(&[1, 2, 3, 4], &[2, 3]);
        assert_eq!(next_members(&partition, &params, 1, |_| true), None);
    }
}
