//! What goes wrong: each fault is one file with a name, and a [`Fault`] says when, where and for how long.
//!
//! ```text
//!   scenario's rates ──plan(seed)──► [Fault] ──► begin(world) … end(world)      never random here: see `plan`, `mix`
//!   scenario's list ───────────────►                └─ in between it is in `World::active`
//! ```
//!
//! | where | faults |
//! | --- | --- |
//! | links | `isolated`, `cut`, `bridge`, `ring`, `flapping`, `corruption`, `bandwidth`, `clog`, `late-links`; loss, duplication and reordering are rates, see [`crate::links`] |
//! | clocks | `clock-step`, which from 0 on is an offset, `clock-drift` |
//! | processes | `crash`, `pause` |
//! | disks | `torn-write`, `lost-disk`, `survivable-lost-disk`, `bit-rot`, `failed-sync`, `full-disk`, `slow-disk` |
//! | the chain | `late-inclusion`, `dropped-transactions`, `reorg`, `rpc-outage`, `stale-reads` |
//! | brokers that lie | see [`crate::byzantine`] |
//! | publishers that cheat | are clients, see [`crate::clients`] |
//!
//! Two are more than the protocol survives: `lost-disk` where too many others are gone, and `deep-reorg`. There it is
//! checked that the failure is detected and named: by an oracle, or by the process that stops and says
//! [`REORGANISED`].
//!
//! To add one: a variant of [`FaultKind`] with what it needs to know, a file with what it does, and its name among
//! [`mix::KINDS`] if swarms are to have it. What lasts is asked of `World::active` where it matters: while nothing is
//! wrong that list is empty and costs nothing. Files and tapes take new kinds up by themselves. What a fault decides
//! while it lasts it asks [`crate::tape::Decider`] for, under a purpose of its own. Brokers that lie are in
//! [`crate::byzantine`].

use serde::{Deserialize, Serialize};

use crate::observer::Happening;
use crate::world::{Event, World};

mod bandwidth;
mod bit_rot;
mod bridge;
mod clock_drift;
mod clock_step;
mod clog;
mod corruption;
mod crash;
mod cut;
mod deep_reorg;
mod dropped_transactions;
mod failed_sync;
mod flapping;
mod full_disk;
mod kind;
mod late_inclusion;
mod late_links;
mod lost_disk;
pub mod mix;
mod pause;
pub mod plan;
mod reorg;
mod ring;
mod rpc_outage;
mod shape;
mod silent_leader;
mod slow_disk;
mod stale_reads;
mod stop;
mod torn_write;

pub use self::deep_reorg::REORGANISED;
pub use self::kind::FaultKind;

/// A fault at a given time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// Which broker, from 0; of no meaning where the kind names several.
    #[serde(default)]
    pub broker: u32,
    /// What.
    pub kind: FaultKind,
    /// How long it lasts.
    pub down_ms: u64,
}

impl Fault {
    /// When it is over, in virtual microseconds.
    pub(crate) fn end_us(&self) -> u64 {
        (self.at_ms + self.down_ms) * 1_000
    }
}

impl<'a> World<'a> {
    /// A fault begins; it ends by itself after its time.
    pub(crate) fn begin(&mut self, fault: &'a Fault) {
        *self.report.faults.entry(fault.kind.name().to_string()).or_default() += 1;
        self.observe(&Happening::FaultBegins(fault));
        self.active.push(fault);
        let node = fault.broker as usize;
        match &fault.kind {
            FaultKind::Crash => self.begin_crash(node, fault.down_ms),
            FaultKind::TornWrite => self.begin_torn_write(node, fault.down_ms),
            FaultKind::LostDisk => self.begin_lost_disk(node, fault.down_ms),
            FaultKind::SurvivableLostDisk => self.begin_survivable_lost_disk(node, fault.down_ms),
            FaultKind::Isolated => self.begin_cut(&[fault.broker], true),
            FaultKind::Cut { side, both } => self.begin_cut(side, *both),
            FaultKind::FailedSync => self.begin_failed_sync(node),
            FaultKind::FullDisk => self.begin_full_disk(node),
            FaultKind::Corruption { .. } => self.begin_corruption(node),
            FaultKind::Reorg { blocks } => self.begin_reorg(*blocks),
            FaultKind::DeepReorg { blocks } => self.begin_deep_reorg(node, *blocks),
            kind if kind.is_lie() => self.begin_lie(node),
            // The others are asked about where they matter.
            _ => {}
        }
    }

    /// A fault's time is over, or the world is healed.
    pub(crate) fn end(&mut self, fault: &Fault) {
        let Some(at) = self.active.iter().position(|active| std::ptr::eq(*active, fault)) else { return };
        self.active.remove(at);
        self.observe(&Happening::FaultEnds(fault));
        let node = fault.broker as usize;
        match &fault.kind {
            FaultKind::Isolated => self.end_cut(&[fault.broker], true),
            FaultKind::Cut { side, both } => self.end_cut(side, *both),
            FaultKind::BitRot => self.end_bit_rot(node),
            FaultKind::FailedSync | FaultKind::FullDisk => self.end_disk_trouble(node),
            // What crashed has its start on the heap.
            _ => {}
        }
    }

    /// From now on nothing goes wrong but that some may lie: what lasts is over.
    pub(crate) fn end_all(&mut self) {
        let over: Vec<&Fault> = self.active.iter().copied().filter(|fault| !fault.kind.is_lie()).collect();
        over.into_iter().for_each(|fault| self.end(fault));
    }

    /// Faults that a broker is under.
    pub(crate) fn active_at(&self, node: usize) -> impl Iterator<Item = &'a Fault> + use<'a, '_> {
        self.active.iter().copied().filter(move |fault| fault.broker as usize == node)
    }

    /// Puts the scenario's faults onto the heap.
    pub(crate) fn add_faults(&mut self) {
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            self.heap.schedule(fault.at_ms * 1_000, Event::FaultBegins { index });
            self.heap.schedule(fault.end_us(), Event::FaultEnds { index });
        }
        self.heap.schedule(self.scenario.heal_at_us(), Event::Heal);
    }
}
