//! Former members: when a broker may give back the room of a partition that it left (WP 2.4.6, 2.4.8).
//!
//! Nothing that was acknowledged is ever lost, so a former member gives back what it holds only once the members hold
//! all of it. It need not ask them: the chain says so.
//!
//! - *A signature under a seal says that its signer holds everything up to it.* A replica signs only if it has adopted
//!   the cut that the seal rolls on from, and it adopts a cut only after all cuts before it and with everything that
//!   they name on its disk. A newcomer begins with the first cut of the partition. So who signs has the whole history,
//!   but for what f+1 others have let go by the stream's own [`retention`](super::retention). A late report, which the
//!   chain takes from a member that was absent, says the same of the same cut.
//! - *All seats, not a quorum.* A quorum of signatures is what `stored` rests on, and would do. But a member that did
//!   not sign may be a newcomer that is still fetching, or may have lost its disk. For as long as there is one, the
//!   former member's copy stands in for it. A seat that is vacant, silent or lies is waited for: it loses its tickets,
//!   and another broker gets it.
//! - *Their own seal.* It covers an epoch of the present set. Then every epoch of the sets before it is sealed too, and
//!   with them everything `stored` in one: so is what the former member acknowledged.
//! - *And now.* The seal is that of one of the last [`FORMER_LAG_EPOCHS`] epochs. If members fall silent, all of them
//!   perhaps, a former member may have the only copy: it keeps it. So it does when the network has a successor and
//!   nothing is sealed any more, and when the chain gave up a lost quorum: there the epoch that counts as sealed is
//!   before the new set's first.
//! - *For a while.* The set has been the same for [`FORMER_EPOCHS`]: who is replaced for a while and comes back finds
//!   its data. Who comes back later begins as any newcomer does.
//!
//! What was taken in and no cut names, [`holds_nothing_open`], is kept for as long as a cut could name it: after a lost
//! quorum it may be all that is left of something that was stored. When its lane's life is over no replica takes it in
//! any more, and it goes with the rest.
//!
//! After all this at least R−f honest replicas hold on disk what goes, which is not less than the quorum that each
//! promise counts with: fewer than q−f lost disks leave one of them.

use super::admission::may_still_grow;
use super::lane::Lane;
use crate::coordinator::{Partition, State};
use crate::ids::{BrokerIndex, Epoch};
use crate::limits::{FORMER_EPOCHS, FORMER_LAG_EPOCHS};

/// Whether the members of a partition hold everything that was ever sealed there, so that `me`, who is none of them
/// and does not become one, need not.
pub fn is_superfluous(view: &State, partition: &Partition, me: BrokerIndex) -> bool {
    let epoch = view.epoch();
    let is_outside = !partition.members.contains(me) && !partition.target.contains(me);
    let is_full = partition.members.len() == view.params.seats();
    let is_theirs = partition.sealed_epoch >= partition.since_epoch;
    let all_signed = partition.absent == 0 && !partition.checksum.is_zero();
    let is_fresh = partition.sealed_epoch.saturating_add(FORMER_LAG_EPOCHS) >= epoch;
    let is_lasting = epoch >= partition.since_epoch.saturating_add(FORMER_EPOCHS);
    partition.founded && is_outside && is_full && is_theirs && all_signed && is_fresh && is_lasting
}

