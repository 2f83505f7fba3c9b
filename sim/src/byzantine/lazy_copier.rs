//! Lazy copier: it reports what others report and stores nothing (WP 2.4.6, 2.4.7).
//!
//! It acknowledges every batch at once and drops it, signs whatever a leader proposes, with the figures that follow
//! from the proposals before, and gives nobody anything back. As edge it is honest: that earns it nothing to lie about.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_kernel::agreement::{Cut, LaneHead};
use weir_kernel::broker::Message;
use weir_kernel::coordinator::Entry;
use weir_kernel::ids::{Address, Hash, LaneId, PartitionId};

use crate::world::World;

/// What it learned from proposals: enough to sign the next one.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    partitions: BTreeMap<PartitionId, Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    /// Sealed heads.
    sealed: BTreeMap<LaneId, (u64, u64)>,
    /// The last proposals: the chain says which of them was sealed.
    proposed: Vec<Cut>,
}

/// Proposals that it remembers for a partition.
const REMEMBERED: usize = 16;

impl Learned {
    /// The entry under a proposal, counted from what is sealed.
    fn entry(&mut self, round: u32, cut: &Cut, on_chain: Hash) -> Entry {
        if let Some(at) = self.proposed.iter().position(|proposed| proposed.checksum() == on_chain) {
            let sealed = self.proposed.swap_remove(at);
            let heads = sealed.heads.iter().map(|head| (head.lane, (head.next_sequence, head.volume)));
            self.sealed.extend(heads);
        }
        if self.proposed.len() >= REMEMBERED {
            self.proposed.remove(0);
        }
        self.proposed.push(cut.clone());
        // What it never heard sealed counts from the beginning, and never below it: it did not check the cut.
        let sealed = |head: &LaneHead| {
            let (sequence, volume) = self.sealed.get(&head.lane).copied().unwrap_or_default();
            (sequence.min(head.next_sequence), volume.min(head.volume))
        };
        Entry::of_cut(cut, round, sealed)
    }
}

impl World<'_> {
    pub(super) fn hear_as_lazy_copier(&mut self, node: usize, from: Address, frame: &Bytes) -> bool {
        let Some(received) = self.open(from, frame) else { return true };
        let Some(view) = self.nodes[node].broker().map(|broker| broker.view().clone()) else {
            return true;
        };
        match received.message() {
            Message::Append { partition } => {
                let heads = received.batches().iter().map(|batch| {
                    let header = batch.header();
                    let (next_sequence, volume) = (header.next_sequence(), header.volume);
                    LaneHead { lane: batch.lane(), next_sequence, volume, digest: header.digest() }
                });
                let (partition, epoch, heads) = (*partition, view.epoch(), heads.collect());
                self.tell(node, from, &Message::Acknowledge { partition, epoch, heads });
                false
            }
            Message::Propose { round, cut } => {
                let on_chain = view.partition(cut.partition).map_or(Hash::ZERO, |known| known.checksum);
                let learned = &mut self.lies.entry(node).or_default().copied.partitions;
                let entry = learned.entry(cut.partition).or_default().entry(*round, cut, on_chain);
                let report = self.signed(node, entry);
                self.tell(node, from, &report);
                false
            }
            Message::Read { token, .. } => {
                let (token, reason) = (*token, "this replica is catching up".to_string());
                self.tell(node, from, &Message::ReadFailed { token, reason });
                false
            }
            // As edge it is honest.
            Message::Acknowledge { .. }
            | Message::Refuse { .. }
            | Message::Sealed { .. }
            | Message::Answer { .. }
            | Message::ReadFailed { .. }
            | Message::Following { .. }
            | Message::Live { .. }
            | Message::Withdrawn { .. }
            | Message::Surveyed { .. } => true,
            _ => false,
        }
    }
}
