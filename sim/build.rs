//! Names the sources that a run depends on: tapes and digests say which code made them.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders beside this crate's own whose code takes part in runs.
const FOLDERS: [&str; 6] =
    ["src", "../kernel/src", "../store/src", "../chain/src", "../contracts/artifacts", "../harness/node/src"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn main() {
    // FNV-1a: any stable hash does, and the build needs no crate for it.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for folder in FOLDERS.iter().filter(|folder| Path::new(folder).is_dir()) {
        println!("cargo:rerun-if-changed={folder}");
        let mut found = Vec::new();
        files(Path::new(folder), &mut found);
        found.sort();
        for path in found {
            take(path.to_string_lossy().replace('\\', "/").as_bytes());
            take(&fs::read(&path).unwrap_or_default());
        }
    }
    println!("cargo:rustc-env=WEIR_SIM_SOURCES={hash:016x}");
}
