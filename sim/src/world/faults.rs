//! Faults of processes, disks and links, and their end.

use super::{Event, NOTICE_US, World};
use crate::scenario::FaultKind;

impl World<'_> {
    pub(super) fn crash(&mut self, node: usize, kind: FaultKind, down_us: u64) {
        if !self.nodes[node].is_up() {
            return;
        }
        self.report.crashes += 1;
        self.nodes[node].crash(kind == FaultKind::LostDisk);
        for (client, connection) in self.connections.iter().enumerate() {
            if let Some(connection) = connection.filter(|connection| connection.node == node) {
                let event = Event::Disconnected { client, session: connection.session };
                self.heap.schedule(self.now_us + NOTICE_US, event);
            }
        }
        self.heap.schedule(self.now_us + down_us, Event::Start { node });
    }

    pub(super) fn on_crash_somewhere(&mut self) {
        if self.healed {
            return;
        }
        let (down_low_ms, down_high_ms) = self.scenario.crash_down_ms;
        let node = self.crashes_random.index(self.nodes.len());
        let down_us = self.crashes_random.between((down_low_ms * 1_000, down_high_ms * 1_000));
        self.crash(node, FaultKind::Crash, down_us);
        let next_us = self.crashes_random.around(self.scenario.crash_interval_ms * 1_000);
        self.heap.schedule(self.now_us + next_us, Event::CrashSomewhere);
    }

    pub(super) fn on_lose_some_disk(&mut self) {
        if self.healed {
            return;
        }
        let node = self.disks_random.index(self.nodes.len());
        let down_us = self.disks_random.between((500_000, 5_000_000));
        if self.may_lose_a_disk() {
            self.crash(node, FaultKind::LostDisk, down_us);
        }
        // Never sooner than the mean: one at a time.
        let mean_us = self.scenario.disk_loss_interval_ms * 1_000;
        let next_us = mean_us + self.disks_random.below(mean_us + 1);
        self.heap.schedule(self.now_us + next_us, Event::LoseSomeDisk);
    }

    /// A lost disk is survived where nothing else is missing: with a seat vacant, or a handover under way, the network
    /// promises no more than that somebody notices.
    fn may_lose_a_disk(&self) -> bool {
        let view = self.chain.view();
        view.partitions.iter().all(|partition| {
            let full = partition.members.len() == view.params.seats();
            partition.founded && full && partition.sealed_epoch >= partition.since_epoch
        })
    }

    /// Parts a random side from the other, in one direction or in both.
    pub(super) fn on_cut_somewhere(&mut self) {
        if self.healed {
            return;
        }
        let random = &mut self.cuts_random;
        let sides: Vec<bool> = self.nodes.iter().map(|_| random.chance(400_000)).collect();
        let both = random.chance(500_000);
        let numbers = 0..sides.len() as u32;
        let links: Vec<(u32, u32)> = numbers
            .clone()
            .flat_map(|from| numbers.clone().map(move |to| (from, to)))
            .filter(|(from, to)| {
                let (from, to) = (sides[*from as usize], sides[*to as usize]);
                from && !to || both && to && !from
            })
            .collect();
        let (low_ms, high_ms) = self.scenario.cut_ms;
        let mend_us = random.between((low_ms * 1_000, high_ms * 1_000));
        let next_us = random.around(self.scenario.cut_interval_ms * 1_000);
        self.links.cut(&links);
        self.heap.schedule(self.now_us + mend_us, Event::Mend { links });
        self.heap.schedule(self.now_us + next_us, Event::CutSomewhere);
    }

    pub(super) fn on_heal(&mut self) {
        self.healed = true;
        self.links.heal();
        self.transaction_loss = 0;
        self.oracles.seals.on_heal(&self.chain.view());
        let down: Vec<usize> = (0..self.nodes.len())
            .filter(|node| !self.nodes[*node].is_up() && self.nodes[*node].incarnation > 0)
            .collect();
        down.into_iter().for_each(|node| self.start(node));
    }
}
