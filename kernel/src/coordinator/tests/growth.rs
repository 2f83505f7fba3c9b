//! More partitions for more brokers, and where lanes are at home meanwhile.

use alloc::vec::Vec;

use super::*;
use crate::coordinator::growth as rule;
use crate::ids::{StreamId, StreamPartition};

fn params() -> Params {
    Params { replicas: 1, partitions: 2, partitions_per_broker: 3, ..Params::default() }
}

fn slots() -> impl Iterator<Item = StreamPartition> {
    (0..200).map(|partition| StreamPartition { stream: StreamId([5; 20]), partition })
}

/// Seats and founds one partition; its first members act from the next epoch on.
fn found(world: &mut World, partition: u32) {
    let id = PartitionId(partition);
    let changes = useful_changes(&world.state, usize::MAX);
    let of_it: Vec<Change> = changes.into_iter().filter(|change| change.partition == id).collect();
    world.must(HOLDER, Call::Rebalance(of_it));
    assert!(world.partition(partition).founded, "partition {partition} has its members");
}

#[test]
fn partitions_grow_with_the_active_brokers() {
    let mut world = World::with_brokers(params(), 0);
    assert_eq!(
        world.call(HOLDER, Call::GrowPartitions),
        Err(Refusal::NothingToGrow { partitions: 2, wanted: 0 })
    );
    for index in 1..=3 {
        world.fund(account(index), 100_000 * DATA);
        world.must(account(index), register(1_000 * DATA));
    }
    assert_eq!(rule::wanted(&world.state), 0, "a broker without its draw is not active");
    world.mine(2);
    (1..=3).for_each(|index| world.must(HOLDER, Call::RecordDraw { index: BrokerIndex(index) }));
    world.must(account(3), Call::Leave);
    let from_epoch = world.state.epoch() + 1;
    let grown = Fact::PartitionsGrown { from_epoch, partitions: 6 };
    assert_eq!(world.call(HOLDER, Call::GrowPartitions), Ok(vec![grown]), "who left does not count");
    assert_eq!(world.state.partition_count(), 6);
    assert_eq!(world.partition(5), &Partition { key: score::partition_key(PartitionId(5)), ..vacant() });
    assert_eq!(
        world.call(HOLDER, Call::GrowPartitions),
        Err(Refusal::NothingToGrow { partitions: 6, wanted: 6 })
    );
    world.must(account(2), Call::Leave);
    assert_eq!(rule::wanted(&world.state), 3);
    assert_eq!(world.state.partition_count(), 6, "partitions are never taken away");
    world.check();
}

fn vacant() -> Partition {
    State::default().partition(PartitionId(0)).expect("a partition").clone()
}

#[test]
fn a_network_that_never_grows_does_not() {
    let mut world = World::with_brokers(Params { partitions_per_broker: 0, ..params() }, 4);
    let refused = Refusal::NothingToGrow { partitions: 2, wanted: 0 };
    assert_eq!(world.call(HOLDER, Call::GrowPartitions), Err(refused));
}

#[test]
fn there_are_never_more_partitions_than_the_maximum() {
    let per_broker = Params { partitions_per_broker: u16::MAX, ..params() };
    let world = World::with_brokers(per_broker, 17);
    assert_eq!(rule::wanted(&world.state), rule::MAXIMUM_PARTITIONS);
}

#[test]
fn a_lane_stays_where_its_opening_block_puts_it() {
    let mut world = World::founded(params(), 2);
    let opened = world.state.height;
    let before: Vec<PartitionId> = slots().map(|slot| world.state.home(slot)).collect();
    world.must(HOLDER, Call::GrowPartitions);
    (2..6).for_each(|partition| found(&mut world, partition));
    let now: Vec<PartitionId> = slots().map(|slot| world.state.home(slot)).collect();
    assert_eq!(now, before, "the first members of the new ones do not act yet");
    world.reach_epoch(world.state.epoch() + 1);
    let mut moved = 0;
    for (slot, old) in slots().zip(before) {
        let new = score::home(slot, 6);
        assert_eq!(world.state.home(slot), new);
        assert_eq!(world.state.home_at(slot, opened), old);
        let homes: Vec<PartitionId> = world.state.homes(slot).iter().map(|home| home.partition).collect();
        assert_eq!(homes, if new == old { vec![old] } else { vec![old, new] });
        moved += usize::from(new != old);
    }
    assert!((110..160).contains(&moved), "{moved} of 200 moved: two thirds of them should");
}

#[test]
fn a_partition_without_members_is_nobodys_home() {
    let mut world = World::founded(params(), 2);
    world.must(HOLDER, Call::GrowPartitions);
    found(&mut world, 3);
    world.reach_epoch(world.state.epoch() + 1);
    for slot in slots() {
        let sequence: Vec<PartitionId> = score::homes(slot, 6).collect();
        let usable = sequence.iter().filter(|id| id.0 < 2 || id.0 == 3);
        assert_eq!(Some(&world.state.home(slot)), usable.last());
    }
}

#[test]
fn homes_depend_on_what_was_known_when_the_epoch_began() {
    let mut world = World::founded(params(), 2);
    let mut seen: Vec<(u64, Vec<PartitionId>)> = Vec::new();
    world.must(HOLDER, Call::GrowPartitions);
    // Later partitions first, so that some slot would move to an earlier one afterwards if homes could go back.
    for partition in [5, 2, 4, 3] {
        found(&mut world, partition);
        world.reach_epoch(world.state.epoch() + 1);
        seen.push((world.state.height, slots().map(|slot| world.state.home(slot)).collect()));
    }
    for (block, homes) in &seen {
        let later: Vec<PartitionId> = slots().map(|slot| world.state.home_at(slot, *block)).collect();
        assert_eq!(&later, homes, "what was at home where in block {block} stays so");
    }
    for (at, slot) in slots().enumerate() {
        let mut visited: Vec<PartitionId> = vec![score::home(slot, 2)];
        visited.extend(seen.iter().map(|(_, homes)| homes[at]));
        visited.dedup();
        let homes: Vec<PartitionId> = world.state.homes(slot).iter().map(|home| home.partition).collect();
        assert_eq!(homes, visited, "readers look everywhere and nowhere else");
        assert!(homes.is_sorted(), "homes never go back");
    }
}
