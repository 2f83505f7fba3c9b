//! The agent: has the [duties](super::duties) of a broker done. It sends what the rules want, not too often; what
//! needs a signature or cuts from the disk it asks for first.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::context::{Context, Purpose};
use super::duties::cut_proofs::Gathering;
use super::duties::pacing::Pacing;
use super::duties::settlement::{self, Sealed};
use super::duties::{
    Duty, Wanted, claims, draws, fork_proofs, growth, lateness, quorums, rejoining, seating, succession,
    tallies,
};
use super::io::Trace;
use super::lane::Lane;
use super::replica::Replica;
use super::rows;
use super::shard::Partitions;
use super::sharding::Shards;
use crate::agreement::Cut;
use crate::batch::SignedHeader;
use crate::coordinator::fees::Meter;
use crate::coordinator::{Entry, Intent, Partition, Report, Settlement, report_signing_hash};
use crate::ids::{Address, BrokerIndex, PartitionId};
use crate::limits::{CUTS_BYTES, MAX_SETTLEMENTS, REJOIN_PAUSE_EPOCHS};
use crate::log::{Chunk, Query, Table};
use crate::marks::Rare;
use crate::rules::Bug;
use crate::wire;

/// One broker's agent.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    pacing: Pacing,
    /// Passes over the cuts of partitions whose lanes are being settled.
    gathering: BTreeMap<PartitionId, Gathering>,
    /// The successor that was traced.
    succeeded: Option<Address>,
}

impl Agent {
    /// The chain moved on.
    pub fn on_view(&mut self, ctx: &mut Context<'_>, partitions: &Partitions) {
        let (view, Some(me)) = (ctx.view, ctx.my_index) else { return };
        let is_first = ctx.share.is_first();
        self.pacing.forget(view.height);
        if !ctx.rules.has(Bug::NeverSettlesTallies) {
            self.collect_tallies(ctx, me, partitions.ids());
        }
        if is_first {
            claims::wanted(view, me).for_each(|wanted| self.send(ctx, wanted));
        }
        for (_, (_, sealer)) in partitions.iter() {
            let proofs = sealer.witness().proofs();
            proofs.filter_map(|proof| proof.wanted(view)).for_each(|wanted| self.send(ctx, wanted));
        }
        if let Some((successor, from_epoch)) = succession::successor(view, view.epoch()) {
            if is_first && self.succeeded != Some(successor) {
                self.succeeded = Some(successor);
                ctx.trace(Trace::Succeeded(successor, from_epoch));
            }
            return;
        }
        if is_first {
            self.serve_network(ctx, me);
        }
        for (id, (replica, _)) in partitions.iter() {
            if let Some(partition) = view.partition(id) {
                self.attest(ctx, me, id, replica);
                self.prove_forks(ctx, me, partition, replica);
                self.settle_lanes(ctx, me, id, partition, replica);
            }
        }
    }

    /// What a broker does once, whatever its partitions are.
    fn serve_network(&mut self, ctx: &mut Context<'_>, me: BrokerIndex) {
        let view = ctx.view;
        draws::wanted(view, me).for_each(|wanted| self.send(ctx, wanted));
        seating::wanted(view, me).into_iter().for_each(|wanted| self.send(ctx, wanted));
        growth::wanted(view, me).into_iter().for_each(|wanted| self.send(ctx, wanted));
        self.rejoin(ctx, me);
        quorums::wanted(view, me).into_iter().for_each(|wanted| self.send(ctx, wanted));
    }

    /// What a broker has earned is in the tallies of all its partitions: the first shard looks at those of the others
    /// too.
    fn collect_tallies(
        &mut self,
        ctx: &mut Context<'_>,
        me: BrokerIndex,
        own: impl Iterator<Item = PartitionId>,
    ) {
        let view = ctx.view;
        let wanted = match (ctx.share.is_first(), ctx.share.of() == Shards::ONE) {
            (true, true) => tallies::wanted(view, me, own),
            (true, false) => tallies::wanted(view, me, (0..view.partition_count()).map(PartitionId)),
            (false, _) => None,
        };
        wanted.into_iter().for_each(|wanted| self.send(ctx, wanted));
    }

