//! Reporting twice, late, or not at all: an example a rule.

use alloc::vec::Vec;

use super::*;
use crate::coordinator::conduct::LATE_ROUND;
use crate::coordinator::tallies::PROBATION;

const ONLY: PartitionId = PartitionId(0);

fn params() -> Params {
    let epoch_reward = 400;
    Params { partitions: 1, epoch_reward, window_epochs: 2, quorum_lost_windows: 2, ..Params::default() }
}

fn report(entry: Entry, signer: BrokerIndex) -> SignedReport {
    SignedReport { entry, signer: Some(account(signer.0)) }
}

#[test]
fn two_checksums_cost_a_share_of_the_stake_and_the_tickets_once() {
    let mut world = World::founded(params(), 4);
    let index = world.partition(0).members.brokers().next().expect("a member");
    let entry = world.entry(0, 7);
    let other = Entry { checksum: Hash([5; 32]), ..entry };
    let slash = |a, b| Call::Slash { index, reports: [report(a, index), report(b, index)] };
    let no_conflict = Err(Refusal::NoConflict { index });
    assert_eq!(world.call(HOLDER, slash(entry, entry)), no_conflict);
    assert_eq!(world.call(HOLDER, slash(entry, Entry { round: 1, ..other })), no_conflict);
    assert_eq!(world.call(HOLDER, slash(entry, Entry { previous: Hash([1; 32]), ..other })), no_conflict);
    let stake = world.broker(index).stake;
    let facts = world.call(HOLDER, slash(entry, other)).expect("a conflict");
    assert_eq!(facts.len(), 2, "it leaves as well: {facts:?}");
    assert_eq!((world.broker(index).stake, world.state.bounty(HOLDER)), (stake / 2, stake / 20));
    let again = Refusal::AlreadySlashed { index, partition: ONLY, epoch: 7, round: 0 };
    assert_eq!(world.call(HOLDER, slash(other, entry)), Err(again));
    world.must(HOLDER, Call::ClaimBounty);
    world.check();
}

#[test]
fn a_late_report_is_of_the_last_seal_in_the_reserved_round() {
    let mut world = World::founded(params(), 4);
    let members: Vec<_> = world.partition(0).members.brokers().collect();
    world.seal_by_seats(0, &[0, 1, 2]);
    let partition = world.partition(0);
    let (epoch, checksum) = (partition.sealed_epoch, partition.checksum);
    let entry = Entry { partition: ONLY, epoch, round: LATE_ROUND, checksum, ..Entry::default() };
    let mut say = |entry, signer| world.call(HOLDER, Call::ReportLate(report(entry, signer)));
    let not_late = Refusal::NotLate { partition: ONLY, round: 3 };
    assert_eq!(say(Entry { round: 3, ..entry }, members[3]), Err(not_late));
    let wrong = Refusal::NotAccepted { partition: ONLY, epoch: epoch + 1, sealed_epoch: epoch, checksum };
    assert_eq!(say(Entry { epoch: epoch + 1, ..entry }, members[3]), Err(wrong));
    let signer = account(members[0].0);
    assert_eq!(say(entry, members[0]), Err(Refusal::NotAbsent { partition: ONLY, epoch, signer }));
    assert!(say(entry, members[3]).is_ok());
}

#[test]
fn members_without_a_quorum_are_settled_with_a_miss_and_lose_the_partition() {
    let mut world = World::founded(params(), 4);
    let members: Vec<_> = world.partition(0).members.brokers().collect();
    world.seal_by_seats(0, &[0, 1, 2, 3]);
    world.seal_by_seats(0, &[0, 1, 2]);
    let sealed_epoch = world.partition(0).sealed_epoch;
    world.reach_epoch(sealed_epoch + 4);
    let lost = Call::DeclareQuorumLost { partition: ONLY };
    let current_epoch = sealed_epoch + 4;
    let early = Refusal::QuorumNotLost { partition: ONLY, sealed_epoch, current_epoch, patience: 4 };
    assert_eq!(world.call(HOLDER, lost.clone()), Err(early));
    world.reach_epoch(sealed_epoch + 5);
    let set = world.partition(0).members;
    let facts = world.call(HOLDER, lost).expect("nobody sealed");
    let (signed, missed) = ([2, 2, 2, 1, 0, 0, 0, 0], [1, 1, 1, 2, 0, 0, 0, 0]);
    let settled = Fact::PartitionSettled { partition: ONLY, set, signed, missed, reward: 100, paid: 700 };
    let lost = Fact::QuorumLost { partition: ONLY, sealed_epoch, members: set };
    assert_eq!(facts[..2], [settled, lost]);
    assert_eq!(facts.len(), 3, "and the target's members are there: {facts:?}");
    let partition = world.partition(0);
    assert_eq!((partition.sealed_epoch, partition.since_epoch), (sealed_epoch + 5, sealed_epoch + 6));
    assert_eq!((partition.absent, partition.probation[0]), (0, PROBATION), "whoever sits there shows anew");
    assert_eq!(partition.founded_epoch, 1, "it was founded long ago");
    assert_eq!(world.broker(members[0]).reliability, 10_000 - 625 + 80);
    world.check();
}
