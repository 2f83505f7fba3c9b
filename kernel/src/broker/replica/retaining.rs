//! What a replica lets go, and how one that was away goes on without what nobody keeps (WP 2.4.8).
//!
//! ```text
//!   who was away        peers
//!     │ Fetch ───────────►│ the lane's beginning is not there
//!     │◄──── Gone, Repair │ before which sequence nothing is; the batches from there on
//!     │◄──── Gone         │ f+1 agree
//!     ▼
//!   the lane begins at the head that the first batch left names, and goes on to the sealed one
//! ```
//!
//! This is believed of lanes that a proven cut names, and of nothing else: there the chain proves where the lane gets
//! to, so a wrong beginning does not lead there, and is given up.

use alloc::boxed::Box;

use super::Replica;
use crate::agreement::LaneHead;
use crate::batch::{Header, SignedHeader};
use crate::broker::context::Context;
use crate::broker::lane::{Relation, lane_key};
use crate::broker::message::Message;
use crate::broker::retention::{agreed, too_old_ms, unsealed_from_ms};
use crate::broker::rows;
use crate::coordinator::Retention;
use crate::ids::{Address, Epoch, LaneId, StreamPartition};
use crate::log::{Chunk, Expiry, Record, Table};
use crate::marks::Rare;

/// What a peer says of a lane: see [`Message::Gone`].
#[derive(Clone, Copy, Debug)]
pub struct Gone {
    /// The lane.
    pub lane: LaneId,
    /// The last sealed epoch that the peer has adopted.
    pub epoch: Epoch,
    /// Nothing before this sequence is there.
    pub before: u64,
    /// The header of the lane's sealed head, if the peer remembers it.
    pub header: Option<SignedHeader>,
}

impl Replica {
    /// Lets go what is too old of these stream partitions. Who lacks something that is sealed looks for that first.
    pub fn expire(&mut self, ctx: &mut Context<'_>, slots: &[(StreamPartition, Retention)]) {
        if self.resting || !self.may_sign(ctx.view) {
            return;
        }
        let unsealed = unsealed_from_ms(self.lanes.values());
        for (slot, retention) in slots {
            let too_old = too_old_ms(*retention, ctx.view.timestamp_s);
            let unwanted = too_old.max(self.sealed_content.too_much_ms(*retention, *slot));
            let before_ms = unsealed.get(slot).map_or(unwanted, |first| unwanted.min(*first));
            if before_ms > 0 {
                ctx.mark(Rare::EventsExpire);
                self.lets_go = true;
                let (partition, up_to_index) = (self.partition, self.last_index);
                ctx.expire(Expiry { partition, slot: Some(*slot), before_ms, up_to_index });
            }
        }
    }

    /// A peer asked for a lane from a sequence on, and this is all that is here: says what is not kept any more. Who
    /// lacks something itself says nothing.
    pub fn tell_gone(
        &self,
        ctx: &mut Context<'_>,
        peer: Address,
        (lane, from): (LaneId, u64),
        found: &Chunk,
    ) {
        if self.resting || !self.lets_go || !self.may_sign(ctx.view) {
            return;
        }
        let first = found.batches.first().and_then(|bytes| Header::of_batch(bytes));
        let known = self.lanes.get(&lane);
        let before = match (first, known) {
            (Some(first), _) => first.sequence,
            (None, Some(known)) => known.sealed.next_sequence,
            (None, None) => u64::MAX,
        };
        if before > from {
            let header = known.and_then(|known| known.sealed_header).map(Box::new);
            let (partition, epoch) = (self.partition, self.sealed_epoch);
            ctx.send(peer, Message::Gone { partition, lane, epoch, before, header }, &[]);
        }
    }

    /// A peer says that a lane's beginning is not kept any more.
    pub fn on_gone(&mut self, ctx: &mut Context<'_>, from: Address, gone: Gone) {
        let Some((head, epoch)) = self.proven_head(&gone.lane) else { return };
        if gone.epoch < epoch || !self.peers(ctx.view, ctx.me).contains(&from) {
            return;
        }
        let Some(fetch) = self.fetching.of_lane(&gone.lane) else { return };
        fetch.gone.insert(from, gone.before.min(head.next_sequence));
        let is_of_head = |signed: &SignedHeader| {
            signed.header.lane() == gone.lane && signed.header.digest() == head.digest
        };
        fetch.header = fetch.header.or(gone.header.filter(is_of_head));
        let claims = fetch.gone.len();
        self.begin_later(ctx, gone.lane);
        self.ask_more(ctx, &gone.lane, claims);
        self.adopt(ctx);
    }

