//! What a run says at its end.

use std::collections::BTreeMap;
use std::fmt;

use weir_kernel::marks::Marks;

use crate::tape::Actor;

/// A promise that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was noticed, in virtual microseconds.
    pub at_us: u64,
    /// Which promise: the oracle's name.
    pub oracle: &'static str,
    /// What was seen.
    pub what: String,
    /// Whom it was seen at, as far as that is known.
    pub about: Vec<Actor>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} µs, {}: {}", self.at_us, self.oracle, self.what)
    }
}

/// Violations of one run that are kept: the first say most.
pub const MAX_VIOLATIONS: usize = 50;

/// What a run has done by a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The block's time, in virtual microseconds.
    pub at_us: u64,
    /// Turns of engines.
    pub steps: u64,
    /// Frames that came through.
    pub frames: u64,
    /// Bytes of the frames that were sent.
    pub frame_bytes: u64,
    /// Events that publishers signed.
    pub published_events: u64,
    /// Events whose publishers were told that they are stored.
    pub stored_events: u64,
    /// Promises that did not hold.
    pub violations: usize,
}

/// The outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Digest of everything that every node saw and did.
    pub digest: u128,
    /// Turns of engines.
    pub steps: u64,
    /// Frames that came through.
    pub frames: u64,
    /// Bytes of the frames that were sent.
    pub frame_bytes: u64,
    /// Virtual time that passed, in milliseconds.
    pub virtual_ms: u64,
    /// Events that honest publishers signed.
    pub published_events: u64,
    /// Events acknowledged as stored.
    pub stored_events: u64,
    /// Events acknowledged as sealed, of those that asked for it.
    pub sealed_events: u64,
    /// Events that subscribers got.
    pub delivered_events: u64,
    /// Batches that guests got.
    pub guest_batches: u64,
    /// Events that readers got.
    pub read_events: u64,
    /// Certificates that the chain accepted.
    pub seals: u64,
    /// Epochs that passed on chain.
    pub epochs: u64,
    /// Times that the members of a partition changed after its founding.
    pub handovers: u64,
    /// Partitions of the network at the end.
    pub partitions: u32,
    /// Stream partitions that have lanes in more than one home.
    pub moved: u64,
    /// Crashes, lost disks included.
    pub crashes: u64,
    /// Times that a replica without memory refrained from signing.
    pub quarantines: u64,
    /// Proofs of forks that replicas kept.
    pub forks_found: u64,
    /// Lanes that subscribers were told to take back.
    pub withdrawals: u64,
    /// Brokers that were found to have signed two checksums, once for each proof and finder.
    pub misconducts: u64,
    /// Times that the chain took stake for it.
    pub slashed: u64,
    /// Reads that the log refused because what it read was damaged.
    pub damaged_reads: u64,
    /// Batches that brokers let go because they were too old, or of a partition that was left.
    pub expired_batches: u64,
    /// Times that a broker gave back what it held of a partition that it had left.
    pub left: u64,
    /// Frames that were refused of brokers that lie or whose links corrupt.
    pub refused_frames: u64,
    /// Processes that stopped of themselves, by the reason that they gave.
    pub stops: BTreeMap<String, u64>,
    /// Faults that began, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Rare branches of the kernel that the run came through; none in a build that does not count them.
    pub marks: Marks,
    /// Reasons for which clients were refused, and how often.
    pub refusals: BTreeMap<String, u64>,
    /// Transactions that the chain reverted, by reason.
    pub reverts: BTreeMap<String, u64>,
    /// Promises that did not hold.
    pub violations: Vec<Violation>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "digest {:032x}, {} steps, {} frames, {} ms",
            self.digest, self.steps, self.frames, self.virtual_ms
        )?;
        writeln!(
            f,
            "events: {} published, {} stored, {} sealed on request, {} delivered, {} read",
            self.published_events,
            self.stored_events,
            self.sealed_events,
            self.delivered_events,
            self.read_events
        )?;
        writeln!(
            f,
            "{} seals in {} epochs, {} handovers, {} partitions, {} moved, {} crashes, {} quarantines, {} forks found, \
             {} withdrawals",
            self.seals,
            self.epochs,
            self.handovers,
            self.partitions,
            self.moved,
            self.crashes,
            self.quarantines,
            self.forks_found,
            self.withdrawals
        )?;
        writeln!(
            f,
            "{} misconducts found, {} slashed, {} damaged reads, {} frames refused, {} batches expired, {} partitions left",
            self.misconducts,
            self.slashed,
            self.damaged_reads,
            self.refused_frames,
            self.expired_batches,
            self.left
        )?;
        self.stops.iter().try_for_each(|(why, count)| writeln!(f, "stopped {count} times: {why}"))?;
        self.faults.iter().try_for_each(|(kind, count)| writeln!(f, "fault {kind}: {count} times"))?;
        self.refusals
            .iter()
            .try_for_each(|(reason, count)| writeln!(f, "refused {count} times: {reason}"))?;
        self.reverts
            .iter()
            .try_for_each(|(reason, count)| writeln!(f, "reverted {count} times: {reason}"))?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "VIOLATION {violation}"))
    }
}
