//! Oracles: the protocol's promises said again, sharing nothing with the kernel but its types.
//!
//! | promise | checked |
//! | --- | --- |
//! | nothing is delivered that was not published; per-lane order, no gap, no duplicate | at each delivery, by [`crate::clients::subscriber`] |
//! | canonical order of what is read | at each chunk, by [`crate::clients::reader`] |
//! | one checksum for a (partition, epoch), the chain's | at each adoption, [`seals`] |
//! | each (partition, epoch) is paid once, epochs rise, members are distinct and at most R | at each block, [`seals`] |
//! | what is stored in an epoch lies in the cut that seals it; one report an (epoch, round, previous) | at each write and signature, [`cuts`] |
//! | a replica acknowledges what is on its disk, in an epoch that it has entered on disk, and repeats it in the next | at each receipt, [`receipts`] |
//! | what is called stored is on the disks of a quorum | when a client is told, [`stored`] |
//! | nobody signs below its closing heads | at each report, [`closing`] |
//! | what is sealed is never dropped | at each write, [`disks`] |
//! | what a former member gives back is on the members' disks | when it does, [`leaving`] |
//! | a certificate is paid for once, a transaction has its time, adopted cuts rise | at each, [`once`] |
//! | nobody honest is accused of two reports | at each accusation, by the world |
//! | no reader without permission is served | at each chunk and live batch, [`access`] |
//! | tokens are conserved and owed tokens are there | at each block, [`tokens`] |
//! | who has worked is paid | at the end, [`tokens`] |
//! | what lanes owe is settled | at the end, [`duties`] |
//! | who is suspended joins again, and not while its seats would bring it back for nothing | at each, and at the end, [`duties`] |
//! | everything acknowledged is kept by every replica, read by readers, delivered to subscribers | at the end, [`durability`] |
//! | every partition is founded and seals again | at the end, [`seals`] |

pub mod access;
pub mod brokers;
pub mod closing;
pub mod cuts;
pub mod disks;
pub mod durability;
pub mod duties;
pub mod leaving;
pub mod once;
pub mod receipts;
pub mod seals;
pub mod stored;
pub mod tokens;

use weir_kernel::coordinator::{Fact, State};

use self::brokers::Brokers;
use self::cuts::Cuts;
use self::seals::Seals;
use self::tokens::Tokens;
use crate::report::Violation;

/// Oracles that watch a run.
#[derive(Debug, Default)]
pub struct Oracles {
    /// About seals and seats.
    pub seals: Seals,
    /// About cuts and reports.
    pub cuts: Cuts,
    /// About what brokers say, write and send.
    pub brokers: Brokers,
    /// About who is paid.
    pub tokens: Tokens,
}

impl Oracles {
    /// A block was made.
    pub fn on_block(&mut self, now_us: u64, view: &State, facts: &[Fact], violations: &mut Vec<Violation>) {
        self.seals.on_block(now_us, view, facts, violations);
        self.cuts.on_block(now_us, view, facts);
        self.brokers.on_block(view, facts);
        self.tokens.on_block(now_us, view, facts, violations);
    }
}
