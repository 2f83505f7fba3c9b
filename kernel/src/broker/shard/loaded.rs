//! What was read from the log goes to whoever asked for it.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::Machines;
use crate::agreement::Cut;
use crate::broker::context::{Context, Purpose};
use crate::broker::io::Trace;
use crate::broker::message::Message;
use crate::log::Chunk;
use crate::wire;

impl Machines {
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
                if let Some((replica, _)) = self.partitions.get(&partition) {
                    self.agent.on_cuts(ctx, partition, chunk, replica);
                }
            }
            Purpose::Report(..) | Purpose::LateReport(_) => {}
        }
    }
}
