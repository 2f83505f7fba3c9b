//! Random sequences of actions by many senders: after every action the contracts say what the kernel's twin
//! says, no broker sits twice, and the books balance.

mod common;

use std::cell::Cell;

use alloy_primitives::{Address, B256, Bytes};
use common::{Network, params, wallet};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use weir_chain::calldata;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Change, Params};
use weir_kernel::ids::{BrokerIndex, PartitionId};

#[derive(Clone, Debug)]
enum Action {
    Register { who: u8, tickets: u8 },
    Draw { index: u32 },
    Propose { partition: u32, index: u32, ticket: u8 },
    ProposeAllUseful,
    Evict { partition: u32, seat: u8 },
    Found { partition: u32 },
    Leave { who: u8 },
    Withdraw { who: u8 },
    Claim { who: u8 },
    Seal { partition: u32, back: u64, dropped: u8, stranger: bool },
    Wait { blocks: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    let who = 1..12u8;
    let (partition, index) = (0..3u32, 1..12u32);
    prop_oneof![
        3 => (who.clone(), 1..6u8).prop_map(|(who, tickets)| Action::Register { who, tickets }),
        3 => index.clone().prop_map(|index| Action::Draw { index }),
        2 => (partition.clone(), index, 0..5u8)
            .prop_map(|(partition, index, ticket)| Action::Propose { partition, index, ticket }),
        3 => Just(Action::ProposeAllUseful),
        1 => (partition.clone(), 0..4u8).prop_map(|(partition, seat)| Action::Evict { partition, seat }),
        1 => partition.clone().prop_map(|partition| Action::Found { partition }),
        1 => who.clone().prop_map(|who| Action::Leave { who }),
        1 => who.clone().prop_map(|who| Action::Withdraw { who }),
        1 => who.prop_map(|who| Action::Claim { who }),
        6 => (partition, 1..3u64, 0..5u8, prop::bool::weighted(0.1))
            .prop_map(|(partition, back, dropped, stranger)| {
                Action::Seal { partition, back, dropped, stranger }
            }),
        3 => (1..9u64).prop_map(|blocks| Action::Wait { blocks }),
    ]
}

/// The call that an action makes: by whom, and its calldata.
fn call_of(network: &Network, action: &Action) -> Option<(u8, Bytes)> {
    Some(match *action {
        Action::Register { who, tickets } => {
            (who, calldata::register(u128::from(tickets) * 1_000 * DATA, "somewhere", B256::repeat_byte(who)))
        }
        Action::Draw { index } => (0, calldata::record_draw(BrokerIndex(index))),
        Action::Propose { partition, index, ticket } => {
            let (partition, broker) = (PartitionId(partition), BrokerIndex(index));
            (0, calldata::rebalance(&[Change { partition, broker, ticket }]))
        }
        Action::ProposeAllUseful => {
            let changes = weir_kernel::coordinator::targets::useful_changes(&network.twin, 64);
            (0, calldata::rebalance(&changes))
        }
        Action::Evict { partition, seat } => (0, calldata::evict(PartitionId(partition), seat)),
        Action::Found { partition } => (0, calldata::found(PartitionId(partition))),
        Action::Leave { who } => (who, calldata::leave()),
        Action::Withdraw { who } => (who, calldata::withdraw_stake()),
        Action::Claim { who } => (who, calldata::claim()),
        Action::Seal { partition, back, dropped, stranger } => {
            let entry = network.entry(partition, network.epoch().checked_sub(back)?);
            let sets = network.twin.needed_sets(PartitionId(partition), entry.epoch);
            let mut signers: Vec<u8> = sets.into_iter().flat_map(|set| network.keys(set)).collect();
            signers.sort_unstable();
            signers.dedup();
            let signers: Vec<u8> = signers
                .into_iter()
                .enumerate()
                .filter(|(at, _)| *at != usize::from(dropped))
                .map(|(_, key)| key)
                .chain(stranger.then_some(30))
                .take(8)
                .collect();
            (0, calldata::submit_certificates([&network.certificate(entry, &signers)]))
        }
        Action::Wait { .. } => return None,
    })
}

fn fund(network: &mut Network) {
    let (token, coordinator) = (network.addresses.token, network.addresses.coordinator);
    for who in 1..12 {
        network.ok(0, token, calldata::transfer(wallet(who).address(), 10_000 * DATA));
        network.ok(who, token, calldata::approve(coordinator, 10_000 * DATA));
    }
}

fn check_seats(network: &Network) {
    for partition in network.twin.partitions.iter() {
        assert!(partition.target.are_distinct() && partition.members.are_distinct());
        if partition.founded {
            assert!(partition.members.len() >= network.twin.quorum());
            assert!(partition.sealed_epoch <= network.epoch());
        }
    }
    for (index, broker) in network.twin.brokers.iter() {
        let sits =
            network.twin.partitions.iter().filter(|partition| partition.members.contains(*index)).count();
        assert_eq!(sits, broker.seats as usize);
        assert!(broker.reliability <= 10_000);
    }
}

/// Runs the actions and returns how many certificates were accepted and how many sets were installed by them.
fn run(actions: &[Action], brokers: u8) -> (usize, usize) {
    let mut network = Network::new(Params { epoch_blocks: 4, notice_epochs: 2, ..params() });
    let coordinator: Address = network.addresses.coordinator;
    fund(&mut network);
    for who in 1..=brokers {
        network.ok(who, coordinator, calldata::register(2_000 * DATA, "somewhere", B256::repeat_byte(who)));
        network.blocks(1);
        network.ok(0, coordinator, calldata::record_draw(BrokerIndex(u32::from(who))));
    }
    network.rebalance();
    let (mut sealed, mut installed) = (0, 0);
    for action in actions {
        match (call_of(&network, action), action) {
            (Some((who, data)), _) => {
                let receipt = network.send(who, coordinator, data);
                let seal = matches!(action, Action::Seal { .. }) && receipt.success;
                sealed += usize::from(seal);
                installed += usize::from(seal && receipt.logs.len() > 1);
            }
            (None, Action::Wait { blocks }) => network.blocks(*blocks),
            (None, _) => continue,
        }
        check_seats(&network);
        network.check();
    }
    (sealed, installed)
}

#[test]
fn the_twin_follows_any_sequence() {
    let config = ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let total = Cell::new((0, 0));
    let sequences = (prop::collection::vec(action(), 20..150), 0..6u8);
    runner
        .run(&sequences, |(actions, brokers)| {
            let (sealed, installed) = run(&actions, brokers);
            total.set((total.get().0 + sealed, total.get().1 + installed));
            Ok(())
        })
        .unwrap();
    let (sealed, installed) = total.get();
    assert!(
        sealed > 100 && installed > 10,
        "the sequences reach too little: {sealed} seals, {installed} handovers"
    );
}
