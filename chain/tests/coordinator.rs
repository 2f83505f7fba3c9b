//! The network coordinator: the life of a network, with the kernel's twin beside it.

mod common;

use std::collections::BTreeSet;

use common::{Network, params, wallet};
use weir_chain::calldata;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Change, Params, Seats, targets};
use weir_kernel::ids::{BrokerIndex, PartitionId};

fn founded() -> Network {
    let mut network =
        Network::with_brokers(params(), &[1_000 * DATA, 2_000 * DATA, 4_000 * DATA, 9_000 * DATA]);
    network.rebalance();
    assert!(network.twin.partitions.iter().all(|partition| partition.founded));
    network.check();
    network
}

#[test]
fn brokers_join_are_drawn_and_take_every_seat() {
    let network = founded();
    let tickets: Vec<u8> = network.twin.brokers.values().map(|broker| broker.tickets).collect();
    assert_eq!(tickets, [1, 2, 4, 4]);
    assert_eq!(network.twin.stakes, 16_000 * DATA);
    assert_eq!(network.twin.pool, 40 * DATA);
    for partition in 0..3 {
        let members = network.members(partition).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(members, BTreeSet::from([1, 2, 3, 4]));
    }
}

#[test]
fn useful_changes_end_at_the_best_tickets_in_any_order() {
    let stakes: Vec<u128> = (1..=9).map(|n| n * 1_000 * DATA).collect();
    let mut network = Network::with_brokers(params(), &stakes);
    // Every broker with every ticket, worst order included: what is not useful does nothing.
    let mut changes = Vec::new();
    for ticket in 0..5 {
        for broker in (1..=9).rev() {
            for partition in 0..4 {
                let (partition, broker) = (PartitionId(partition), BrokerIndex(broker));
                changes.push(Change { partition, broker, ticket });
            }
        }
    }
    let coordinator = network.addresses.coordinator;
    for _ in 0..3 {
        for part in changes.chunks(64) {
            for change in part {
                // The contract does exactly what the kernel predicts.
                let predicted = targets::useful(&network.twin, *change);
                let receipt = network.ok(0, coordinator, calldata::rebalance(std::slice::from_ref(change)));
                assert_eq!(predicted.is_some(), !receipt.logs.is_empty(), "{change:?}");
            }
        }
    }
    assert!(targets::useful_changes(&network.twin, 64).is_empty());
    let candidates = targets::candidates(&network.twin);
    for partition in network.twin.partitions.iter() {
        let best = targets::target(partition.key, &candidates, 4);
        let set =
            |seats: Seats| seats.taken().map(|(_, seat)| (seat.broker, seat.ticket)).collect::<BTreeSet<_>>();
        assert_eq!(set(partition.target), set(best));
    }
    network.check();
}

#[test]
fn certificates_pay_signers_equally_and_rewards_are_claimed() {
    let mut network = founded();
    let first = network.twin.partition(PartitionId(0)).unwrap().since_epoch;
    network.until_epoch(first + 1);
    let signers: Vec<u8> = network.members(0).into_iter().take(3).collect();
    network.seal(0, first, &signers);
    network.check();
    let reward = 100 * DATA / 3 / 4;
    let earned = network.twin.earned(network.twin.partitions[0].members.get(0).unwrap().broker);
    assert_eq!(earned, if signers.contains(&network.members(0)[0]) { reward } else { 0 });
    network.ok(0, network.addresses.coordinator, calldata::settle(&[PartitionId(0)]));
    network.check();
    let absent = (1..=4).find(|n| !signers.contains(n)).unwrap();
    for n in 1..=4u8 {
        let index = network.twin.broker_index(common::kernel_address(wallet(n).address())).unwrap();
        let broker = network.twin.broker(index).unwrap();
        assert_eq!(broker.accrued, if n == absent { 0 } else { reward });
        assert_eq!(broker.reliability, if n == absent { 9_375 } else { 10_000 });
    }
    assert_eq!(network.twin.partition(PartitionId(0)).unwrap().sealed_epoch, first);
    let (before, reserve) = (network.tokens(wallet(signers[0]).address()), network.twin.reserve());
    network.ok(signers[0], network.addresses.coordinator, calldata::claim());
    assert_eq!(network.tokens(wallet(signers[0]).address()), before + reward);
    assert_eq!(network.twin.reserve(), reserve);
    network.check();
}

