//! The end of a run: promises about the whole of it, and its report.

use super::{Ended, World};
use crate::audit::Audit;
use crate::clients::Client;
use crate::oracles::{durability, duties};
use crate::report::Report;
use crate::surroundings::note_about;

impl World<'_> {
    /// Promises about the whole run.
    pub(super) fn check_end(&mut self) {
        let view = self.chain.view();
        let (now_us, mut violations) = (self.now_us, std::mem::take(&mut self.report.violations));
        let epoch_us = self.scenario.epoch_blocks * self.scenario.block_ms * 1_000;
        let unconfirmed_us = u64::from(self.scenario.confirmations - 1) * self.scenario.block_ms * 1_000;
        let late_epochs = (4 * self.scenario.view_us.1 + 2 * unconfirmed_us).div_ceil(epoch_us);
        self.oracles.seals.on_end(now_us, &view, late_epochs, &mut violations);
        self.oracles.tokens.on_end(now_us, &view, &self.oracles.brokers.liars, &mut violations);
        duties::rejoined(now_us, &view, &self.oracles.brokers.liars, &mut violations);
        if self.scenario.real_signatures {
            duties::settled(now_us, &view, &self.publications, epoch_us, &mut violations);
        }
        let (nodes, serving) = (&self.nodes, &self.serving);
        durability::on_end(now_us, &view, nodes, serving, &self.publications, &mut violations);
        for seated in &self.clients {
            let about = vec![seated.actor];
            match &seated.client {
                Client::Subscriber(subscriber) => {
                    for what in subscriber.missing(&self.publications, now_us) {
                        note_about(&mut violations, now_us, "delivery", what, about.clone());
                    }
                }
                Client::Publisher(publisher) if publisher.outstanding() > 0 => {
                    let what = format!("{} batches were never acknowledged", publisher.outstanding());
                    note_about(&mut violations, now_us, "liveness", what, about);
                }
                Client::Reader(reader) if reader.complete == 0 => {
                    let what = "no reading came to its end after the faults".to_string();
                    note_about(&mut violations, now_us, "liveness", what, about);
                }
                Client::Cheat(cheat) => {
                    for what in cheat.unanswered() {
                        note_about(&mut violations, now_us, "cheats", what, about.clone());
                    }
                }
                Client::Publisher(_) | Client::Equivocator(_) | Client::Reader(_) | Client::Guest(_) => {}
            }
        }
        self.report.violations = violations;
    }

    /// Counts what there was.
    pub fn finish(mut self) -> Ended {
        for seated in &self.clients {
            match &seated.client {
                Client::Subscriber(subscriber) => {
                    self.report.delivered_events += subscriber.delivered;
                    self.report.withdrawals += subscriber.withdrawals;
                }
                Client::Reader(reader) => self.report.read_events += reader.read,
                Client::Guest(guest) => self.report.guest_batches += guest.delivered,
                Client::Publisher(_) | Client::Equivocator(_) | Client::Cheat(_) => {}
            }
        }
        self.nodes.iter().for_each(|node| self.report.marks.add(&node.marks()));
        let audit = Audit { nodes: self.nodes.into_iter().map(|node| node.audit).collect() };
        let events = |sequence: u64, next: u64| next - sequence;
        for (_, sequence, publication) in self.publications.honest() {
            let count = events(sequence, publication.next_sequence);
            self.report.published_events += count;
            self.report.stored_events += if publication.stored_us.is_some() { count } else { 0 };
            self.report.sealed_events += if publication.sealed { count } else { 0 };
        }
        let report = Report {
            digest: audit.digest(),
            virtual_ms: self.now_us / 1_000,
            seals: self.oracles.seals.accepted,
            handovers: self.oracles.seals.handovers,
            partitions: self.chain.view().partition_count(),
            moved: self.publications.moved(&self.chain.view()),
            epochs: self.oracles.seals.epochs,
            reverts: std::mem::take(&mut self.chain.reverts),
            ..self.report
        };
        Ended { report, audit, decider: self.decider }
    }
}
