//! Looks for valgrind, so that the test that needs it is listed as ignored, with the reason, where there is none.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(valgrind)");
    let version = Command::new("valgrind").arg("--version").output();
    if version.is_ok_and(|output| output.status.success()) {
        println!("cargo::rustc-cfg=valgrind");
    }
}