/// Whether no cut after the one of `sealed_epoch` can name anything of these lanes that none has named yet, nor a fork.
pub fn holds_nothing_open<'a>(
    view: &State,
    sealed_epoch: Epoch,
    mut lanes: impl Iterator<Item = &'a Lane>,
) -> bool {
    let is_open = |lane: &Lane| !lane.marks.is_empty() || lane.fork.is_some() && !lane.closed;
    lanes.all(|lane| !is_open(lane) || !may_still_grow(view.epoch_of(lane.opening_block), sealed_epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{LaneWriter, NewEvent, content_type};
    use crate::broker::duties::fixture;
    use crate::coordinator::{BlockRef, Fact, SealedEntry, Seats, evolve};
    use crate::ids::{Address, Hash, PartitionId, StreamId, StreamPartition};
    use crate::limits::LANE_LIFETIME_EPOCHS;
    use crate::signature::{KEYED_HASH, keyed_hash};

    const EPOCH: Epoch = 20;
    const SINCE: Epoch = EPOCH - FORMER_EPOCHS;
    const FORMER: BrokerIndex = BrokerIndex(5);

    /// Brokers 1 to 4 are the members of partition 1 and signed its last epoch; 5 was one before.
    fn view() -> State {
        let mut view = fixture::view(5, EPOCH);
        let members = Seats::of_brokers([1, 2, 3, 4].map(BrokerIndex));
        let partition = fixture::partition(&mut view, 1);
        (partition.members, partition.target) = (members, members);
        partition.previous_members = Seats::of_brokers([1, 2, 3, 5].map(BrokerIndex));
        (partition.since_epoch, partition.sealed_epoch) = (SINCE, EPOCH - 1);
        view
    }

    fn after(change: impl FnOnce(&mut Partition)) -> bool {
        let mut view = view();
        change(fixture::partition(&mut view, 1));
        is_superfluous(&view, &view.partitions[1], FORMER)
    }

    #[test]
    fn who_was_replaced_is_superfluous_once_all_members_signed() {
        assert!(after(|_| {}));
        assert!(!after(|partition| partition.absent = 1), "one may still be fetching");
        assert!(!after(|partition| partition.members.set(2, None)), "there is a copy too few");
        assert!(!after(|partition| partition.founded = false));
    }

    #[test]
    fn it_waits_for_a_seal_of_the_present_members() {
        assert!(!after(|partition| partition.since_epoch = EPOCH));
        assert!(!after(|partition| partition.since_epoch = SINCE + 1), "they have not been there for long");
        assert!(!after(|partition| partition.checksum = Hash::ZERO), "nothing was ever sealed");
    }

    #[test]
    fn it_keeps_what_it_has_when_the_members_fall_silent() {
        assert!(after(|partition| partition.sealed_epoch = EPOCH - FORMER_LAG_EPOCHS));
        assert!(!after(|partition| partition.sealed_epoch = EPOCH - FORMER_LAG_EPOCHS - 1));
    }

    #[test]
    fn who_has_a_seat_or_is_to_get_one_is_not_former() {
        let with_me = Seats::of_brokers([1, 2, 3, 5].map(BrokerIndex));
        assert!(!after(|partition| partition.members = with_me));
        assert!(!after(|partition| partition.target = with_me));
    }

    #[test]
    fn a_lost_quorum_is_no_seal_of_the_new_members() {
        let mut view = view();
        let block = BlockRef { number: view.height, timestamp_s: 0 };
        let (partition, members) = (PartitionId(1), view.partitions[1].members);
        evolve(&mut view, block, &Fact::QuorumLost { partition, sealed_epoch: EPOCH - 1, members });
        let since_epoch = EPOCH + 1;
        evolve(&mut view, block, &Fact::MembersInstalled { partition, since_epoch, members });
        for epoch in EPOCH..EPOCH + 2 * FORMER_EPOCHS {
            view.height = view.first_block_of(epoch);
            assert!(!is_superfluous(&view, &view.partitions[1], FORMER), "epoch {epoch}");
        }
    }

    #[test]
    fn the_signers_of_the_last_seal_count() {
        let sealed_by = |signers: &[u32]| {
            let mut view = view();
            let block = BlockRef { number: view.first_block_of(EPOCH + 1), timestamp_s: 0 };
            view.height = block.number;
            let entry = SealedEntry { partition: PartitionId(1), epoch: EPOCH, ..SealedEntry::default() };
            let entry = SealedEntry { checksum: crate::agreement::cut::kept(Hash([9; 32])), ..entry };
            let signers = Seats::of_brokers(signers.iter().copied().map(BrokerIndex));
            evolve(&mut view, block, &Fact::PartitionsSealed { signers, entries: [entry].into() });
            is_superfluous(&view, &view.partitions[1], FORMER)
        };
        assert!(sealed_by(&[1, 2, 3, 4]));
        assert!(!sealed_by(&[1, 2, 4]), "a quorum is not all");
    }

    #[test]
    fn what_no_cut_has_named_is_kept_while_one_can() {
        let origin = Address([5; 20]);
        let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
        let mut writer = LaneWriter::new(slot, origin, 3, [0; 16], Hash::ZERO, KEYED_HASH);
        let unsigned = writer.next_batch(alloc::vec![NewEvent::new(10, content_type::TEXT, b"x")]);
        let unsigned = unsigned.expect("one small event fits");
        let signature = keyed_hash(&origin, &unsigned.signing_hash(1));
        let batch = unsigned.sign(signature).expect("the lane is signed with this type");
        let mut lane = Lane::open(batch.header());
        lane.append(batch.signed_header(), 1);
        lane.durable = 1;
        let view = view();
        let holds_nothing = |lane: &Lane, sealed| holds_nothing_open(&view, sealed, [lane].into_iter());
        let life = view.epoch_of(lane.opening_block) + LANE_LIFETIME_EPOCHS;
        assert!(!holds_nothing(&lane, life) && holds_nothing(&lane, life + 1));
        lane.seal(&lane.head());
        assert!(holds_nothing(&lane, 5));
    }
}
