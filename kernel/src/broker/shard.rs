//! The shard: routes inputs to the machines of the partitions that it owns, and keeps nothing but them.

mod answering;
mod partitions;
mod retaining;
mod roles;
mod summary;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(super) use self::partitions::Partitions;
use self::roles::has_role;
pub use self::summary::Summary;
use super::agent::Agent;
use super::context::{After, Context, Ledger, Purpose};
use super::duties::misconduct::{self, Misconduct};
use super::edge::{Edge, Flow};
use super::io::{Handed, Input, Output, Token};
use super::lane::Mark;
use super::message::{Message, SignedEntry};
use super::open_error::OpenError;
use super::refusal::Refusal;
use super::replica::{Gone, Replica, Source};
use super::retention::Turn;
use super::rows::{self, LaneRow, PartitionRow, ReportRow};
use super::sealer::Sealer;
use super::sharding::Share;
use crate::agreement::Fork;
use crate::coordinator::{Partition, State};
use crate::ids::{Address, BrokerIndex, LaneId, PartitionId};
use crate::limits::{CUTS_BYTES, REPAIR_BYTES};
use crate::log::{Checkpoint, Chunk, Query, Table};
use crate::marks::Marks;
use crate::rules::{Bug, Rules};
use crate::time::Now;
use crate::wire::{self, Received};

/// Key of the row that says whose store this is.
const OWNER_KEY: &[u8] = b"owner";

/// A broker's machines for the partitions of one core.
#[derive(Clone)]
pub struct Shard {
    me: Address,
    /// This broker's index on chain, once registered.
    my_index: Option<BrokerIndex>,
    view: Arc<State>,
    rules: Rules,
    share: Share,
    ledger: Ledger,
    marks: Marks,
    machines: Machines,
}

#[derive(Clone, Debug)]
struct Machines {
    partitions: Partitions,
    last_index: BTreeMap<PartitionId, u64>,
    edge: Edge,
    agent: Agent,
    memory: Memory,
    /// Changes of seats that were looked at; `None` before the first look at everything.
    reseatings_seen: Option<u64>,
    /// Whose turn it is to be looked at for what is too old.
    retention: Turn,
}

/// What is known of this store's continuity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// The store has its marker.
    Whole,
    /// The store is empty; whether that is a new broker or a lost disk, the first view of the chain tells.
    Empty,
    /// The store lost what this broker promised.
    Lost,
}

/// Why a broker wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A client's batch, reading or feed is overdue.
    Edge,
    /// A partition waits for peers to send what it lacks.
    Replica(PartitionId),
    /// A partition's seal makes no progress.
    Sealer(PartitionId),
}

impl Shard {
    /// Takes up a broker from what its store remembers.
    pub fn open(me: Address, view: Arc<State>, checkpoint: &Checkpoint) -> Result<Self, OpenError> {
        Self::open_with(me, view, checkpoint, Rules::sound())
    }

    /// The same under given rules; see [`crate::rules`].
    pub fn open_with(
        me: Address,
        view: Arc<State>,
        checkpoint: &Checkpoint,
        rules: Rules,
    ) -> Result<Self, OpenError> {
        Self::open_share(me, view, checkpoint, rules, Share::WHOLE)
    }

    /// Takes up one of a broker's shards from what its own store remembers.
    pub fn open_share(
        me: Address,
        view: Arc<State>,
        checkpoint: &Checkpoint,
        rules: Rules,
        share: Share,
    ) -> Result<Self, OpenError> {
        let mut machines = Machines {
            partitions: Partitions::default(),
            last_index: checkpoint.last_index.iter().copied().collect(),
            edge: Edge::default(),
            agent: Agent::default(),
            memory: Memory::Empty,
            reseatings_seen: None,
            retention: Turn::default(),
        };
        for (table, key, value) in &checkpoint.rows {
            machines.restore(me, (rules, share), (*table, key, value))?;
        }
        machines.partitions.ask();
        let (ledger, marks) = (Ledger::default(), Marks::default());
        let my_index = view.broker_index(me);
        Ok(Self { me, my_index, view, rules, share, ledger, marks, machines })
    }

