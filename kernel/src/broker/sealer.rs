//! Sealing: from closing heads to a certificate on chain (WP 2.4.6, 2.4.7).
//!
//! ```text
//!   replica           leader of (partition, epoch, round)            chain
//!     │ Closing ──────────►│ fetches what it lacks                     │
//!     │                    │ join of all verified closing heads        │
//!     │◄────────── Propose │                                           │
//!     │ fetches, checks,   │                                           │
//!     │ persists, signs    │                                           │
//!     │ Report ───────────►│ q reports of every needed set ───────────►│ PartitionsSealed
//! ```
//!
//! Nobody signs below its closing heads, and at most once for each (epoch, round, previous). If a round brings
//! nothing, the next leader proposes. A replica is a leader for itself too: its messages to itself take the same way.

mod signed;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::context::{After, Context, Purpose};
use super::duties::misconduct::{self, Misconduct, Witness};
use super::duties::succession;
use super::io::Trace;
use super::message::{Message, SignedEntry};
use super::replica::Replica;
use super::rows::{self, ReportRow};
use crate::agreement::{Cut, Fork, LaneHead, cut, rounds, signers};
use crate::coordinator::seats::SEATS;
use crate::coordinator::{Certificate, Entry, Intent, Report, Seats, State, report_signing_hash};
use crate::ids::{Address, Epoch, Hash, LaneId, PartitionId};
use crate::limits::RETRY_US;
use crate::log::{Record, Table};
use crate::marks::Rare;
use crate::rules::Bug;
use signed::{SignedReports, key_of};

/// One partition's sealing at one replica.
#[derive(Clone, Debug)]
pub struct Sealer {
    partition: PartitionId,
    signed: SignedReports,
    sealing: Option<Box<Sealing>>,
    witness: Witness,
}

/// The epoch being sealed.
#[derive(Clone, Debug)]
struct Sealing {
    epoch: Epoch,
    previous: Hash,
    sets: Vec<Seats>,
    signers: Vec<Address>,
    first_block_after: u64,
    round: u32,
    /// This replica's own closing heads: fixed for the epoch, and never signed below.
    closing: Vec<LaneHead>,
    /// A proposal that cannot be signed yet, because data is on the way.
    considering: Option<(Address, u32, Cut)>,
    sent_us: u64,
    lead: Option<Lead>,
}

/// What a leader gathers in its round.
#[derive(Clone, Debug, Default)]
struct Lead {
    closings: BTreeMap<Address, Vec<LaneHead>>,
    proposal: Option<(Cut, Entry)>,
    reports: BTreeMap<Address, [u8; 65]>,
    submitted: bool,
}

impl Sealing {
    fn leader(&self) -> Option<Address> {
        rounds::leader(&self.signers, self.epoch, self.round)
    }

    /// Whether a signer is needed no more once this is sealed: it is not of the newest set.
    fn is_replaced(&self, view: &State, signer: &Address) -> bool {
        let index = view.broker_index(*signer);
        self.sets.last().is_some_and(|set| index.is_none_or(|index| !set.contains(index)))
    }

    /// Whether these brokers are a quorum of every needed set.
    fn is_quorum(&self, view: &State, brokers: &BTreeSet<Address>) -> bool {
        let present = |set: &Seats| {
            set.brokers().filter_map(|index| view.address_of(index)).filter(|a| brokers.contains(a)).count()
        };
        !self.sets.is_empty() && self.sets.iter().all(|set| present(set) >= view.quorum())
    }
}

impl Sealer {
    /// A sealer that has signed nothing.
    pub fn new(partition: PartitionId) -> Self {
        Self { partition, signed: SignedReports::default(), sealing: None, witness: Witness::default() }
    }

    /// Takes a signed report back from the store.
    pub fn restore_report(&mut self, row: ReportRow) {
        self.signed.insert(row);
    }

    /// Takes a proof of misconduct back from the store.
    pub fn restore_misconduct(&mut self, misconduct: Misconduct) {
        self.witness.restore(misconduct);
    }

    /// What others' reports showed.
    pub fn witness(&self) -> &Witness {
        &self.witness
    }

    /// This broker has no part in the partition any more.
    pub fn rest(&mut self) {
        self.sealing = None;
    }

