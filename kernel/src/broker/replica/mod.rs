//! One partition's data at one replica: lanes, their logs, who follows them, and what is sealed.
//!
//! ```text
//!            Append / Repair                      Durable
//!   edges ───────────────────► offer ─► write ─────────────► Acknowledge ─► edges
//!   peers                        │ next                         (only in the epoch that is open here)
//!                                ├─► Live ─► followers
//!                                ├ ahead ─► buffer, Fetch from peers
//!                                └ fork ──► evidence, lane closed
//! ```
//!
//! A replica checks everything itself, appends in lane order, and acknowledges only what is on its disk
//! (WP 2.4.3). Its part in sealing is [`super::sealer`]; following the chain's seals is [`adoption`].

mod adoption;
mod append;
mod fetching;
mod following;
mod leaving;
mod presence;
mod retaining;
mod surveyed;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use self::adoption::CatchUp;
use self::append::Ahead;
pub use self::append::Source;
use self::fetching::Fetching;
use self::presence::Presence;
pub use self::retaining::Gone;
use self::surveyed::Listing;
use super::context::{After, Context};
use super::deposits::Deposits;
use super::duties::lateness::Adopted;
use super::io::Trace;
use super::lane::{Lane, Mark};
use super::message::Message;
use super::retention::Sealed;
use super::rows::{self, LaneRow, PartitionRow};
use crate::agreement::{Fork, LaneHead};
use crate::coordinator::State;
use crate::ids::{Address, Epoch, Hash, LaneId, PartitionId, StreamPartition};
use crate::log::Table;
use crate::marks::Rare;
use crate::rules::{Bug, Rules};

/// More batches than a partition can append in a millisecond.
const APPENDS_A_MS: u64 = 1 << 20;

/// One partition at one replica.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The partition.
    pub partition: PartitionId,
    /// Every lane that may still grow or is not sealed to its end.
    pub lanes: BTreeMap<LaneId, Lane>,
    /// The last epoch that is sealed, as far as this replica has followed the chain.
    pub sealed_epoch: Epoch,
    /// The checksum of the last sealed cut adopted here.
    pub checksum: Hash,
    /// The epoch of that cut: lower than `sealed_epoch` if the quorum was lost since.
    cut_epoch: Epoch,
    /// The last cut that this process adopted.
    adopted: Option<Adopted>,
    /// What publishers owe.
    deposits: Deposits,
    /// The lowest epoch in which this replica may acknowledge, as written.
    open_epoch: Epoch,
    /// The same, as on disk.
    opened_epoch: Option<Epoch>,
    /// Nothing is signed until the chain has sealed this epoch or a later one.
    quarantine: Option<Epoch>,
    /// What was sealed lately where retention goes by size.
    sealed_content: Sealed,
    /// Whether something was let go since the start of the process: without it, what is not here never was.
    lets_go: bool,
    last_index: u64,
    /// Whether `last_index` is above everything that an earlier process gave out.
    counts_anew: bool,
    ahead: Ahead,
    fetching: Fetching,
    followers: BTreeMap<StreamPartition, BTreeMap<Address, u64>>,
    slot_index: BTreeMap<StreamPartition, u64>,
    /// Forked lanes whose events above their sealed head were given to readers and do not count.
    withdrawn: BTreeMap<StreamPartition, BTreeMap<LaneId, u64>>,
    catch_up: Option<CatchUp>,
    presence: Presence,
    listing: Listing,
    /// This broker has no part in the partition: it answers from its log and asks for nothing.
    resting: bool,
    /// It left, and its rows are going.
    leaving: bool,
    /// Batches with an append index up to this were given back; 0 for none.
    left_index: u64,
    /// Whether the log was told so by this process.
    left_told: bool,
}

impl Replica {
    /// A replica without any memory. `acted_before` says whether the chain already counts on this broker here: then
    /// the store lost its memory, and nothing is signed until what may have been promised is sealed.
    pub fn new(ctx: &mut Context<'_>, partition: PartitionId, acted_before: bool) -> Self {
        let mut replica = Self::empty(partition);
        if acted_before {
            let epoch = ctx.view.epoch();
            replica.quarantine = Some(epoch);
            ctx.mark(Rare::DiskLost);
            ctx.trace(Trace::Quarantined(partition, epoch));
        }
        replica.write_own_row(ctx);
        replica
    }

    /// A replica that goes on from what its store remembers.
    pub fn restore(partition: PartitionId, row: PartitionRow, last_index: u64, rules: Rules) -> Self {
        let mut replica = Self::empty(partition);
        if !rules.has(Bug::CutGoesBack) {
            replica.sealed_epoch = row.sealed_epoch;
            replica.checksum = row.checksum;
            replica.cut_epoch = row.cut_epoch;
        }
        replica.open_epoch = row.open_epoch;
        replica.opened_epoch = Some(row.open_epoch);
        replica.quarantine = row.quarantine;
        replica.leaving = row.leaving;
        replica.left_index = row.left_index;
        replica.last_index = last_index;
        replica
    }

