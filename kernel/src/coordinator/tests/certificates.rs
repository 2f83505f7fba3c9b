//! Founding, sealing, handing over: examples, and who must sign.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::coordinator::certificates::needed_sets;

fn params() -> Params {
    Params { partitions: 1, ..Params::default() }
}

const ONLY: PartitionId = PartitionId(0);

fn submit(certificate: SignedCertificate) -> Call {
    Call::SubmitCertificates(vec![certificate])
}

#[test]
fn the_change_that_fills_the_last_seat_founds() {
    let mut world = World::with_brokers(params(), 4);
    let changes = useful_changes(&world.state, MAXIMUM_LIST);
    let facts = world.call(HOLDER, Call::Rebalance(changes)).expect("a rebalance");
    let epoch = world.state.epoch();
    let Some(Fact::MembersInstalled { partition: ONLY, since_epoch, members }) = facts.last().cloned() else {
        panic!("no founding in {facts:?}")
    };
    let partition = world.partition(0);
    assert_eq!((since_epoch, partition.since_epoch, partition.sealed_epoch), (epoch + 1, epoch + 1, epoch));
    assert_eq!((members, partition.members, partition.members.len()), (partition.target, members, 4));
    assert_eq!(world.state.acting_set(ONLY, epoch), Seats::VACANT);
    assert_eq!(world.state.acting_set(ONLY, epoch + 1), members);
    assert_eq!(world.state.needed_sets(ONLY, epoch + 1), vec![members]);
    world.check();
}

#[test]
fn a_quorum_of_seats_is_founded_by_hand_after_an_epoch_boundary() {
    let mut world = World::with_brokers(params(), 3);
    let found = Call::Found { partition: ONLY };
    let few = Refusal::TooFewSeats { partition: ONLY, seats: 0, quorum: 3 };
    assert_eq!(world.call(HOLDER, found.clone()), Err(few));
    let changes = useful_changes(&world.state, MAXIMUM_LIST);
    world.must(HOLDER, Call::Rebalance(changes));
    let target_epoch = world.state.epoch();
    let moving = Refusal::TargetStillMoving { partition: ONLY, target_epoch };
    assert_eq!(world.call(HOLDER, found.clone()), Err(moving));
    let early = world.signed(0, 0, []);
    assert_eq!(world.call(HOLDER, submit(early)), Err(Refusal::NotFounded { partition: ONLY }));
    world.reach_epoch(target_epoch + 1);
    world.must(HOLDER, found.clone());
    assert_eq!(world.partition(0).members.len(), 3);
    let again = Refusal::AlreadyFounded { partition: ONLY, since_epoch: target_epoch + 2 };
    assert_eq!(world.call(HOLDER, found), Err(again));
    world.check();
}

#[test]
fn who_left_is_no_founder() {
    let mut world = World::with_brokers(Params { replicas: 6, ..params() }, 5);
    let changes = useful_changes(&world.state, MAXIMUM_LIST);
    world.must(HOLDER, Call::Rebalance(changes));
    let target = world.partition(0).target;
    let leaver = |seat: usize| account(target.get(seat).expect("filled").broker.0);
    world.must(leaver(1), Call::Leave);
    world.reach_epoch(world.state.epoch() + 1);
    let mut fewer = world.clone();
    fewer.must(leaver(2), Call::Leave);
    let few = Refusal::TooFewSeats { partition: ONLY, seats: 3, quorum: 4 };
    assert_eq!(fewer.call(HOLDER, Call::Found { partition: ONLY }), Err(few));
    world.must(HOLDER, Call::Found { partition: ONLY });
    let mut expected = target;
    expected.set(1, None);
    assert_eq!(world.partition(0).members, expected);
    world.check();
}

#[test]
fn a_seal_counts_and_a_settlement_pays_and_rates() {
    let mut world = World::founded(params(), 4);
    let epoch = world.state.epoch();
    let members: Vec<_> = world.partition(0).members.brokers().collect();
    let facts = world.seal_by_seats(0, &[0, 1, 2]);
    let mut signers = members[..3].to_vec();
    signers.sort();
    let Fact::PartitionsSealed { signers: packed, entries } = &facts[0] else { panic!("{facts:?}") };
    assert_eq!((*packed, entries.len(), facts.len()), (Seats::of_brokers(signers.clone()), 1, 1));
    let partition = world.partition(0);
    assert_eq!((partition.sealed_epoch, partition.events, partition.volume), (epoch, 3, 100));
    assert_eq!((partition.checksum, partition.absent), (entries[0].checksum, 0b1000));
    let reward = 100 * DATA / 4;
    for member in &members {
        let signed = signers.contains(member);
        let (earned, reports) = if signed { (reward, 1) } else { (0, 0) };
        let broker = world.broker(*member);
        assert_eq!((broker.accrued, broker.reports, broker.reliability), (0, reports, 10_000));
        assert_eq!(world.state.earned(*member), earned, "what the tally will pay is told");
    }
    world.must(HOLDER, Call::Settle(vec![ONLY]));
    for member in members {
        let signed = signers.contains(&member);
        let broker = world.broker(member);
        let expected = if signed { (reward, 10_000) } else { (0, 9_375) };
        assert_eq!((broker.accrued, broker.reliability), expected);
        assert_eq!(world.state.earned(member), expected.0);
    }
    world.check();
    let claimant = account(signers[0].0);
    let before = world.state.balance(claimant);
    world.must(claimant, Call::Claim);
    assert_eq!(world.state.balance(claimant), before + reward);
    assert_eq!(world.call(claimant, Call::Claim), Err(Refusal::NothingToClaim { index: signers[0] }));
    world.check();
}