    /// Whether what was signed here is of sealed epochs, and no misconduct is left to be punished.
    pub fn is_settled(&self, view: &State, sealed_epoch: Epoch) -> bool {
        self.signed.are_up_to(sealed_epoch) && self.witness.proofs().all(|proof| proof.is_over(view))
    }

    /// One of the cuts signed here may be the one that the chain has sealed: then nobody needs to be asked for it.
    pub fn offer_cuts(&self, ctx: &mut Context<'_>, replica: &mut Replica) {
        for cut in self.signed.cuts() {
            replica.offer_cut(ctx, cut);
        }
    }

    /// The chain moved on: drops what is sealed, begins the next seal, changes rounds.
    pub fn on_view(&mut self, ctx: &mut Context<'_>, replica: &mut Replica) {
        self.forget_up_to(ctx, replica.sealed_epoch);
        self.begin(ctx, replica);
        self.progress(ctx, replica);
    }

    /// Forgets what was signed and seen of epochs up to this one, and proofs that are over.
    pub fn forget_up_to(&mut self, ctx: &mut Context<'_>, sealed_epoch: Epoch) {
        for signed in self.signed.take_up_to(sealed_epoch) {
            let key = rows::report_key(self.partition, &signed);
            ctx.write(Record::Remove { table: Table::Report, key });
        }
        for identity in self.witness.forget(ctx.view, sealed_epoch) {
            let key = misconduct::row_key(self.partition, &identity);
            ctx.write(Record::Remove { table: Table::Evidence, key });
        }
    }

    /// Begins to seal the last ended epoch, once this replica's closing of it is on disk and nothing holds it back.
    fn begin(&mut self, ctx: &mut Context<'_>, replica: &mut Replica) {
        let Some(epoch) = ctx.view.epoch().checked_sub(1) else { return };
        let sets = ctx.view.needed_sets(self.partition, epoch);
        let signers = signers_of(ctx.view, &sets);
        let succeeded = succession::successor(ctx.view, epoch).is_some();
        let may = !succeeded
            && signers.contains(&ctx.me)
            && replica.has_closed(epoch)
            && replica.may_sign(ctx.view);
        if !may {
            self.sealing = None;
            return;
        }
        let first_block_after = ctx.view.first_block_of(epoch + 1);
        let round = rounds::round_at(ctx.view.height, first_block_after);
        match &mut self.sealing {
            Some(s) if s.epoch == epoch && s.previous == replica.checksum => {
                if s.round == round {
                    return;
                }
                ctx.mark(Rare::SecondRound);
                s.round = round;
                s.lead = None;
            }
            sealing => {
                ctx.mark_if(epoch > replica.sealed_epoch + 1, Rare::SealOfManyEpochs);
                ctx.mark_if(sets.len() > 1, Rare::HandoverSeal);
                *sealing = Some(Box::new(Sealing {
                    epoch,
                    previous: replica.checksum,
                    sets,
                    signers,
                    first_block_after,
                    round,
                    closing: replica.unsealed_heads(),
                    considering: None,
                    sent_us: 0,
                    lead: None,
                }));
            }
        }
        self.send_closing(ctx, replica);
    }

    fn send_closing(&mut self, ctx: &mut Context<'_>, replica: &Replica) {
        let partition = self.partition;
        let Some(s) = &mut self.sealing else { return };
        s.sent_us = ctx.now.monotonic_us;
        let Some(leader) = s.leader() else { return };
        let message = Message::Closing {
            partition,
            epoch: s.epoch,
            round: s.round,
            previous: s.previous,
            heads: s.closing.clone(),
            forks: replica.unsealed_forks(),
        };
        ctx.send(leader, message, &[]);
    }

    /// A replica says what it holds: this broker may be the leader.
    #[allow(clippy::too_many_arguments)]
    pub fn on_closing(
        &mut self,
        ctx: &mut Context<'_>,
        replica: &mut Replica,
        from: Address,
        epoch: Epoch,
        round: u32,
        previous: Hash,
        heads: Vec<LaneHead>,
        forks: Vec<Fork>,
    ) {
        let Some(s) = &mut self.sealing else { return };
        let mine =
            s.leader() == Some(ctx.me) && s.epoch == epoch && s.round == round && s.previous == previous;
        if !mine || !s.signers.contains(&from) {
            return ctx.mark(Rare::ClosingStale);
        }
        forks.into_iter().for_each(|fork| replica.note_fork(ctx, fork));
        replica.look_for(ctx, from, &heads);
        s.lead.get_or_insert_default().closings.insert(from, heads);
        self.progress(ctx, replica);
    }

