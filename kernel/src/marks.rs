//! Marks: which rare branches a broker has been through, for the simulator to count.
//!
//! A suite of a thousand seeds says little if none of them ever came to a handover while a fork was open. Rare
//! branches therefore leave a mark, a number that rises; the suite adds the numbers up over its seeds and fails for a
//! mark that no seed left.
//!
//! Marks change nothing: no rule reads them, no output carries them, and they are no part of a broker's digest. They
//! are counted in an array that the shard owns and lends to each step. Other ways were weighed: a thread-local needs
//! `std` and adds up what belongs to different brokers; a mark among the outputs would have to be routed by every
//! driver and moves memory for each; a sink behind a port makes a call of each mark. The price of the array is that a
//! mark can only be left where the step's context is at hand, so rules without one are marked by their callers.
//!
//! Without the feature `marks`, which only development dependencies of the simulator enable, [`Marks`] has no size and
//! leaving a mark compiles to nothing.

/// Numbers of marks left.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "marks"), derive(Default))]
pub struct Marks {
    #[cfg(feature = "marks")]
    counts: [u64; Rare::ALL.len()],
}

const _: () = assert!(cfg!(feature = "marks") || size_of::<Marks>() == 0);

#[cfg(feature = "marks")]
impl Default for Marks {
    fn default() -> Self {
        Self { counts: [0; Rare::ALL.len()] }
    }
}

impl core::fmt::Debug for Marks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let left = Rare::ALL.iter().map(|rare| (rare, self.count(*rare))).filter(|(_, count)| *count > 0);
        f.debug_map().entries(left).finish()
    }
}

impl Marks {
    /// Leaves a mark.
    #[inline(always)]
    pub(crate) fn leave(&mut self, rare: Rare) {
        #[cfg(feature = "marks")]
        {
            self.counts[rare as usize] += 1;
        }
        #[cfg(not(feature = "marks"))]
        let _ = rare;
    }

    /// How often this branch was taken; 0 in a build that does not count.
    pub fn count(&self, rare: Rare) -> u64 {
        #[cfg(feature = "marks")]
        return self.counts[rare as usize];
        #[cfg(not(feature = "marks"))]
        {
            let _ = rare;
            0
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        #[cfg(feature = "marks")]
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        #[cfg(not(feature = "marks"))]
        let _ = other;
    }

    /// Branches that were never taken.
    pub fn missing(&self) -> impl Iterator<Item = Rare> + '_ {
        Rare::ALL.iter().copied().filter(|rare| self.count(*rare) == 0)
    }
}

