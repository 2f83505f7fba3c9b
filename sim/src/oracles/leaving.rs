//! Leaving: a broker gives back what it holds of a partition only if each of the members has what was acknowledged of
//! it on its own disk (WP 2.4.8). Nobody can look at a liar's disk, and a disk that was lost is fetched anew from those
//! of the others.

use std::collections::BTreeSet;

use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, LaneId, PartitionId};

use super::disks::Disks;
use crate::clients::published::Publications;
use crate::report::Violation;
use crate::surroundings::note;

/// A broker, which sees the chain as `view` says, gives back what it holds of a partition.
pub fn on_left(
    now_us: u64,
    (who, id): (Address, PartitionId),
    (view, disks, liars): (&State, &Disks, &BTreeSet<Address>),
    publications: &Publications,
    violations: &mut Vec<Violation>,
) {
    let (Some(partition), Some(disk)) = (view.partition(id), disks.of(&who)) else { return };
    let members = partition.members.brokers().filter_map(|index| view.address_of(index));
    let members: Vec<Address> = members.filter(|member| !liars.contains(member)).collect();
    let lanes = disk.synced.lanes.range((id, LaneId::ZERO)..=(id, LaneId([0xff; 32])));
    for ((_, lane), held) in lanes {
        let acknowledged = publications.acknowledged_above(lane, 0);
        let mut held_here = acknowledged.filter(|(_, known)| known.next_sequence <= *held);
        let Some((sequence, last)) = held_here.next().filter(|(_, last)| !publications.is_old(last, now_us))
        else {
            continue;
        };
        let lacks = |member: &&Address| {
            **member == who
                || disks.of(member).is_none_or(|disk| {
                    let next = disk.synced.lanes.get(&(id, *lane)).copied().unwrap_or(0);
                    !disk.wiped && next < last.next_sequence
                })
        };
        if let Some(member) = members.iter().find(lacks) {
            let what = format!(
                "{who} gives partition {id} back: lane {lane}, sequence {sequence} was acknowledged, {member} lacks it"
            );
            note(violations, now_us, "given back", what);
        }
    }
}
