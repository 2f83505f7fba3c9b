//! What brokers say, write and send: the oracles that watch each of their turns.

use std::collections::BTreeSet;

use weir_kernel::broker::Trace;
use weir_kernel::coordinator::{Fact, State};
use weir_kernel::ids::{Address, Epoch, PartitionId};
use weir_node::engine::{Completion, Operation};

use super::access::Access;
use super::closing::Closing;
use super::disks::Disks;
use super::once::Once;
use super::receipts::Receipts;
use super::stored::Stored;
use super::{duties, leaving};
use crate::clients::published::Publications;
use crate::report::Violation;
use crate::tape::Actor;

/// Oracles that watch brokers.
#[derive(Debug, Default)]
pub struct Brokers {
    disks: Disks,
    receipts: Receipts,
    closing: Closing,
    once: Once,
    access: Access,
    stored: Stored,
    /// Brokers that lied: what they say is on their disks counts as said.
    pub liars: BTreeSet<Address>,
}

impl Brokers {
    /// A block was made.
    pub fn on_block(&mut self, view: &State, facts: &[Fact]) {
        self.access.on_block(view, facts);
        self.stored.on_block(view, facts);
    }

    /// A broker is told something.
    pub fn on_completion(&mut self, completion: &Completion) {
        if let Completion::Client(session, command) = completion {
            self.access.on_command(*session, command);
        }
    }

    /// A broker, which sees the chain as `view` says, took a turn and wants this done.
    pub fn on_turn(
        &mut self,
        now_us: u64,
        (node, who): (u32, Address),
        view: &State,
        operations: &[Operation],
        violations: &mut Vec<Violation>,
    ) {
        let known = violations.len();
        // A turn's records are one write, and what else it says may rest on what it hands over.
        for operation in operations {
            if let Operation::Write { index, records } = operation {
                self.closing.on_write(now_us, who, records, &self.disks, violations);
                self.disks.on_write(now_us, who, (*index, records), violations);
                self.once.on_write(who, *index);
            }
        }
        for operation in operations {
            self.on_operation(now_us, who, view, operation, violations);
        }
        self.receipts.on_turn_end(now_us, &self.disks, violations);
        violations[known..].iter_mut().for_each(|violation| violation.about.push(Actor::Node(node)));
    }

    fn on_operation(
        &mut self,
        now_us: u64,
        who: Address,
        view: &State,
        operation: &Operation,
        violations: &mut Vec<Violation>,
    ) {
        match operation {
            Operation::Send { to, frame, .. } => {
                self.receipts.on_frame(now_us, (who, *to), frame, (view, &self.disks), violations);
            }
            Operation::Submit(intent) => {
                self.once.on_submit(now_us, (who, view.height), intent, violations);
                duties::on_submit(now_us, (who, view), intent, violations);
            }
            Operation::Reply(session, reply) => {
                let known = (view, &self.disks, &self.liars);
                self.stored.on_reply(now_us, who, reply, known, violations);
                self.access.on_reply(now_us, (who, *session), reply, view, violations);
            }
            Operation::Trace(Trace::SealAdopted(partition, epoch, _)) => {
                self.once.on_adopted(now_us, who, (*partition, *epoch), violations);
            }
            Operation::Write { .. } | Operation::Read { .. } | Operation::Sign { .. } => {}
            Operation::Hand(..) | Operation::Expire(_) => {}
            Operation::Trace(_) | Operation::Refused(..) => {}
        }
    }

    /// A broker, which sees the chain as `view` says, gives back what it holds of a partition.
    pub fn on_left(
        &mut self,
        now_us: u64,
        (who, partition): (Address, PartitionId),
        (view, publications): (&State, &Publications),
        violations: &mut Vec<Violation>,
    ) {
        let known = (view, &self.disks, &self.liars);
        leaving::on_left(now_us, (who, partition), known, publications, violations);
        self.once.on_left(who, partition);
    }

    /// Every write of a broker up to this one is on its disk.
    pub fn on_synced(&mut self, who: Address, index: u64) {
        self.disks.on_synced(who, index);
        self.once.on_synced(who, index);
    }

    /// A broker's process ended, in this epoch of the chain; its disk may be lost too.
    pub fn on_crash(&mut self, who: Address, wiped: bool, epoch: Epoch) {
        self.disks.on_crash(who, wiped);
        self.receipts.on_crash(who, wiped, epoch);
        self.closing.on_crash(who, wiped);
        self.once.on_crash(who, wiped);
    }
}