#[test]
fn a_skipped_epoch_is_sealed_with_the_next_and_lists_skip_what_is_sealed() {
    let mut network = founded();
    let first = network.twin.partition(PartitionId(0)).unwrap().since_epoch;
    network.until_epoch(first + 3);
    let members = network.members(0);
    let old = network.certificate(network.entry(0, first + 1), &members);
    network.ok(0, network.addresses.coordinator, calldata::submit_certificates([&old]));
    let other = network.certificate(network.entry(1, first + 2), &members);
    let list = calldata::submit_certificates([&old, &other]);
    network.ok(0, network.addresses.coordinator, list);
    assert_eq!(network.twin.partition(PartitionId(0)).unwrap().sealed_epoch, first + 1);
    assert_eq!(network.twin.partition(PartitionId(1)).unwrap().sealed_epoch, first + 2);
    network.check();
}

#[test]
fn an_empty_reserve_pays_nothing_and_refuses_nothing() {
    let tight = Params { epoch_reward: common::RESERVE * 2, partitions: 1, ..params() };
    let stake = 1_000 * DATA;
    let mut network = Network::with_brokers(tight, &[stake; 4]);
    network.rebalance();
    let first = network.twin.partition(PartitionId(0)).unwrap().since_epoch;
    network.until_epoch(first + 2);
    let members = network.members(0);
    network.seal(0, first, &members);
    assert_eq!(network.twin.unpaid, 0, "a seal only counts");
    let settle = calldata::settle(&[PartitionId(0)]);
    network.ok(0, network.addresses.coordinator, settle.clone());
    assert_eq!(network.twin.unpaid, common::RESERVE);
    network.seal(0, first + 1, &members);
    network.ok(0, network.addresses.coordinator, settle);
    assert_eq!((network.twin.unpaid, network.twin.reserve()), (common::RESERVE, 0));
    network.check();
}

#[test]
fn a_seat_is_handed_over_by_certificate() {
    let mut network = founded();
    let coordinator = network.addresses.coordinator;
    let before = network.members(0);
    for n in 5..=12 {
        network.join(n, 4_000 * DATA);
    }
    network.rebalance();
    let target = network.twin.partition(PartitionId(0)).unwrap().target;
    let newcomers: Vec<u8> = network.keys(target).into_iter().filter(|n| !before.contains(n)).collect();
    assert!(!newcomers.is_empty(), "with these keys somebody scores higher");
    assert_eq!(network.members(0), before, "a proposal alone seats nobody");
    // The target must rest for the whole sealed epoch.
    let proposed = network.epoch();
    network.until_epoch(proposed + 1);
    network.seal(0, proposed - 1, &before);
    assert_eq!(network.members(0), before);
    network.seal(0, proposed, &before);
    let partition = network.twin.partition(PartitionId(0)).unwrap().clone();
    let after = network.members(0);
    let seated: Vec<u8> = after.iter().copied().filter(|n| !before.contains(n)).collect();
    assert_eq!(seated, newcomers[..1], "one newcomer at a time with R = 4");
    assert_eq!(partition.since_epoch, proposed + 2);
    assert_eq!(partition.previous_members.len(), 4);
    network.check();
    // The epoch before the handover takes the old members, the one after it a quorum of both sets' epochs.
    network.until_epoch(proposed + 3);
    let entry = network.entry(0, proposed + 2);
    let old: Vec<u8> = before.iter().copied().filter(|n| !after.contains(n)).collect();
    let common: Vec<u8> = before.iter().copied().filter(|n| after.contains(n)).collect();
    let old_only = network.certificate(entry, &[old[0], common[0], common[1]]);
    let refused = network.refused(0, coordinator, calldata::submit_certificates([&old_only]));
    assert!(refused.starts_with("QuorumNotReached("), "{refused}");
    network.seal(0, proposed + 2, &[common[0], common[1], common[2], seated[0]]);
    network.check();
}

