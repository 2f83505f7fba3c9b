//! Scenarios: how large a network is, what its clients do, and what goes wrong.
//!
//! A scenario is data: it is written and read as TOML, see [`file`], and every tape holds its own. What a rate says is
//! drawn from the seed before a run begins and becomes a list of faults, see [`crate::faults::plan`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_kernel::ids::Hash;

use crate::faults::Fault;
use crate::tape::{Actor, Role};

pub mod file;
mod kinds;
mod validity;

pub use file::ScenarioError;

/// Readers of a run.
pub const READERS: u32 = 2;

/// A range of microseconds, both ends included.
pub type RangeUs = (u64, u64);

/// What links between brokers do to frames. Rates are per million frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkFaults {
    /// Time that a frame takes.
    pub delay_us: RangeUs,
    /// Frames that are lost.
    pub loss: u32,
    /// Frames that come twice.
    pub duplication: u32,
    /// Frames that are held up, so that later ones overtake them.
    pub reordering: u32,
    /// For how long those are held up.
    pub hold_us: RangeUs,
}

/// A moment of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// A report was written and is not synced.
    ReportWritten,
    /// A report is on disk and not signed.
    ReportDurable,
    /// Others took the broker's seat.
    Replaced,
}

/// Brokers crash whenever a moment comes, until the faults stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashAt {
    /// The moment.
    pub moment: Moment,
    /// In how many of a million cases.
    pub rate: u32,
    /// How long the broker is down.
    pub down_ms: u64,
}

/// How publishers fork their lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forking {
    /// The edge that each of the two branches is sent to, from 0; any when `None`.
    pub edges: Option<[u32; 2]>,
    /// Batches of each branch, those in common included.
    pub batches: [usize; 2],
}

/// A broker that registers later than the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// Its stake in tickets.
    pub tickets: u8,
}

/// Everything about a run but its seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Brokers that register at the start.
    pub brokers: u32,
    /// Brokers that register later, in addition.
    pub joins: Vec<Join>,
    /// Shards of each broker: what several cores of it would be.
    pub shards: u16,
    /// R, the seats a partition.
    pub replicas: u8,
    /// The partitions that the network begins with.
    pub partitions: u32,
    /// The partitions that it grows to for each active broker; 0 if it never grows.
    pub partitions_per_broker: u16,
    /// Blocks an epoch.
    pub epoch_blocks: u64,
    /// Time between blocks.
    pub block_ms: u64,
    /// Blocks that have to be there for a block to count, itself included.
    pub confirmations: u32,
    /// How long the run lasts, in virtual milliseconds.
    pub duration_ms: u64,
    /// The last part of the run: faults have stopped, brokers are up, nothing new is published.
    pub heal_ms: u64,
    /// Streams.
    pub streams: u32,
    /// Partitions a stream.
    pub stream_partitions: u32,
    /// Whether somebody who is no broker seats all brokers, of equal stakes, once they have their draws: as who sets a
    /// large network up does.
    pub founder: bool,
    /// Clients come from this time on, in virtual milliseconds.
    pub clients_from_ms: u64,
    /// Whether clients are all alike and stay: publishers come to edges that have no seat where their events go, so
    /// that all of their traffic leaves the edge however few brokers there are, and subscribers follow from now on.
    pub steady: bool,
    /// What a broker takes to keep an event, in nanoseconds; what comes meanwhile waits. 0 if it takes no time.
    pub event_ns: u64,
    /// How long brokers keep events, in seconds; 0 for good.
    pub retention_s: u64,
    /// Honest publishers.
    pub publishers: u32,
    /// Stream partitions of a publisher at most, so that its work does not grow with the network; 0 for any number.
    pub publisher_partitions: u32,
    /// Mean time between a publisher's batches.
    pub publish_interval_ms: u64,
    /// Most events in a batch.
    pub batch_events: u32,
    /// Batches, per million, that are to be sealed and not only stored.
    pub sealed_share: u32,
    /// Batches after which a publisher opens a new lane.
    pub lane_batches: u32,
    /// Publishers that sign two branches of a lane.
    pub forks: u32,
    /// How they do it.
    pub forking: Forking,
    /// Publishers that leave a gap in their lane.
    pub gaps: u32,
    /// Publishers that date events back, or a day ahead.
    pub misdaters: u32,
    /// Publishers that flood a lane without a deposit.
    pub debtors: u32,
    /// Events of each lane that are free; for what is beyond honest publishers have a deposit. Without it everything is
    /// free, as in a development network.
    pub free_events: Option<u64>,
    /// Subscribers.
    pub subscribers: u32,
    /// Subscribers to a stream that is not public, each of which may read it for a while.
    pub guests: u32,
    /// Whether lanes, reports and transactions are signed with secp256k1, and not with the keyed hash and the stand-ins
    /// that only simulations accept.
    pub real_signatures: bool,
    /// Links between brokers.
    pub links: LinkFaults,
    /// Time a sync takes.
    pub sync_us: RangeUs,
    /// Time a read takes.
    pub read_us: RangeUs,
    /// Time after which a broker sees a block.
    pub view_us: RangeUs,
    /// Time after which a transaction waits at the chain.
    pub transaction_us: RangeUs,
    /// Transactions, per million, that are lost on the way.
    pub transaction_loss: u32,
    /// Mean time between crashes anywhere in the network; 0 for none.
    pub crash_interval_ms: u64,
    /// How long a crashed broker is down.
    pub crash_down_ms: (u64, u64),
    /// Mean time between cuts that part some brokers from the others, in one direction or both; 0 for none.
    pub cut_interval_ms: u64,
    /// How long a cut lasts.
    pub cut_ms: (u64, u64),
    /// Mean time between disks that are lost; 0 for none. The protocol survives one at a time: it should be long
    /// enough for a broker to come back, fetch everything and see an epoch sealed.
    pub disk_loss_interval_ms: u64,
    /// Mean time between faults of further kinds, by name; what is not there never happens. See
    /// [`crate::faults::mix::KINDS`] for the names.
    pub fault_intervals_ms: BTreeMap<String, u64>,
    /// Faults at given times.
    pub faults: Vec<Fault>,
    /// Crashes at moments of the protocol.
    pub crash_at: Vec<CrashAt>,
    /// Brokers and clients that are counted above and never come: what a shrunk run does without.
    pub without: Vec<Actor>,
}