    /// Moves on wherever what was missing has come: proposing, signing, submitting.
    pub fn progress(&mut self, ctx: &mut Context<'_>, replica: &mut Replica) {
        self.propose(ctx, replica);
        self.consider(ctx, replica);
        self.submit(ctx);
    }

    /// As leader: proposes the join of all closing heads that are verified, once all are, or a quorum is and half of
    /// the round has passed.
    fn propose(&mut self, ctx: &mut Context<'_>, replica: &Replica) {
        let partition = self.partition;
        let Some(s) = &mut self.sealing else { return };
        let half_passed = rounds::half_passed(ctx.view.height, s.first_block_after);
        let Some(lead) = s.lead.as_ref().filter(|lead| lead.proposal.is_none()) else { return };
        let verified = |heads: &Vec<LaneHead>| {
            heads.iter().all(|head| is_forked(replica, &head.lane) || replica.holds_durably(head))
        };
        let complete: BTreeMap<_, _> = lead.closings.iter().filter(|(_, heads)| verified(heads)).collect();
        let who: BTreeSet<Address> = complete.keys().map(|address| **address).collect();
        let all = who.len() == s.signers.len();
        if !(all || half_passed && s.is_quorum(ctx.view, &who)) {
            return;
        }
        ctx.mark_if(!all, Rare::ProposedWithoutAll);
        let joined = cut::join(complete.into_values().flatten());
        let moved = |head: &LaneHead| {
            replica
                .lanes
                .get(&head.lane)
                .is_some_and(|lane| lane.fork.is_none() && head.next_sequence > lane.sealed.next_sequence)
        };
        let mut forks = replica.unsealed_forks();
        forks.sort_by_key(Fork::lane);
        ctx.mark_if(!forks.is_empty(), Rare::ForkProposed);
        let cut = Cut {
            partition,
            epoch: s.epoch,
            previous: s.previous,
            heads: joined.into_values().filter(moved).collect(),
            forks,
        };
        assert!(cut.is_canonical(), "a proposal is canonical");
        let entry = entry_of(&cut, s.round, replica);
        let round = s.round;
        if let Some(lead) = &mut s.lead {
            lead.proposal = Some((cut.clone(), entry));
        }
        for signer in s.signers.clone() {
            ctx.send(signer, Message::Propose { round, cut: cut.clone() }, &[]);
        }
    }

    /// The leader wants this cut signed.
    pub fn on_propose(
        &mut self,
        ctx: &mut Context<'_>,
        replica: &mut Replica,
        from: Address,
        round: u32,
        cut: Cut,
    ) {
        let Some(s) = &mut self.sealing else { return };
        let in_turn = rounds::leader(&s.signers, cut.epoch, round) == Some(from) && round <= s.round + 1;
        if !in_turn || cut.epoch != s.epoch || cut.previous != s.previous || !cut.is_canonical() {
            return;
        }
        ctx.mark_if(round < s.round, Rare::LateProposal);
        ctx.mark_if(round > s.round, Rare::EarlyProposal);
        cut.forks.iter().for_each(|fork| replica.note_fork(ctx, fork.clone()));
        replica.look_for(ctx, from, &cut.heads);
        s.considering = Some((from, round, cut));
        self.consider(ctx, replica);
    }

