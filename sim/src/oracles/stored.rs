//! Stored: what a publisher was told is stored is, or was, on the disks of a quorum of one epoch's set (WP 2.4.3).
//! Nobody can look at a liar's disk, so its word counts; how many may lie is the quorum's matter.

use std::collections::BTreeSet;

use weir_kernel::broker::{Level, Reply};
use weir_kernel::coordinator::{Seats, State};
use weir_kernel::ids::Address;

use super::disks::Disks;
use crate::report::Violation;
use crate::surroundings::note;

/// An edge, which sees the chain as `view` says, tells a client something.
pub fn on_reply(
    now_us: u64,
    edge: Address,
    reply: &Reply,
    (view, disks, liars): (&State, &Disks, &BTreeSet<Address>),
    violations: &mut Vec<Violation>,
) {
    let Reply::Published { lane, next_sequence, level, .. } = reply else { return };
    if *level < Level::Stored {
        return;
    }
    let (partition, holders) = match disks.holders(lane, *next_sequence) {
        Some((partition, holders)) => (Some(partition), holders.into_iter().collect()),
        None => (None, BTreeSet::new()),
    };
    let of = |seats: Seats| {
        let members = seats.brokers().filter_map(|index| view.address_of(index));
        members.filter(|member| holders.contains(member) || liars.contains(member)).count()
    };
    let sets = partition.and_then(|id| view.partition(id)).map(|p| [p.members, p.previous_members]);
    let most = sets.into_iter().flatten().map(of).max().unwrap_or(0);
    if most < view.quorum() {
        let what = format!(
            "{edge} calls lane {lane} stored up to {next_sequence}: {most} replicas have it on disk, {} are a quorum",
            view.quorum()
        );
        note(violations, now_us, "stored by a quorum", what);
    }
}
