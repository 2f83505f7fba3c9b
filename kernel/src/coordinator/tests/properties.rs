//! Random calls by anybody: whatever happens, what must hold holds.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Something that somebody tries. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Attempt {
    Mine(u64),
    Join { account: u32, tickets: u128 },
    RecordDraws,
    Leave(u32),
    Withdraw(u32),
    Claim(u32),
    Propose { partition: u32, broker: u32, ticket: u8 },
    Rebalance,
    Evict { partition: u32, seat: u8 },
    Found(u32),
    Seal { partition: u32, back: u64, absent: u32 },
    Transfer { from: u32, to: u32, share: u128 },
}

const ACCOUNTS: u32 = 9;
const PARTITIONS: u32 = 2;

fn attempt() -> impl Strategy<Value = Attempt> {
    let account = || 1..=ACCOUNTS;
    let partition = || 0..PARTITIONS;
    prop_oneof![
        8 => (1u64..6).prop_map(Attempt::Mine),
        3 => (account(), 0u128..4).prop_map(|(account, tickets)| Attempt::Join { account, tickets }),
        3 => Just(Attempt::RecordDraws),
        1 => account().prop_map(Attempt::Leave),
        1 => account().prop_map(Attempt::Withdraw),
        1 => account().prop_map(Attempt::Claim),
        2 => (partition(), account(), 0u8..4)
            .prop_map(|(partition, broker, ticket)| Attempt::Propose { partition, broker, ticket }),
        3 => Just(Attempt::Rebalance),
        1 => (partition(), 0u8..4).prop_map(|(partition, seat)| Attempt::Evict { partition, seat }),
        1 => partition().prop_map(Attempt::Found),
        8 => (partition(), 0u64..3, any::<u32>())
            .prop_map(|(partition, back, absent)| Attempt::Seal { partition, back, absent }),
        1 => (account(), account(), 1u128..9).prop_map(|(from, to, share)| Attempt::Transfer { from, to, share }),
    ]
}

/// Makes the call; says whether it was accepted.
fn make(world: &mut World, attempt: Attempt) -> bool {
    let partition = PartitionId;
    let (caller, call) = match attempt {
        Attempt::Mine(blocks) => {
            world.mine(blocks);
            return true;
        }
        Attempt::Join { account: index, tickets } => (account(index), register((1 + tickets) * 1_000 * DATA)),
        Attempt::RecordDraws => {
            let brokers: Vec<_> = world.state.brokers.keys().copied().collect();
            return brokers.into_iter().any(|index| world.call(HOLDER, Call::RecordDraw { index }).is_ok());
        }
        Attempt::Leave(index) => (account(index), Call::Leave),
        Attempt::Withdraw(index) => (account(index), Call::WithdrawStake),
        Attempt::Claim(index) => (account(index), Call::Claim),
        Attempt::Propose { partition: id, broker, ticket } => {
            let change = Change { partition: partition(id), broker: BrokerIndex(broker), ticket };
            (HOLDER, Call::Rebalance(vec![change]))
        }
        Attempt::Rebalance => (HOLDER, Call::Rebalance(useful_changes(&world.state, MAXIMUM_LIST))),
        Attempt::Evict { partition: id, seat } => (HOLDER, Call::Evict { partition: partition(id), seat }),
        Attempt::Found(id) => (HOLDER, Call::Found { partition: partition(id) }),
        Attempt::Seal { partition: id, back, absent } => {
            let epoch = world.state.epoch().saturating_sub(back);
            let sets = world.state.needed_sets(partition(id), epoch);
            let mut brokers: Vec<_> = sets.iter().flat_map(Seats::brokers).collect();
            brokers.sort();
            brokers.dedup();
            if absent % 3 == 0 && !brokers.is_empty() {
                brokers.remove(absent as usize % brokers.len());
            }
            (HOLDER, Call::SubmitCertificates(vec![world.signed(id, epoch, brokers)]))
        }
        Attempt::Transfer { from, to, share } => {
            let value = world.state.balance(account(from)) / share;
            (account(from), Call::Transfer { to: account(to), value })
        }
    };
    world.call(caller, call).is_ok()
}

fn world(replicas: u8) -> World {
    let params =
        Params { replicas, partitions: PARTITIONS, epoch_blocks: 4, notice_epochs: 1, ..Params::default() };
    let mut world = World::new(params);
    (1..=ACCOUNTS).for_each(|index| world.fund(account(index), 6_000 * DATA));
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_must_hold_holds_after_every_call(
        replicas in 1u8..=6,
        attempts in prop::collection::vec(attempt(), 1..160),
    ) {
        let mut world = world(replicas);
        for attempt in attempts {
            let before = world.clone();
            let sealed: Vec<_> = world.state.partitions.iter().map(|p| (p.sealed_epoch, p.since_epoch)).collect();
            if !make(&mut world, attempt) {
                prop_assert_eq!(&world.state, &before.state, "a refusal changes nothing");
            }
            world.check();
            for (partition, (sealed, since)) in world.state.partitions.iter().zip(sealed) {
                prop_assert!(partition.sealed_epoch >= sealed && partition.since_epoch >= since);
                let kept = partition.members.brokers().filter(|b| partition.previous_members.contains(*b)).count();
                let present = partition.previous_members.len();
                prop_assert!(present == 0 || kept + world.state.params.newcomers() >= present);
            }
        }
    }
}

/// The attempts above are worth something only if they get somewhere.
#[test]
fn random_calls_get_somewhere() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut world = world(4);
    let (mut sealed, mut handovers) = (0, 0);
    for _ in 0..2_000 {
        let attempt = attempt().new_tree(&mut runner).expect("an attempt").current();
        let sealing = matches!(attempt, Attempt::Seal { .. });
        let installed = |world: &World| world.state.partitions.iter().map(|p| p.since_epoch).sum::<u64>();
        let before = installed(&world);
        if make(&mut world, attempt) && sealing {
            sealed += 1;
            handovers += usize::from(installed(&world) > before);
        }
    }
    world.check();
    assert!(sealed > 50 && handovers > 1, "{sealed} seals and {handovers} handovers");
    assert!(world.state.brokers.values().any(|broker| broker.left.is_some() && broker.stake == 0));
    assert!(world.state.brokers.values().any(|broker| broker.claimed > 0));
}