#[test]
fn three_of_four_brokers_found_a_partition_after_an_epoch() {
    let mut network = Network::with_brokers(params(), &[1_000 * DATA; 3]);
    network.rebalance();
    assert!(network.twin.partitions.iter().all(|partition| !partition.founded));
    let now = network.epoch();
    network.until_epoch(now + 1);
    network.ok(0, network.addresses.coordinator, calldata::found(PartitionId(2)));
    let partition = network.twin.partition(PartitionId(2)).unwrap();
    assert!(partition.founded);
    assert_eq!(
        (partition.members.len(), partition.sealed_epoch, partition.since_epoch),
        (3, now + 1, now + 2)
    );
    network.check();
    // The fourth seat is filled by certificate once somebody comes.
    network.until_epoch(now + 2);
    network.join(4, 1_000 * DATA);
    network.rebalance();
    let proposed = network.epoch();
    network.until_epoch(proposed + 1);
    network.seal(2, proposed, &[1, 2, 3]);
    assert_eq!(network.members(2).len(), 4);
    network.check();
}

#[test]
fn a_broker_leaves_is_replaced_and_gets_its_stake_back() {
    let mut network = founded();
    let coordinator = network.addresses.coordinator;
    network.ok(1, coordinator, calldata::leave());
    network.join(5, 1_000 * DATA);
    network.rebalance();
    assert!(network.twin.partitions.iter().all(|partition| !network.keys(partition.target).contains(&1)));
    let proposed = network.epoch();
    network.until_epoch(proposed + 1);
    for partition in 0..3 {
        network.seal(partition, proposed, &[2, 3, 4]);
        assert!(!network.members(partition).contains(&1));
    }
    let left = network.twin.brokers[&BrokerIndex(1)].left.unwrap();
    network.until_epoch(left + 1);
    let before = network.tokens(wallet(1).address());
    network.ok(1, coordinator, calldata::withdraw_stake());
    assert_eq!(network.tokens(wallet(1).address()), before + 1_000 * DATA);
    network.check();
}

#[test]
fn a_missed_draw_moves_on() {
    let mut network = Network::with_brokers(params(), &[]);
    let price = 1_010 * DATA;
    let coordinator = network.addresses.coordinator;
    network.ok(0, network.addresses.token, calldata::transfer(wallet(1).address(), price));
    network.ok(1, network.addresses.token, calldata::approve(coordinator, price));
    network.ok(1, coordinator, calldata::register(1_000 * DATA, "here", Default::default()));
    network.blocks(260);
    network.ok(0, coordinator, calldata::record_draw(BrokerIndex(1)));
    let height = network.mirror.height();
    let broker = network.twin.broker(BrokerIndex(1)).unwrap();
    assert_eq!((broker.draw, broker.draw_block), (None, height + 1));
    network.blocks(1);
    network.ok(0, coordinator, calldata::record_draw(BrokerIndex(1)));
    let hash = network.mirror.block(height + 1).unwrap().unwrap().hash;
    let draw = weir_kernel::coordinator::score::draw(&weir_kernel::ids::Hash(hash.0), BrokerIndex(1));
    assert_eq!(network.twin.broker(BrokerIndex(1)).unwrap().draw, Some(draw));
    network.check();
}

#[test]
fn a_broker_says_where_it_is_reached_now() {
    let mut network = Network::with_brokers(params(), &[1_000 * DATA]);
    let call = calldata::update_endpoint("10.0.0.1:7", alloy_primitives::B256::repeat_byte(7));
    network.ok(1, network.addresses.coordinator, call);
    assert_eq!(network.twin.broker(BrokerIndex(1)).unwrap().endpoint, "10.0.0.1:7");
    network.check();
}
