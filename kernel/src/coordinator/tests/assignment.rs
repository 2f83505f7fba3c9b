//! Assignment at scale gives what the rules give one partition at a time.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::targets::network;
use super::*;
use crate::coordinator::assignment::{Tickets, useful_changes_of};
use crate::coordinator::targets::{Candidate, candidates, target, useful};

/// The changes of one broker, found by asking the rule about each of its tickets in each partition.
fn asked(state: &State, broker: BrokerIndex) -> Vec<Change> {
    let tickets = candidates(state).iter().find(|c| c.broker == broker).map_or(0, |c| c.tickets);
    let best = |id: usize| {
        let id = PartitionId(id as u32);
        let changes = (0..tickets).map(|ticket| Change { partition: id, broker, ticket });
        let partition = &state.partitions[id.0 as usize];
        changes.max_by_key(|change| {
            let seat = Seat { broker, ticket: change.ticket };
            crate::coordinator::targets::seat_score(state, partition, seat)
        })
    };
    (0..state.partitions.len()).filter_map(best).filter(|change| useful(state, *change).is_some()).collect()
}

fn many() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((1u8..6, any::<u64>()), 0..60)
}

proptest! {
    #[test]
    fn the_best_of_many_tickets_are_the_target(
        brokers in many(),
        partition_key: u64,
        seats in 1usize..=8,
    ) {
        let candidates: Vec<Candidate> = (1..)
            .zip(&brokers)
            .map(|(index, (tickets, key))| Candidate { broker: BrokerIndex(index), key: *key, tickets: *tickets })
            .collect();
        let tickets = Tickets::of(&candidates);
        prop_assert_eq!(tickets.len(), brokers.iter().map(|(held, _)| usize::from(*held)).sum::<usize>());
        prop_assert_eq!(tickets.is_empty(), brokers.is_empty());
        prop_assert_eq!(tickets.best(partition_key, seats), target(partition_key, &candidates, seats));
    }

    #[test]
    fn brokers_of_equal_scores_are_ranked_by_index(
        copies in 1u32..20,
        key: u64,
        tickets in 1u8..4,
        partition_key: u64,
        seats in 1usize..=8,
    ) {
        let candidates: Vec<Candidate> =
            (1..=copies).map(|index| Candidate { broker: BrokerIndex(index), key, tickets }).collect();
        let best = Tickets::of(&candidates).best(partition_key, seats);
        prop_assert_eq!(best, target(partition_key, &candidates, seats));
        let brokers: Vec<u32> = best.brokers().map(|broker| broker.0).collect();
        prop_assert_eq!(brokers, (1..=copies.min(seats as u32)).collect::<Vec<_>>());
    }

    #[test]
    fn who_joins_finds_the_changes_that_the_rule_finds_useful(
        brokers in prop::collection::vec((1u8..5, any::<u64>()), 2..14),
        replicas in 1u8..=8,
        partitions in 1u32..20,
        made in 0usize..200,
        leaver in any::<prop::sample::Index>(),
        leaves: bool,
        limit in 1usize..30,
    ) {
        let mut state = network(replicas, partitions, &brokers[..brokers.len() - 1]);
        for change in useful_changes(&state, made) {
            super::targets::apply(&mut state, change);
        }
        if leaves {
            super::targets::leave(&mut state, 1 + leaver.index(brokers.len() - 1) as u32);
        }
        let newcomer = brokers.len() as u32;
        super::targets::join(&mut state, newcomer, brokers[brokers.len() - 1]);
        for broker in (1..=newcomer + 1).map(BrokerIndex) {
            let expected = asked(&state, broker);
            prop_assert_eq!(&useful_changes_of(&state, broker, usize::MAX), &expected);
            let few = useful_changes_of(&state, broker, limit);
            prop_assert_eq!(&few[..], &expected[..limit.min(expected.len())]);
        }
    }

    #[test]
    fn in_a_network_at_its_targets_the_changes_of_who_joins_are_all(
        brokers in prop::collection::vec((1u8..5, any::<u64>()), 2..14),
        replicas in 1u8..=8,
        partitions in 1u32..20,
    ) {
        let mut state = network(replicas, partitions, &brokers[..brokers.len() - 1]);
        for change in useful_changes(&state, usize::MAX) {
            prop_assert!(super::targets::apply(&mut state, change));
        }
        let newcomer = brokers.len() as u32;
        super::targets::join(&mut state, newcomer, brokers[brokers.len() - 1]);
        let changes = useful_changes_of(&state, BrokerIndex(newcomer), usize::MAX);
        prop_assert_eq!(&changes, &useful_changes(&state, usize::MAX));
        for change in changes {
            prop_assert!(super::targets::apply(&mut state, change));
        }
        prop_assert_eq!(useful_changes(&state, usize::MAX), Vec::new());
    }
}
