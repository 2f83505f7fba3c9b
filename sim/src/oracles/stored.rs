//! Stored: what a publisher was told is stored is, or was, on the disks of a quorum of one epoch's set (WP 2.4.3).
//! Nobody can look at a liar's disk, so its word counts; how many may lie is the quorum's matter.
//!
//! Which set that was is not for the edge to say: one that hears nothing of the chain for a while learns from members
//! who are still there that a later set sealed what it offered.

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::broker::{Level, Reply};
use weir_kernel::coordinator::{Fact, State};
use weir_kernel::ids::{Address, PartitionId};

use super::disks::Disks;
use crate::report::Violation;
use crate::surroundings::note;

/// Every set that a partition ever had.
#[derive(Debug, Default)]
pub struct Stored {
    sets: BTreeMap<PartitionId, BTreeSet<Vec<Address>>>,
}

impl Stored {
    /// A block was made.
    pub fn on_block(&mut self, view: &State, facts: &[Fact]) {
        for fact in facts {
            let Fact::MembersInstalled { partition, members, .. } = fact else { continue };
            let set = members.brokers().filter_map(|index| view.address_of(index)).collect();
            self.sets.entry(*partition).or_default().insert(set);
        }
    }

    /// An edge, which sees the chain as `view` says, tells a client something.
    pub fn on_reply(
        &self,
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
        let of = |set: &Vec<Address>| {
            set.iter().filter(|member| holders.contains(*member) || liars.contains(*member)).count()
        };
        let sets = partition.and_then(|id| self.sets.get(&id));
        let most = sets.into_iter().flatten().map(of).max().unwrap_or(0);
        if most < view.quorum() {
            let what = format!(
                "{edge} calls lane {lane} stored up to {next_sequence}: {most} replicas have it on disk, {} are a quorum",
                view.quorum()
            );
            note(violations, now_us, "stored by a quorum", what);
        }
    }
}
