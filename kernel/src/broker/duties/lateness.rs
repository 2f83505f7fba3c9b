//! Late reports: a member that missed a seal but holds what it sealed says so and loses nothing (WP 2.4.6).

use crate::coordinator::conduct::{LATE_ROUND, absent_seat};
use crate::coordinator::{Entry, State};
use crate::ids::{BrokerIndex, Epoch, Hash, PartitionId};

/// The cut that a replica adopted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The epoch that it sealed.
    pub epoch: Epoch,
    /// The checksum that it extends.
    pub previous: Hash,
    /// The checksum after it.
    pub checksum: Hash,
}

/// The late report that this broker owes for a partition of which it adopted this cut. Only what the chain accepted
/// is ever attested, so it never conflicts with another report.
pub fn wanted(view: &State, me: BrokerIndex, id: PartitionId, adopted: Adopted) -> Option<Entry> {
    let partition = view.partition(id)?;
    let holds = (adopted.epoch, adopted.checksum) == (partition.sealed_epoch, partition.checksum);
    let absent = absent_seat(partition, me).is_some();
    (holds && absent && !adopted.checksum.is_zero()).then_some(Entry {
        partition: id,
        epoch: adopted.epoch,
        round: LATE_ROUND,
        previous: adopted.previous,
        checksum: adopted.checksum,
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;

    #[test]
    fn an_absent_member_attests_the_last_seal_once_it_holds_it() {
        let mut view = fixture::view(4, 10);
        let adopted = Adopted { epoch: 9, previous: Hash([6; 32]), checksum: Hash([7; 32]) };
        let late = |view: &State, adopted| wanted(view, BrokerIndex(2), PartitionId(1), adopted);
        assert_eq!(late(&view, adopted), None, "it was not absent");
        let seat = view.partitions[1].members.position(BrokerIndex(2)).expect("a member");
        fixture::partition(&mut view, 1).absent = 1 << seat;
        let entry = late(&view, adopted).expect("it was absent");
        assert_eq!((entry.epoch, entry.round, entry.checksum), (9, LATE_ROUND, Hash([7; 32])));
        assert_eq!(entry.previous, Hash([6; 32]));
        assert_eq!(late(&view, Adopted { epoch: 8, ..adopted }), None, "it is behind");
        assert_eq!(late(&view, Adopted { checksum: Hash([8; 32]), ..adopted }), None, "another cut");
    }
}