/// What a scenario file leaves out is as in a calm network of five.
impl Default for Scenario {
    fn default() -> Self {
        Self::calm(5)
    }
}

impl Scenario {
    /// Brokers at the start and later.
    pub fn all_brokers(&self) -> u32 {
        self.brokers + self.joins.len() as u32
    }

    /// When faults stop and publishing ends, in virtual microseconds.
    pub fn heal_at_us(&self) -> u64 {
        self.duration_ms.saturating_sub(self.heal_ms) * 1_000
    }

    /// All clients, those included that never come.
    pub fn clients(&self) -> impl Iterator<Item = Actor> + use<> {
        let counts = [
            (Role::Publisher, self.publishers),
            (Role::Equivocator, 2 * self.forks),
            (Role::Subscriber, self.subscribers),
            (Role::Reader, READERS),
            (Role::Guest, self.guests),
            (Role::Gap, self.gaps),
            (Role::Misdater, self.misdaters),
            (Role::Debtor, self.debtors),
        ];
        counts.into_iter().flat_map(|(role, count)| (0..count).map(move |number| Actor::Client(role, number)))
    }

    /// Publishers that break a rule within their lane, by what they are.
    pub fn cheats(&self) -> [(Role, u32); 3] {
        [(Role::Gap, self.gaps), (Role::Misdater, self.misdaters), (Role::Debtor, self.debtors)]
    }

    /// When a guest's permission ends, in virtual microseconds: one after the other while events are published.
    pub fn guest_until_us(&self, number: u32) -> u64 {
        let share = (u64::from(number) + 1) * self.heal_at_us() / (u64::from(self.guests) + 1);
        share.div_ceil(1_000_000) * 1_000_000
    }

    /// Whether a broker or a client takes part.
    pub fn has(&self, actor: Actor) -> bool {
        !self.without.contains(&actor)
    }

    /// When the run ends, in virtual microseconds.
    pub fn end_us(&self) -> u64 {
        self.duration_ms * 1_000
    }
}

/// The secret bytes of somebody's key in a run.
pub fn key_bytes(seed: u64, role: &str, number: u64) -> [u8; 32] {
    let Hash(mut bytes) = weir_kernel::hash::sha256(&[
        b"weir simulated key",
        role.as_bytes(),
        &seed.to_be_bytes(),
        &number.to_be_bytes(),
    ]);
    // Below the order of the curve, and not zero.
    bytes[0] = 1;
    bytes
}
