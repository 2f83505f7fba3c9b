//! Crash: the process ends at any instant, what was not synced is lost, and it starts again after a while.

use crate::observer::Happening;
use crate::scenario::Moment;
use crate::tape::{Actor, Purpose};
use crate::world::{Event, NOTICE_US, World};

impl World<'_> {
    pub(super) fn begin_crash(&mut self, node: usize, down_ms: u64) {
        self.crash(node, false, down_ms);
    }

    /// Ends a process that runs, and starts it again after `down_ms`.
    pub(super) fn crash(&mut self, node: usize, wipe: bool, down_ms: u64) {
        if !self.nodes[node].is_up() {
            return;
        }
        self.report.crashes += 1;
        self.nodes[node].crash(wipe);
        self.oracles.brokers.on_crash(self.nodes[node].address, wipe, self.chain.view().epoch());
        self.observe(&Happening::Crash { node: node as u32, wiped: wipe });
        for (client, connection) in self.connections.iter().enumerate() {
            if let Some(connection) = connection.filter(|connection| connection.node == node) {
                let event = Event::Disconnected { client, session: connection.session };
                self.heap.schedule(self.now_us + NOTICE_US, event);
            }
        }
        self.heap.schedule(self.now_us + down_ms * 1_000, Event::Start { node });
    }

    /// A moment of the protocol has come at a node: it may crash now.
    pub(crate) fn at(&mut self, moment: Moment, node: usize) {
        let Some(crash) = self.scenario.crash_at.iter().find(|crash| crash.moment == moment).copied() else {
            return;
        };
        if self.healed {
            return;
        }
        let purpose = match moment {
            Moment::ReportWritten => Purpose::CrashReportWritten,
            Moment::ReportDurable => Purpose::CrashReportDurable,
            Moment::Replaced => Purpose::CrashReplaced,
        };
        let mut decide = self.decider.of(Actor::Node(node as u32), &mut self.nodes[node].counts);
        let down_ms = decide.happens(purpose, |random| random.chance(crash.rate).then_some(crash.down_ms));
        if let Some(down_ms) = down_ms {
            self.crash(node, false, down_ms);
        }
    }
}