    /// Signs the proposal under consideration if everything that it names is on disk and nothing of this replica's own
    /// closing is left out; declines it if something is.
    fn consider(&mut self, ctx: &mut Context<'_>, replica: &mut Replica) {
        let partition = self.partition;
        let Some(s) = &mut self.sealing else { return };
        let Some((leader, round, cut)) = &s.considering else { return };
        let (leader, round) = (*leader, *round);
        if !cut.heads.iter().all(|head| replica.holds_durably(head)) {
            return ctx.mark(Rare::ProposalWaits);
        }
        let named_fork = |lane: &LaneId| cut.forks.iter().any(|fork| fork.lane() == *lane);
        let below: Vec<LaneHead> = s
            .closing
            .iter()
            .filter(|mine| !named_fork(&mine.lane) && !ctx.rules.has(Bug::SignsBelowClosing))
            .filter(|mine| cut.head(&mine.lane).is_none_or(|head| head.next_sequence < mine.next_sequence))
            .copied()
            .collect();
        let forks = replica.unsealed_forks();
        let unnamed: Vec<Fork> = forks.into_iter().filter(|fork| !named_fork(&fork.lane())).collect();
        let moves = cut.heads.iter().all(|head| {
            let sealed = replica.lanes.get(&head.lane).map_or(0, |lane| lane.sealed.next_sequence);
            // A fork found since it was proposed does not delay it: the next cut names the fork.
            head.next_sequence > sealed
        });
        if !below.is_empty() || !moves {
            ctx.mark(Rare::ProposalDeclined);
            let epoch = s.epoch;
            s.considering = None;
            let message = Message::Decline { partition, epoch, round, heads: below, forks: unnamed };
            ctx.send(leader, message, &[]);
            return;
        }
        let entry = entry_of(cut, round, replica);
        let cut = cut.clone();
        s.considering = None;
        self.report(ctx, leader, entry, cut);
    }

    /// At most one report for each (epoch, round, previous): on disk before it is signed.
    fn report(&mut self, ctx: &mut Context<'_>, leader: Address, entry: Entry, cut: Cut) {
        let key = key_of(&entry);
        if self.signed.get(&key).is_some_and(|signed| *signed != entry) {
            return ctx.mark(Rare::SecondReportRefused);
        }
        let row = ReportRow { entry, cut };
        ctx.write(rows::put(Table::Report, rows::report_key(self.partition, &key), &row));
        self.signed.insert(row);
        ctx.after_write(After::Reported(self.partition, Box::new(entry), leader));
    }

    /// A report is on disk: sign it.
    pub fn on_reported(&mut self, ctx: &mut Context<'_>, entry: Entry, leader: Address) {
        if self.signed.get(&key_of(&entry)) != Some(&entry) {
            return;
        }
        let digest = report_signing_hash(ctx.view.chain_id, &ctx.view.contracts.coordinator, &entry.hash());
        ctx.sign(Purpose::Report(self.partition, Box::new(entry), leader), digest);
    }

    /// As leader: a report came. The frame decoder has checked that its sender signed it.
    pub fn on_report(&mut self, ctx: &mut Context<'_>, from: Address, report: SignedEntry) {
        let Ok(signature) = <[u8; 65]>::try_from(report.signature.as_slice()) else { return };
        self.watch(ctx, from, &Report { entry: report.entry, signature });
        let Some(s) = &mut self.sealing else { return };
        let Some(lead) = &mut s.lead else { return };
        let fits = lead.proposal.as_ref().is_some_and(|(_, entry)| *entry == report.entry);
        if fits && s.signers.contains(&from) {
            lead.reports.insert(from, signature);
            self.submit(ctx);
        }
    }

    /// Compares a report with its signer's earlier ones: two that conflict are kept as a proof.
    fn watch(&mut self, ctx: &mut Context<'_>, from: Address, report: &Report) {
        let partition = self.partition;
        let misses = ctx.view.partition(partition).is_none_or(|p| report.entry.epoch <= p.sealed_epoch);
        if misses || ctx.view.broker_index(from).is_none() {
            return;
        }
        if let Some(proof) = self.witness.see(from, report) {
            let key = misconduct::row_key(partition, &proof.identity());
            ctx.write(rows::put(Table::Evidence, key, proof));
            ctx.trace(Trace::MisconductFound(partition, from));
        }
    }

