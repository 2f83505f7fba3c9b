//! Questions to this shard's log: a peer's or an edge's, and what becomes of the answers.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::Machines;
use crate::agreement::Cut;
use crate::broker::context::{After, Context, Purpose};
use crate::broker::edge::{Flow, Testimony};
use crate::broker::io::Trace;
use crate::broker::message::Message;
use crate::broker::sharding::partition_of;
use crate::ids::{Address, Epoch, PartitionId};
use crate::limits::CHUNK_BYTES;
use crate::log::{Chunk, Query};
use crate::marks::Rare;
use crate::wire;

impl Machines {
    /// An edge asks for data: only a replica that has missed nothing answers.
    pub(super) fn on_read(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        token: u64,
        query: Query,
        budget_bytes: u32,
    ) {
        let partition = partition_of(&query);
        self.on_read_of(ctx, partition, (from, token), query, budget_bytes);
    }

    fn on_read_of(
        &mut self,
        ctx: &mut Context<'_>,
        partition: Option<PartitionId>,
        (from, token): (Address, u64),
        query: Query,
        budget_bytes: u32,
    ) {
        let replica = partition
            .and_then(|partition| self.partitions.get(partition))
            .map(|(replica, _)| replica)
            .filter(|replica| replica.may_serve(ctx.view));
        let Some(replica) = replica else {
            ctx.mark(Rare::ReadDeclined);
            let reason = "this replica is catching up".to_string();
            ctx.send(from, Message::ReadFailed { token, reason }, &[]);
            return;
        };
        let (query, budget_bytes) = (replica.pinned(query), budget_bytes.min(CHUNK_BYTES));
        if ctx.has_unfinished_writes() {
            ctx.mark(Rare::AnswerWaits);
            ctx.after_write(After::Answerable(from, token, query, budget_bytes));
        } else {
            ctx.read(Purpose::Answer(from, token), query, budget_bytes);
        }
    }

    /// Edges compare what they got with what other replicas hold.
    pub(super) fn on_surveying_message(&mut self, ctx: &mut Context<'_>, from: Address, message: Message) {
        match message {
            Message::Survey { partition, slot, since, after } => {
                self.with(partition, |replica, _| replica.on_survey(ctx, from, slot, since, after));
            }
            Message::Surveyed { partition, slot, since, after, up_to, lanes, more } => {
                let testimony = Testimony { since, after, up_to, lanes, more };
                self.edge.on_surveyed(ctx, from, Flow { slot, home: partition }, testimony);
            }
            Message::ReadLane { token, partition, lane, from: sequence } => {
                let query = Query::Lane { lane, from: sequence };
                self.on_read_of(ctx, Some(partition), (from, token), query, 1);
            }
            _ => {}
        }
    }

    /// What was asked of the log is there.
    pub(super) fn on_loaded(&mut self, ctx: &mut Context<'_>, purpose: Purpose, chunk: Chunk) {
        match purpose {
            Purpose::Repair(to, partition, lane, from) => {
                self.with(partition, |replica, _| replica.tell_gone(ctx, to, (lane, from), &chunk));
                ctx.send_stored(to, Message::Repair { partition, lane }, chunk.batches);
            }
            Purpose::Cuts(to, partition, after_epoch) => {
                let cuts: Option<Vec<Cut>> = chunk.batches.iter().map(|row| wire::decode_row(row)).collect();
                match cuts {
                    Some(cuts) => ctx.send(to, Message::Cuts { partition, after_epoch, cuts }, &[]),
                    None => ctx.trace(Trace::RowDamaged("a row of the cut table".to_string())),
                }
            }
            Purpose::Answer(to, token) => {
                let Chunk { batches, order, last_index, total, next } = chunk;
                ctx.send_stored(to, Message::Answer { token, order, last_index, total, next }, batches);
            }
            Purpose::Settlement(partition) => {
                if let Some((replica, _)) = self.partitions.get(partition) {
                    self.agent.on_cuts(ctx, partition, chunk, replica);
                }
            }
            Purpose::Leaving(partition) => {
                let epochs = chunk.batches.iter().map(|row| Some(wire::decode_row::<Cut>(row)?.epoch));
                match epochs.collect::<Option<Vec<Epoch>>>() {
                    Some(epochs) => self.with(partition, |replica, _| replica.drop_cuts(ctx, &epochs)),
                    None => ctx.trace(Trace::RowDamaged("a row of the cut table".to_string())),
                }
            }
            Purpose::Report(..) | Purpose::LateReport(_) => {}
        }
    }
}
