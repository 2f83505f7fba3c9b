//! Simulated networks under a constant load a broker, and how fast they run: [`weir_sim::speed`] with a clock.
//!
//! Time is what this thread spent on a core, so that others on the machine disturb less; where the system does not
//! tell, it is the clock's.

use std::time::Instant;

use weir_sim::Scenario;
use weir_sim::audit::AuditLevel;
use weir_sim::speed::{self, SpeedError, Stretch};

use crate::failure::Failure;

/// Runs a network of so many brokers and measures so many virtual seconds of it.
pub fn run(brokers: u32, measured_s: u64) -> Result<Stretch, Failure> {
    run_scenario(&speed::load(brokers, measured_s), measured_s, AuditLevel::Digest)
}

/// The same of a load that was changed.
pub fn run_scenario(scenario: &Scenario, measured_s: u64, audit: AuditLevel) -> Result<Stretch, Failure> {
    let begun = Instant::now();
    let clock = || core_seconds().unwrap_or_else(|| begun.elapsed().as_secs_f64());
    speed::measure_scenario(scenario, measured_s, audit, clock).map_err(failure)
}

/// Bytes that the process holds for each idle broker, everything that simulates it included; `None` where the system
/// does not tell.
pub fn idle_bytes(brokers: u32) -> Result<Option<f64>, Failure> {
    let before = resident_bytes();
    let mut after = None;
    speed::idle(brokers, || after = resident_bytes()).map_err(failure)?;
    Ok(before.zip(after).map(|(before, after)| after.saturating_sub(before) as f64 / f64::from(brokers)))
}

fn failure(error: SpeedError) -> Failure {
    Failure::Failed(error.to_string())
}

/// What this thread spent on a core, in seconds: Linux tells.
fn core_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

/// What this process has in memory: Linux tells.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}
