//! A lane as one replica holds it: what is sealed, what is above, and the rule that no two branches are kept.

use alloc::collections::{BTreeSet, VecDeque};

use bincode::{Decode, Encode};

use crate::agreement::{Fork, LaneHead};
use crate::batch::{Header, SignedHeader};
use crate::ids::{Address, Epoch, LaneId, StreamPartition};
use crate::limits::MAX_EDGES_A_LANE;

/// One batch above the lane's sealed head.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Mark {
    /// Its signed header: evidence, should the publisher fork.
    pub header: SignedHeader,
    /// Its append index.
    pub index: u64,
}

/// What a replica knows of a lane.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Where it lives.
    pub slot: StreamPartition,
    /// Who publishes it.
    pub origin: Address,
    /// The block that its validity is judged at.
    pub opening_block: u64,
    /// Its head in the last sealed cut that moved it.
    pub sealed: LaneHead,
    /// The epoch of that cut.
    pub sealed_epoch: Epoch,
    /// The header that `sealed` names, if any.
    pub sealed_header: Option<SignedHeader>,
    /// Batches above the sealed head, in order.
    pub marks: VecDeque<Mark>,
    /// The head after each of them: computed once, when the batch is appended.
    pub(super) heads: VecDeque<LaneHead>,
    /// Sequence up to which everything is on disk.
    pub durable: u64,
    /// Proof that its publisher forked it: nothing more is taken from publishers.
    pub fork: Option<Fork>,
    /// A sealed cut names the fork: the lane ends at its sealed head for good.
    pub closed: bool,
    /// Edges that brought batches of it and want to hear of them.
    pub edges: BTreeSet<Address>,
}

/// What a header is to a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The next batch: append it.
    Next,
    /// Held already.
    Held,
    /// Ahead: what is missing starts at the lane's head.
    Ahead,
    /// A proof of a fork.
    Fork(alloc::boxed::Box<Fork>),
    /// The lane is closed by a fork known before.
    Closed,
    /// Breaks a rule of the lane: this sentence says which.
    Broken(&'static str),
}

/// How a head that somebody names relates to a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is on this lane's branch, or below its sealed head.
    Held,
    /// It is further than this lane goes.
    Further,
    /// It is on another branch.
    OtherBranch,
}

impl Lane {
    /// A lane about to get its first batch.
    pub fn open(header: &Header) -> Self {
        Self {
            slot: header.slot(),
            origin: header.origin,
            opening_block: header.opening_block,
            sealed: LaneHead::empty(header.lane()),
            sealed_epoch: 0,
            sealed_header: None,
            marks: VecDeque::new(),
            heads: VecDeque::new(),
            durable: 0,
            fork: None,
            closed: false,
            edges: BTreeSet::new(),
        }
    }

    /// The head with everything appended, durable or not.
    pub fn head(&self) -> LaneHead {
        self.heads.back().copied().unwrap_or(self.sealed)
    }

    /// The head with everything that is on disk.
    pub fn durable_head(&self) -> LaneHead {
        let durable = self.heads.partition_point(|head| head.next_sequence <= self.durable);
        durable.checked_sub(1).map_or(self.sealed, |last| self.heads[last])
    }

    /// The sequence after the last batch above the sealed head that has at most this append index; `None` if there is
    /// none.
    pub fn next_sequence_at(&self, index: u64) -> Option<u64> {
        let upto = self.marks.partition_point(|mark| mark.index <= index);
        Some(self.heads[upto.checked_sub(1)?].next_sequence)
    }

    /// The rule of the lane (WP 2.4.5): consecutive, chained, metered, never back in time, never two branches.
    /// `content_bytes` is the size of the offered batch's content. Whether a lane with a known fork may still take a
    /// branch, because a sealed cut names it, is the caller's to say.
    pub fn offer(&self, offered: &SignedHeader, content_bytes: u64, takes_sealed_branch: bool) -> Offer {
        let header = &offered.header;
        if self.closed || self.fork.is_some() && !takes_sealed_branch {
            return Offer::Closed;
        }
        let head = self.head();
        if header.sequence > head.next_sequence {
            return Offer::Ahead;
        }
        if header.sequence < head.next_sequence {
            return self.offer_below_head(offered);
        }
        let last = self.last_header();
        if header.previous != head.digest {
            return match last.and_then(|last| Fork::new(*last, *offered)) {
                Some(fork) => Offer::Fork(alloc::boxed::Box::new(fork)),
                None => Offer::Broken("the first batch of a lane must name a previous of zero"),
            };
        }
        if header.volume != head.volume.saturating_add(content_bytes) {
            return Offer::Broken("volume must be the lane's volume before plus this batch's content bytes");
        }
        if last.is_some_and(|last| header.first_time_ms < last.header.last_time_ms) {
            return Offer::Broken("event times never go back within a lane: open a new lane");
        }
        Offer::Next
    }