    /// Takes in one thing that happened, and says what is to be done. Never fails: bad input is an output.
    pub fn step(&mut self, now: Now, input: Input, outputs: &mut Vec<Output>) {
        if let Input::Chain(view) = &input {
            assert!(view.height >= self.view.height, "the confirmed chain never goes back");
            self.view = Arc::clone(view);
            self.my_index = view.broker_index(self.me);
        }
        if let Input::Full(full) = &input {
            self.ledger.set_full(*full);
        }
        let view = Arc::clone(&self.view);
        let ready = match &input {
            Input::Durable(index) => self.ledger.durable(*index, self.rules),
            _ => Vec::new(),
        };
        let purpose = match &input {
            Input::Loaded(token, _) | Input::LoadFailed(token, _) | Input::Signed(token, _) => {
                self.redeem(*token)
            }
            _ => None,
        };
        let lasting = (&mut self.ledger, &mut self.marks);
        let mut ctx = Context::new(now, (self.me, self.my_index), &view, self.rules, lasting, outputs);
        ctx.share = self.share;
        self.machines.on_input(&mut ctx, input, ready, purpose);
        while let Some(received) = ctx.next_local() {
            let me = ctx.me;
            self.machines.on_message(&mut ctx, me, received);
        }
        ctx.finish();
        self.machines.partitions.ask();
    }

    fn redeem(&mut self, token: Token) -> Option<Purpose> {
        self.ledger.redeem(token)
    }

    /// When to call [`Shard::step`] with [`Input::Elapsed`] at the latest, in monotonic microseconds, and why.
    pub fn deadline(&self) -> Option<(u64, Why)> {
        let of_edge = self.machines.edge.deadline().map(|at| (at, Why::Edge));
        of_edge.into_iter().chain(self.machines.partitions.deadline()).min()
    }

    /// Which rare branches this broker has been through since it was taken up.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The chain as this broker sees it.
    pub fn view(&self) -> &Arc<State> {
        &self.view
    }
}

impl Machines {
    fn restore(
        &mut self,
        me: Address,
        (rules, share): (Rules, Share),
        (table, key, value): (Table, &[u8], &[u8]),
    ) -> Result<(), OpenError> {
        let damaged = || OpenError::Row(table, crate::ids::hex(key));
        if table == Table::Marker && key == OWNER_KEY {
            let owner: Address = wire::decode_row(value).ok_or_else(damaged)?;
            if owner != me {
                return Err(OpenError::Foreign(owner, me));
            }
            self.memory = Memory::Whole;
            return Ok(());
        }
        let partition = rows::split_partition_key(key).ok_or_else(damaged)?;
        if !share.owns(partition) {
            return Err(OpenError::Misplaced(partition, share));
        }
        if table == Table::Marker {
            let row = PartitionRow::read(value).ok_or_else(damaged)?;
            let last_index = self.last_index.get(&partition).copied().unwrap_or(0);
            let replica = Replica::restore(partition, row, last_index, rules);
            let restored = (replica, Sealer::new(partition));
            self.partitions.get_or_insert_with(partition, || restored);
            return Ok(());
        }
        let (replica, sealer) = self.partitions.get_mut(partition).ok_or_else(damaged)?;
        match table {
            Table::Lane => {
                let (_, lane) = rows::split_lane_key(key).ok_or_else(damaged)?;
                replica.restore_lane(lane, wire::decode_row::<LaneRow>(value).ok_or_else(damaged)?);
            }
            Table::Mark => replica.restore_mark(wire::decode_row::<Mark>(value).ok_or_else(damaged)?),
            Table::Report if rules.has(Bug::ForgetsReports) => {}
            Table::Evidence if rules.has(Bug::ForgetsForks) => {}
            Table::Report => sealer.restore_report(wire::decode_row::<ReportRow>(value).ok_or_else(damaged)?),
            Table::Evidence if key.len() == misconduct::ROW_KEY_BYTES => {
                sealer.restore_misconduct(wire::decode_row::<Misconduct>(value).ok_or_else(damaged)?);
            }
            Table::Evidence => replica.restore_fork(wire::decode_row::<Fork>(value).ok_or_else(damaged)?),
            Table::Marker | Table::Cut => {}
        }
        Ok(())
    }