    /// One peer alone may lie: the next one is asked at once, because a newcomer has many such lanes.
    fn ask_more(&mut self, ctx: &mut Context<'_>, lane: &LaneId, claims: usize) {
        let peers = self.peers(ctx.view, ctx.me);
        let Some(fetch) = self.fetching.of_lane(lane).filter(|_| claims <= ctx.view.params.liars()) else {
            return;
        };
        let silent = peers.into_iter().find(|peer| !fetch.gone.contains_key(peer));
        silent.into_iter().for_each(|peer| self.ask(ctx, *lane, peer));
    }

    /// Where a lane gets to by the last cut that is proven and not adopted, and that cut's epoch.
    fn proven_head(&self, lane: &LaneId) -> Option<(LaneHead, Epoch)> {
        let catch_up = self.catch_up.as_ref().filter(|catch_up| catch_up.proven)?;
        catch_up.cuts.iter().rev().find_map(|cut| Some((*cut.head(lane)?, cut.epoch)))
    }

    /// Takes a lane up where it is still kept, if enough peers say so and what comes there is here.
    pub(super) fn begin_later(&mut self, ctx: &mut Context<'_>, id: LaneId) {
        let liars = ctx.view.params.liars();
        let Some((head, epoch)) = self.proven_head(&id) else { return };
        let Some(fetch) = self.fetching.of_lane(&id) else { return };
        let (kept_from, header) = (agreed(fetch.gone.values().copied(), liars), fetch.header);
        let held = self.lanes.get(&id).map_or(0, |lane| lane.head().next_sequence);
        let Some(before) = kept_from.filter(|before| *before > held) else { return };
        if before < head.next_sequence {
            let Some(batch) = self.ahead.get(id, before) else { return };
            let (first, content_bytes) = (*batch.header(), batch.content_bytes());
            let Some(volume) = first.volume.checked_sub(content_bytes) else { return };
            let base = LaneHead { lane: id, next_sequence: before, volume, digest: first.previous };
            self.begin_at(ctx, (base, epoch), Some(&first), None);
            self.take_ahead(ctx, id);
        } else if header.is_some() || self.lanes.contains_key(&id) {
            self.begin_at(ctx, (head, epoch), header.as_ref().map(|signed| &signed.header), header);
            self.fetching.forget(id);
        } else if let Some(catch_up) = &mut self.catch_up {
            // Whoever forgot its header knows that the lane takes nothing more.
            ctx.mark(Rare::LaneGone);
            catch_up.gone.insert(id, before);
            self.fetching.forget(id);
        }
    }

    /// Whether a cut names this head of a lane of which nothing is kept by anybody.
    pub(super) fn is_gone(&self, head: &LaneHead) -> bool {
        let gone = self.catch_up.as_ref().and_then(|catch_up| catch_up.gone.get(&head.lane));
        gone.is_some_and(|before| head.next_sequence <= *before) && !self.lanes.contains_key(&head.lane)
    }

    fn begin_at(
        &mut self,
        ctx: &mut Context<'_>,
        (base, epoch): (LaneHead, Epoch),
        first: Option<&Header>,
        sealed: Option<SignedHeader>,
    ) {
        ctx.mark(Rare::LaneBegunLater);
        self.forget_rows(ctx, base.lane);
        let partition = self.partition;
        if let Some(first) = first {
            self.lanes.entry(base.lane).or_insert_with(|| super::Lane::open(first));
        }
        let lane = self.lanes.get_mut(&base.lane).expect("a lane is known or its first header is");
        lane.begin_at(base, sealed);
        lane.sealed_epoch = epoch;
        let row = super::adoption::lane_row(lane);
        ctx.write(rows::put(Table::Lane, lane_key(partition, &base.lane), &row));
    }

    /// Drops everything of a lane from the disk.
    fn forget_rows(&self, ctx: &mut Context<'_>, id: LaneId) {
        let partition = self.partition;
        ctx.write(Record::Remove { table: Table::Lane, key: lane_key(partition, &id) });
        ctx.write(Record::Truncate { partition, lane: id, from: 0 });
        for mark in self.lanes.get(&id).into_iter().flat_map(|lane| &lane.marks) {
            let key = rows::mark_key(partition, &id, mark.header.header.next_sequence());
            ctx.write(Record::Remove { table: Table::Mark, key });
        }
    }

    /// A lane that was taken up after its beginning does not lead to the head that a cut names: it was begun on
    /// another branch, and is looked for anew.
    pub(super) fn doubt_beginning(&mut self, ctx: &mut Context<'_>, head: &LaneHead) {
        let is_wrong = self
            .lanes
            .get(&head.lane)
            .is_some_and(|lane| lane.is_begun_later() && lane.relation(head) == Relation::OtherBranch);
        if is_wrong {
            self.forget_rows(ctx, head.lane);
            self.lanes.remove(&head.lane);
            self.fetching.forget(head.lane);
            self.ahead.forget(head.lane);
        }
    }
}
