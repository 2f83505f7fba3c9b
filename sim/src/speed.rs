//! How fast the simulator runs: networks under a constant load a broker, and what a stretch of their run takes.
//!
//! What is measured is the part between two blocks after the founding: neither setting the contracts up nor taking
//! seats is in it. Everything that every run has is on: oracles, nodes' chains, the contracts in their EVM. Whoever
//! measures brings the clock, because no clock is part of a run.
//!
//! # Where the time goes
//!
//! `perf record -F 500 --call-graph dwarf,12288 speed 1000 60` of the release build of `examples/speed.rs`, founding
//! and end included, in shares of what events take. Parts overlap where one calls another:
//!
//! | part | of a run | what it is |
//! | --- | --- | --- |
//! | `Shard::step` | 42 % | the kernel: 20 % of it messages |
//! | `MemoryLog::write` | 14 % | the disk in memory: 5 % sets rows |
//! | `malloc`, `realloc` and `free` | 13 % | in all of these: a step makes its outputs, records and frames anew |
//! | clients | 9 % | events are made, hashed into trees, and signed with the keyed hash |
//! | oracles at each turn | 9 % | a third of it receipts, another third what each disk holds for certain |
//! | sending | 4 % | frames are encoded once for all receivers; the link's decision |
//! | the heap of events | 3 % | taking out the next |
//! | `wire::decode` | 3 % | batches are recalled by their bytes, messages are decoded each time |
//! | `Partitions::ask` | 2 % | who wants to be woken when: a step asks only the partitions that it laid hands on |
//!
//! On two cores that had nothing else to do, `weir bench sim` gave 549,338 steps a second and 9,893 times real time
//! at 5 brokers, 236,997 steps and 16.9 times at 1,000, 129,953 steps and 0.98 times at 10,000: 1.8 µs a step in
//! the cache and 4.2 to 7.7 µs out of it, where steps wait for memory, because a node's state is spread over many
//! small allocations. An idle broker takes 44 KiB, its share of the chain and the oracles included: 6 KiB are rows
//! on its disk, 3 KiB its partitions' machines, as much the reports that it wrote. That edges ask others what moved
//! is 1.7 % of the messages at 5 brokers and 0.7 % at 1,000. `examples/founding.rs` shows how a network comes to
//! be, for sizes at which that takes longest.
//!
//! Another allocator, mimalloc, was 4 % slower at 5 brokers, 4 % faster at 128 and 1 % faster at 1,000, and took a
//! fifth more memory there.

use crate::audit::AuditLevel;
use crate::report::{Progress, Violation};
use crate::scenario::{READERS, Scenario};
use crate::simulation::{Options, Source, simulate};
use crate::tape::{Actor, Role};

/// Partitions of each stream.
const STREAM_PARTITIONS: u32 = 8;

/// What each broker's share of the publishers sends: with four replicas a batch makes four offers and four
/// acknowledgements, and goes to one subscriber in the mean; who follows says so once a second and is answered.
/// Together that comes to eight messages a second that each broker sends.
const PUBLISH_INTERVAL_MS: u64 = 1_500;

/// Most events of a batch: four in the mean.
const BATCH_EVENTS: u32 = 7;

/// Brokers for each subscriber to all partitions of a stream.
const BROKERS_A_SUBSCRIBER: u32 = 8;

/// A block every five seconds, as on Gnosis Chain.
const BLOCK_MS: u64 = 5_000;

/// Epochs of a minute, or of as many blocks as have room for the seals of all partitions, twice over.
fn epoch_blocks(brokers: u32) -> u64 {
    12.max(u64::from(brokers) / 200)
}

fn epoch_s(brokers: u32) -> u64 {
    epoch_blocks(brokers) * BLOCK_MS / 1_000
}

/// Clients come so long before the measured part begins, in virtual seconds: they have opened their lanes by then.
const WARM_UP_S: u64 = 30;

/// Brokers that are offered all that they can keep are busy after so many virtual seconds.
const SATURATED_WARM_UP_S: u64 = 5;

/// One seed for all: more brokers are the same work again, and not another draw.
const SEED: u64 = 1;

/// Replicas of a partition.
pub const REPLICAS: u8 = 4;

/// When every partition has its first members and has sealed, in virtual seconds: blocks take so many registrations,
/// draws and changes of seats, and the last partition that is founded seals after the next whole epoch.
fn founded_s(brokers: u32) -> u64 {
    60 + 2 * epoch_s(brokers) + u64::from(brokers) * 80 / 1_000
}

