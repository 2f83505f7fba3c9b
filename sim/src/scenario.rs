//! Scenarios: how large a network is, what its clients do, and what goes wrong.

use weir_kernel::ids::Hash;

/// A range of microseconds, both ends included.
pub type RangeUs = (u64, u64);

/// What links between brokers do to frames. Rates are per million frames.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What happens to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The process ends, what was not synced is lost, and it starts again.
    Crash,
    /// As a crash, and the disk comes back empty.
    LostDisk,
    /// The process runs, and nothing passes between it and the other brokers.
    Isolated,
    /// It takes part in everything but leading: it proposes to nobody and submits no certificate.
    SilentLeader,
}

/// A moment of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A report was written and is not synced.
    ReportWritten,
    /// A report is on disk and not signed.
    ReportDurable,
    /// Others took the broker's seat.
    Replaced,
}

/// Brokers crash whenever a moment comes, until the faults stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashAt {
    /// The moment.
    pub moment: Moment,
    /// In how many of a million cases.
    pub rate: u32,
    /// How long the broker is down.
    pub down_ms: u64,
}

/// How publishers fork their lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forking {
    /// The edge that each of the two branches is sent to, from 0; any when `None`.
    pub edges: Option<[u32; 2]>,
    /// Batches of each branch, those in common included.
    pub batches: [usize; 2],
}

/// A fault at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// Which broker, from 0.
    pub broker: u32,
    /// What.
    pub kind: FaultKind,
    /// How long the broker is down.
    pub down_ms: u64,
}

/// A broker that registers later than the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// Its stake in tickets.
    pub tickets: u8,
}

/// Everything about a run but its seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Brokers that register at the start.
    pub brokers: u32,
    /// Brokers that register later, in addition.
    pub joins: Vec<Join>,
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
    /// How long the run lasts, in virtual milliseconds.
    pub duration_ms: u64,
    /// The last part of the run: faults have stopped, brokers are up, nothing new is published.
    pub heal_ms: u64,
    /// Streams.
    pub streams: u32,
    /// Partitions a stream.
    pub stream_partitions: u32,
    /// Honest publishers.
    pub publishers: u32,
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
    /// Subscribers.
    pub subscribers: u32,
    /// Whether lanes are signed with secp256k1 and not with the keyed hash that only simulations accept.
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
    /// Faults at given times.
    pub faults: Vec<Fault>,
    /// Crashes at moments of the protocol.
    pub crash_at: Vec<CrashAt>,
}

impl Scenario {
    /// A network in which nothing goes wrong: `brokers` brokers, R = 4, small epochs.
    pub fn calm(brokers: u32) -> Self {
        Self {
            brokers,
            joins: Vec::new(),
            replicas: 4,
            partitions: brokers.max(4),
            partitions_per_broker: 0,
            epoch_blocks: 8,
            block_ms: 1_000,
            duration_ms: 90_000,
            heal_ms: 25_000,
            streams: 2,
            stream_partitions: 3,
            publishers: 3,
            publish_interval_ms: 200,
            batch_events: 6,
            sealed_share: 50_000,
            lane_batches: 60,
            forks: 0,
            forking: Forking { edges: None, batches: [14, 14] },
            subscribers: 4,
            real_signatures: false,
            links: LinkFaults {
                delay_us: (500, 20_000),
                loss: 0,
                duplication: 0,
                reordering: 0,
                hold_us: (0, 0),
            },
            sync_us: (200, 8_000),
            read_us: (50, 2_000),
            view_us: (1_000, 150_000),
            transaction_us: (1_000, 100_000),
            transaction_loss: 0,
            crash_interval_ms: 0,
            crash_down_ms: (500, 8_000),
            cut_interval_ms: 0,
            cut_ms: (500, 12_000),
            disk_loss_interval_ms: 0,
            faults: Vec::new(),
            crash_at: Vec::new(),
        }
    }

    /// As [`Scenario::calm`], with links that lose, repeat and reorder, and a chain that loses transactions.
    pub fn rough(brokers: u32) -> Self {
        let calm = Self::calm(brokers);
        Self {
            links: LinkFaults {
                delay_us: (500, 60_000),
                loss: 30_000,
                duplication: 20_000,
                reordering: 50_000,
                hold_us: (10_000, 400_000),
            },
            transaction_loss: 50_000,
            ..calm
        }
    }

    /// A scenario whose sizes, rates and faults are drawn from the seed: every seed tries another corner.
    pub fn swarm(seed: u64) -> Self {
        let mut random = crate::random::Random::stream(seed, "swarm", &[]);
        let replicas = random.between((3, 5)) as u8;
        let brokers = random.between((u64::from(replicas), 8)) as u32;
        let mut pick = |likely: u32, range: RangeUs| {
            let drawn = random.between(range) as u32;
            if random.chance(likely) { drawn } else { 0 }
        };
        let links = LinkFaults {
            delay_us: (200, 200 + u64::from(pick(1_000_000, (1_000, 120_000)))),
            loss: pick(700_000, (1_000, 80_000)),
            duplication: pick(600_000, (1_000, 80_000)),
            reordering: pick(600_000, (1_000, 120_000)),
            hold_us: (5_000, 700_000),
        };
        let (transaction_loss, crash, forks) =
            (pick(500_000, (1_000, 200_000)), pick(600_000, (4_000, 30_000)), pick(300_000, (1, 2)));
        let joins = pick(400_000, (1, 2));
        let (cut, disk_loss) = (pick(500_000, (5_000, 40_000)), pick(300_000, (45_000, 80_000)));
        Self {
            replicas,
            partitions: random.between((1, 8)) as u32,
            epoch_blocks: random.between((3, 10)),
            block_ms: random.between((400, 2_000)),
            streams: random.between((1, 3)) as u32,
            stream_partitions: random.between((1, 4)) as u32,
            publishers: random.between((1, 4)) as u32,
            publish_interval_ms: random.between((60, 600)),
            batch_events: random.between((1, 12)) as u32,
            lane_batches: random.between((3, 80)) as u32,
            subscribers: random.between((1, 5)) as u32,
            sync_us: (100, random.between((1_000, 60_000))),
            view_us: (1_000, random.between((10_000, 900_000))),
            joins: (0..joins).map(|n| Join { at_ms: 35_000 + u64::from(n) * 7_000, tickets: 4 }).collect(),
            links,
            transaction_loss,
            crash_interval_ms: u64::from(crash),
            cut_interval_ms: u64::from(cut),
            disk_loss_interval_ms: u64::from(disk_loss),
            forks,
            duration_ms: 110_000,
            heal_ms: 40_000,
            ..Self::calm(brokers)
        }
    }

    /// As [`Scenario::swarm`], with epochs of a few blocks, brokers that see the chain late, and frequent crashes and
    /// cuts.
    pub fn harsh(seed: u64) -> Self {
        Self {
            epoch_blocks: 2 + seed % 3,
            view_us: (1_000, 2_500_000),
            crash_interval_ms: 2_500 + 500 * (seed % 10),
            cut_interval_ms: 4_000 + 1_000 * (seed % 7),
            forks: (seed % 3) as u32,
            duration_ms: 150_000,
            heal_ms: 60_000,
            ..Self::swarm(seed)
        }
    }

    /// Brokers at the start and later.
    pub fn all_brokers(&self) -> u32 {
        self.brokers + self.joins.len() as u32
    }

    /// When faults stop and publishing ends, in virtual microseconds.
    pub fn heal_at_us(&self) -> u64 {
        self.duration_ms.saturating_sub(self.heal_ms) * 1_000
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
