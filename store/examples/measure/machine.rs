//! What the system says of this process: CPU, bytes written to the device, memory.

use std::fs;
use std::time::{Duration, Instant};

/// A moment, from which costs are counted.
pub struct Meter {
    began: Instant,
    cpu: Duration,
    thread_cpu: Duration,
    written_bytes: u64,
}

/// What was used since a moment.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Time that passed.
    pub wall: Duration,
    /// CPU of all threads of this process.
    pub cpu: Duration,
    /// CPU of the calling thread.
    pub thread_cpu: Duration,
    /// Bytes that were sent to the device for this process.
    pub written_bytes: u64,
}

impl Meter {
    /// Starts counting.
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: process_cpu(),
            thread_cpu: thread_cpu(),
            written_bytes: written_bytes(),
        }
    }

    /// What was used since.
    pub fn used(&self) -> Used {
        Used {
            wall: self.began.elapsed(),
            cpu: process_cpu().saturating_sub(self.cpu),
            thread_cpu: thread_cpu().saturating_sub(self.thread_cpu),
            written_bytes: written_bytes().saturating_sub(self.written_bytes),
        }
    }
}

fn process_cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists threads");
    tasks.filter_map(Result::ok).map(|task| on_cpu(&task.path().join("schedstat"))).sum()
}

fn thread_cpu() -> Duration {
    on_cpu("/proc/thread-self/schedstat".as_ref())
}

fn on_cpu(path: &std::path::Path) -> Duration {
    let text = fs::read_to_string(path).unwrap_or_default();
    let nanoseconds = text.split_ascii_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn written_bytes() -> u64 {
    named("/proc/self/io", "write_bytes:")
}

/// Resident memory, in bytes.
pub fn resident_bytes() -> u64 {
    named("/proc/self/status", "VmRSS:") * 1024
}

/// The most resident memory so far, in bytes.
pub fn resident_peak_bytes() -> u64 {
    named("/proc/self/status", "VmHWM:") * 1024
}

fn named(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let number = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    number.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
