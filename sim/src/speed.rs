//! How fast the simulator runs: networks under a constant load a broker, and what a stretch of their run takes.
//!
//! What is measured is the part between two blocks after the founding: neither setting the contracts up nor taking seats
//! is in it. Everything that every run has is on: oracles, nodes' chains, the contracts in their EVM. Whoever measures
//! brings the clock, because no clock is part of a run.

use crate::audit::AuditLevel;
use crate::report::{Progress, Violation};
use crate::scenario::{READERS, Scenario};
use crate::simulation::{Options, Source, simulate};
use crate::tape::{Actor, Role};

/// Partitions of each stream.
const STREAM_PARTITIONS: u32 = 8;

/// When every partition has its first members, which is with the second epoch, and publishers have found that out; in
/// virtual seconds.
const FOUNDED_S: u64 = 75;

/// After the measured part nothing is published, and every partition is sealed again: an epoch and some time to seal, in
/// virtual milliseconds.
const HEAL_MS: u64 = 90_000;

/// What each broker's share of the publishers sends: with four replicas a batch makes four offers and four
/// acknowledgements, and with subscribers about nine messages; those who follow say so once a second. Together that
/// comes to eight messages a second that each broker sends.
const PUBLISH_INTERVAL_MS: u64 = 1_200;

/// Brokers for each subscriber to all partitions of a stream.
const BROKERS_A_SUBSCRIBER: u32 = 16;

/// A block every five seconds, as on Gnosis Chain, and epochs of a minute.
const BLOCK_MS: u64 = 5_000;
const EPOCH_BLOCKS: u64 = 12;

/// One seed for all: more brokers are the same work again, and not another draw.
const SEED: u64 = 1;

/// A network in which nothing goes wrong, with as many partitions and publishers as brokers, and epochs of a minute.
/// Each broker sends about eight messages a second.
pub fn load(brokers: u32, measured_s: u64) -> Scenario {
    Scenario {
        epoch_blocks: EPOCH_BLOCKS,
        block_ms: BLOCK_MS,
        duration_ms: (FOUNDED_S + measured_s) * 1_000 + HEAL_MS,
        heal_ms: HEAL_MS,
        streams: brokers.div_ceil(STREAM_PARTITIONS),
        stream_partitions: STREAM_PARTITIONS,
        publishers: brokers,
        publisher_partitions: 1,
        publish_interval_ms: PUBLISH_INTERVAL_MS,
        batch_events: 7,
        sealed_share: 0,
        lane_batches: 1_000_000,
        subscribers: brokers.div_ceil(BROKERS_A_SUBSCRIBER),
        // There are as many in every network, and they ask for all of its history again and again.
        without: (0..READERS).map(|number| Actor::Client(Role::Reader, number)).collect(),
        ..Scenario::calm(brokers)
    }
}

/// The measured part of a run.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Virtual seconds that passed.
    pub virtual_s: f64,
    /// Seconds that it took by the clock that was given.
    pub spent_s: f64,
    /// Turns of engines.
    pub steps: f64,
    /// Frames between brokers.
    pub frames: f64,
    /// Bytes of those.
    pub bytes: f64,
    /// Events that were published.
    pub events: f64,
}

/// Why there is nothing to say about a network's speed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SpeedError {
    /// A promise did not hold: figures of such a run mean nothing.
    #[error("{brokers} brokers, seed {SEED}: {violation}")]
    Violated {
        /// Of the network.
        brokers: u32,
        /// The first.
        violation: Box<Violation>,
    },
    /// The stretch was too short for anything to happen in it.
    #[error("{brokers} brokers did nothing in {measured_s} virtual seconds: measure longer")]
    Idle {
        /// Of the network.
        brokers: u32,
        /// How long was asked for.
        measured_s: u64,
    },
}

/// Runs a network of so many brokers and measures so many virtual seconds of it. `clock` says how many seconds have been
/// spent so far.
///
/// # Errors
///
/// [`SpeedError`] if a promise did not hold or nothing happened.
pub fn measure(
    brokers: u32,
    measured_s: u64,
    audit: AuditLevel,
    clock: impl Fn() -> f64,
) -> Result<Stretch, SpeedError> {
    measure_scenario(&load(brokers, measured_s), measured_s, audit, clock)
}

/// The same of a [`load`] that was changed.
///
/// # Errors
///
/// As [`measure`].
pub fn measure_scenario(
    scenario: &Scenario,
    measured_s: u64,
    audit: AuditLevel,
    clock: impl Fn() -> f64,
) -> Result<Stretch, SpeedError> {
    let brokers = scenario.brokers;
    let stretch_us = FOUNDED_S * 1_000_000..=(FOUNDED_S + measured_s) * 1_000_000;
    let mut samples: Option<[(f64, Progress); 2]> = None;
    let mut progress = |progress: Progress| {
        if stretch_us.contains(&progress.at_us) {
            let now = (clock(), progress);
            samples = Some([samples.map_or(now, |[first, _]| first), now]);
        }
    };
    let options = Options { progress: Some(&mut progress), audit, ..Options::default() };
    let report = simulate(Source::Seed(SEED, scenario), options).report;
    if let Some(violation) = report.violations.into_iter().next() {
        return Err(SpeedError::Violated { brokers, violation: Box::new(violation) });
    }
    let moved = |[(begun_s, first), (ended_s, last)]: &[(f64, Progress); 2]| {
        last.at_us > first.at_us && last.published_events > first.published_events && ended_s > begun_s
    };
    let Some([(begun_s, first), (ended_s, last)]) = samples.filter(moved) else {
        return Err(SpeedError::Idle { brokers, measured_s });
    };
    let difference = |of: fn(&Progress) -> u64| (of(&last) - of(&first)) as f64;
    Ok(Stretch {
        virtual_s: difference(|progress| progress.at_us) / 1e6,
        spent_s: ended_s - begun_s,
        steps: difference(|progress| progress.steps),
        frames: difference(|progress| progress.frames),
        bytes: difference(|progress| progress.frame_bytes),
        events: difference(|progress| progress.published_events),
    })
}
