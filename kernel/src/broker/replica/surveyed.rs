//! What a replica tells an edge that follows another one: how far lanes have come, so that the edge notices what that
//! other one leaves out (WP 2.4.4).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Replica;
use crate::broker::context::Context;
use crate::broker::lane::Lane;
use crate::broker::message::{Message, MovedLane};
use crate::broker::retention::too_old_ms;
use crate::ids::{Address, Epoch, LaneId, StreamPartition};
use crate::limits::MAX_SURVEYED_LANES;

/// The lanes of each stream partition. Edges ask at the same time, when an epoch begins, so that one look at all lanes
/// serves them all.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The seal and the number of lanes that it was made at: lanes come one by one, and go at seals alone.
    made_at: (Epoch, usize),
    lanes: BTreeMap<StreamPartition, Vec<LaneId>>,
}

impl Replica {
    /// An edge wants to know which lanes moved. A replica that may have missed something does not answer. Of what is
    /// too old to be kept there is nothing to show.
    pub fn on_survey(
        &mut self,
        ctx: &mut Context<'_>,
        edge: Address,
        slot: StreamPartition,
        since: Epoch,
        after: LaneId,
    ) {
        if !self.may_serve(ctx.view) {
            return;
        }
        self.list_lanes();
        let retention =
            ctx.view.stream(slot.stream).map_or_else(Default::default, |stream| stream.retention());
        let kept_ms = too_old_ms(retention, ctx.view.timestamp_s);
        let lanes = self.listing.lanes.get(&slot).map_or(&[][..], |lanes| lanes);
        let rest = &lanes[lanes.partition_point(|lane| *lane <= after)..];
        let mut moved = rest.iter().filter_map(|id| {
            moved_since(*id, self.lanes.get(id)?, since).filter(|moved| moved.last_time_ms >= kept_ms)
        });
        let lanes: Vec<MovedLane> = moved.by_ref().take(MAX_SURVEYED_LANES).collect();
        let more = moved.next().is_some();
        let (partition, up_to) = (self.partition, self.sealed_epoch);
        ctx.send(edge, Message::Surveyed { partition, slot, since, after, up_to, lanes, more }, &[]);
    }

    fn list_lanes(&mut self) {
        let now = (self.sealed_epoch, self.lanes.len());
        if self.listing.made_at == now {
            return;
        }
        let mut lanes: BTreeMap<StreamPartition, Vec<LaneId>> = BTreeMap::new();
        for (id, lane) in &self.lanes {
            lanes.entry(lane.slot).or_default().push(*id);
        }
        self.listing = Listing { made_at: now, lanes };
    }
}

/// How far a lane has come that moved after this epoch's seal. What is above the sealed head of a forked one does not
/// count.
fn moved_since(id: LaneId, lane: &Lane, since: Epoch) -> Option<MovedLane> {
    let head = if lane.fork.is_some() { lane.sealed } else { lane.durable_head() };
    let is_new = lane.sealed_epoch > since || head.next_sequence > lane.sealed.next_sequence;
    let last = lane.last_header().filter(|_| is_new)?;
    Some(MovedLane {
        lane: id,
        next_sequence: head.next_sequence,
        opening_block: lane.opening_block,
        last_time_ms: last.header.last_time_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{SignedHeader, fixture};

    fn batches(count: u64) -> Vec<SignedHeader> {
        fixture::lane(count).iter().map(|batch| batch.signed_header()).collect()
    }

    fn lane_of(headers: &[SignedHeader], durable: u64) -> (LaneId, Lane) {
        let mut lane = Lane::open(&headers[0].header);
        (1..).zip(headers).for_each(|(index, header)| lane.append(*header, index));
        lane.durable = durable;
        (headers[0].header.lane(), lane)
    }

    #[test]
    fn what_is_on_disk_and_no_cut_names_has_moved() {
        let (id, lane) = lane_of(&batches(3), 2);
        let moved = moved_since(id, &lane, Epoch::MAX).expect("two batches are on disk");
        assert_eq!((moved.lane, moved.next_sequence, moved.opening_block), (id, 2, 3));
        let (id, lane) = lane_of(&batches(1), 0);
        assert_eq!(moved_since(id, &lane, 0), None);
    }

    #[test]
    fn what_is_sealed_has_moved_in_its_epoch() {
        let (id, mut lane) = lane_of(&batches(3), 3);
        lane.seal(&lane.head());
        lane.sealed_epoch = 7;
        assert_eq!(moved_since(id, &lane, 6).map(|moved| moved.next_sequence), Some(3));
        assert_eq!(moved_since(id, &lane, 7), None);
    }
}
