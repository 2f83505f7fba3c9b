//! Random calls by anybody: whatever happens, what must hold holds.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::coordinator::conduct::{LATE_ROUND, absent_seat};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

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
    SealAll { absent: u32 },
    Settle(u32),
    Late(u32),
    Rejoin(u32),
    Lose(u32),
    Grow,
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
        3 => any::<u32>().prop_map(|absent| Attempt::SealAll { absent }),
        2 => partition().prop_map(Attempt::Settle),
        2 => partition().prop_map(Attempt::Late),
        2 => account().prop_map(Attempt::Rejoin),
        1 => partition().prop_map(Attempt::Lose),
        1 => Just(Attempt::Grow),
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
        Attempt::Rebalance => {
            let sponsor = account(1 + world.state.height as u32 % ACCOUNTS);
            (sponsor, Call::Rebalance(useful_changes(&world.state, MAXIMUM_LIST)))
        }
        Attempt::Evict { partition: id, seat } => (HOLDER, Call::Evict { partition: partition(id), seat }),
        Attempt::Found(id) => (HOLDER, Call::Found { partition: partition(id) }),
        Attempt::Seal { partition: id, back, absent } => {
            let epoch = world.state.epoch().saturating_sub(back);
            let brokers = signers(world, [id], epoch, absent);
            (HOLDER, Call::SubmitCertificates(vec![world.signed(id, epoch, brokers)]))
        }
        Attempt::SealAll { absent } => {
            let epoch = world.state.epoch().saturating_sub(1);
            let brokers = signers(world, 0..PARTITIONS, epoch, absent);
            (HOLDER, Call::SubmitCertificates(vec![world.shared(0..PARTITIONS, epoch, brokers)]))
        }
        Attempt::Settle(id) => (HOLDER, Call::Settle(vec![partition(id)])),
        Attempt::Late(id) => {
            let sealed = world.partition(id);
            let absent = |index: &BrokerIndex| absent_seat(sealed, *index).is_some();
            let signer = sealed.rated_set().brokers().find(absent).and_then(|b| world.state.address_of(b));
            let (epoch, checksum) = (sealed.sealed_epoch, sealed.checksum);
            let (partition, round) = (partition(id), LATE_ROUND);
            let entry = Entry { partition, epoch, round, checksum, ..Entry::default() };
            (HOLDER, Call::ReportLate(SignedReport { entry, signer }))
        }
        Attempt::Rejoin(index) => {
            let suspended = world.state.brokers.values().find(|b| b.is_suspended() && b.left.is_none());
            (suspended.map_or(account(index), |broker| broker.address), Call::Rejoin)
        }
        Attempt::Lose(id) => (HOLDER, Call::DeclareQuorumLost { partition: partition(id) }),
        Attempt::Grow => (HOLDER, Call::GrowPartitions),
        Attempt::Transfer { from, to, share } => {
            let value = world.state.balance(account(from)) / share;
            (account(from), Call::Transfer { to: account(to), value })
        }
    };
    world.call(caller, call).is_ok()
}

/// Those who can sign for all of these partitions, at times less one; some miss more than others.
fn signers(
    world: &World,
    partitions: impl IntoIterator<Item = u32>,
    epoch: u64,
    absent: u32,
) -> Vec<BrokerIndex> {
    let of = |id: u32| {
        let sets = world.state.needed_sets(PartitionId(id), epoch);
        sets.iter().flat_map(Seats::brokers).collect::<BTreeSet<_>>()
    };
    let common = partitions.into_iter().map(of).reduce(|all, set| all.intersection(&set).copied().collect());
    let mut brokers: Vec<_> = common.unwrap_or_default().into_iter().collect();
    match absent % 3 {
        0 if !brokers.is_empty() => drop(brokers.remove(absent as usize % brokers.len())),
        1 => brokers.retain(|broker| broker.0 % 3 != 2),
        _ => {}
    }
    brokers
}

fn world(replicas: u8) -> World {
    let params = Params {
        replicas,
        partitions: PARTITIONS,
        partitions_per_broker: 1,
        epoch_blocks: 4,
        notice_epochs: 1,
        window_epochs: 4,
        quorum_lost_windows: 1,
        ..Params::default()
    };
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
            let is_loss = matches!(attempt, Attempt::Lose(_));
            if !make(&mut world, attempt) {
                prop_assert_eq!(&world.state, &before.state, "a refusal changes nothing");
            }
            world.check();
            for (partition, was) in world.state.partitions.iter().zip(before.state.partitions.iter()) {
                prop_assert!(partition.sealed_epoch >= was.sealed_epoch && partition.since_epoch >= was.since_epoch);
                let is_founding = partition.founded_epoch == partition.since_epoch;
                if partition.since_epoch == was.since_epoch || is_founding || is_loss {
                    continue;
                }
                prop_assert_eq!(partition.previous_members, was.members);
                let kept = was.members.brokers().filter(|broker| partition.members.contains(*broker)).count();
                prop_assert!(kept + world.state.params.newcomers() >= was.members.len());
            }
        }
    }
}

/// The attempts above are worth something only if they get somewhere.
#[test]
fn random_calls_get_somewhere() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    let mut meet = |what: &str| *met.entry(what.into()).or_default() += 1;
    for _ in 0..10 {
        let mut world = world(4);
        for _ in 0..600 {
            let attempt = attempt().new_tree(&mut runner).expect("an attempt").current();
            let name = format!("{attempt:?}");
            if make(&mut world, attempt) {
                meet(name.split([' ', '(']).next().expect("a name"));
            }
        }
        world.check();
        world
            .state
            .partitions
            .iter()
            .filter(|p| p.since_epoch > p.founded_epoch)
            .for_each(|_| meet("handover"));
        for broker in world.state.brokers.values() {
            let withdrawn = broker.left.is_some() && broker.stake == 0;
            let rewarded = broker.fee < world.state.params.join_fee;
            [(withdrawn, "stake back"), (broker.claimed > 0, "paid"), (rewarded, "fee spent")]
                .into_iter()
                .filter(|(is_so, _)| *is_so)
                .for_each(|(_, what)| meet(what));
        }
    }
    let wanted = [
        "Seal",
        "SealAll",
        "Settle",
        "Late",
        "Rejoin",
        "Lose",
        "Grow",
        "Withdraw",
        "Claim",
        "Evict",
        "Found",
        "handover",
        "stake back",
        "paid",
        "fee spent",
    ];
    wanted.iter().for_each(|what| assert!(met.contains_key(*what), "{what} never happened: {met:?}"));
    assert!(met["Seal"] > 200 && met["SealAll"] > 50, "{met:?}");
}