#[test]
fn a_short_reserve_pays_what_is_there() {
    let mut world = World::founded(Params { epoch_reward: 2_400 * DATA, ..params() }, 4);
    world.seal_by_seats(0, &[0, 1, 2, 3]);
    world.must(HOLDER, Call::Settle(vec![ONLY]));
    let members: Vec<_> = world.partition(0).members.brokers().collect();
    let accrued = members.iter().map(|member| world.broker(*member).accrued / DATA);
    assert_eq!(accrued.collect::<Vec<_>>(), [600, 400, 0, 0], "in the order of seats");
    assert_eq!((world.state.unpaid, world.state.reserve()), (1_000 * DATA, 0));
    world.seal_by_seats(0, &[0, 1, 2, 3]);
    world.must(HOLDER, Call::Settle(vec![ONLY]));
    assert_eq!(world.state.unpaid, 1_000 * DATA);
    world.check();
}

#[test]
fn each_refusal_names_what_is_wrong() {
    let mut world = World::founded(Params { window_epochs: 3, ..params() }, 9);
    let epoch = world.state.epoch();
    let members: Vec<_> = world.partition(0).members.brokers().collect();
    let stranger = (1..=9).map(BrokerIndex).find(|broker| !members.contains(broker)).expect("a stranger");
    let partition = ONLY;
    let good = world.signed(0, epoch, members.clone());
    let refuse = |world: &mut World, certificate: SignedCertificate, refusal: Refusal| {
        assert_eq!(world.call(HOLDER, submit(certificate)), Err(refusal));
    };
    let not_over = Refusal::EpochNotOver { partition, epoch, current_epoch: epoch };
    refuse(&mut world, good.clone(), not_over);
    world.reach_epoch(epoch + 1);
    let entry = |change: &dyn Fn(&mut Entry)| {
        let mut changed = good.clone();
        change(&mut changed.entries[0]);
        changed
    };
    let sealed_epoch = epoch - 1;
    let sealed = Refusal::AlreadySealed { partition, epoch: epoch - 1, sealed_epoch };
    refuse(&mut world, entry(&|entry| entry.epoch -= 1), sealed);
    let unknown = Refusal::UnknownPartition { partition: PartitionId(1), partitions: 1 };
    refuse(&mut world, entry(&|entry| entry.partition = PartitionId(1)), unknown);
    let previous = Refusal::PreviousMismatch { partition, hint: [1; 4], stored: Hash::ZERO };
    refuse(&mut world, entry(&|entry| entry.previous = Hash([1; 32])), previous);
    let none = SignedCertificate { entries: vec![], ..good.clone() };
    refuse(&mut world, none, Refusal::EntriesOutOfRange { length: 0, maximum: 64 });
    let more = SignedCertificate { entries: vec![good.entries[0]; 65], ..good.clone() };
    refuse(&mut world, more, Refusal::EntriesOutOfRange { length: 65, maximum: 64 });
    let again = SignedCertificate { entries: vec![good.entries[0]; 2], ..good.clone() };
    refuse(&mut world, again, Refusal::EntriesNotAscending { partition });

    let signers = |brokers: &[BrokerIndex]| world.signed(0, epoch, brokers.iter().copied());
    let set = world.partition(0).members;
    let (few, twice) = (signers(&members[..2]), signers(&[members[0], members[0], members[1]]));
    let strange = signers(&[members[0], members[1], stranger]);
    let many = signers(&[members[0]; 9]);
    let mut malformed = good.clone();
    malformed.signers[1] = None;
    refuse(
        &mut world,
        few,
        Refusal::QuorumNotReached { partition, epoch, members: set, signers: 2, quorum: 3 },
    );
    refuse(&mut world, twice, Refusal::DuplicateSigner { partition, index: members[0] });
    refuse(&mut world, strange, Refusal::SignerNotMember { partition, epoch, signer: account(stranger.0) });
    let nobody = Address([7; 20]);
    let mut unregistered = good.clone();
    unregistered.signers[0] = Some(nobody);
    refuse(&mut world, unregistered, Refusal::SignerNotMember { partition, epoch, signer: nobody });
    refuse(&mut world, many, Refusal::TooManySignatures { partition, given: 9, maximum: 8 });
    refuse(&mut world, malformed, Refusal::InvalidSignature { partition, position: 1 });
    let long = Call::SubmitCertificates(vec![good.clone(); 65]);
    assert_eq!(world.call(HOLDER, long), Err(Refusal::ListTooLong { length: 65, maximum: 64 }));

    world.reach_epoch(epoch + 4);
    let current_epoch = epoch + 4;
    let window = Refusal::WindowClosed { partition, epoch, current_epoch, window_epochs: 3 };
    refuse(&mut world, good, window);
    let later = world.signed(0, epoch + 1, members);
    world.must(HOLDER, submit(later));
    assert_eq!(world.partition(0).sealed_epoch, epoch + 1);
}