/// A network in which nothing goes wrong, with as many partitions and publishers as brokers. Each broker sends about
/// eight messages a second.
pub fn load(brokers: u32, measured_s: u64) -> Scenario {
    let founded_s = founded_s(brokers);
    // After the measured part nothing is published, and every partition is sealed again: an epoch to its end, and as
    // long to seal it.
    let heal_ms = epoch_s(brokers) * 2_000;
    Scenario {
        replicas: REPLICAS,
        epoch_blocks: epoch_blocks(brokers),
        block_ms: BLOCK_MS,
        duration_ms: (founded_s + measured_s) * 1_000 + heal_ms,
        heal_ms,
        streams: brokers.div_ceil(STREAM_PARTITIONS),
        stream_partitions: STREAM_PARTITIONS,
        founder: true,
        steady: true,
        clients_from_ms: (founded_s - WARM_UP_S) * 1_000,
        publishers: brokers,
        publisher_partitions: 1,
        publish_interval_ms: PUBLISH_INTERVAL_MS,
        batch_events: BATCH_EVENTS,
        sealed_share: 0,
        lane_batches: 1_000_000,
        subscribers: brokers.div_ceil(BROKERS_A_SUBSCRIBER),
        // There are as many in every network, and they ask for all of its history again and again.
        without: (0..READERS).map(|number| Actor::Client(Role::Reader, number)).collect(),
        ..Scenario::calm(brokers)
    }
}

/// Events a second that a broker keeps in [`saturated`], in place of what a real one does: more would only be more of
/// the same to simulate, for what a network does of what its brokers can does not depend on the unit.
pub const SATURATED_EVENTS_S: u32 = 400;

/// The same network with brokers that keep [`SATURATED_EVENTS_S`] events a second each, offered all that they can keep.
pub fn saturated(brokers: u32, measured_s: u64) -> Scenario {
    let offered_s = u64::from(SATURATED_EVENTS_S) / u64::from(REPLICAS);
    let mean_events = u64::from(1 + BATCH_EVENTS) / 2;
    Scenario {
        event_ns: 1_000_000_000 / u64::from(SATURATED_EVENTS_S),
        publish_interval_ms: 1_000 * mean_events / offered_s,
        clients_from_ms: (founded_s(brokers) - SATURATED_WARM_UP_S) * 1_000,
        subscribers: 0,
        ..load(brokers, measured_s)
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
    /// Events that were acknowledged as stored.
    pub stored: f64,
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

/// Runs a network of so many brokers and measures so many virtual seconds of it. `clock` says how many seconds have
/// been spent so far.
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
    let founded_s = founded_s(brokers);
    let stretch_us = founded_s * 1_000_000..=(founded_s + measured_s) * 1_000_000;
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
        stored: difference(|progress| progress.stored_events),
    })
}

/// Runs a network of so many brokers that keep no events for one another, and calls `held` when all are seated and have
/// sealed: it says what the process holds.
///
/// # Errors
///
/// [`SpeedError`] if a promise did not hold.
pub fn idle(brokers: u32, mut held: impl FnMut()) -> Result<(), SpeedError> {
    let scenario = Scenario { publishers: 0, subscribers: 0, ..load(brokers, 60) };
    let at_us = (founded_s(brokers) + 60) * 1_000_000;
    let mut is_over = false;
    let mut progress = |progress: Progress| {
        // Of some sizes no block falls on the very second: the next one will do.
        if progress.at_us >= at_us && !std::mem::replace(&mut is_over, true) {
            held();
        }
    };
    let options = Options { progress: Some(&mut progress), ..Options::default() };
    let report = simulate(Source::Seed(SEED, &scenario), options).report;
    match report.violations.into_iter().next() {
        Some(violation) => Err(SpeedError::Violated { brokers, violation: Box::new(violation) }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_part_has_the_load_that_was_asked_for() {
        let stretch = measure(5, 60, AuditLevel::Digest, ticks()).unwrap();
        assert!((55.0..=60.0).contains(&stretch.virtual_s), "{stretch:?}");
        let batches_s = stretch.events / 4.0 / stretch.virtual_s / 5.0;
        assert!((0.5..=0.9).contains(&batches_s), "a batch of four in 1.5 seconds each: {stretch:?}");
        let messages_s = stretch.frames / 5.0 / stretch.virtual_s;
        assert!((5.0..=11.0).contains(&messages_s), "about eight messages a broker: {stretch:?}");
    }

    #[test]
    fn brokers_that_take_time_keep_no_more_than_they_can() {
        let scenario = saturated(8, 10);
        let stretch = measure_scenario(&scenario, 10, AuditLevel::Digest, ticks()).unwrap();
        let share =
            stretch.stored / stretch.virtual_s / 8.0 * f64::from(REPLICAS) / f64::from(SATURATED_EVENTS_S);
        assert!((0.3..=1.05).contains(&share), "{share} of what they can: {stretch:?}");
    }

    /// A clock that goes on with each look.
    fn ticks() -> impl Fn() -> f64 {
        let looks = std::cell::Cell::new(0.0);
        move || {
            looks.set(looks.get() + 1.0);
            looks.get()
        }
    }
}