    /// As leader: with all reports, or a quorum of them when half of the round has passed, the certificate goes to
    /// the chain. Every signer is paid the same, however many there are, so waiting for all costs nobody anything.
    fn submit(&mut self, ctx: &mut Context<'_>) {
        let Some(s) = &mut self.sealing else { return };
        let half_passed = rounds::half_passed(ctx.view.height, s.first_block_after);
        let Some(lead) = s.lead.as_ref().filter(|lead| !lead.submitted) else { return };
        let who: BTreeSet<Address> = lead.reports.keys().copied().collect();
        let all = who.len() == s.signers.len();
        let Some((_, entry)) = lead.proposal.as_ref() else { return };
        if !s.is_quorum(ctx.view, &who) || !(all || half_passed) {
            return;
        }
        ctx.mark_if(!all, Rare::SubmittedWithoutAll);
        let is_replaced = |signer: &Address| s.is_replaced(ctx.view, signer);
        let chosen = signers::fitting(who, SEATS, is_replaced, |some| s.is_quorum(ctx.view, some));
        let signatures = chosen.iter().map(|signer| lead.reports[signer]).collect();
        let certificate = Certificate { entries: alloc::vec![*entry], signatures };
        ctx.submit(Intent::SubmitCertificate(certificate));
        if let Some(lead) = &mut s.lead {
            lead.submitted = !ctx.rules.has(Bug::PaysTwice);
        }
    }

    /// As leader: a replica cannot sign. What it holds goes into the next round's proposal.
    pub fn on_decline(
        &mut self,
        ctx: &mut Context<'_>,
        replica: &mut Replica,
        from: Address,
        heads: &[LaneHead],
        forks: Vec<Fork>,
    ) {
        let Some(s) = &self.sealing else { return };
        if !s.signers.contains(&from) {
            return;
        }
        ctx.mark(Rare::DeclineHeard);
        forks.into_iter().for_each(|fork| replica.note_fork(ctx, fork));
        replica.look_for(ctx, from, heads);
    }

    /// When this sealer wants to be woken, in monotonic microseconds: while its own report of the round is missing,
    /// or as leader others' are.
    pub fn deadline(&self) -> Option<u64> {
        let s = self.sealing.as_ref()?;
        let signed = self.signed.get(&(s.epoch, s.round, s.previous)).is_some();
        let gathering = s.lead.as_ref().is_some_and(|lead| !lead.submitted);
        (!signed || gathering).then_some(s.sent_us + RETRY_US)
    }

    /// Says again what may have been lost.
    pub fn on_elapsed(&mut self, ctx: &mut Context<'_>, replica: &mut Replica) {
        let now_us = ctx.now.monotonic_us;
        let Some(s) = &self.sealing else { return };
        if now_us < s.sent_us + RETRY_US {
            return;
        }
        self.send_closing(ctx, replica);
        self.repeat_proposal(ctx);
        if let Some((from, _, cut)) = self.sealing.as_ref().and_then(|s| s.considering.clone()) {
            replica.look_for(ctx, from, &cut.heads);
        }
        self.progress(ctx, replica);
    }

    fn repeat_proposal(&self, ctx: &mut Context<'_>) {
        let Some(s) = &self.sealing else { return };
        let Some((lead, (cut, _))) = s.lead.as_ref().and_then(|l| l.proposal.as_ref().map(|p| (l, p))) else {
            return;
        };
        ctx.mark(Rare::ProposalRepeated);
        for signer in s.signers.iter().filter(|signer| !lead.reports.contains_key(*signer)) {
            ctx.send(*signer, Message::Propose { round: s.round, cut: cut.clone() }, &[]);
        }
    }
}

/// Everybody who must or may sign, in the order in which they lead.
fn signers_of(view: &State, sets: &[Seats]) -> Vec<Address> {
    let indexes: BTreeSet<_> = sets.iter().flat_map(|set| set.brokers()).collect();
    indexes.into_iter().filter_map(|index| view.address_of(index)).collect()
}

fn is_forked(replica: &Replica, lane: &LaneId) -> bool {
    replica.lanes.get(lane).is_some_and(|lane| lane.fork.is_some())
}

/// The entry under a cut, counted from the sealed heads that this replica holds.
fn entry_of(cut: &Cut, round: u32, replica: &Replica) -> Entry {
    let sealed = |head: &LaneHead| {
        replica.lanes.get(&head.lane).map_or((0, 0), |lane| (lane.sealed.next_sequence, lane.sealed.volume))
    };
    Entry::of_cut(cut, round, sealed)
}