#[test]
fn of_several_the_sealed_ones_are_skipped() {
    let mut world = World::founded(Params { partitions: 2, ..params() }, 4);
    let epoch = world.state.epoch();
    world.reach_epoch(epoch + 1);
    let members = |partition| world.partition(partition).members.brokers().collect::<Vec<_>>();
    let (first, second) = (world.signed(0, epoch, members(0)), world.signed(1, epoch, members(1)));
    world.must(HOLDER, submit(first.clone()));
    let facts = world.call(HOLDER, Call::SubmitCertificates(vec![first.clone(), second.clone()]));
    assert_eq!(facts.expect("the second").len(), 1);
    assert_eq!(world.call(HOLDER, Call::SubmitCertificates(vec![first, second])), Ok(vec![]));
}

/// Four partitions with the same four members: one certificate seals all.
fn alike() -> (World, u64, Vec<BrokerIndex>) {
    let mut world = World::founded(Params { partitions: 4, ..params() }, 4);
    let epoch = world.state.epoch();
    world.reach_epoch(epoch + 1);
    let members = world.partition(0).members.brokers().collect();
    (world, epoch, members)
}

#[test]
fn one_certificate_seals_several_partitions() {
    let (mut world, epoch, members) = alike();
    let facts = world.call(HOLDER, submit(world.shared(0..4, epoch, members.clone()))).expect("seals");
    let [Fact::PartitionsSealed { entries, .. }] = &facts[..] else { panic!("{facts:?}") };
    assert_eq!(entries.iter().map(|entry| entry.partition.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!((0..4).all(|partition| world.partition(partition).sealed_epoch == epoch));
    assert!(members.iter().all(|member| world.broker(*member).reports == 4));
    world.check();
}

#[test]
fn one_stale_entry_makes_the_certificate_stale() {
    let (mut world, epoch, members) = alike();
    let shared = world.shared([0, 2], epoch, members.clone());
    let mut other = shared.clone();
    other.entries[1].previous = Hash([9; 32]);
    let rest = world.shared([1, 3], epoch, members.clone());
    let single = world.signed(2, epoch, members);
    world.must(HOLDER, submit(single));
    let partition = PartitionId(2);
    let sealed = Refusal::AlreadySealed { partition, epoch, sealed_epoch: epoch };
    assert_eq!(world.call(HOLDER, submit(shared.clone())), Err(sealed));
    let several = Call::SubmitCertificates(vec![shared, other, rest]);
    let facts = world.call(HOLDER, several).expect("the rest");
    assert_eq!(facts.len(), 1);
    let sealed = |partition| world.partition(partition).sealed_epoch == epoch;
    assert_eq!([0, 1, 2, 3].map(sealed), [false, true, true, true], "its other entry has to come again");
    world.check();
}

#[test]
fn every_signer_is_of_a_set_of_every_entry() {
    let mut world = World::founded(Params { partitions: 12, replicas: 3, ..params() }, 4);
    let epoch = world.state.epoch();
    world.reach_epoch(epoch + 1);
    let sets: Vec<Seats> = (0..12).map(|partition| world.partition(partition).members).collect();
    let members = |partition: u32| sets[partition as usize];
    let other = (1..12).find(|other| !members(0).brokers().all(|b| members(*other).contains(b)));
    let other = other.expect("one of eleven has other members");
    let foreign = members(0).brokers().find(|b| !members(other).contains(*b)).expect("another");
    let certificate = world.shared([0, other], epoch, members(0).brokers());
    let signer = account(foreign.0);
    let refusal = Refusal::SignerNotMember { partition: PartitionId(other), epoch, signer };
    assert_eq!(world.call(HOLDER, submit(certificate)), Err(refusal));
    let common = members(0).brokers().filter(|b| members(other).contains(*b)).collect::<Vec<_>>();
    world.must(HOLDER, submit(world.shared([0, other], epoch, common)));
    assert_eq!((world.partition(0).sealed_epoch, world.partition(other).sealed_epoch), (epoch, epoch));
    world.check();
}

/// A founded partition in which broker 5 joins and takes a seat of the target; it replaces one member.
fn with_a_newcomer() -> (World, u64, BrokerIndex) {
    let mut world = World::founded(params(), 4);
    let epoch = world.state.epoch();
    for index in 5.. {
        world.fund(account(index), 100_000 * DATA);
        world.must(account(index), register(1_000 * DATA));
        world.mine(2);
        world.must(HOLDER, Call::RecordDraw { index: BrokerIndex(index) });
        let changes = useful_changes(&world.state, MAXIMUM_LIST);
        world.must(HOLDER, Call::Rebalance(changes));
        assert!(index < 50, "one of fifty brokers scores above one of four");
        if world.state.proposed(ONLY).len() == 1 {
            return (world, epoch, BrokerIndex(index));
        }
    }
    unreachable!("the loop returns or panics")
}

#[test]
fn newcomers_act_from_the_epoch_after_the_certificate_and_both_sets_must_sign() {
    let (mut world, first, newcomer) = with_a_newcomer();
    let changed = world.partition(0).target_changed_epoch;
    let old = world.partition(0).members;
    let old_brokers: Vec<_> = old.brokers().collect();
    if changed > first {
        world.reach_epoch(changed + 1);
        let certificate = world.signed(0, changed - 1, old_brokers.clone());
        let facts = world.call(HOLDER, submit(certificate)).expect("a seal");
        assert_eq!(facts.len(), 1, "proposed after the sealed epoch, so nothing is installed");
    }
    world.reach_epoch(changed + 1);
    let certificate = world.signed(0, changed, old_brokers.clone());
    world.must(HOLDER, submit(certificate));
    let new = world.partition(0).members;
    assert!(new.contains(newcomer) && new.len() == 4 && new != old);
    assert_eq!(world.partition(0).since_epoch, changed + 2);
    assert!(world.state.is_member(ONLY, newcomer, changed + 2));
    assert!(!world.state.is_member(ONLY, newcomer, changed + 1));

    // The epoch before the new set's first is the old set's alone, and newcomers are not rated for it.
    world.reach_epoch(changed + 3);
    assert_eq!(world.state.needed_sets(ONLY, changed + 1), vec![old]);
    assert_eq!(world.state.needed_sets(ONLY, changed + 2), vec![old, new]);
    let only_new: Vec<_> = new.brokers().filter(|broker| *broker != old_brokers[0]).take(3).collect();
    assert!(only_new.contains(&newcomer));
    let mut between = world.clone();
    let certificate = between.signed(0, changed + 1, old_brokers.clone());
    between.must(HOLDER, submit(certificate));
    assert_eq!(between.state.broker(newcomer).expect("it").reliability, 10_000, "not rated");
    assert_eq!(between.partition(0).members, new, "nobody is installed before the set has sealed");
    assert_eq!(between.state.needed_sets(ONLY, changed + 2), vec![new]);
    let certificate = world.signed(0, changed + 2, only_new);
    let (partition, epoch) = (ONLY, changed + 2);
    let wanting = Refusal::QuorumNotReached { partition, epoch, members: old, signers: 2, quorum: 3 };
    assert_eq!(world.call(HOLDER, submit(certificate)), Err(wanting));
    let everybody: BTreeSet<_> = old.brokers().chain(new.brokers()).collect();
    let certificate = world.signed(0, changed + 2, everybody);
    world.must(HOLDER, submit(certificate));
    assert_eq!(world.partition(0).sealed_epoch, changed + 2);
    assert_eq!(world.state.broker(newcomer).expect("it").reliability, 10_000);
    world.check();
}

proptest! {
    #[test]
    fn the_sets_of_every_epoch_since_the_last_sealed_one_are_needed(
        sealed in 0u64..10, since in 0u64..12, epoch in 0u64..14,
    ) {
        // The chain lets a new set follow only once the last epoch of the one before the present was sealed.
        let mut partition = State::default().partitions[0].clone();
        partition.founded = true;
        partition.members = Seats::of_brokers([1, 2, 3, 4].map(BrokerIndex));
        partition.previous_members = Seats::of_brokers([1, 2, 3, 5].map(BrokerIndex));
        partition.sealed_epoch = sealed;
        partition.since_epoch = since;
        let acting = |e: u64| if e >= since { partition.members } else { partition.previous_members };
        let mut wanted: Vec<Seats> = (sealed + 1..=epoch).map(acting).collect();
        wanted.dedup();
        prop_assert_eq!(needed_sets(&partition, epoch), wanted);
    }
}
