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
