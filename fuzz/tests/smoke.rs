//! Every target over its committed corpus and over inputs derived from it: the same ones in every run.
//!
//! `WEIR_WRITE_CORPUS=1 cargo test -p weir-fuzz` writes the seeds anew. `WEIR_FUZZ_ROUNDS=50` tries fifty times as
//! many derived inputs, other ones each round.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use weir_fuzz::derive::{Numbers, mutate};
use weir_fuzz::seeds::seeds;
use weir_fuzz::{TARGETS, Target};

fn folder(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The committed inputs by name.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    if std::env::var_os("WEIR_WRITE_CORPUS").is_some() {
        fs::create_dir_all(&folder).expect("the corpus can be written");
        for (bytes, number) in seeds(target.name).iter().zip(0..) {
            fs::write(folder.join(format!("seed-{number:02}")), bytes).expect("the corpus can be written");
        }
    }
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = files
        .map(|file| file.expect("a file of the corpus").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a file of the corpus")))
        .collect();
    inputs.sort();
    inputs
}

/// Runs a target, and says which bytes it failed on: commit them to the corpus.
fn run(target: &Target, name: &str, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
        let path = std::env::temp_dir().join(format!("weir-fuzz-{}-failed", target.name));
        fs::write(&path, bytes).expect("the failing input can be written");
        panic!("{} fails on {name}; the input is in {}", target.name, path.display());
    }
}

fn smoke(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the target exists");
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{name} has a corpus");
    corpus.iter().for_each(|(file, bytes)| run(target, file, bytes));
    let rounds = std::env::var("WEIR_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    for round in 0..rounds {
        let mut numbers = Numbers::new(round);
        for number in 0..target.derived_inputs {
            let bytes = if number % 2 == 0 {
                let length = numbers.below(target.random_bytes);
                numbers.bytes(length)
            } else {
                let base = numbers.below(corpus.len());
                mutate(&mut numbers, &corpus[base].1)
            };
            run(target, &format!("derived input {number} of round {round}"), &bytes);
        }
    }
}

macro_rules! smoke {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                smoke(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_run() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),*]);
        }
    };
}

smoke!(batch, batch_written, frame, row, signed_header, seats, kernel_steps);

#[test]
fn the_seeds_are_what_is_committed() {
    for target in &TARGETS {
        let committed = corpus(target);
        for (seed, number) in seeds(target.name).iter().zip(0..) {
            let file = folder(target).join(format!("seed-{number:02}")).display().to_string();
            let found = committed.iter().find(|(name, _)| *name == file).map(|(_, bytes)| bytes);
            assert_eq!(found, Some(seed), "{file}: write it anew with WEIR_WRITE_CORPUS=1");
        }
    }
}
