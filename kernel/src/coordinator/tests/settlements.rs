//! Tallies: when they are settled, who is paid and rated, and that nobody is paid twice.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::coordinator::conduct::LATE_ROUND;
use crate::coordinator::tallies::{MOST_MISSES, MOST_SEALS, PROBATION};
use crate::coordinator::{reliability, seats::Counts};

const ONLY: PartitionId = PartitionId(0);

/// One partition, four brokers: a seal pays each seat a quarter of this.
fn params() -> Params {
    Params { partitions: 1, epoch_reward: 400, ..Params::default() }
}

fn is_settlement(fact: &Fact) -> bool {
    matches!(fact, Fact::PartitionSettled { .. })
}

fn members(world: &World) -> Vec<BrokerIndex> {
    world.partition(0).members.brokers().collect()
}

#[test]
fn the_third_miss_of_a_seat_settles_the_tally() {
    let mut world = World::founded(params(), 4);
    let silent = members(&world)[3];
    assert_eq!(world.seal_by_seats(0, &[0, 1, 2, 3]).len(), 1);
    for _ in 0..2 {
        assert_eq!(world.seal_by_seats(0, &[0, 1, 2]).len(), 1);
    }
    let facts = world.seal_by_seats(0, &[0, 1, 2]);
    let signed = [4, 4, 4, 1, 0, 0, 0, 0];
    let missed = [0, 0, 0, 3, 0, 0, 0, 0];
    let set = world.partition(0).members;
    let settled = Fact::PartitionSettled { partition: ONLY, set, signed, missed, reward: 100, paid: 1_300 };
    assert_eq!(facts[1..], [settled]);
    assert_eq!(world.partition(0).tally.seals, 0);
    assert_eq!(
        (world.broker(silent).accrued, world.broker(silent).reliability),
        (100, 10_000 - 3 * 625 + 40)
    );
    world.check();
}

#[test]
fn the_255th_seal_settles_the_tally() {
    let mut world = World::founded(params(), 4);
    for _ in 1..MOST_SEALS {
        assert_eq!(world.seal_by_seats(0, &[0, 1, 2, 3]).len(), 1);
    }
    let facts = world.seal_by_seats(0, &[0, 1, 2, 3]);
    assert!(is_settlement(&facts[1]), "{facts:?}");
    assert!(members(&world).iter().all(|member| world.broker(*member).accrued == 25_500));
    world.check();
}

#[test]
fn settling_skips_what_has_nothing_to_settle() {
    let mut world = World::founded(params(), 4);
    let unknown = PartitionId(77);
    assert_eq!(world.call(HOLDER, Call::Settle(vec![ONLY, unknown])), Ok(vec![]));
    world.seal_by_seats(0, &[0, 1, 2, 3]);
    let facts = world.call(HOLDER, Call::Settle(vec![unknown, ONLY, ONLY])).expect("a settlement");
    assert_eq!(facts.len(), 1, "what was settled before in the list is not settled again");
    let long = Call::Settle(vec![ONLY; 65]);
    assert_eq!(world.call(HOLDER, long), Err(Refusal::ListTooLong { length: 65, maximum: 64 }));
    world.check();
}

fn late(world: &World, signer: BrokerIndex) -> Call {
    let partition = world.partition(0);
    let entry = Entry {
        partition: ONLY,
        epoch: partition.sealed_epoch,
        round: LATE_ROUND,
        checksum: partition.checksum,
        ..Entry::default()
    };
    Call::ReportLate(SignedReport { entry, signer: world.state.address_of(signer) })
}

#[test]
fn a_late_report_before_the_settlement_counts_as_a_signature() {
    let mut world = World::founded(params(), 4);
    let all = members(&world);
    let facts = world.seal_by_seats(0, &[0, 1, 2]);
    assert_eq!(facts.len(), 1);
    let epoch = world.partition(0).sealed_epoch;
    let facts = world.call(HOLDER, late(&world, all[3])).expect("a late report");
    assert_eq!(facts, [Fact::LateReportAccepted { partition: ONLY, epoch, index: all[3], reward: 0 }]);
    let twice = Refusal::NotAbsent { partition: ONLY, epoch, signer: account(all[3].0) };
    assert_eq!(world.call(HOLDER, late(&world, all[3])), Err(twice));
    world.must(HOLDER, Call::Settle(vec![ONLY]));
    assert!(all.iter().all(|member| world.broker(*member).accrued == 100));
    assert!(all.iter().all(|member| world.broker(*member).reliability == reliability::FULL));
    world.check();
}

#[test]
fn a_late_report_after_the_settlement_is_paid_at_once() {
    let mut world = World::founded(params(), 4);
    let all = members(&world);
    world.seal_by_seats(0, &[0, 1, 2]);
    world.must(HOLDER, Call::Settle(vec![ONLY]));
    assert_eq!(world.broker(all[3]).reliability, reliability::FULL - 625);
    let epoch = world.partition(0).sealed_epoch;
    let facts = world.call(HOLDER, late(&world, all[3])).expect("a late report");
    assert_eq!(facts, [Fact::LateReportAccepted { partition: ONLY, epoch, index: all[3], reward: 100 }]);
    assert_eq!((world.broker(all[3]).accrued, world.broker(all[3]).reliability), (100, reliability::FULL));
    world.check();
}