    fn send(&mut self, ctx: &mut Context<'_>, (duty, intent): Wanted) {
        if ctx.rules.has(Bug::ForgetsWhatItSent) {
            self.pacing = Pacing::default();
        }
        if self.pacing.begin(ctx.view.height, duty) {
            match &intent {
                Intent::RecordDraw { index } => {
                    ctx.mark_if(Some(*index) != ctx.my_index, Rare::DrawForAnother)
                }
                Intent::Found { .. } => ctx.mark(Rare::FoundedWithVacancies),
                Intent::SettleTallies(_) => ctx.mark(Rare::TalliesSettled),
                Intent::Rejoin => ctx.mark(Rare::Rejoined),
                Intent::GrowPartitions => ctx.mark(Rare::PartitionsGrown),
                Intent::Slash { .. } => ctx.mark(Rare::MisconductPunished),
                Intent::SettleLane(_) => ctx.mark(Rare::LaneSettled),
                _ => {}
            }
            ctx.submit(intent);
        }
    }

    /// Joins again if this broker was suspended and has rested.
    fn rejoin(&mut self, ctx: &mut Context<'_>, me: BrokerIndex) {
        let pause_epochs = if ctx.rules.has(Bug::RejoinsAtOnce) { 0 } else { REJOIN_PAUSE_EPOCHS };
        let Some(wanted) = rejoining::wanted(ctx.view, me, pause_epochs) else { return };
        let skips = ctx.rules.has(Bug::ForgetsToApprove);
        self.send(ctx, if skips { (Duty::Rejoin, Intent::Rejoin) } else { wanted });
    }

    /// Signs the last seal if this broker missed it and has adopted it since.
    fn attest(&mut self, ctx: &mut Context<'_>, me: BrokerIndex, id: PartitionId, replica: &Replica) {
        let adopted = replica.adopted().filter(|_| replica.may_sign(ctx.view));
        let Some(entry) = adopted.and_then(|adopted| lateness::wanted(ctx.view, me, id, adopted)) else {
            return;
        };
        if self.pacing.begin(ctx.view.height, Duty::Late(id, entry.epoch)) {
            let digest =
                report_signing_hash(ctx.view.chain_id, &ctx.view.contracts.coordinator, &entry.hash());
            ctx.sign(Purpose::LateReport(Box::new(entry)), digest);
        }
    }

    /// A late report is signed.
    pub fn on_late_report(&mut self, ctx: &mut Context<'_>, entry: Entry, signature: [u8; 65]) {
        ctx.mark(Rare::LateAttested);
        ctx.submit(Intent::ReportLate(Report { entry, signature }));
    }

    fn prove_forks(
        &mut self,
        ctx: &mut Context<'_>,
        me: BrokerIndex,
        partition: &Partition,
        replica: &Replica,
    ) {
        let forks = replica.lanes.values().filter_map(|lane| lane.fork.as_ref());
        let wanted: Vec<Wanted> =
            forks.filter_map(|fork| fork_proofs::wanted(ctx.view, partition, me, fork)).collect();
        wanted.into_iter().for_each(|wanted| self.send(ctx, wanted));
    }

    /// Begins to settle the lanes of a partition that are due: their cuts are read first.
    fn settle_lanes(
        &mut self,
        ctx: &mut Context<'_>,
        me: BrokerIndex,
        id: PartitionId,
        partition: &Partition,
        replica: &Replica,
    ) {
        let (view, height) = (ctx.view, ctx.view.height);
        let current =
            (partition.sealed_epoch, partition.checksum) == (replica.sealed_epoch, replica.checksum);
        let busy = self.gathering.contains_key(&id);
        if busy || !current || !settlement::is_charged(view) || !settlement::is_calm(view, partition) {
            return;
        }
        let due: Vec<Sealed> = replica
            .lanes
            .values()
            .filter_map(sealed)
            .filter(|sealed| settlement::is_due(view, partition, me, sealed))
            .filter(|sealed| self.pacing.is_due(height, &Duty::Settle(sealed.lane)))
            .take(MAX_SETTLEMENTS)
            .collect();
        let Some(first) = due.iter().map(|sealed| sealed.epoch).min() else { return };
        self.gathering.insert(id, Gathering::new(due.iter().map(|sealed| sealed.lane)));
        let query = Query::Rows {
            table: Table::Cut,
            prefix: rows::partition_key(id),
            after: rows::cut_key(id, first.saturating_sub(1)),
        };
        ctx.read(Purpose::Settlement(id), query, CUTS_BYTES);
    }

