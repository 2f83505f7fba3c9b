//! Faults of processes, disks and links, and their end.

use weir_kernel::broker::Message;
use weir_kernel::coordinator::{Fact, Intent, State};
use weir_kernel::log::{Record, Table};
use weir_kernel::wire;
use weir_node::engine::Operation;

use super::{Event, NOTICE_US, World};
use crate::scenario::{FaultKind, Moment};

impl World<'_> {
    pub(super) fn on_fault(&mut self, node: usize, kind: FaultKind, down_us: u64) {
        match kind {
            FaultKind::Crash | FaultKind::LostDisk => self.crash(node, kind, down_us),
            FaultKind::Isolated => {
                let me = node as u32;
                let others = (0..self.nodes.len() as u32).filter(|other| *other != me);
                let links: Vec<(u32, u32)> = others.flat_map(|other| [(me, other), (other, me)]).collect();
                self.links.cut(&links);
                self.heap.schedule(self.now_us + down_us, Event::Mend { links });
            }
            FaultKind::SilentLeader => {
                self.silent_until_us.insert(node, self.now_us + down_us);
            }
        }
    }

    /// Whether an operation goes nowhere, because its node keeps silent when it leads.
    pub(super) fn is_silenced(&self, node: usize, operation: &Operation) -> bool {
        if self.silent_until_us.get(&node).is_none_or(|until_us| self.now_us >= *until_us) {
            return false;
        }
        match operation {
            Operation::Submit(intent) => matches!(intent, Intent::SubmitCertificate(_)),
            Operation::Send { frame, .. } => {
                let view = self.chain.view();
                let domain =
                    wire::Domain { chain_id: view.chain_id, coordinator: view.contracts.coordinator };
                let received = wire::decode(frame, self.nodes[node].address, domain, &self.verifier);
                received.is_ok_and(|received| matches!(received.message(), Message::Propose { .. }))
            }
            _ => false,
        }
    }

    /// Brokers that lose a seat in this block, after the founding.
    pub(super) fn replaced(&self, view: &State, facts: &[Fact]) -> Vec<usize> {
        let mut replaced = Vec::new();
        for fact in facts {
            let Fact::MembersInstalled { partition, members, .. } = fact else { continue };
            let before = self.oracles.seals.members(*partition);
            let gone = before.brokers().filter(|broker| !members.contains(*broker));
            replaced.extend(gone.filter_map(|broker| self.numbers.get(&view.address_of(broker)?).copied()));
        }
        replaced
    }

    pub(super) fn on_written(&mut self, node: usize, records: &[Record]) {
        let view = self.chain.view();
        let (now_us, violations) = (self.now_us, &mut self.report.violations);
        let known = (view.as_ref(), &self.publications);
        self.oracles.cuts.on_write(now_us, node, records, known, violations);
        let is_report = |record: &Record| matches!(record, Record::Put { table: Table::Report, .. });
        if records.iter().any(is_report) {
            self.at(Moment::ReportWritten, node);
        }
    }

    /// A moment of the protocol has come at a node: it may crash now.
    pub(super) fn at(&mut self, moment: Moment, node: usize) {
        let crash = self.scenario.crash_at.iter().find(|crash| crash.moment == moment).copied();
        if let Some(crash) = crash
            && !self.healed
            && self.moments_random.chance(crash.rate)
        {
            self.crash(node, FaultKind::Crash, crash.down_ms * 1_000);
        }
    }

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