    fn empty(partition: PartitionId) -> Self {
        Self {
            partition,
            lanes: BTreeMap::new(),
            sealed_epoch: 0,
            checksum: Hash::ZERO,
            cut_epoch: 0,
            adopted: None,
            deposits: Deposits::default(),
            open_epoch: 0,
            opened_epoch: None,
            quarantine: None,
            sealed_content: Sealed::default(),
            lets_go: false,
            last_index: 0,
            counts_anew: false,
            ahead: Ahead::default(),
            fetching: Fetching::default(),
            followers: BTreeMap::new(),
            slot_index: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            catch_up: None,
            presence: Presence::default(),
            listing: Listing::default(),
            resting: false,
            leaving: false,
            left_index: 0,
            left_told: false,
        }
    }

    /// Takes a lane's row back from the store.
    pub fn restore_lane(&mut self, lane: LaneId, row: LaneRow) {
        if row.closed {
            self.withdrawn.entry(row.slot).or_default().insert(lane, row.sealed.next_sequence);
        }
        let restored = Lane {
            slot: row.slot,
            origin: row.origin,
            opening_block: row.opening_block,
            sealed: row.sealed,
            sealed_epoch: row.sealed_epoch,
            sealed_header: row.sealed_header,
            marks: Default::default(),
            heads: Default::default(),
            durable: row.sealed.next_sequence,
            fork: None,
            closed: row.closed,
            edges: BTreeSet::new(),
        };
        self.lanes.insert(lane, restored);
    }

    /// Takes a mark back from the store; marks come in lane order, after the lane rows.
    pub fn restore_mark(&mut self, mark: Mark) {
        let header = &mark.header.header;
        let lane = self.lanes.entry(header.lane()).or_insert_with(|| Lane::open(header));
        lane.durable = header.next_sequence();
        lane.append(mark.header, mark.index);
    }

    /// Takes the proof of a fork back from the store.
    pub fn restore_fork(&mut self, fork: Fork) {
        if let Some(lane) = self.lanes.get_mut(&fork.lane()) {
            lane.fork = Some(fork);
        }
    }

    /// The chain moved on.
    pub fn on_view(&mut self, ctx: &mut Context<'_>) {
        self.resting = false;
        if !ctx.rules.has(Bug::CountsOnFromDisk) {
            self.count_anew(ctx.now.wall_ms);
        }
        self.tell_left(ctx);
        self.found_if_new(ctx.view);
        let epoch = ctx.view.epoch();
        if epoch > self.open_epoch || self.opened_epoch.is_none() && epoch == self.open_epoch {
            ctx.mark_if(self.open_epoch > 0 && epoch > self.open_epoch + 1, Rare::EpochSkipped);
            self.open_epoch = epoch;
            if ctx.rules.has(Bug::EntersEpochEarly) {
                self.on_opened(ctx, epoch);
            }
            self.write_own_row(ctx);
            ctx.after_write(After::Opened(self.partition, epoch));
        }
        self.adopt(ctx);
        self.seek_presence(ctx);
    }

    /// Whether this broker had no part in the partition when it looked last.
    pub fn is_resting(&self) -> bool {
        self.resting
    }

    /// This broker has no part in the partition any more. Should it come back, it has missed what was stored meanwhile.
    pub fn rest(&mut self, ctx: &mut Context<'_>) {
        ctx.mark_if(!self.resting, Rare::Rested);
        self.resting = true;
        self.catch_up = None;
        self.fetching = Fetching::default();
        self.ahead = Ahead::default();
        self.presence = Presence::default();
    }

    /// Append indexes of batches that a crash took from the disk may be known to edges, which would take others under
    /// the same indexes for these. So each process counts from where no earlier one can have come: its clock, in
    /// milliseconds, times more appends than a millisecond holds.
    fn count_anew(&mut self, wall_ms: u64) {
        if !self.counts_anew {
            self.counts_anew = true;
            self.last_index = self.last_index.max(wall_ms.saturating_mul(APPENDS_A_MS));
        }
    }

    /// Before its first seal a partition's history starts where it was founded, whatever a replica took in before it
    /// heard of the founding.
    fn found_if_new(&mut self, view: &State) {
        let Some(partition) = view.partition(self.partition) else { return };
        if partition.checksum.is_zero() && self.checksum.is_zero() {
            self.sealed_epoch = partition.sealed_epoch;
            self.cut_epoch = partition.founded_epoch.saturating_sub(1);
        }
    }

    /// The closing of all epochs before `epoch` is on disk: from now on this replica acknowledges in `epoch`, first
    /// of all what it holds above the last seal.
    pub fn on_opened(&mut self, ctx: &mut Context<'_>, epoch: Epoch) {
        self.opened_epoch = Some(self.opened_epoch.unwrap_or(0).max(epoch));
        ctx.trace(Trace::EpochEntered(self.partition, epoch));
        if !ctx.rules.has(Bug::RepeatsNoReceipts) {
            self.repeat_acknowledgements(ctx);
        }
    }

