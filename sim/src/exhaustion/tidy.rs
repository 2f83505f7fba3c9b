//! What was said and can matter no more is taken out, so that worlds with other pasts and one future are one world.
//!
//! | item | matters no more |
//! | --- | --- |
//! | `Closing`, `Propose`, `Report`, `Decline` | once the recipient sees a later epoch: it seals the one before |
//! | `CutsWanted`, `Cuts` | once the asker has adopted a later cut |
//! | `Fetch`, `Repair` | once the asker holds the whole lane |
//! | a certificate | once the chain has another checksum than the one that it rolls on from |
//! | a signature | then, and once its signer sees a later epoch |
//! | a receipt | once the first cut of its epoch or a later one covers it; or a later receipt of the epoch does |
//!
//! All but two can do nothing when they arrive later, so to drop them loses nothing. A `Decline` could still make a
//! former leader fetch, and a broker that loses its disk could still take an old answer to its former question; both
//! count as lost here, and it asks again.

use weir_kernel::broker::Message;
use weir_kernel::ids::Epoch;

use super::explorer::Explorer;
use super::items::Item;
use super::tips::Tip;
use super::world::World;

impl Explorer {
    /// The items of a world that can matter no more.
    pub(super) fn stale(&self, world: &World) -> Vec<u32> {
        let tip = self.tips.get(world.tip);
        let said = self.nets.members(world.net);
        let is_stale = |number: &&u32| match self.items.get(**number) {
            Item::Frame { from: Some(from), to, message, .. } => {
                Some(*from) != self.setting.bounds.liar() && self.is_stale_frame(world, *from, *to, message)
            }
            Item::Frame { from: None, .. } => false,
            Item::Certificate { entry, .. } => tip.last().checksum != entry.previous,
            Item::Signed { by, entry } => {
                tip.last().checksum != entry.previous && entry.epoch < self.seals_epoch(world, *by)
            }
            Item::Receipt { .. } => self.is_stale_receipt(tip, said, **number),
        };
        said.iter().filter(is_stale).copied().collect()
    }

    /// The epoch that a broker seals, if any: the one before the epoch that it sees.
    fn seals_epoch(&self, world: &World, broker: usize) -> Epoch {
        let seen = self.local(world.locals[broker]).tip;
        self.tips.get(seen).state.epoch().saturating_sub(1)
    }

    fn is_stale_frame(&self, world: &World, from: usize, to: usize, message: &Message) -> bool {
        if Some(to) == self.setting.bounds.liar() {
            return true;
        }
        match message {
            Message::Closing { epoch, .. } | Message::Decline { epoch, .. } => {
                *epoch < self.seals_epoch(world, to)
            }
            Message::Propose { cut, .. } => cut.epoch < self.seals_epoch(world, to),
            Message::Report(report) => report.entry.epoch < self.seals_epoch(world, to),
            Message::CutsWanted { after_epoch, .. } => *after_epoch < self.sealed_epoch(world, from),
            Message::Cuts { after_epoch, .. } => *after_epoch < self.sealed_epoch(world, to),
            Message::Fetch { lane, .. } => self.holds_lane(world, from, lane),
            Message::Repair { lane, .. } => self.holds_lane(world, to, lane),
            _ => false,
        }
    }

    fn is_stale_receipt(&self, tip: &Tip, said: &[u32], number: u32) -> bool {
        let Item::Receipt { by, epoch, head, before_loss } = self.items.get(number) else { return false };
        let first = tip.seals.iter().skip(1).find(|seal| seal.epoch >= *epoch);
        let sealed = first.and_then(|seal| seal.heads.get(&head.lane));
        let covered = sealed.is_some_and(|sealed| sealed.next_sequence >= head.next_sequence);
        covered
            || said.iter().any(|other| match self.items.get(*other) {
                Item::Receipt { by: b, epoch: e, head: h, before_loss: l } => {
                    (b, e, h.lane, l) == (by, epoch, head.lane, before_loss)
                        && h.next_sequence > head.next_sequence
                }
                _ => false,
            })
    }
}
