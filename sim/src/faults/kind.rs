//! Kinds of faults and their names.

use serde::{Deserialize, Serialize};

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultKind {
    /// The process ends, what was not synced is lost, and it starts again.
    Crash,
    /// As [`FaultKind::Crash`], and some of the writes that were not synced are on the disk all the same.
    TornWrite,
    /// As a crash, and the disk comes back empty.
    LostDisk,
    /// As [`FaultKind::LostDisk`], and only where the protocol survives it: every partition is full, and has sealed
    /// since its members last changed. Else nothing happens.
    SurvivableLostDisk,
    /// Nothing that is read from the disk is what was written; then the disk is exchanged where that is survivable.
    BitRot,
    /// The next sync fails: the process stops, and starts again when the fault is over.
    FailedSync,
    /// No write finds room: the process stops, and starts again when the fault is over.
    FullDisk,
    /// Syncs and reads take so many times as long.
    SlowDisk {
        /// How many times.
        factor: u32,
    },
    /// The process does nothing; what comes for it waits.
    Pause,
    /// The wall clock is off by so much, and steps back when the fault is over. From 0 on it is an offset.
    ClockStep {
        /// Milliseconds.
        by_ms: i64,
    },
    /// The wall clock runs too fast or too slow, and is set right when the fault is over.
    ClockDrift {
        /// Microseconds a second.
        per_million: i32,
    },
    /// The process runs, and nothing passes between it and the other brokers.
    Isolated,
    /// Nothing passes from some brokers to all others.
    Cut {
        /// The brokers on one side, from 0.
        side: Vec<u32>,
        /// Whether nothing passes in the other direction either.
        both: bool,
    },
    /// Two halves that only the broker can talk to.
    Bridge,
    /// Each broker can talk to the one before it and the one after it.
    Ring,
    /// Nothing passes between a side and the others, then everything, then nothing again.
    Flapping {
        /// The brokers on one side, from 0.
        side: Vec<u32>,
        /// How long each of it lasts.
        period_ms: u64,
    },
    /// Bits of what the broker sends are flipped on the way.
    Corruption {
        /// Frames of a million.
        rate: u32,
    },
    /// What the broker sends to each other goes through a narrow pipe with a short queue.
    Bandwidth {
        /// Bytes a second.
        bytes_per_s: u64,
    },
    /// What the broker sends is held up until the fault is over, and then comes at once.
    Clog,
    /// What the broker sends and gets takes longer.
    LateLinks {
        /// By so much.
        by_ms: u64,
    },
    /// Transactions of all brokers wait before they are included.
    LateInclusion {
        /// So long at most.
        by_ms: u64,
    },
    /// Of the transactions that all brokers send some are forgotten before they are included.
    DroppedTransactions {
        /// Transactions of a million.
        rate: u32,
    },
    /// The newest blocks are replaced by as many others, fewer than brokers wait for.
    Reorg {
        /// Blocks.
        blocks: u32,
    },
    /// The broker is shown a branch of so many blocks that nobody else sees, more than it waits for.
    DeepReorg {
        /// Blocks.
        blocks: u32,
    },
    /// The broker hears nothing of the chain, and its transactions get nowhere.
    RpcOutage,
    /// The broker sees the chain as it was so many blocks ago.
    StaleReads {
        /// Blocks.
        blocks: u32,
    },
    /// It takes part in everything but leading: it proposes to nobody and submits no certificate.
    SilentLeader,
    /// See [`crate::byzantine::equivocator`].
    Equivocator,
    /// See [`crate::byzantine::censor`].
    Censor,
    /// See [`crate::byzantine::checksum_liar`].
    ChecksumLiar,
    /// See [`crate::byzantine::lazy_copier`].
    LazyCopier,
    /// See [`crate::byzantine::replayer`].
    Replayer,
    /// See [`crate::byzantine::flooder`].
    Flooder,
    /// See [`crate::byzantine::wire_mutator`].
    WireMutator,
    /// See [`crate::byzantine::withholder`].
    Withholder,
}

