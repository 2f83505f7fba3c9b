//! Kinds of scenarios: calm, rough, and drawn from a seed.

use std::collections::BTreeMap;

use super::{Forking, Join, LinkFaults, RangeUs, Scenario};
use crate::faults::mix;
use crate::random::Random;
use crate::tape::{Actor, Purpose};

impl Scenario {
    /// A network in which nothing goes wrong: `brokers` brokers, R = 4, small epochs.
    pub fn calm(brokers: u32) -> Self {
        Self {
            brokers,
            joins: Vec::new(),
            shards: 1,
            replicas: 4,
            partitions: brokers.max(4),
            partitions_per_broker: 0,
            epoch_blocks: 8,
            block_ms: 1_000,
            confirmations: 1,
            duration_ms: 90_000,
            heal_ms: 25_000,
            streams: 2,
            stream_partitions: 3,
            founder: false,
            clients_from_ms: 0,
            steady: false,
            event_ns: 0,
            retention_s: 0,
            publishers: 3,
            publisher_partitions: 0,
            publish_interval_ms: 200,
            batch_events: 6,
            sealed_share: 50_000,
            lane_batches: 60,
            forks: 0,
            forking: Forking { edges: None, batches: [14, 14] },
            gaps: 0,
            misdaters: 0,
            debtors: 0,
            free_events: None,
            subscribers: 4,
            guests: 0,
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
            fault_intervals_ms: BTreeMap::new(),
            faults: Vec::new(),
            crash_at: Vec::new(),
            without: Vec::new(),
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
        let mut random = Random::of(seed, Actor::Network, Purpose::Swarm, 0);
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
            guests: (seed % 3) as u32,
            // Not a draw: those of before stay as they were.
            shards: 1 + (seed / 3 % 3) as u16,
            retention_s: if seed % 4 == 3 { 12 + seed % 45 } else { 0 },
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

    /// As [`Scenario::swarm`], with a subset of all other faults at rates of their own, among them one broker that lies
    /// where the protocol survives that, and publishers that cheat.
    pub fn wild(seed: u64) -> Self {
        let swarm = Self::swarm(seed);
        let mut random = Random::of(seed, Actor::Network, Purpose::Swarm, 1);
        let mut newest = Random::of(seed, Actor::Network, Purpose::Swarm, 2);
        let mut fault_intervals_ms = mix::drawn(&mut random, &mut newest);
        if swarm.replicas < 4 {
            fault_intervals_ms.retain(|name, _| !mix::is_lie(name));
        }
        let confirmations = random.between((2, 4)) as u32;
        let confirmations = if fault_intervals_ms.contains_key("reorg") { confirmations } else { 1 };
        let mut cheats = || if random.chance(250_000) { random.between((1, 2)) as u32 } else { 0 };
        let (gaps, misdaters, debtors) = (cheats(), cheats(), cheats());
        let free_events = (debtors > 0).then(|| random.between((40, 120)));
        Self { fault_intervals_ms, confirmations, gaps, misdaters, debtors, free_events, ..swarm }
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
}