/// Defines the marks, each with a sentence that says which branch it is, and lists them all.
macro_rules! rare {
    ($($(#[doc = $sentence:literal])+ $name:ident,)+) => {
        /// A rare branch.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rare {
            $($(#[doc = $sentence])+ $name,)+
        }

        impl Rare {
            /// Every mark.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Which branch it is, in a sentence.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($sentence),+).trim_ascii(),)+
                }
            }
        }
    };
}

rare! {
    // ---- Appending ----
    /// A batch came ahead of its lane and waits for what is missing.
    BatchAhead,
    /// What a batch waited for came, and the batch with it.
    GapFilled,
    /// An edge offers a batch that is held already.
    BatchHeldAlready,
    /// An edge offers a batch that is sealed already.
    BatchSealedAlready,
    /// A batch contradicts another of its lane.
    ForkInBatch,
    /// A batch of a lane that is known to be forked is refused.
    ForkedLaneRefused,
    /// A fork is proven of a lane of which nothing is held.
    ForkOfUnseenLane,
    /// A lane opens at a block that this replica has not seen.
    LaneOpensAhead,

    // ---- Fetching ----
    /// A fetch is asked again of another peer.
    FetchRetried,
    /// A fetch is given up after many attempts, or because all is here by now.
    FetchEnded,
    /// No more lanes are fetched at this time, from this peer or at all.
    FetchesFull,
    /// A repair brought a part of what is wanted.
    RepairInParts,
    /// A repair came that nobody waits for any more.
    RepairUnasked,
    /// A peer is asked for its side of a lane on which it named another branch.
    BranchProbed,

    // ---- Epochs and receipts ----
    /// A replica enters an epoch and has not been in the one before.
    EpochSkipped,
    /// Receipts are repeated in a new epoch or after a seal.
    ReceiptsRepeated,
    /// A replica holds something back that it could acknowledge, because it may not yet.
    ReceiptHeldBack,
    /// An edge adds up receipts of more than one epoch for a batch.
    ReceiptsOfTwoEpochs,
    /// A receipt names an epoch that has not begun for this edge.
    ReceiptAhead,
    /// A receipt is of no use: its sender is in no set of its epoch, or the epoch is long over.
    ReceiptRefused,

    // ---- Catching up ----
    /// A replica asks for cuts that it did not sign.
    CutsAsked,
    /// A run of several cuts leads to the one on chain.
    CutsOfManyEpochs,
    /// Cuts came that do not lead to the one on chain.
    CutsRefused,
    /// No cuts came in time, or what they name did not.
    CatchUpRetried,
    /// A cut is sealed and not everything that it names is here.
    SealedDataMissing,
    /// A replica drops its own branch of a lane for the one that was sealed.
    BranchGivenUp,
    /// A lane is closed at its sealed head by a sealed fork.
    ForkSealed,
    /// Closing a forked lane takes events back that readers may have.
    EventsWithdrawn,
    /// A lane is taken up after its beginning, which nobody keeps any more.
    LaneBegunLater,
    /// Nothing of a lane that a cut names is kept by anybody.
    LaneGone,
    /// Retention lets events of a stream partition go.
    EventsExpire,
    /// A lost disk is made good: its replica signs again.
    QuarantineEnded,
    /// A lost disk is noticed.
    DiskLost,
    /// A replica that came back asks its peers again what was stored without it.
    PresenceAskedAgain,
    /// Enough peers have said what was stored meanwhile.
    PresenceKnown,
    /// A peer is not told what is held: it has no seat, or this store lost its memory.
    PresenceRefused,

    // ---- Sealing ----
    /// A seal goes into a second round, or a later one.
    SecondRound,
    /// An epoch is sealed together with unsealed ones before it.
    SealOfManyEpochs,
    /// A seal needs quorums of two sets.
    HandoverSeal,
    /// A leader proposes with a quorum of closing heads, not all.
    ProposedWithoutAll,
    /// A proposal of a round that is over, here, is taken up.
    LateProposal,
    /// A proposal of a round that has not begun, here, is taken up.
    EarlyProposal,
    /// A proposal waits for data that is on its way.
    ProposalWaits,
    /// A proposal lies below what this replica closed with, and is declined.
    ProposalDeclined,
    /// A leader hears that its proposal is declined.
    DeclineHeard,
    /// A cut names a fork.
    ForkProposed,
    /// A proposal of a round in which another one was signed is not signed.
    SecondReportRefused,
    /// A certificate is sent with a quorum of reports, not all.
    SubmittedWithoutAll,
    /// A leader proposes again to those that have not reported.
    ProposalRepeated,
    /// Closing heads of another epoch or round, or of nobody who signs, reach a leader.
    ClosingStale,
    /// A broker has lost its part in a partition, and rests.
    Rested,
    /// A broker gives back what it holds of a partition that it left.
    PartitionLeft,
    /// A batch comes to a broker that was replaced.
    BatchAfterHandover,
    /// A broker begins a lane anew in a partition that it had left.
    LaneAfterLeaving,

    // ---- Edges ----
    /// A batch is offered again to replicas that have not acknowledged it.
    OfferRepeated,
    /// A batch was not stored in time.
    PublishTimedOut,
    /// So many replicas refuse a batch that no quorum can come.
    RefusedByQuorum,
    /// A client publishes another branch of a lane whose first is on its way.
    BranchAtEdge,
    /// The word of a seal comes before a quorum's receipts.
    SealedBeforeStored,
    /// A feed moves to another replica.
    FeedMoved,
    /// A feed's source leaves out what comes next in a lane, and is left for another.
    FeedLied,
    /// Another replica than a feed's source holds more of a lane than came.
    OmissionDoubted,
    /// It shows what the source leaves out, and the feed moves there.
    OmissionShown,
    /// A reader that fell behind believes that what it did not get is not kept any more.
    GapBelieved,
    /// A feed's source has lost its count.
    FeedRestarted,
    /// A feed has missed a live batch.
    LiveMissed,
    /// A subscription leaves the live flow because its client is slow.
    WindowFull,
    /// A subscription has caught up with the live flow.
    CaughtUp,
    /// A client is told that events do not count.
    WithdrawalTold,
    /// A part of what comes was delivered before.
    DeliveredBefore,
    /// A subscription or a reading is ended because its client may not read any more.
    PermissionEnded,
    /// A reading goes to another replica.
    ReadMoved,
    /// No replica answered a reading.
    ReadRefused,
    /// A replica that is catching up does not answer.
    ReadDeclined,
    /// An answer waits for the disk.
    AnswerWaits,

    // ---- The chain ----
    /// A broker records the draw of another that did not.
    DrawForAnother,
    /// A partition is founded with vacant seats.
    FoundedWithVacancies,
    /// A broker has tallies settled because they are worth a claim.
    TalliesSettled,
    /// A broker that was suspended joins again.
    Rejoined,
    /// A broker has partitions added because there are more brokers.
    PartitionsGrown,
    /// A broker attests a seal that it missed and has adopted since.
    LateAttested,
    /// A broker has two conflicting reports of another punished.
    MisconductPunished,
    /// A lane is settled with the publisher's allotment.
    LaneSettled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_has_its_sentence() {
        assert!(Rare::ALL.len() >= 40);
        assert!(Rare::ALL.windows(2).all(|pair| pair[0] < pair[1]), "each is listed once");
        assert!(Rare::ALL.iter().all(|rare| rare.sentence().ends_with('.')));
    }

    #[test]
    fn marks_count_only_where_they_are_wanted() {
        let (mut marks, mut more) = (Marks::default(), Marks::default());
        marks.leave(Rare::DiskLost);
        more.leave(Rare::DiskLost);
        marks.add(&more);
        let counted = if cfg!(feature = "marks") { 2 } else { 0 };
        assert_eq!(marks.count(Rare::DiskLost), counted);
        assert_eq!(marks.missing().count(), Rare::ALL.len() - usize::from(counted > 0));
    }
}
