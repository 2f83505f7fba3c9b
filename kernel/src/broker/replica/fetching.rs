//! Filling gaps: lanes that this replica lacks a part of are fetched from those who hold them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Replica;
use super::append::Source;
use crate::batch::{Batch, SignedHeader};
use crate::broker::context::Context;
use crate::broker::message::Message;
use crate::ids::{Address, LaneId};
use crate::limits::{MAX_FETCHES, MAX_FETCHES_A_PEER, RETRY_US};
use crate::marks::Rare;
use crate::rules::Bug;
use crate::verify::Verified;

/// Lanes being fetched; bounded.
#[derive(Clone, Debug, Default)]
pub struct Fetching {
    lanes: BTreeMap<LaneId, Fetch>,
    /// Lanes on which a peer named another branch, and when it was asked: what it sends shows who is right.
    probed: BTreeMap<LaneId, u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Fetch {
    /// Everything before this sequence is wanted.
    until: u64,
    /// Who is known to hold it.
    hint: Address,
    attempts: u32,
    asked_us: u64,
    /// Before which sequence nothing is kept, by who says so.
    pub(super) gone: BTreeMap<Address, u64>,
    /// The header of the lane's sealed head, as it fits the cut that names it.
    pub(super) header: Option<SignedHeader>,
}

impl Fetching {
    pub(super) fn forget(&mut self, lane: LaneId) {
        self.lanes.remove(&lane);
    }

    pub(super) fn of_lane(&mut self, lane: &LaneId) -> Option<&mut Fetch> {
        self.lanes.get_mut(lane)
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.lanes.values().map(|fetch| fetch.asked_us + RETRY_US).min()
    }
}

impl Replica {
    /// Wants everything of a lane before sequence `until`; `holder` is known to have it.
    pub fn want(&mut self, ctx: &mut Context<'_>, lane: LaneId, until: u64, holder: Address) {
        if let Some(fetch) = self.fetching.lanes.get_mut(&lane) {
            fetch.until = fetch.until.max(until);
            return;
        }
        // No single peer can fill all places with lanes that do not exist.
        let of_holder = self.fetching.lanes.values().filter(|fetch| fetch.hint == holder).count();
        if self.fetching.lanes.len() >= MAX_FETCHES || of_holder >= MAX_FETCHES_A_PEER {
            return ctx.mark(Rare::FetchesFull);
        }
        let (hint, asked_us) = (holder, ctx.now.monotonic_us);
        let fetch = Fetch { until, hint, attempts: 0, asked_us, gone: BTreeMap::new(), header: None };
        self.fetching.lanes.insert(lane, fetch);
        self.ask(ctx, lane, holder);
    }

    /// Asks a peer that names another branch of a lane for its side, from the sealed head on: either it has none, or
    /// its headers and ours prove a fork.
    pub fn probe(&mut self, ctx: &mut Context<'_>, lane: LaneId, holder: Address) {
        let Some(from) = self.lanes.get(&lane).map(|lane| lane.sealed.next_sequence) else { return };
        let now_us = ctx.now.monotonic_us;
        self.fetching.probed.retain(|_, asked_us| now_us < *asked_us + RETRY_US);
        let probed = &self.fetching.probed;
        if holder == ctx.me || probed.len() >= MAX_FETCHES || probed.contains_key(&lane) {
            return;
        }
        ctx.mark(Rare::BranchProbed);
        self.fetching.probed.insert(lane, now_us);
        ctx.send(holder, Message::Fetch { partition: self.partition, lane, from }, &[]);
    }

    pub(super) fn ask(&self, ctx: &mut Context<'_>, lane: LaneId, peer: Address) {
        if peer == ctx.me {
            return;
        }
        let from = self.lanes.get(&lane).map_or(0, |lane| lane.head().next_sequence);
        ctx.send(peer, Message::Fetch { partition: self.partition, lane, from }, &[]);
    }

    /// A peer sent consecutive batches of a lane.
    pub fn on_repair(
        &mut self,
        ctx: &mut Context<'_>,
        from: Address,
        lane: LaneId,
        batches: Vec<Verified<Batch>>,
    ) {
        let asked = self.fetching.probed.remove(&lane).is_some() || self.fetching.lanes.contains_key(&lane);
        if !asked {
            return ctx.mark(Rare::RepairUnasked);
        }
        let before = self.lanes.get(&lane).map_or(0, |lane| lane.head().next_sequence);
        let of_lane = batches.into_iter().filter(|batch| batch.lane() == lane).collect();
        self.on_batches(ctx, Source::Peer(from), of_lane);
        self.begin_later(ctx, lane);
        let after = self.lanes.get(&lane).map_or(0, |lane| lane.head().next_sequence);
        let Some(fetch) = self.fetching.lanes.get_mut(&lane) else { return };
        if after >= fetch.until {
            self.fetching.lanes.remove(&lane);
        } else if after > before {
            ctx.mark(Rare::RepairInParts);
            fetch.asked_us = ctx.now.monotonic_us;
            self.ask(ctx, lane, from);
        }
    }

    pub(super) fn retry_fetches(&mut self, ctx: &mut Context<'_>) {
        if self.fetching.lanes.is_empty() {
            return;
        }
        let now_us = ctx.now.monotonic_us;
        let peers = self.peers(ctx.view, ctx.me);
        let mut ask = Vec::new();
        let lanes = &self.lanes;
        self.fetching.lanes.retain(|lane, fetch| {
            let head = lanes.get(lane).map_or(0, |lane| lane.head().next_sequence);
            let exhausted = fetch.attempts as usize > 2 * peers.len() + 2;
            let wanted = head < fetch.until && !exhausted;
            ctx.mark_if(!wanted, Rare::FetchEnded);
            wanted
        });
        for (lane, fetch) in &mut self.fetching.lanes {
            if now_us < fetch.asked_us + RETRY_US {
                continue;
            }
            ctx.mark(Rare::FetchRetried);
            fetch.attempts += 1;
            fetch.asked_us = if ctx.rules.has(Bug::FetchTimerStops) { u64::MAX - RETRY_US } else { now_us };
            let choices = peers.len() + 1;
            let peer = peers.get(fetch.attempts as usize % choices).copied().unwrap_or(fetch.hint);
            ask.push((*lane, peer));
        }
        ask.into_iter().for_each(|(lane, peer)| self.ask(ctx, lane, peer));
    }
}
