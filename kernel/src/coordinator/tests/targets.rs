//! Useful changes: examples, and that any order of them by anybody ends at the target.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::coordinator::targets::{self, useful};

/// Brokers with these tickets and draws, no blocks between.
pub(super) fn network(replicas: u8, partitions: u32, brokers: &[(u8, u64)]) -> State {
    let params = Params { replicas, partitions, ..Params::default() };
    let mut state = State::new(31337, CONTRACTS, params);
    (1..).zip(brokers).for_each(|(index, broker)| join(&mut state, index, *broker));
    state
}

/// A broker with tickets and draw is there.
pub(super) fn join(state: &mut State, index: u32, (tickets, draw): (u8, u64)) {
    let index = BrokerIndex(index);
    let joined = Fact::BrokerRegistered {
        index,
        broker: account(index.0),
        stake: 0,
        tickets,
        endpoint: "127.0.0.1:1".into(),
        tls_key_hash: Hash::ZERO,
        draw_block: 1,
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&draw.to_be_bytes());
    for fact in [joined, Fact::DrawRecorded { index, draw: Hash(bytes) }] {
        evolve(state, BlockRef::default(), &fact);
    }
}

fn change(broker: u32, ticket: u8) -> Change {
    Change { partition: PartitionId(0), broker: BrokerIndex(broker), ticket }
}

/// Makes a change if it is useful, and says whether it was.
pub(super) fn apply(state: &mut State, change: Change) -> bool {
    let Some(proposal) = useful(state, change) else { return false };
    evolve(state, BlockRef::default(), &targets::proposed(change, proposal, BrokerIndex(0)));
    true
}

pub(super) fn leave(state: &mut State, broker: u32) {
    let left = Fact::BrokerLeft { index: BrokerIndex(broker), withdrawable_epoch: 9 };
    evolve(state, BlockRef::default(), &left);
}

fn seats(seats: Seats) -> BTreeSet<Seat> {
    seats.taken().map(|(_, seat)| seat).collect()
}

fn wanted(state: &State) -> BTreeSet<Seat> {
    let key = state.partitions[0].key;
    seats(targets::target(key, &targets::candidates(state), state.params.seats()))
}

/// The scores of the first ticket of brokers 1, 2, … in the partition.
fn ranking(state: &State) -> Vec<u32> {
    let mut brokers: Vec<u32> = state.brokers.keys().map(|index| index.0).collect();
    let score = |broker: &u32| {
        let seat = Seat { broker: BrokerIndex(*broker), ticket: 0 };
        targets::seat_score(state, &state.partitions[0], seat).expect("an active broker")
    };
    brokers.sort_by_key(|broker| core::cmp::Reverse(score(broker)));
    brokers
}

#[test]
fn vacancies_are_filled_lowest_first_and_then_the_lowest_score_is_beaten() {
    let mut state = network(2, 1, &[(1, 11), (1, 22), (1, 33)]);
    let [best, middle, worst] = ranking(&state)[..] else { panic!("three brokers") };
    assert!(apply(&mut state, change(worst, 0)));
    assert!(apply(&mut state, change(middle, 0)));
    assert!(!apply(&mut state, change(middle, 0)), "it sits there already");
    let proposal = useful(&state, change(best, 0)).expect("it scores higher");
    assert_eq!(proposal, targets::Proposal { seat: 0, replaced: BrokerIndex(worst) });
    assert!(apply(&mut state, change(best, 0)));
    assert!(!apply(&mut state, change(worst, 0)), "it does not beat the lowest");
    assert_eq!(state.partitions[0].target.brokers().collect::<Vec<_>>(), [best, middle].map(BrokerIndex));
}

#[test]
fn a_better_ticket_takes_its_brokers_own_seat() {
    let mut state = network(2, 1, &[(8, 11), (1, 22)]);
    let best = wanted(&state).into_iter().find(|seat| seat.broker == BrokerIndex(1)).expect("there is room");
    let lesser = (0..8).find(|ticket| *ticket != best.ticket).expect("another ticket");
    assert!(apply(&mut state, change(1, lesser)));
    let proposal = useful(&state, change(1, best.ticket)).expect("it scores higher");
    assert_eq!(proposal, targets::Proposal { seat: 0, replaced: BrokerIndex(1) });
    assert!(apply(&mut state, change(1, best.ticket)));
    assert!(!apply(&mut state, change(1, lesser)));
}

#[test]
fn only_active_brokers_with_that_ticket_are_candidates() {
    let mut state = network(2, 1, &[(1, 11), (2, 22)]);
    assert_eq!(useful(&state, change(1, 1)), None, "no such ticket");
    assert_eq!(useful(&state, change(3, 0)), None, "no such broker");
    assert_eq!(
        useful(&state, Change { partition: PartitionId(1), ..change(1, 0) }),
        None,
        "no such partition"
    );
    leave(&mut state, 1);
    assert_eq!(useful(&state, change(1, 0)), None, "it left");
    alloc::sync::Arc::make_mut(state.brokers.get_mut(&BrokerIndex(2)).expect("broker")).draw = None;
    assert_eq!(useful(&state, change(2, 0)), None, "it has no draw");
}