#[test]
fn a_newcomer_that_misses_three_seals_before_it_signs_has_no_tickets_left() {
    let mut world = World::founded(params(), 4);
    let silent = members(&world)[3];
    assert_eq!(world.partition(0).probation[..5], [PROBATION, PROBATION, PROBATION, PROBATION, 0]);
    // Settling often does not let it pass: misses add up.
    world.seal_by_seats(0, &[0, 1, 2]);
    world.must(HOLDER, Call::Settle(vec![ONLY]));
    assert_eq!(world.partition(0).probation[..5], [0, 0, 0, PROBATION - 1, 0]);
    world.seal_by_seats(0, &[0, 1, 2]);
    assert!(world.broker(silent).reliability > 0);
    let facts = world.seal_by_seats(0, &[0, 1, 2]);
    assert_eq!(facts.len(), 1, "two misses are in the tally, one was settled");
    world.must(HOLDER, Call::Settle(vec![ONLY]));
    assert_eq!((world.broker(silent).reliability, world.partition(0).probation[3]), (0, 0));
    assert_eq!(world.broker(silent).tickets_in(world.state.epoch()), 1, "within an epoch tickets stay");
    world.reach_epoch(world.state.epoch() + 1);
    assert_eq!(world.broker(silent).tickets_in(world.state.epoch()), 0);
    let seat = world.partition(0).target.position(silent).expect("it is in the target") as u8;
    world.must(HOLDER, Call::Evict { partition: ONLY, seat });
    world.check();
}

#[test]
fn who_signed_once_is_past_its_probation() {
    let mut world = World::founded(params(), 4);
    let member = members(&world)[3];
    world.seal_by_seats(0, &[0, 1, 2, 3]);
    for _ in 0..MOST_MISSES {
        world.seal_by_seats(0, &[0, 1, 2]);
    }
    assert_eq!(world.partition(0).probation, Counts::default());
    assert_eq!(world.broker(member).reliability, 10_000 - 3 * 625 + 40);
}

#[test]
fn a_suspended_broker_rejoins_for_the_fee() {
    let mut world = World::founded(params(), 4);
    let silent = members(&world)[3];
    let caller = account(silent.0);
    let minimum = reliability::MINIMUM;
    let fine = Refusal::NotSuspended { index: silent, reliability: 10_000, minimum };
    assert_eq!(world.call(caller, Call::Rejoin), Err(fine));
    for _ in 0..3 {
        world.seal_by_seats(0, &[0, 1, 2]);
    }
    let (fee, pool) = (world.state.params.join_fee, world.state.pool);
    let before = world.state.balance(caller);
    let facts = world.call(caller, Call::Rejoin).expect("it is suspended");
    assert_eq!(facts[0], Fact::BrokerRejoined { index: silent, fee });
    let broker = world.broker(silent);
    assert_eq!((broker.reliability, broker.fee), (reliability::REJOINED, 2 * fee));
    assert_eq!((world.state.pool, world.state.balance(caller)), (pool + fee, before - fee));
    let epoch = world.state.epoch();
    let tickets = |world: &World, epoch| world.broker(silent).tickets_in(epoch);
    assert_eq!((tickets(&world, epoch), tickets(&world, epoch + 1)), (1, 1));
    world.must(caller, Call::Leave);
    assert_eq!(world.call(caller, Call::Rejoin), Err(Refusal::AlreadyLeft { index: silent }));
    assert_eq!(world.call(HOLDER, Call::Rejoin), Err(Refusal::NotRegistered { account: HOLDER }));
    world.check();
}

#[test]
fn partitions_share_the_emission_as_they_are_when_settled() {
    let mut world = World::founded(Params { partitions_per_broker: 1, ..params() }, 4);
    world.seal_by_seats(0, &[0, 1, 2, 3]);
    world.must(HOLDER, Call::GrowPartitions);
    assert_eq!(world.state.partition_count(), 4);
    world.must(HOLDER, Call::Settle(vec![ONLY]));
    assert!(members(&world).iter().all(|member| world.broker(*member).accrued == 25));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is settled when, and reported late: each seat is paid once for each seal that it signed or attested.
    #[test]
    fn every_signature_is_paid_once_however_tallies_are_settled(
        steps in prop::collection::vec((0usize..4, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut world = World::founded(params(), 4);
        let all = members(&world);
        let mut due: BTreeMap<BrokerIndex, u128> = all.iter().map(|member| (*member, 0)).collect();
        for (absent, settles, attests) in steps {
            let present: Vec<usize> = (0..4).filter(|seat| *seat != absent).collect();
            world.seal_by_seats(0, &present);
            present.iter().for_each(|seat| *due.entry(all[*seat]).or_default() += 100);
            if settles {
                world.must(HOLDER, Call::Settle(vec![ONLY]));
            }
            if attests {
                world.must(HOLDER, late(&world, all[absent]));
                *due.entry(all[absent]).or_default() += 100;
                prop_assert!(world.call(HOLDER, late(&world, all[absent])).is_err());
            }
            for member in &all {
                prop_assert_eq!(world.state.earned(*member), due[member], "told before it is settled");
            }
            world.check();
        }
        world.must(HOLDER, Call::Settle(vec![ONLY]));
        for member in &all {
            prop_assert_eq!(world.broker(*member).accrued, due[member]);
        }
    }
}
