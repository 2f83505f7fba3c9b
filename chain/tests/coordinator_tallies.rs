//! The network coordinator: what seals count, what settlements make of it, and how seats and partitions are paid for.

mod common;

use common::{Network, params, wallet};
use weir_chain::calldata;
use weir_chain::mirror::Receipt;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Fact, Params};
use weir_kernel::ids::{BrokerIndex, PartitionId};

fn founded(params: Params) -> Network {
    let mut network = Network::with_brokers(params, &[1_000 * DATA; 4]);
    network.rebalance();
    assert!(network.twin.partitions.iter().all(|partition| partition.founded));
    network
}

fn reliability(network: &Network, key: u8) -> u16 {
    network.twin.broker(index(network, key)).unwrap().reliability
}

fn index(network: &Network, key: u8) -> BrokerIndex {
    network.twin.broker_index(common::kernel_address(wallet(key).address())).unwrap()
}

/// Seals the next epochs of a partition, one after the other, with these signers.
fn seal_next(network: &mut Network, partition: u32, epochs: u64, signers: &[u8]) {
    let next = network.twin.partitions[partition as usize].sealed_epoch + 1;
    network.until_epoch(next + epochs);
    (next..next + epochs).for_each(|epoch| network.seal(partition, epoch, signers));
}

#[test]
fn the_third_miss_settles_and_suspends_a_newcomer_that_never_signed() {
    let mut network = founded(params());
    let coordinator = network.addresses.coordinator;
    seal_next(&mut network, 0, 2, &[1, 2, 3]);
    assert_eq!((network.twin.partitions[0].tally.seals, network.twin.unpaid), (2, 0));
    assert_eq!(reliability(&network, 4), 10_000, "a seal only counts");
    seal_next(&mut network, 0, 1, &[1, 2, 3]);
    let share = 100 * DATA / 3 / 4;
    assert_eq!((network.twin.partitions[0].tally.seals, network.twin.unpaid), (0, 9 * share));
    assert_eq!([1, 4].map(|key| reliability(&network, key)), [10_000, 0]);
    network.check();
    // Without tickets it loses its target seats, and comes back for another fee.
    let now = network.epoch();
    network.until_epoch(now + 1);
    assert_eq!(network.twin.broker(index(&network, 4)).unwrap().tickets_in(network.epoch()), 0);
    let seat = network.twin.partitions[0].target.position(index(&network, 4)).unwrap() as u8;
    network.ok(0, coordinator, calldata::evict(PartitionId(0), seat));
    network.ok(0, network.addresses.token, calldata::transfer(wallet(4).address(), 10 * DATA));
    network.ok(4, network.addresses.token, calldata::approve(coordinator, 10 * DATA));
    let pool = network.twin.pool;
    network.ok(4, coordinator, calldata::rejoin());
    assert_eq!((reliability(&network, 4), network.twin.pool), (5_000, pool + 10 * DATA));
    network.check();
}

#[test]
fn settling_often_does_not_end_a_probation() {
    let mut network = founded(params());
    for missed in 1..=3 {
        seal_next(&mut network, 0, 1, &[1, 2, 3]);
        network.ok(0, network.addresses.coordinator, calldata::settle(&[PartitionId(0)]));
        assert_eq!(reliability(&network, 4), if missed == 3 { 0 } else { 10_000 - 625 * missed });
    }
    network.check();
}

#[test]
fn one_certificate_seals_several_partitions_or_none() {
    let mut network = founded(params());
    let coordinator = network.addresses.coordinator;
    let first = network.twin.partitions.iter().map(|partition| partition.since_epoch).max().unwrap();
    network.until_epoch(first + 2);
    let entries = [0, 1, 2].map(|partition| network.entry(partition, first));
    let shared = network.shared_certificate(&entries, &[3, 1, 2]);
    let receipt = network.ok(0, coordinator, calldata::submit_certificates([&shared]));
    assert_eq!(receipt.logs.len(), 1, "one event tells of all of them");
    assert!(network.twin.partitions.iter().all(|partition| partition.sealed_epoch == first));
    // One stale entry makes the whole certificate stale.
    let entries = [entries[0], network.entry(1, first + 1)];
    let stale = network.shared_certificate(&entries, &[1, 2, 3]);
    let refused = network.refused(0, coordinator, calldata::submit_certificates([&stale]));
    assert!(refused.starts_with("AlreadySealed("), "{refused}");
    let fresh = network.certificate(network.entry(2, first + 1), &[1, 2, 3]);
    network.ok(0, coordinator, calldata::submit_certificates([&stale, &fresh]));
    assert_eq!([0, 1, 2].map(|at: usize| network.twin.partitions[at].sealed_epoch - first), [0, 0, 1]);
    network.check();
}

fn rewards(network: &Network, receipt: &Receipt) -> Vec<Fact> {
    let facts = weir_chain::facts::decode_block(&network.addresses, &mut Default::default(), &receipt.logs);
    facts.into_iter().filter(|fact| matches!(fact, Fact::SeatRewarded { .. })).collect()
}

#[test]
fn a_sponsor_earns_from_the_newcomer_and_from_the_offender_it_replaces() {
    let mut network = founded(Params { partitions: 2, seat_bounty: 8 * DATA, ..params() });
    let coordinator = network.addresses.coordinator;
    network.ok(1, coordinator, calldata::leave());
    network.join(5, 1_000 * DATA);
    let changes = weir_kernel::coordinator::useful_changes(&network.twin, 64);
    network.ok(2, coordinator, calldata::rebalance(&changes));
    let (proposed, before) = (network.epoch(), network.twin.pool);
    network.until_epoch(proposed + 1);
    let newcomer = index(&network, 5);
    // The second seat takes what is left of the newcomer's fee, and the rest from the one that left.
    for (partition, expected) in [(0, (8 * DATA, 0)), (1, (2 * DATA, 6 * DATA))] {
        let certificate = network.certificate(network.entry(partition, proposed), &[2, 3, 4]);
        let receipt = network.ok(0, coordinator, calldata::submit_certificates([&certificate]));
        let [Fact::SeatRewarded { broker, sponsor, from_newcomer, from_offender, .. }] =
            rewards(&network, &receipt)[..]
        else {
            panic!("one seat was installed")
        };
        assert_eq!((broker, sponsor), (newcomer, index(&network, 2)));
        assert_eq!((from_newcomer, from_offender), expected);
    }
    assert_eq!(network.twin.pool, before - 16 * DATA);
    let fees = [1, 5].map(|key| network.twin.broker(index(&network, key)).unwrap().fee);
    assert_eq!(fees, [4 * DATA, 0]);
    network.check();
}

#[test]
fn partitions_grow_with_the_brokers_and_are_founded() {
    let mut network = founded(Params { partitions_per_broker: 1, ..params() });
    let coordinator = network.addresses.coordinator;
    network.ok(9, coordinator, calldata::grow_partitions());
    assert_eq!(network.twin.partitions.len(), 4);
    assert!(network.refused(9, coordinator, calldata::grow_partitions()).starts_with("NothingToGrow("));
    network.rebalance();
    assert_eq!(network.members(3).len(), 4);
    seal_next(&mut network, 3, 1, &[1, 2, 3]);
    network.check();
}
