//! Bounties: sponsors are paid once, out of fees that were paid, and never more than those.

use alloc::vec::Vec;

use super::*;
use crate::coordinator::targets::seat_score;

const BOUNTY: u128 = 3 * DATA;

fn params() -> Params {
    Params { partitions: 1, replicas: 1, join_fee: 5 * DATA, seat_bounty: BOUNTY, ..Params::default() }
}

const ONLY: PartitionId = PartitionId(0);

fn rewarded(facts: &[Fact]) -> Vec<(u32, u32, u128, u128)> {
    let of = |fact: &Fact| match fact {
        Fact::SeatRewarded { partition: ONLY, broker, sponsor, from_newcomer, from_offender } => {
            Some((broker.0, sponsor.0, *from_newcomer, *from_offender))
        }
        _ => None,
    };
    facts.iter().filter_map(of).collect()
}

fn propose(world: &mut World, caller: Address, broker: u32) -> Vec<Fact> {
    let change = Change { partition: ONLY, broker: BrokerIndex(broker), ticket: 0 };
    world.call(caller, Call::Rebalance(vec![change])).expect("a rebalance")
}

/// The brokers of a partition with one seat, worst first.
fn ranking(world: &World) -> Vec<u32> {
    let score = |broker: &u32| {
        let seat = Seat { broker: BrokerIndex(*broker), ticket: 0 };
        seat_score(&world.state, world.partition(0), seat).expect("it is active")
    };
    let mut brokers: Vec<u32> = world.state.brokers.keys().map(|index| index.0).collect();
    brokers.sort_by_key(score);
    brokers
}

#[test]
fn the_sponsor_of_a_founder_is_paid_from_its_fee() {
    let mut world = World::with_brokers(params(), 3);
    let [worst, _, best] = ranking(&world)[..] else { panic!("three brokers") };
    let pool = world.state.pool;
    let facts = propose(&mut world, account(best), worst);
    assert!(world.partition(0).founded);
    assert_eq!(rewarded(&facts), [(worst, best, BOUNTY, 0)]);
    assert_eq!((world.broker(BrokerIndex(best)).accrued, world.state.unpaid), (BOUNTY, BOUNTY));
    assert_eq!((world.broker(BrokerIndex(worst)).fee, world.state.pool), (2 * DATA, pool - BOUNTY));
    assert!(world.partition(0).sponsors.is_empty(), "it is paid once");
    world.check();
}

#[test]
fn an_account_without_a_broker_proposes_for_nothing() {
    let mut world = World::with_brokers(params(), 1);
    let facts = propose(&mut world, HOLDER, 1);
    assert_eq!((facts.len(), rewarded(&facts)), (2, vec![]));
    let Fact::SeatProposed { sponsor, .. } = facts[0] else { panic!("{facts:?}") };
    assert_eq!(sponsor, BrokerIndex(0));
    assert_eq!(world.state.unpaid, 0);
}

/// The worst broker founded; the best was proposed by the middle one and waits.
fn waiting() -> (World, u32, u32, u32) {
    let mut world = World::with_brokers(params(), 3);
    let [worst, middle, best] = ranking(&world)[..] else { panic!("three brokers") };
    propose(&mut world, account(worst), worst);
    world.reach_epoch(world.state.epoch() + 1);
    propose(&mut world, account(middle), best);
    (world, worst, middle, best)
}

#[test]
fn a_seat_is_paid_when_it_is_installed_and_not_before() {
    let (mut world, worst, middle, best) = waiting();
    assert_eq!(world.partition(0).sponsors.get(0).map(|seat| seat.broker.0), Some(middle));
    assert_eq!(world.broker(BrokerIndex(middle)).accrued, 0);
    let facts = world.seal_by_seats(0, &[0]);
    assert_eq!(rewarded(&facts), [(best, middle, BOUNTY, 0)]);
    assert_eq!(world.broker(BrokerIndex(worst)).fee, 2 * DATA, "it did nothing wrong");
    world.check();
}

#[test]
fn an_offender_adds_what_the_newcomers_fee_lacks() {
    let (mut world, worst, middle, best) = waiting();
    world.must(account(worst), Call::Leave);
    world
        .state
        .brokers
        .get_mut(&BrokerIndex(best))
        .map(alloc::sync::Arc::make_mut)
        .expect("the newcomer")
        .fee = DATA;
    let pool = world.state.pool;
    let facts = world.seal_by_seats(0, &[0]);
    assert_eq!(rewarded(&facts), [(best, middle, DATA, 2 * DATA)]);
    assert_eq!([worst, best].map(|broker| world.broker(BrokerIndex(broker)).fee), [0, 0]);
    assert_eq!(world.state.pool, pool - BOUNTY);
    world.check();
}

#[test]
fn a_seat_that_was_cleared_has_another_sponsor() {
    let (mut world, worst, middle, best) = waiting();
    world.must(account(best), Call::Leave);
    world.must(account(middle), Call::Evict { partition: ONLY, seat: 0 });
    assert!(world.partition(0).sponsors.is_empty());
    propose(&mut world, account(worst), middle);
    let facts = world.seal_by_seats(0, &[0]);
    assert_eq!(rewarded(&facts), [(middle, worst, BOUNTY, 0)], "who proposed last");
    world.check();
}

#[test]
fn circles_end_when_the_fees_are_spent() {
    let mut world = World::with_brokers(Params { partitions: 4, ..params() }, 1);
    let facts = world
        .call(account(1), Call::Rebalance(useful_changes(&world.state, MAXIMUM_LIST)))
        .expect("four foundings");
    let total: u128 = facts
        .iter()
        .map(|fact| match fact {
            Fact::SeatRewarded { from_newcomer, from_offender, .. } => from_newcomer + from_offender,
            _ => 0,
        })
        .sum();
    assert_eq!((total, world.broker(BrokerIndex(1)).fee), (5 * DATA, 0), "never more than was paid");
    assert!(world.state.partitions.iter().all(|partition| partition.founded));
    world.check();
}