    fn offer_below_head(&self, offered: &SignedHeader) -> Offer {
        let header = &offered.header;
        if header.next_sequence() <= self.sealed.next_sequence {
            return Offer::Held;
        }
        let at_its_end = self.heads.iter().find(|head| head.next_sequence == header.next_sequence());
        if at_its_end.is_some_and(|head| head.digest == header.digest()) {
            return Offer::Held;
        }
        self.marks
            .iter()
            .map(|mark| &mark.header)
            .chain(&self.sealed_header)
            .find_map(|held| Fork::new(*held, *offered))
            .map_or(Offer::Broken("overlaps events that are sealed already"), |fork| {
                Offer::Fork(alloc::boxed::Box::new(fork))
            })
    }

    /// The header of its last batch, durable or not.
    pub(super) fn last_header(&self) -> Option<&SignedHeader> {
        self.marks.back().map(|mark| &mark.header).or(self.sealed_header.as_ref())
    }

    /// Takes the next batch. The caller has asked [`Lane::offer`].
    pub fn append(&mut self, header: SignedHeader, index: u64) {
        self.append_to(header, head_after(&header.header), index);
    }

    /// The same where the head after it is known already.
    pub fn append_to(&mut self, header: SignedHeader, head: LaneHead, index: u64) {
        assert_eq!(header.header.sequence, self.head().next_sequence, "only the next batch is appended");
        assert!(!self.closed, "a closed lane takes nothing");
        assert_eq!(head.next_sequence, header.header.next_sequence(), "the head is the one after this batch");
        self.heads.push_back(head);
        self.marks.push_back(Mark { header, index });
    }

    /// Where a named head stands to this lane.
    pub fn relation(&self, named: &LaneHead) -> Relation {
        if named.next_sequence < self.sealed.next_sequence {
            return Relation::Held;
        }
        if named.next_sequence > self.head().next_sequence {
            return Relation::Further;
        }
        let on_branch = *named == self.sealed || self.heads.contains(named);
        if on_branch { Relation::Held } else { Relation::OtherBranch }
    }

    /// A sealed cut names this head: everything up to it is settled. Returns the marks that were sealed.
    pub fn seal(&mut self, head: &LaneHead) -> alloc::vec::Vec<Mark> {
        assert_eq!(self.relation(head), Relation::Held, "only a held head is sealed");
        let count = self.heads.partition_point(|after| after.next_sequence <= head.next_sequence);
        let sealed: alloc::vec::Vec<Mark> = self.marks.drain(..count).collect();
        self.heads.drain(..count);
        assert_eq!(self.heads.len(), self.marks.len(), "each mark has its head");
        if let Some(last) = sealed.last() {
            self.sealed_header = Some(last.header);
            self.sealed = *head;
        }
        assert!(self.durable >= self.sealed.next_sequence, "what is sealed is on disk");
        sealed
    }

    /// Goes on from a head that is sealed although what is before it is not here: retention let it go. Returns the
    /// marks that go.
    pub fn begin_at(&mut self, base: LaneHead, header: Option<SignedHeader>) -> VecDeque<Mark> {
        assert!(
            base.next_sequence > self.head().next_sequence,
            "a lane that holds more needs no other beginning"
        );
        let marks = self.cut_back();
        (self.sealed, self.sealed_header) = (base, header);
        self.durable = base.next_sequence;
        marks
    }

    /// Whether it was begun at a head that a peer's batch names, and no cut has confirmed that yet.
    pub fn is_begun_later(&self) -> bool {
        self.sealed_header.is_none() && self.sealed.next_sequence > 0
    }

    /// Drops everything above the sealed head: the lane forked, or a sealed cut took another branch. Returns the
    /// marks that go.
    pub fn cut_back(&mut self) -> VecDeque<Mark> {
        self.durable = self.durable.min(self.sealed.next_sequence);
        self.heads.clear();
        core::mem::take(&mut self.marks)
    }

    /// Remembers an edge that brought a batch; bounded.
    pub fn note_edge(&mut self, edge: Address) {
        if self.edges.len() < MAX_EDGES_A_LANE {
            self.edges.insert(edge);
        }
    }
}

/// The head of a lane after this header's batch.
pub fn head_after(header: &Header) -> LaneHead {
    LaneHead {
        lane: header.lane(),
        next_sequence: header.next_sequence(),
        volume: header.volume,
        digest: header.digest(),
    }
}

