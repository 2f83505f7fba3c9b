//! The agent: what a broker asks of the chain of its own accord (WP 2.4.6).
//!
//! Draws, useful changes and foundings may come from anybody. So that not everybody sends the same transaction,
//! brokers take turns by block height; whoever is away is simply passed over.

use super::context::Context;
use crate::coordinator::{Intent, useful_changes};
use crate::ids::{BrokerIndex, PartitionId};
use crate::marks::Rare;

/// Changes in one transaction: what the contract takes at most.
const CHANGES_A_CALL: usize = 64;

/// Blocks that a transaction gets to show its effect before it is sent again.
const PATIENCE_BLOCKS: u64 = 3;

/// One broker's agent.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// The height at which this agent last asked for a draw of its own.
    draw_asked: Option<u64>,
}

impl Agent {
    /// The chain moved on.
    pub fn on_view(&mut self, ctx: &mut Context<'_>) {
        let Some(me) = ctx.my_index else { return };
        self.record_draws(ctx, me);
        if is_my_turn(ctx, me) {
            rebalance(ctx);
            found(ctx);
        }
    }

    /// Its own draw a broker records itself, as soon as it can; others' when it is its turn and they did not.
    fn record_draws(&mut self, ctx: &mut Context<'_>, me: BrokerIndex) {
        let height = ctx.view.height;
        let due = |index: BrokerIndex, grace: u64| {
            ctx.view.broker(index).is_some_and(|broker| {
                broker.draw.is_none()
                    && broker.left.is_none()
                    && height >= broker.draw_block.saturating_add(grace)
            })
        };
        let waited = self.draw_asked.is_none_or(|asked| height >= asked + PATIENCE_BLOCKS);
        let mine = due(me, 0) && waited;
        let other =
            ctx.view.brokers.keys().copied().find(|index| *index != me && due(*index, 2 * PATIENCE_BLOCKS));
        if mine {
            self.draw_asked = Some(height);
            ctx.submit(Intent::RecordDraw { index: me });
        }
        if let Some(index) = other.filter(|_| is_my_turn(ctx, me)) {
            ctx.mark(Rare::DrawForAnother);
            ctx.submit(Intent::RecordDraw { index });
        }
    }
}

fn is_my_turn(ctx: &Context<'_>, me: BrokerIndex) -> bool {
    let brokers = ctx.view.brokers.len().max(1) as u64;
    ctx.view.height % brokers == u64::from(me.0) % brokers
}

/// Moves partitions towards the seats that the scores say, once every broker that joined has its draw.
fn rebalance(ctx: &mut Context<'_>) {
    let changes = useful_changes(ctx.view, CHANGES_A_CALL);
    if !changes.is_empty() {
        ctx.submit(Intent::Rebalance(changes));
    }
}

/// Founds partitions that have a quorum of seats but not all of them, one a turn.
fn found(ctx: &mut Context<'_>) {
    let view = ctx.view;
    let ready = |partition: &crate::coordinator::Partition| {
        let filled = partition.target.len();
        let full = filled == view.params.seats();
        !partition.founded
            && filled >= view.quorum()
            && !full
            && partition.target_changed_epoch < view.epoch()
    };
    let unfounded = view.partitions.iter().position(ready);
    if let Some(partition) = unfounded.and_then(|id| u32::try_from(id).ok()) {
        ctx.mark(Rare::FoundedWithVacancies);
        ctx.submit(Intent::Found { partition: PartitionId(partition) });
    }
}