    fn on_input(&mut self, ctx: &mut Context<'_>, input: Input, ready: Vec<After>, purpose: Option<Purpose>) {
        match input {
            Input::Peer(from, received) => self.on_message(ctx, from, received),
            Input::Handed(handed) => self.on_handed(ctx, handed),
            Input::Client(session, command) => self.edge.on_command(ctx, session, command),
            Input::Chain(_) => self.on_view(ctx),
            Input::Durable(_) => self.on_durable(ctx, ready),
            // It is heeded where a batch is admitted.
            Input::Full(_) => {}
            Input::Loaded(_, chunk) => {
                if let Some(purpose) = purpose {
                    self.on_loaded(ctx, purpose, chunk);
                }
            }
            Input::LoadFailed(_, reason) => match purpose {
                Some(Purpose::Answer(edge, token)) => {
                    ctx.send(edge, Message::ReadFailed { token, reason }, &[]);
                }
                Some(Purpose::Settlement(partition)) => self.agent.on_cuts_failed(partition),
                _ => {}
            },
            Input::Signed(_, signature) => match purpose {
                Some(Purpose::Report(_, entry, leader)) => {
                    let report = SignedEntry { entry: *entry, signature: signature.to_vec() };
                    ctx.send(leader, Message::Report(report), &[]);
                }
                Some(Purpose::LateReport(entry)) => self.agent.on_late_report(ctx, *entry, signature),
                _ => {}
            },
            Input::Elapsed => {
                self.edge.on_elapsed(ctx);
                for (replica, sealer) in self.partitions.all_mut() {
                    replica.on_elapsed(ctx);
                    sealer.on_elapsed(ctx, replica);
                }
            }
        }
    }

    /// The chain moved on: seats may have come, epochs ended, cuts been sealed.
    fn on_view(&mut self, ctx: &mut Context<'_>) {
        self.settle_memory(ctx);
        if let Some(me) = ctx.my_index {
            for id in self.concerned(ctx, me) {
                let Some(partition) = ctx.view.partition(id) else { continue };
                if has_role(partition, me, ctx.rules) {
                    self.take_part(ctx, id, partition, me);
                } else if let Some((replica, sealer)) = self.partitions.get_mut(id) {
                    if !replica.is_resting() {
                        sealer.offer_cuts(ctx, replica);
                    }
                    replica.rest(ctx);
                    sealer.rest();
                    replica.leave(ctx, sealer, (partition, me));
                }
            }
        }
        self.expire(ctx);
        self.agent.on_view(ctx, &self.partitions);
        self.edge.on_view(ctx);
    }

    /// A store without its marker is a new broker's, unless the chain already counts on this broker.
    fn settle_memory(&mut self, ctx: &mut Context<'_>) {
        if self.memory != Memory::Empty {
            return;
        }
        let epoch = ctx.view.epoch();
        let counted_on = |me: BrokerIndex| {
            (0..).map(PartitionId).zip(ctx.view.partitions.iter()).any(|(id, p)| {
                let acts =
                    p.since_epoch <= epoch && p.members.contains(me) || p.previous_members.contains(me);
                acts && ctx.share.owns(id)
            })
        };
        let lost = ctx.my_index.is_some_and(counted_on) && !ctx.rules.has(Bug::MissesAmnesia);
        self.memory = if lost { Memory::Lost } else { Memory::Whole };
        ctx.write(rows::put(Table::Marker, OWNER_KEY.to_vec(), &ctx.me));
    }

