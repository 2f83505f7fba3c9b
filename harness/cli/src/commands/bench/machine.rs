//! The machine and the build that figures are of: without both, a figure says little.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::network;

/// Above this load before a measurement, others share the machine.
const BUSY_LOAD: f64 = 0.5;

/// What measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// The processor's name.
    cpu: String,
    /// Cores that this process may use.
    cores: usize,
    /// Memory in bytes; 0 if the system does not say.
    memory: u64,
    /// The system with its kernel's version.
    system: String,
    /// The file system that measurements write to, and what it is on; empty if the system does not say.
    disk: String,
    /// Runnable processes, averaged over the minute before, if the system says so.
    load: Option<f64>,
    /// The compiler.
    rustc: &'static str,
    /// What it compiled for.
    target: &'static str,
    /// Cargo's profile: debug or release.
    profile: &'static str,
    /// How far it optimised: 0 to 3, s or z.
    optimisation: &'static str,
}

impl Machine {
    /// This one.
    pub fn look() -> Self {
        let file = |path: &str| read_to_string(path).unwrap_or_default();
        let release = after(&file("/etc/os-release"), "PRETTY_NAME", '=');
        let kernel = file("/proc/sys/kernel/osrelease");
        let system = [release.as_deref().unwrap_or(std::env::consts::OS).trim_matches('"'), kernel.trim()];
        let memory_kib = after(&file("/proc/meminfo"), "MemTotal", ':')
            .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
        Self {
            cpu: after(&file("/proc/cpuinfo"), "model name", ':')
                .unwrap_or_else(|| "unknown processor".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory_kib.unwrap_or(0) * 1024,
            system: system.join(" ").trim().into(),
            disk: disk(&file("/proc/self/mounts"), &network::root()).unwrap_or_default(),
            load: file("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()),
            rustc: env!("WEIR_BUILD_RUSTC"),
            target: env!("WEIR_BUILD_TARGET"),
            profile: env!("WEIR_BUILD_PROFILE"),
            optimisation: env!("WEIR_BUILD_OPTIMISATION"),
        }
    }

    /// Why the figures may be worse than the program.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !matches!(self.optimisation, "2" | "3") {
            warnings.push(format!(
                "built without optimisation ({} profile, opt-level {}), so that times mean little: use cargo run --release",
                self.profile, self.optimisation
            ));
        }
        if let Some(load) = self.load.filter(|load| *load > BUSY_LOAD) {
            warnings.push(format!(
                "the load was {load} on {} cores before: other programs make times longer; measure when they are done",
                self.cores
            ));
        }
        warnings
    }

    /// In one line.
    pub fn text(&self) -> String {
        let Self { cpu, cores, system, rustc, target, profile, optimisation, .. } = self;
        let disk = if self.disk.is_empty() { "unknown disk" } else { &self.disk };
        let memory = match self.memory {
            0 => "unknown memory".into(),
            memory => format!("{:.1} GiB", memory as f64 / f64::from(1 << 30)),
        };
        let load = self.load.map_or_else(String::new, |load| format!("; load {load} before"));
        format!(
            "{cpu}, {cores} cores, {memory}, {disk}, {system}; {rustc}, {target}, {profile} build (opt-level {optimisation}){load}"
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "memory_bytes": self.memory,
            "disk": self.disk,
            "system": self.system,
            "load": self.load,
            "rustc": self.rustc,
            "target": self.target,
            "profile": self.profile,
            "opt_level": self.optimisation,
            "warnings": self.warnings(),
        })
    }
}

/// The mount that a path lies in: the longest that it begins with, of lines of device, mount point and type.
fn disk(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let mut fields = line.split(' ').map(str::to_owned);
        Some((fields.next()?, PathBuf::from(fields.next()?), fields.next()?))
    };
    let holding = mounts.lines().filter_map(mount).filter(|(_, point, _)| path.starts_with(point));
    let (device, _, kind) = holding.max_by_key(|(_, point, _)| point.as_os_str().len())?;
    Some(format!("{kind} on {device}"))
}

/// What stands after a name and a separator on the first line that begins with the name.
fn after(text: &str, name: &str, separator: char) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(separator).map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Machine {
        Machine { optimisation: "3", load: Some(0.1), ..Machine::look() }
    }

    #[test]
    fn a_build_without_optimisation_is_warned_of() {
        assert_eq!(quiet().warnings(), Vec::<String>::new());
        let warnings = Machine { optimisation: "0", ..quiet() }.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("--release"), "{warnings:?}");
        let warnings = Machine { load: Some(1.5), ..quiet() }.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("was 1.5 on"), "{warnings:?}");
    }

    #[test]
    fn the_machine_is_named() {
        let machine = Machine { cpu: "Z80".into(), cores: 1, memory: 3 << 30, ..quiet() };
        let text = machine.text();
        assert!(text.starts_with("Z80, 1 cores, 3.0 GiB, ") && text.contains("rustc 1."), "{text}");
        assert_eq!(machine.json()["memory_bytes"], 3u64 << 30);
    }

    #[test]
    fn the_disk_is_the_nearest_mount() {
        let mounts = "/dev/a / ext4 rw 0 0\nnone /var/tmp tmpfs rw 0 0\n/dev/b /variable xfs rw 0 0\n";
        let of = |path: &str| disk(mounts, Path::new(path)).expect("the root is mounted");
        assert_eq!((of("/var/tmp/x").as_str(), of("/var").as_str()), ("tmpfs on none", "ext4 on /dev/a"));
        assert_eq!(disk("", Path::new("/")), None);
    }

    #[test]
    fn values_are_found_by_name() {
        let text = "processor : 0\nmodel name\t: A B C\nmodel name\t: D\nempty:\n";
        assert_eq!(after(text, "model name", ':').as_deref(), Some("A B C"));
        assert_eq!((after(text, "empty", ':'), after(text, "other", ':')), (None, None));
    }
}
