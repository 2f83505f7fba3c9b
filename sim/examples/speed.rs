//! How fast the simulator runs: `speed BROKERS VIRTUAL_S [no-audit|saturated|idle]`, for a profiler to look at. Seconds
//! are those that the thread spent on a core where Linux tells, and the clock's elsewhere. `idle` measures memory
//! instead.

#![allow(clippy::disallowed_methods, reason = "the clock measures the simulator, it is no part of a run")]

use std::time::Instant;

use weir_sim::audit::AuditLevel;
use weir_sim::speed;

/// Seconds that this thread spent on a core.
fn core_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

/// What this process has in memory: Linux tells.
fn resident_kib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Prints what idle brokers take.
fn idle(brokers: u32) {
    let before = resident_kib().unwrap_or(0);
    let mut after = 0;
    match speed::idle(brokers, || after = resident_kib().unwrap_or(0)) {
        Ok(()) => {
            let kib = after.saturating_sub(before) as f64 / f64::from(brokers);
            println!("{brokers} idle brokers: {kib:.1} KiB each");
        }
        Err(error) => eprintln!("{error}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(Ok(default), |text| text.parse());
    let (Ok(brokers), Ok(measured_s)) = (number(0, 5), number(1, 60)) else {
        eprintln!("speed BROKERS VIRTUAL_S [no-audit|saturated|idle]: two numbers");
        std::process::exit(2);
    };
    let asked = |word: &str| arguments.get(2).is_some_and(|argument| argument == word);
    if asked("idle") {
        return idle(brokers as u32);
    }
    let audit = if asked("no-audit") { AuditLevel::Nothing } else { AuditLevel::Digest };
    let load = if asked("saturated") { speed::saturated } else { speed::load };
    let begun = Instant::now();
    let clock = || core_s().unwrap_or_else(|| begun.elapsed().as_secs_f64());
    match speed::measure_scenario(&load(brokers as u32, measured_s), measured_s, audit, clock) {
        Ok(stretch) => println!(
            "{brokers} brokers: {:.1} x real time, {:.0} steps/s, {:.1} messages/s a broker, {:.1} steps/s a broker, \
             {:.0} messages/s, {:.1} events stored/s a broker, {:.0} bytes an event, {:.2} s measured of {:.1} s",
            stretch.virtual_s / stretch.spent_s,
            stretch.steps / stretch.spent_s,
            stretch.frames / stretch.virtual_s / brokers as f64,
            stretch.steps / stretch.virtual_s / brokers as f64,
            stretch.frames / stretch.spent_s,
            stretch.stored / stretch.virtual_s / brokers as f64,
            stretch.bytes / stretch.events,
            stretch.spent_s,
            clock(),
        ),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