#[test]
fn the_seat_of_a_broker_that_left_is_free_to_take_and_to_clear() {
    let mut world = World::with_brokers(Params { partitions: 1, replicas: 2, ..Params::default() }, 3);
    let changes = useful_changes(&world.state, 1);
    world.must(HOLDER, Call::Rebalance(changes));
    let seat = world.partition(0).target.get(0).expect("filled");
    let evict = Call::Evict { partition: PartitionId(0), seat: 0 };
    let valid = Refusal::SeatIsValid { partition: PartitionId(0), seat: 0, broker: seat.broker };
    assert_eq!(world.call(HOLDER, evict.clone()), Err(valid));
    world.must(account(seat.broker.0), Call::Leave);

    let other = (1..=3).map(BrokerIndex).find(|broker| *broker != seat.broker).expect("another");
    let proposal = useful(&world.state, change(other.0, 0)).expect("the seat is not valid any more");
    assert_eq!(proposal, targets::Proposal { seat: 0, replaced: seat.broker });
    let vacated = Fact::SeatVacated { partition: PartitionId(0), seat: 0, broker: seat.broker };
    assert_eq!(world.call(HOLDER, evict.clone()), Ok(vec![vacated]));
    assert_eq!(world.call(HOLDER, evict), Err(Refusal::SeatIsVacant { partition: PartitionId(0), seat: 0 }));
    let beyond = Call::Evict { partition: PartitionId(0), seat: 2 };
    assert_eq!(world.call(HOLDER, beyond), Err(Refusal::UnknownSeat { seat: 2, replicas: 2 }));
    let nowhere = Call::Evict { partition: PartitionId(1), seat: 0 };
    let unknown = Refusal::UnknownPartition { partition: PartitionId(1), partitions: 1 };
    assert_eq!(world.call(HOLDER, nowhere), Err(unknown));
}

fn brokers() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((1u8..5, any::<u64>()), 1..12)
}

proptest! {
    #[test]
    fn any_order_of_best_tickets_ends_at_the_target_in_a_step_a_broker(
        replicas in 1u8..=8,
        brokers in brokers(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 100),
    ) {
        let mut state = network(replicas, 1, &brokers);
        let key = state.partitions[0].key;
        let offers: Vec<Seat> = (1..=brokers.len() as u32).map(|broker| {
            let alone: Vec<_> = targets::candidates(&state).into_iter().filter(|c| c.broker.0 == broker).collect();
            targets::target(key, &alone, 1).get(0).expect("one candidate")
        }).collect();
        let mut steps = 0;
        let drawn = order.iter().map(|index| *index.get(&offers)).chain(offers.iter().copied()).chain(offers.clone());
        for offer in drawn {
            steps += usize::from(apply(&mut state, change(offer.broker.0, offer.ticket)));
            prop_assert!(state.partitions[0].target.are_distinct());
        }
        prop_assert_eq!(seats(state.partitions[0].target), wanted(&state));
        prop_assert_eq!(state.partitions[0].target.len(), brokers.len().min(usize::from(replicas)));
        prop_assert!(steps <= brokers.len(), "{} steps for {} brokers", steps, brokers.len());
    }

    #[test]
    fn any_order_of_any_tickets_with_departures_ends_at_the_target(
        replicas in 1u8..=8,
        brokers in brokers(),
        order in prop::collection::vec((any::<prop::sample::Index>(), 0u8..5), 200),
        leaver in any::<prop::sample::Index>(),
    ) {
        let mut state = network(replicas, 1, &brokers);
        let pairs: usize = brokers.iter().map(|(tickets, _)| usize::from(*tickets)).sum();
        let everything: Vec<(u32, u8)> =
            (1..=brokers.len() as u32).flat_map(|broker| (0..5).map(move |ticket| (broker, ticket))).collect();
        let mut steps = 0;
        for (index, ticket) in &order {
            let broker = 1 + index.index(brokers.len()) as u32;
            steps += usize::from(apply(&mut state, change(broker, *ticket)));
            prop_assert!(state.partitions[0].target.are_distinct());
        }
        prop_assert!(steps <= pairs, "a pair that was displaced came back");
        leave(&mut state, 1 + leaver.index(brokers.len()) as u32);
        while everything.iter().filter(|(broker, ticket)| apply(&mut state, change(*broker, *ticket))).count() > 0 {
            steps += 1;
            prop_assert!(steps < 1_000, "useful changes come to an end");
        }
        let valid: BTreeSet<Seat> = seats(state.partitions[0].target)
            .into_iter()
            .filter(|seat| targets::seat_score(&state, &state.partitions[0], *seat).is_some())
            .collect();
        prop_assert_eq!(valid, wanted(&state));
        prop_assert_eq!(useful_changes(&state, usize::MAX), vec![]);
    }

    #[test]
    fn listed_changes_are_each_useful_and_lead_to_the_target(
        replicas in 1u8..=8,
        brokers in brokers(),
        before in prop::collection::vec((any::<prop::sample::Index>(), 0u8..5), 20),
        limit in 1usize..4,
    ) {
        let mut state = network(replicas, 1, &brokers);
        for (index, ticket) in &before {
            apply(&mut state, change(1 + index.index(brokers.len()) as u32, *ticket));
        }
        let mut rounds = 0;
        loop {
            let changes = useful_changes(&state, limit);
            prop_assert!(changes.len() <= limit);
            if changes.is_empty() { break }
            for change in changes {
                prop_assert!(apply(&mut state, change), "{:?} is not useful", change);
            }
            rounds += 1;
            prop_assert!(rounds <= 8 * brokers.len(), "the target is reached");
        }
        prop_assert_eq!(seats(state.partitions[0].target), wanted(&state));
    }
}
