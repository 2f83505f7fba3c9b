//! Simulated networks under a constant load a broker, and how fast they run.
//!
//! What is measured is the part between two blocks after the founding: neither setting the contracts up nor taking seats
//! is in it. Time is what this thread spent on a core, so that others on the machine disturb less; where the system does
//! not tell, it is the clock's.

use std::time::Instant;

use weir_kernel::broker::Command;
use weir_sim::scenario::READERS;
use weir_sim::tape::{Actor, Role};
use weir_sim::{Happening, Observer, Options, Scenario, Source, simulate};

use crate::failure::Failure;

/// Partitions of each stream.
const STREAM_PARTITIONS: u32 = 8;

/// When every partition has its first members, which is with the second epoch, and publishers have found that out; in
/// virtual seconds.
const FOUNDED_S: u64 = 75;

/// After the measured part nothing is published, and every partition is sealed again: an epoch and some time to seal, in
/// virtual milliseconds.
const HEAL_MS: u64 = 90_000;

/// What each broker's share of the publishers sends: one batch a second, which comes to about eight messages.
const PUBLISH_INTERVAL_MS: u64 = 1_000;

/// One seed for all: more brokers are the same work again, and not another draw.
const SEED: u64 = 1;

/// A network in which nothing goes wrong, with as many partitions and publishers as brokers, and epochs of a minute.
fn load(brokers: u32, measured_s: u64) -> Scenario {
    Scenario {
        epoch_blocks: 60,
        block_ms: 1_000,
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
        subscribers: brokers.div_ceil(4),
        // There are as many in every network, and they ask for all of its history again and again.
        without: (0..READERS).map(|number| Actor::Client(Role::Reader, number)).collect(),
        ..Scenario::calm(brokers)
    }
}

/// What a run had done by a block.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at_us: u64,
    spent_s: f64,
    steps: u64,
    frames: u64,
    bytes: u64,
    events: u64,
}

/// Counts, and looks at the time at each block.
struct Pace {
    begun: Instant,
    steps: u64,
    frames: u64,
    bytes: u64,
    events: u64,
    samples: Vec<Sample>,
}

impl Observer for Pace {
    fn observe(&mut self, at_us: u64, happening: &Happening<'_>) {
        match happening {
            Happening::Turn { .. } => self.steps += 1,
            Happening::Sent { frame, .. } => {
                self.frames += 1;
                self.bytes += frame.len() as u64;
            }
            Happening::Asked { command: Command::Publish { batch, .. }, .. } => {
                self.events += u64::from(batch.len());
            }
            Happening::Block { .. } => {
                let Self { steps, frames, bytes, events, .. } = *self;
                let spent_s = core_seconds().unwrap_or_else(|| self.begun.elapsed().as_secs_f64());
                self.samples.push(Sample { at_us, spent_s, steps, frames, bytes, events });
            }
            _ => {}
        }
    }
}

/// What this thread spent on a core, in seconds: Linux tells.
fn core_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

/// The measured part of a run.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Virtual seconds that passed.
    pub virtual_s: f64,
    /// Seconds that it took on a core.
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

/// Runs a network of so many brokers and measures so many virtual seconds of it.
pub fn run(brokers: u32, measured_s: u64) -> Result<Stretch, Failure> {
    let scenario = load(brokers, measured_s);
    let begun = Instant::now();
    let mut pace = Pace { begun, steps: 0, frames: 0, bytes: 0, events: 0, samples: Vec::new() };
    let options = Options { observer: Some(&mut pace), ..Options::default() };
    let report = simulate(Source::Seed(SEED, &scenario), options).report;
    if let Some(violation) = report.violations.first() {
        return Err(Failure::Failed(format!("{brokers} brokers, seed {SEED}: {violation}")));
    }
    let inside = |sample: &&Sample| {
        (FOUNDED_S * 1_000_000..=(FOUNDED_S + measured_s) * 1_000_000).contains(&sample.at_us)
    };
    let samples: Vec<&Sample> = pace.samples.iter().filter(inside).collect();
    let ends = samples.first().zip(samples.last()).filter(|(first, last)| {
        last.at_us > first.at_us && last.events > first.events && last.spent_s > first.spent_s
    });
    let Some((first, last)) = ends else {
        return Err(Failure::Failed(format!(
            "{brokers} brokers did nothing in {measured_s} virtual seconds"
        )));
    };
    let difference = |of: fn(&Sample) -> u64| (of(last) - of(first)) as f64;
    Ok(Stretch {
        virtual_s: difference(|sample| sample.at_us) / 1e6,
        spent_s: last.spent_s - first.spent_s,
        steps: difference(|sample| sample.steps),
        frames: difference(|sample| sample.frames),
        bytes: difference(|sample| sample.bytes),
        events: difference(|sample| sample.events),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_part_has_the_load_that_was_asked_for() {
        let stretch = run(5, 60).unwrap();
        assert!((59.0..=60.0).contains(&stretch.virtual_s), "{stretch:?}");
        let batches_s = stretch.events / 4.0 / stretch.virtual_s;
        assert!(
            (2.5..=10.0).contains(&batches_s),
            "five publishers, a batch of 4 a second each: {stretch:?}"
        );
        let messages_s = stretch.frames / 5.0 / stretch.virtual_s;
        assert!((5.0..=16.0).contains(&messages_s), "about eight messages a broker: {stretch:?}");
    }
}