    /// Whether this replica may acknowledge now, and in which epoch (WP 2.4.3): it acts in the epoch, has closed
    /// every earlier one on disk, holds everything up to the last sealed cut, and remembers what it promised.
    fn acknowledging_epoch(&self, ctx: &Context<'_>) -> Option<Epoch> {
        let (view, epoch) = (ctx.view, ctx.view.epoch());
        let acts = ctx.my_index.is_some_and(|index| view.is_member(self.partition, index, epoch));
        let open = self.opened_epoch == Some(epoch);
        (acts && open && (self.may_sign(view) || ctx.rules.has(Bug::AcknowledgesBelowCut))).then_some(epoch)
    }

    /// Whether others sit here by now in this broker's place.
    fn is_replaced(&self, ctx: &Context<'_>) -> bool {
        let is_in_place_of = |me| {
            ctx.view.partition(self.partition).is_some_and(|partition| {
                let has_seat = partition.members.contains(me) || partition.target.contains(me);
                partition.founded && !has_seat && partition.since_epoch <= ctx.view.epoch()
            })
        };
        ctx.my_index.is_some_and(is_in_place_of)
    }

    /// Whether this replica's word can be relied on: it lacks no memory and holds the last sealed cut.
    pub fn may_sign(&self, view: &State) -> bool {
        self.quarantine.is_none()
            && view.partition(self.partition).is_some_and(|p| {
                p.founded && p.sealed_epoch == self.sealed_epoch && p.checksum == self.checksum
            })
    }

    /// The last cut that was adopted since the start of the process.
    pub fn adopted(&self) -> Option<Adopted> {
        self.adopted
    }

    /// Whether the closing of `epoch` is on disk.
    pub fn has_closed(&self, epoch: Epoch) -> bool {
        self.opened_epoch.is_some_and(|opened| opened > epoch)
    }

    /// Heads on disk above the last sealed cut, forked lanes left out, rising by lane.
    pub fn unsealed_heads(&self) -> Vec<LaneHead> {
        self.lanes
            .values()
            .filter(|lane| lane.fork.is_none())
            .map(|lane| (lane.durable_head(), lane.sealed))
            .filter(|(head, sealed)| head.next_sequence > sealed.next_sequence)
            .map(|(head, _)| head)
            .collect()
    }

    /// Proofs of forks that no sealed cut has named yet.
    pub fn unsealed_forks(&self) -> Vec<Fork> {
        self.lanes.values().filter(|lane| !lane.closed).filter_map(|lane| lane.fork.clone()).collect()
    }

    /// Peers that may hold this partition's data: members old and new, this broker left out.
    pub fn peers(&self, view: &State, me: Address) -> Vec<Address> {
        let Some(partition) = view.partition(self.partition) else { return Vec::new() };
        let mut peers: Vec<Address> = partition
            .members
            .brokers()
            .chain(partition.previous_members.brokers())
            .filter_map(|index| view.address_of(index))
            .filter(|address| *address != me)
            .collect();
        peers.sort();
        peers.dedup();
        peers
    }

    /// Sends everything that is on disk above the last seal to the edges that brought it, in the present epoch.
    pub(super) fn repeat_acknowledgements(&self, ctx: &mut Context<'_>) {
        let mut by_edge: BTreeMap<Address, Vec<LaneHead>> = BTreeMap::new();
        for lane in self.lanes.values() {
            let head = lane.durable_head();
            if head.next_sequence > lane.sealed.next_sequence && lane.fork.is_none() {
                lane.edges.iter().for_each(|edge| by_edge.entry(*edge).or_default().push(head));
            }
        }
        ctx.mark_if(!by_edge.is_empty(), Rare::ReceiptsRepeated);
        self.acknowledge(ctx, by_edge);
    }

    fn acknowledge(&self, ctx: &mut Context<'_>, by_edge: BTreeMap<Address, Vec<LaneHead>>) {
        let Some(epoch) = self.acknowledging_epoch(ctx) else {
            return ctx.mark(Rare::ReceiptHeldBack);
        };
        for (edge, heads) in by_edge.into_iter().filter(|(_, heads)| !heads.is_empty()) {
            ctx.send(edge, Message::Acknowledge { partition: self.partition, epoch, heads }, &[]);
        }
    }

    fn write_own_row(&self, ctx: &mut Context<'_>) {
        let row = PartitionRow {
            sealed_epoch: self.sealed_epoch,
            checksum: self.checksum,
            cut_epoch: self.cut_epoch,
            open_epoch: self.open_epoch,
            quarantine: self.quarantine,
            leaving: self.leaving,
            left_index: self.left_index,
        };
        ctx.write(rows::put(Table::Marker, rows::partition_key(self.partition), &row));
    }

    /// When this replica wants to be woken, in monotonic microseconds.
    pub fn deadline(&self) -> Option<u64> {
        if self.resting {
            return None;
        }
        let asking = self.catch_up.as_ref().map(CatchUp::deadline);
        self.fetching.deadline().into_iter().chain(asking).chain(self.presence.deadline()).min()
    }

    /// Asks again where an answer is overdue.
    pub fn on_elapsed(&mut self, ctx: &mut Context<'_>) {
        if self.resting {
            return;
        }
        self.retry_fetches(ctx);
        self.retry_catch_up(ctx);
        self.seek_presence(ctx);
        self.check_presence(ctx);
    }
}
