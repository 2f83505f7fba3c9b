//! Keeps what the program was compiled with, for `weir bench` to name: a figure without it says little.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    println!("cargo::rustc-env=WEIR_BUILD_RUSTC={}", version.trim());
    for (name, from) in [("PROFILE", "PROFILE"), ("OPTIMISATION", "OPT_LEVEL"), ("TARGET", "TARGET")] {
        let value = std::env::var(from).unwrap_or_default();
        println!("cargo::rustc-env=WEIR_BUILD_{name}={value}");
    }
}