    /// Cuts came; with the last of them the settlements go out.
    pub fn on_cuts(&mut self, ctx: &mut Context<'_>, id: PartitionId, chunk: Chunk, replica: &Replica) {
        let Some(mut gathering) = self.gathering.remove(&id) else { return };
        let cuts: Option<Vec<Cut>> = chunk.batches.iter().map(|row| wire::decode_row(row)).collect();
        let Some(cuts) = cuts else {
            ctx.trace(Trace::RowDamaged(format!("a row of the cut table of partition {id}")));
            return;
        };
        if !cuts.iter().all(|cut| gathering.take(cut)) {
            ctx.trace(Trace::DutyRefused(format!(
                "the cuts of partition {id} on disk do not follow each other"
            )));
            return;
        }
        if let Some(next) = chunk.next {
            self.gathering.insert(id, gathering);
            ctx.read(Purpose::Settlement(id), next, CUTS_BYTES);
            return;
        }
        let Some(partition) = ctx.view.partition(id) else { return };
        for (head, mut proof) in gathering.finish(partition.checksum) {
            if ctx.rules.has(Bug::LeavesOutLaterSeals) {
                proof.later.clear();
            }
            let lane = replica.lanes.get(&head.lane).filter(|lane| lane.sealed == head);
            if let Some(signed) = lane.and_then(|lane| lane.sealed_header) {
                let settlement = Intent::SettleLane(Box::new(Settlement { signed, proof }));
                self.send(ctx, (Duty::Settle(head.lane), settlement));
            }
        }
    }

    /// Cuts could not be read: the next view asks anew.
    pub fn on_cuts_failed(&mut self, id: PartitionId) {
        self.gathering.remove(&id);
    }
}

/// A lane as its settlement sees it; `None` for one that LaneFees cannot settle.
fn sealed(lane: &Lane) -> Option<Sealed> {
    let signed = lane.sealed_header.filter(SignedHeader::is_for_contracts)?;
    Some(Sealed {
        lane: lane.sealed.lane,
        origin: lane.origin,
        slot: lane.slot,
        meter: Meter { events: lane.sealed.next_sequence, volume: signed.header.volume },
        epoch: lane.sealed_epoch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::context::Ledger;
    use crate::broker::io::Output;
    use crate::coordinator::State;
    use crate::limits::{CLAIM_MINIMUM, DUTY_PATIENCE_BLOCKS};
    use crate::marks::Marks;
    use crate::rules::Rules;
    use crate::time::Now;

    use super::super::duties::fixture;

    fn on_view(agent: &mut Agent, view: &State) -> Vec<Output> {
        let (mut ledger, mut marks, mut outputs) = (Ledger::default(), Marks::default(), Vec::new());
        let (me, lasting) = (fixture::account(1), (&mut ledger, &mut marks));
        let mut ctx = Context::new(
            Now::default(),
            (me, view.broker_index(me)),
            view,
            Rules::sound(),
            lasting,
            &mut outputs,
        );
        agent.on_view(&mut ctx, &Partitions::default());
        ctx.finish();
        outputs
    }

    #[test]
    fn what_was_sent_is_not_sent_again_before_its_time() {
        let (mut agent, mut view) = (Agent::default(), fixture::view(4, 10));
        fixture::broker(&mut view, 1).accrued = CLAIM_MINIMUM;
        let claims = |outputs: &[Output]| {
            outputs.iter().filter(|output| matches!(output, Output::Submit(Intent::Claim))).count()
        };
        assert_eq!(claims(&on_view(&mut agent, &view)), 1);
        for _ in 1..DUTY_PATIENCE_BLOCKS {
            view.height += 1;
            assert_eq!(claims(&on_view(&mut agent, &view)), 0);
        }
        view.height += 1;
        assert_eq!(claims(&on_view(&mut agent, &view)), 1, "it had no effect");
    }

    #[test]
    fn with_a_successor_a_broker_says_so_once_and_only_claims() {
        let (mut agent, mut view) = (Agent::default(), fixture::view(4, 500));
        let successor = Address([9; 20]);
        view.succession.accepted = Some((successor, 400));
        fixture::broker(&mut view, 1).accrued = 1;
        fixture::broker(&mut view, 1).draw = None;
        let outputs = on_view(&mut agent, &view);
        let claimed = matches!(&outputs[..], [Output::Submit(Intent::Claim), Output::Event(trace)]
            if *trace == Trace::Succeeded(successor, 400));
        assert!(claimed, "{outputs:?}");
        view.height += 1;
        assert!(on_view(&mut agent, &view).is_empty());
    }
}