    fn take_part(&mut self, ctx: &mut Context<'_>, id: PartitionId, partition: &Partition, me: BrokerIndex) {
        let acts = partition.members.contains(me) || partition.previous_members.contains(me);
        let acted_before = self.memory == Memory::Lost && acts;
        let (replica, sealer) =
            self.partitions.get_or_insert_with(id, || (Replica::new(ctx, id, acted_before), Sealer::new(id)));
        if replica.is_leaving() {
            // It is back too soon: what it gave back goes first, and then it begins as any newcomer does.
            return replica.go_on_leaving(ctx);
        }
        sealer.offer_cuts(ctx, replica);
        replica.on_view(ctx);
        sealer.on_view(ctx, replica);
    }

    fn on_durable(&mut self, ctx: &mut Context<'_>, ready: Vec<After>) {
        let of_batch = |after: &After| match after {
            After::Appended(partition, lane, next_sequence) => Some((*partition, (*lane, *next_sequence))),
            _ => None,
        };
        let mut appended: Vec<(PartitionId, (LaneId, u64))> = ready.iter().filter_map(of_batch).collect();
        appended.sort_by_key(|(partition, _)| *partition);
        for same in appended.chunk_by(|(one, _), (next, _)| one == next) {
            let lanes: Vec<(LaneId, u64)> = same.iter().map(|(_, lane)| *lane).collect();
            self.with(same[0].0, |replica, sealer| {
                replica.on_appended(ctx, &lanes);
                sealer.progress(ctx, replica);
            });
        }
        for after in ready {
            match after {
                After::Opened(partition, epoch) => self.with(partition, |replica, sealer| {
                    replica.on_opened(ctx, epoch);
                    sealer.on_view(ctx, replica);
                }),
                After::Reported(partition, entry, leader) => {
                    self.with(partition, |_, sealer| sealer.on_reported(ctx, *entry, leader));
                }
                After::Answerable(edge, token, query, budget_bytes) => {
                    ctx.read(Purpose::Answer(edge, token), query, budget_bytes);
                }
                After::RowsLeft(partition) => self.with(partition, |replica, _| replica.look_for_cuts(ctx)),
                After::Appended(..) => {}
            }
        }
    }

    fn with(&mut self, partition: PartitionId, act: impl FnOnce(&mut Replica, &mut Sealer)) {
        if let Some((replica, sealer)) = self.partitions.get_mut(partition) {
            act(replica, sealer);
        }
    }

    fn on_handed(&mut self, ctx: &mut Context<'_>, handed: Handed) {
        match handed {
            Handed::Message(received) => self.on_message(ctx, ctx.me, received),
            Handed::Stored { slot, home, holders } => {
                self.edge.publishing().note_holders(Flow { slot, home }, holders);
            }
        }
    }

