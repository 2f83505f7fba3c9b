//! What goes wrong: each fault is one file with a name, and a [`Fault`] says when, where and for how long.
//!
//! ```text
//!   scenario's rates ──plan(seed)──► [Fault] ──► begin(world) … end(world)      never random here: see `plan`
//!   scenario's list ───────────────►
//! ```
//!
//! To add one: a variant of [`FaultKind`] with what it needs to know, a file with `begin` and (if it lasts) `end`, the two
//! arms in [`World::begin`] and [`World::end`], and a rate in [`plan`] if swarms are to have it. Files and tapes take it up
//! by themselves. What it decides while it lasts it asks [`crate::tape::Decider`] for, under a purpose of its own.

use serde::{Deserialize, Serialize};

use crate::observer::Happening;
use crate::world::{Event, World};

mod crash;
mod cut;
mod lost_disk;
pub mod plan;
mod silent_leader;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultKind {
    /// The process ends, what was not synced is lost, and it starts again.
    Crash,
    /// As a crash, and the disk comes back empty.
    LostDisk,
    /// As [`FaultKind::LostDisk`], and only where the protocol survives it: every partition is full, and has sealed since
    /// its members last changed. Else nothing happens.
    SurvivableLostDisk,
    /// The process runs, and nothing passes between it and the other brokers.
    Isolated,
    /// Nothing passes from some brokers to all others.
    Cut {
        /// The brokers on one side, from 0.
        side: Vec<u32>,
        /// Whether nothing passes in the other direction either.
        both: bool,
    },
    /// It takes part in everything but leading: it proposes to nobody and submits no certificate.
    SilentLeader,
}

impl FaultKind {
    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::LostDisk => "lost-disk",
            Self::SurvivableLostDisk => "survivable-lost-disk",
            Self::Isolated => "isolated",
            Self::Cut { .. } => "cut",
            Self::SilentLeader => "silent-leader",
        }
    }
}

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

impl World<'_> {
    /// A fault begins; it ends by itself after its time.
    pub(crate) fn begin(&mut self, fault: &Fault) {
        *self.report.faults.entry(fault.kind.name().to_string()).or_default() += 1;
        self.observe(&Happening::FaultBegins(fault));
        let node = fault.broker as usize;
        match &fault.kind {
            FaultKind::Crash => self.begin_crash(node, fault.down_ms),
            FaultKind::LostDisk => self.begin_lost_disk(node, fault.down_ms),
            FaultKind::SurvivableLostDisk => self.begin_survivable_lost_disk(node, fault.down_ms),
            FaultKind::Isolated => self.begin_cut(&[fault.broker], true),
            FaultKind::Cut { side, both } => self.begin_cut(side, *both),
            FaultKind::SilentLeader => self.begin_silent_leader(node),
        }
    }

    /// A fault's time is over.
    pub(crate) fn end(&mut self, fault: &Fault) {
        self.observe(&Happening::FaultEnds(fault));
        match &fault.kind {
            // What crashed has its start on the heap.
            FaultKind::Crash | FaultKind::LostDisk | FaultKind::SurvivableLostDisk => {}
            FaultKind::Isolated => self.end_cut(&[fault.broker], true),
            FaultKind::Cut { side, both } => self.end_cut(side, *both),
            FaultKind::SilentLeader => self.end_silent_leader(fault.broker as usize),
        }
    }

    /// Puts the scenario's faults onto the heap.
    pub(crate) fn add_faults(&mut self) {
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            self.heap.schedule(fault.at_ms * 1_000, Event::FaultBegins { index });
            self.heap.schedule((fault.at_ms + fault.down_ms) * 1_000, Event::FaultEnds { index });
        }
        self.heap.schedule(self.scenario.heal_at_us(), Event::Heal);
    }
}
