//! What a process uses of the machine: processor time and memory, as Linux counts them.

use std::fs::read_to_string;

use crate::failure::Failure;

/// Ticks of processor time a second: what Linux shows to programs on every architecture.
const TICKS_A_SECOND: f64 = 100.0;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of processor time, of all its threads, in its own code and in the system's for it.
    pub cpu_s: f64,
    /// Bytes of memory that it holds now.
    pub memory: f64,
    /// Bytes of memory that it held at most.
    pub peak_memory: f64,
}

impl Usage {
    /// That of a process by its number.
    pub fn of(process: u32) -> Result<Self, Failure> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            read_to_string(&path).map_err(|error| {
                Failure::Failed(format!(
                    "{path} cannot be read: {error}; processes are measured on Linux only"
                ))
            })
        };
        let (stat, status) = (read("stat")?, read("status")?);
        let garbled = || Failure::Failed(format!("/proc/{process} is not what Linux writes"));
        Ok(Self {
            cpu_s: cpu_s(&stat).ok_or_else(garbled)?,
            memory: bytes(&status, "VmRSS:").ok_or_else(garbled)?,
            peak_memory: bytes(&status, "VmHWM:").ok_or_else(garbled)?,
        })
    }
}

/// Processor time from `/proc/PID/stat`: the name, which may hold anything, ends with the last bracket; user and
/// system time are the 12th and 13th field after it.
fn cpu_s(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_A_SECOND)
}

/// A size from `/proc/PID/status`, which is in KiB there.
fn bytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0)
}

/// Seconds of processor time that this thread has used.
pub fn thread_cpu_s() -> Result<f64, Failure> {
    let path = "/proc/thread-self/schedstat";
    let text = read_to_string(path).map_err(|error| Failure::Failed(format!("{path}: {error}")))?;
    let nanoseconds: Option<f64> = text.split_whitespace().next().and_then(|field| field.parse().ok());
    let nanoseconds =
        nanoseconds.ok_or_else(|| Failure::Failed(format!("{path} is not what Linux writes")))?;
    Ok(nanoseconds / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_whatever_the_program_is_called() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 1 2";
        assert_eq!(cpu_s(stat), Some(2.0));
        assert_eq!(cpu_s("7 (weir) S 1 2"), None);
        let status = "Name:\tweir\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((bytes(status, "VmRSS:"), bytes(status, "VmHWM:")), (Some(1048576.0), Some(2097152.0)));
        assert_eq!(bytes(status, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_is_counted() {
        let (before, here) = (thread_cpu_s().expect("Linux"), Usage::of(std::process::id()).expect("Linux"));
        let mut sum = 0u64;
        while thread_cpu_s().expect("Linux") < before + 0.05 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(1));
        }
        let after = Usage::of(std::process::id()).expect("Linux");
        assert!(after.cpu_s >= here.cpu_s + 0.03 && after.peak_memory >= here.memory, "{here:?} {after:?}");
    }
}