impl FaultKind {
    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::TornWrite => "torn-write",
            Self::LostDisk => "lost-disk",
            Self::SurvivableLostDisk => "survivable-lost-disk",
            Self::BitRot => "bit-rot",
            Self::FailedSync => "failed-sync",
            Self::FullDisk => "full-disk",
            Self::SlowDisk { .. } => "slow-disk",
            Self::Pause => "pause",
            Self::ClockStep { .. } => "clock-step",
            Self::ClockDrift { .. } => "clock-drift",
            Self::Isolated => "isolated",
            Self::Cut { .. } => "cut",
            Self::Bridge => "bridge",
            Self::Ring => "ring",
            Self::Flapping { .. } => "flapping",
            Self::Corruption { .. } => "corruption",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Clog => "clog",
            Self::LateLinks { .. } => "late-links",
            Self::LateInclusion { .. } => "late-inclusion",
            Self::DroppedTransactions { .. } => "dropped-transactions",
            Self::Reorg { .. } => "reorg",
            Self::DeepReorg { .. } => "deep-reorg",
            Self::RpcOutage => "rpc-outage",
            Self::StaleReads { .. } => "stale-reads",
            Self::SilentLeader => "silent-leader",
            Self::Equivocator => "equivocator",
            Self::Censor => "censor",
            Self::ChecksumLiar => "checksum-liar",
            Self::LazyCopier => "lazy-copier",
            Self::Replayer => "replayer",
            Self::Flooder => "flooder",
            Self::WireMutator => "wire-mutator",
            Self::Withholder => "withholder",
        }
    }

    /// Whether a broker deviates from the protocol by its own will: those may do so to the end of a run.
    pub fn is_lie(&self) -> bool {
        matches!(
            self,
            Self::SilentLeader
                | Self::Equivocator
                | Self::Censor
                | Self::ChecksumLiar
                | Self::LazyCopier
                | Self::Replayer
                | Self::Flooder
                | Self::WireMutator
                | Self::Withholder
        )
    }

    /// Whether it is about links between several brokers, whoever the broker is that it names.
    pub fn is_about_links(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Bridge | Self::Ring | Self::Flapping { .. })
    }

    /// Whether it is about all brokers, whoever the broker is that it names.
    pub fn is_about_all(&self) -> bool {
        matches!(self, Self::LateInclusion { .. } | Self::DroppedTransactions { .. } | Self::Reorg { .. })
    }

    /// Brokers that it names besides the fault's own.
    pub fn side(&self) -> &[u32] {
        match self {
            Self::Cut { side, .. } | Self::Flapping { side, .. } => side,
            _ => &[],
        }
    }

    /// Why it cannot be run, if it cannot.
    pub fn problem(&self) -> Option<&'static str> {
        /// Ten days: a clock that is further off tries nothing new.
        const MAX_CLOCK_MS: u64 = 10 * 24 * 3_600 * 1_000;
        match self {
            Self::SlowDisk { factor: 0 | 10_001.. } => Some("a slow disk takes 1 to 10000 times as long"),
            Self::ClockStep { by_ms } if by_ms.unsigned_abs() > MAX_CLOCK_MS => {
                Some("a clock is off by ten days at most")
            }
            Self::ClockDrift { per_million } if per_million.unsigned_abs() >= 1_000_000 => {
                Some("a clock drifts by less than a second a second")
            }
            Self::Flapping { period_ms: 0, .. } => Some("a period lasts a millisecond at least"),
            Self::Corruption { rate: 1_000_001.. } | Self::DroppedTransactions { rate: 1_000_001.. } => {
                Some("a rate is counted in a million")
            }
            Self::Bandwidth { bytes_per_s: 0 } => Some("a pipe lets a byte a second through at least"),
            Self::LateLinks { by_ms: 3_600_001.. } | Self::LateInclusion { by_ms: 3_600_001.. } => {
                Some("nothing is late by more than an hour")
            }
            Self::DeepReorg { blocks: 65.. } => Some("a branch is 64 blocks long at most"),
            Self::StaleReads { blocks } if *blocks as usize >= crate::chain::KEPT_VIEWS => {
                Some("fewer views than that are kept")
            }
            _ => None,
        }
    }
}
