//! The rules in force: the protocol's, or the protocol's with one mistake planted in it.
//!
//! A simulator that finds nothing proves nothing. So the suite runs it against kernels that are wrong, each in one
//! way that a competent engineer gets wrong, and asks how soon it says so. A mistake is one short expression at the
//! place where it would be made, `if rules.has(Bug::X)`; there is no second code path.
//!
//! A normal build has one way to make [`Rules`], [`Rules::sound`], and the value has no size: every question to it is
//! the constant `false` and the compiler drops what hangs on it. Only under the feature `planted` is there
//! [`Rules::with`], and only development dependencies of the simulator enable that. [`PLANTABLE`] says which build
//! this is: a released program asserts that it is `false` when it is compiled.

/// Whether this build can hold a planted mistake.
pub const PLANTABLE: bool = cfg!(feature = "planted");

/// The rules that a broker goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    #[cfg(feature = "planted")]
    bug: Option<Bug>,
}

/// Without the feature there is nothing to choose, and nothing to ask at run time.
const _: () = assert!(PLANTABLE || size_of::<Rules>() == 0);

impl Rules {
    /// The protocol as it is specified.
    pub const fn sound() -> Self {
        Self {
            #[cfg(feature = "planted")]
            bug: None,
        }
    }

    /// The protocol with one mistake in it.
    #[cfg(feature = "planted")]
    pub const fn with(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    /// Whether this mistake is to be made.
    #[inline(always)]
    pub(crate) fn has(self, bug: Bug) -> bool {
        #[cfg(feature = "planted")]
        return self.bug == Some(bug);
        #[cfg(not(feature = "planted"))]
        {
            let _ = bug;
            false
        }
    }
}

/// Defines the mistakes, each with a sentence that says what goes wrong, and lists them all.
macro_rules! bugs {
    ($($(#[doc = $sentence:literal])+ $name:ident,)+) => {
        /// A mistake that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug {
            $($(#[doc = $sentence])+ $name,)+
        }

        impl Bug {
            /// Every mistake.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What goes wrong, in a sentence.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($sentence),+).trim_ascii(),)+
                }
            }
        }
    };
}

bugs! {
    // ---- Replication (WP 2.4.3) ----
    /// A replica acknowledges what it has handed to its disk, not what is on it.
    AcknowledgesBeforeWrite,
    /// What waits for a write is released when the write before it is on disk.
    ReleasesBeforeDurable,
    /// An edge calls stored what one replica less than a quorum has.
    QuorumOffByOne,
    /// An edge adds up receipts of different epochs, so that one replica counts twice.
    CountsVoteTwice,
    /// A restart forgets which lanes were forked.
    ForgetsForks,
    /// A replica acknowledges while it lacks sealed cuts.
    AcknowledgesBelowCut,
    /// An epoch is entered before the closing of those before it is on disk.
    EntersEpochEarly,
    /// Entering an epoch repeats no receipts.
    RepeatsNoReceipts,
    /// A fetch is tried again once, and then its timer is never set again.
    FetchTimerStops,
    /// A broker that finds its disk empty takes itself for a new one.
    MissesAmnesia,
    /// A replica counts its appends on from what its disk still holds.
    CountsOnFromDisk,
    /// A lane's batches go to the newest home of its stream partition, not to the lane's own.
    SendsToNewestHome,

    // ---- Agreement (WP 2.4.6) ----
    /// A replica signs a cut below its own closing heads.
    SignsBelowClosing,
    /// A restart forgets what was signed, so that a second report of one round can follow.
    ForgetsReports,
    /// A restart forgets which cut was adopted last, and the adopted cut goes back.
    CutGoesBack,
    /// A replica adopts a cut because it signed it, not because the chain has sealed it.
    AdoptsWhatItSigned,
    /// Closing a forked lane drops its sealed events too.
    ForkDropsSealed,
    /// A leader sends a certificate again that it has sent, and pays for it again.
    PaysTwice,
    /// A replaced replica rests at once, and what only the old set can attest is not sealed.
    RestsBeforeHandover,
    /// A replaced replica gives back what it holds at once, before its successors hold it.
    DropsBeforeHandover,

    // ---- Delivery (WP 2.4.2, 2.4.4) ----
    /// A live batch is delivered although one before it was missed.
    DeliversPastGap,
    /// A subscription whose feed moves forgets what it delivered.
    DeliversTwiceAfterMove,
    /// A subscription whose feed moves goes on live, without what came in between.
    MoveDropsTail,
    /// An edge asks nobody but its source, and never hears of the lanes that this one leaves out.
    NeverSurveys,
    /// A reading asks the newest home of a stream partition and forgets the older ones.
    ReadsNewestHome,
    /// A subscription or a reading goes on after the permission to read has ended.
    CachesPermission,

    // ---- Duties (WP 2.4.6, 2.4.7) ----
    /// A broker forgets which transactions it has just sent.
    ForgetsWhatItSent,
    /// A broker claims what has accrued, and leaves it to others to have tallies settled.
    NeverSettlesTallies,
    /// The proof of a lane's head ends with the cut that names it and leaves out what was sealed since.
    LeavesOutLaterSeals,
    /// A broker that lost its tickets pays to join again while the seats that it still has would bring them back.
    RejoinsAtOnce,
    /// A broker joins again without letting the coordinator take the fee.
    ForgetsToApprove,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_has_its_sentence() {
        assert!(Bug::ALL.len() >= 14);
        assert!(Bug::ALL.windows(2).all(|pair| pair[0] < pair[1]), "each is listed once");
        assert!(Bug::ALL.iter().all(|bug| bug.sentence().ends_with('.')));
        assert_eq!(Bug::PaysTwice.sentence().split(' ').next(), Some("A"));
    }

    #[test]
    fn sound_rules_make_no_mistake() {
        assert!(!Bug::ALL.iter().any(|bug| Rules::sound().has(*bug)));
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_rules_make_one() {
        for bug in Bug::ALL {
            let made = Bug::ALL.iter().filter(|other| Rules::with(*bug).has(**other));
            assert_eq!(made.collect::<alloc::vec::Vec<_>>(), [bug]);
        }
    }
}