/// The id of a lane and its place, as rows name them.
pub fn lane_key(partition: crate::ids::PartitionId, lane: &LaneId) -> alloc::vec::Vec<u8> {
    [&partition.0.to_be_bytes()[..], &lane.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::batch::fixture::{next_saying as next, writer};
    use crate::ids::Hash;

    fn offer(lane: &Lane, batch: &Batch) -> Offer {
        lane.offer(&batch.signed_header(), batch.content_bytes(), false)
    }

    /// A lane with these batches appended and durable.
    fn lane_of(batches: &[&Batch]) -> Lane {
        let mut lane = Lane::open(batches[0].header());
        for (index, batch) in (1..).zip(batches) {
            assert_eq!(offer(&lane, batch), Offer::Next);
            lane.append(batch.signed_header(), index);
        }
        lane.durable = lane.head().next_sequence;
        lane
    }

    #[test]
    fn batches_come_in_order_and_only_once() {
        let mut w = writer(0);
        let (a, b, c) = (next(&mut w, 10, "a"), next(&mut w, 10, "b"), next(&mut w, 11, "c"));
        let lane = lane_of(&[&a, &b]);
        assert_eq!(offer(&lane, &c), Offer::Next);
        assert_eq!(offer(&lane, &b), Offer::Held);
        assert_eq!(offer(&lane_of(&[&a]), &c), Offer::Ahead);
    }

    #[test]
    fn two_branches_are_a_proof_whichever_comes_first() {
        let mut w = writer(0);
        let a = next(&mut w, 10, "a");
        let mut other = w.clone();
        let (b, c) = (next(&mut w, 10, "b"), next(&mut other, 10, "c"));
        for (held, offered) in [(&b, &c), (&c, &b)] {
            let mut lane = lane_of(&[&a, held]);
            let Offer::Fork(fork) = offer(&lane, offered) else { panic!("an overlap is a fork") };
            assert!(fork.is_proof());
            lane.fork = Some(*fork);
            assert_eq!(offer(&lane, offered), Offer::Closed);
        }
    }

    #[test]
    fn a_wrong_previous_is_a_proof_even_after_a_seal() {
        let mut w = writer(0);
        let a = next(&mut w, 10, "a");
        let mut other = writer(0);
        next(&mut other, 10, "x");
        let after_x = next(&mut other, 10, "y");
        let mut lane = lane_of(&[&a]);
        lane.seal(&lane.head());
        assert!(lane.marks.is_empty());
        assert!(matches!(offer(&lane, &after_x), Offer::Fork(_)));
    }

    #[test]
    fn time_never_goes_back_between_batches() {
        let mut w = writer(0);
        let a = next(&mut w, 10, "a");
        let b = next(&mut w, 20, "b");
        let mut header = b.signed_header();
        header.header.first_time_ms = 9;
        let lane = lane_of(&[&a]);
        assert!(matches!(lane.offer(&header, 1, false), Offer::Broken(_)));
        let mut volume = b.signed_header();
        volume.header.volume += 1;
        assert!(matches!(lane.offer(&volume, 1, false), Offer::Broken(_)));
    }

    #[test]
    fn a_named_head_is_held_further_or_on_another_branch() {
        let mut w = writer(0);
        let (a, b) = (next(&mut w, 10, "a"), next(&mut w, 10, "b"));
        let lane = lane_of(&[&a]);
        let (at_a, at_b) = (head_after(a.header()), head_after(b.header()));
        assert_eq!(lane.relation(&at_a), Relation::Held);
        assert_eq!(lane.relation(&at_b), Relation::Further);
        let elsewhere = LaneHead { digest: Hash([9; 32]), ..at_a };
        assert_eq!(lane.relation(&elsewhere), Relation::OtherBranch);
    }

    #[test]
    fn cutting_back_leaves_what_is_sealed() {
        let mut w = writer(0);
        let (a, b) = (next(&mut w, 10, "a"), next(&mut w, 10, "b"));
        let mut lane = lane_of(&[&a, &b]);
        let sealed = lane.seal(&head_after(a.header()));
        assert_eq!(sealed.len(), 1);
        assert_eq!(lane.cut_back().len(), 1);
        assert_eq!(lane.head(), head_after(a.header()));
        assert_eq!(lane.durable, 1);
        assert_eq!(offer(&lane, &b), Offer::Next);
    }

    #[test]
    #[should_panic(expected = "what is sealed is on disk")]
    fn what_is_not_on_disk_is_never_sealed() {
        let a = next(&mut writer(0), 10, "a");
        let mut lane = Lane::open(a.header());
        lane.append(a.signed_header(), 1);
        lane.seal(&head_after(a.header()));
    }
}