    fn on_message(&mut self, ctx: &mut Context<'_>, from: Address, received: Received) {
        let (message, batches, stored) = received.into_parts();
        match message {
            Message::Append { partition } => {
                let source = Source::Edge(from);
                self.with(partition, |replica, sealer| {
                    replica.on_batches(ctx, source, batches);
                    sealer.progress(ctx, replica);
                });
            }
            Message::Acknowledge { partition, epoch, heads } => {
                self.edge.publishing().on_acknowledge(ctx, from, partition, epoch, &heads);
            }
            Message::Refuse { lane, sequence, code, reason, .. } => {
                self.edge.publishing().on_refuse(ctx, from, lane, sequence, Refusal { code, reason });
            }
            Message::Sealed { partition, heads, .. } => {
                self.edge.publishing().on_sealed(ctx, from, partition, &heads);
            }
            Message::Fetch { partition, lane, from: sequence } => {
                let query = Query::Lane { lane, from: sequence };
                ctx.read(Purpose::Repair(from, partition, lane, sequence), query, REPAIR_BYTES);
            }
            Message::Repair { partition, lane } => self.with(partition, |replica, sealer| {
                replica.on_repair(ctx, from, lane, batches);
                sealer.progress(ctx, replica);
            }),
            Message::Gone { partition, lane, epoch, before, header } => {
                let header = header.map(|header| *header);
                self.with(partition, |replica, sealer| {
                    replica.on_gone(ctx, from, Gone { lane, epoch, before, header });
                    sealer.on_view(ctx, replica);
                })
            }
            Message::CutsWanted { partition, after_epoch } => {
                let query = Query::Rows {
                    table: Table::Cut,
                    prefix: rows::partition_key(partition),
                    after: rows::cut_key(partition, after_epoch),
                };
                ctx.read(Purpose::Cuts(from, partition, after_epoch), query, CUTS_BYTES);
            }
            Message::Cuts { partition, after_epoch, cuts } => self.with(partition, |replica, sealer| {
                replica.on_cuts(ctx, from, after_epoch, cuts);
                sealer.on_view(ctx, replica);
            }),
            Message::HeadsWanted { partition } => {
                self.with(partition, |replica, _| replica.on_heads_wanted(ctx, from));
            }
            Message::Heads { partition, heads } => {
                self.with(partition, |replica, _| replica.on_heads(ctx, from, heads));
            }
            Message::Closing { .. }
            | Message::Propose { .. }
            | Message::Report(_)
            | Message::Decline { .. } => {
                self.on_sealing_message(ctx, from, message);
            }
            Message::Read { token, query, budget_bytes } => {
                self.on_read(ctx, from, token, query, budget_bytes)
            }
            Message::Survey { .. } | Message::Surveyed { .. } | Message::ReadLane { .. } => {
                self.on_surveying_message(ctx, from, message);
            }
            Message::Answer { token, order, last_index, total, next } => {
                let chunk = Chunk { batches: stored, order, last_index, total, next };
                self.edge.on_answer(ctx, from, token, chunk);
            }
            Message::ReadFailed { token, reason } => self.edge.on_read_failed(ctx, from, token, &reason),
            Message::Follow { partition, slot } => {
                self.with(partition, |replica, _| replica.on_follow(ctx, from, slot));
            }
            Message::Unfollow { partition, slot } => {
                self.with(partition, |replica, _| replica.on_unfollow(from, slot));
            }
            Message::Following { partition, slot, index } => {
                self.edge.on_following(ctx, from, Flow { slot, home: partition }, index);
            }
            Message::Live { partition, slot, previous_index, index } => {
                if let Some(batch) = batches.first() {
                    let flow = Flow { slot, home: partition };
                    self.edge.on_live(ctx, from, flow, previous_index, index, batch);
                }
            }
            Message::Withdrawn { partition, slot, lane, from: sequence } => {
                self.edge.on_withdrawn(ctx, from, Flow { slot, home: partition }, lane, sequence);
            }
        }
    }

    fn on_sealing_message(&mut self, ctx: &mut Context<'_>, from: Address, message: Message) {
        match message {
            Message::Closing { partition, epoch, round, previous, heads, forks } => {
                self.with(partition, |replica, sealer| {
                    sealer.on_closing(ctx, replica, from, epoch, round, previous, heads, forks);
                });
            }
            Message::Propose { round, cut } => {
                self.with(cut.partition, |replica, sealer| sealer.on_propose(ctx, replica, from, round, cut));
            }
            Message::Report(report) => {
                self.with(report.entry.partition, |_, sealer| sealer.on_report(ctx, from, report));
            }
            Message::Decline { partition, heads, forks, .. } => {
                self.with(partition, |replica, sealer| sealer.on_decline(ctx, replica, from, &heads, forks));
            }
            _ => {}
        }
    }
}
