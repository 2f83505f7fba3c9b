//! `weir sim`, `weir replay` and `weir shrink` as they are typed: what they print and leave, and what they refuse.

use std::path::Path;
use std::process::{Command, Output};

/// A calm network of four for forty virtual seconds: it holds, and takes a moment.
const SHORT: &str = "# A short run.\nbase = \"calm\"\nbrokers = 4\nduration_ms = 40_000\nheal_ms = 10_000\n";

fn weir(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.current_dir(folder).args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// Refused with exit code 2, nothing on standard output, and an error that has these parts.
fn assert_refused(folder: &Path, arguments: &[&str], parts: &[&str]) {
    let output = weir(folder, arguments);
    let error = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments:?}: {error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} in {error}");
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("short.toml"), SHORT).expect("it is written");
    folder
}

fn digest(output: &Output) -> String {
    let line = text(&output.stdout).lines().rev().find(|line| line.starts_with("digest ")).expect("a digest");
    line.trim_start_matches("digest ").to_string()
}

#[test]
fn seeds_that_hold_are_counted_and_repeat_to_the_same_digest() {
    let folder = folder();
    let two = weir(folder.path(), &["sim", "--scenario", "short.toml", "--seeds", "3..5", "--jobs", "2"]);
    assert_eq!(two.status.code(), Some(0), "{}", text(&two.stderr));
    let told = text(&two.stdout);
    assert!(told.starts_with("all held: 2 seeds, 0.02 virtual hours, "), "{told}");
    assert!(told.contains(" seeds/s, ") && told.contains(" virtual s a real s"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no tape is left");

    let one = weir(folder.path(), &["sim", "--scenario", "short.toml", "--seeds", "3"]);
    let again = weir(folder.path(), &["replay", "--seed", "3", "--scenario", "short.toml"]);
    assert_eq!((one.status.code(), again.status.code()), (Some(0), Some(0)));
    assert!(text(&again.stdout).contains("all held\n"), "{}", text(&again.stdout));
    assert!(text(&one.stdout).contains(&digest(&again)), "{}", text(&one.stdout));
}

#[test]
fn a_run_is_read_as_a_trace_and_as_a_page() {
    let folder = folder();
    let arguments =
        ["replay", "--seed", "3", "--scenario", "short.toml", "--html", "out/run.html", "--trace"];
    let output = weir(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let trace = text(&output.stdout);
    for part in
        ["chain  BLOCK ", "node:0  STARTS", "  Append p", "publisher:0/lane0 0..", "adopts the seal of p"]
    {
        assert!(trace.contains(part), "{part:?} in the trace");
    }
    assert!(text(&output.stderr).contains("all held"));
    let page = std::fs::read_to_string(folder.path().join("out/run.html")).expect("the page");
    assert!(page.starts_with("<!doctype html>") && page.contains("publisher:0/lane0"));
    assert!(!page.contains("http:") && !page.contains("https:"), "nothing is fetched");
    assert!(page.len() < 8_000_000, "{} bytes", page.len());

    let part =
        weir(folder.path(), &[&arguments[..5], &["--trace", "--from", "20000", "--to", "20500"]].concat());
    let first = text(&part.stdout).lines().next().expect("something happens in half a second");
    assert!(first.trim_start().starts_with("20."), "{first}");
    assert!(text(&part.stdout).lines().count() < trace.lines().count() / 10);
}

/// More than the protocol survives: the run must fail.
#[test]
fn a_broken_promise_leaves_a_tape_that_fails_again_and_shrinks() {
    let folder = folder();
    let arguments = ["sim", "--scenario", "all-disks-lost", "--seeds", "1..9", "--out", "tapes"];
    let output = weir(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.starts_with("seed 1 breaks a promise: at "), "{told}");
    assert!(told.contains("from the seed: weir sim --scenario all-disks-lost --seeds 1..2\n"), "{told}");
    assert!(told.contains("from its tape: weir replay tapes/weir-all-disks-lost-1.tape\n"), "{told}");

    let tape = "tapes/weir-all-disks-lost-1.tape";
    let replayed = weir(folder.path(), &["replay", tape, "--html", "run.html"]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(text(&replayed.stdout).contains("broken: at "), "{}", text(&replayed.stdout));
    let page = std::fs::read_to_string(folder.path().join("run.html")).expect("the page");
    assert!(page.contains("does not hold: ") && page.contains("fault: lost-disk"));

    let shrunk = weir(folder.path(), &["shrink", tape, "--runs", "12"]);
    assert_eq!(shrunk.status.code(), Some(0), "{}", text(&shrunk.stderr));
    assert!(text(&shrunk.stdout).contains("it fails as before: at "), "{}", text(&shrunk.stdout));
    let small = "tapes/weir-all-disks-lost-1.small.tape";
    assert!(text(&shrunk.stdout).ends_with(&format!("weir replay {small}\n")));
    let small = weir(folder.path(), &["replay", small]);
    assert_eq!(small.status.code(), Some(1));
}

#[test]
fn scenarios_that_cannot_be_run_are_refused_with_line_and_key() {
    let folder = folder();
    let wrong = |text: &str, parts: &[&str]| {
        std::fs::write(folder.path().join("wrong.toml"), text).expect("it is written");
        assert_refused(
            folder.path(),
            &["sim", "--scenario", "wrong.toml"],
            &[&["wrong.toml"], parts].concat(),
        );
    };
    wrong("base = \"calm\"\nbrokres = 5\n", &["line 2", "brokres"]);
    wrong("base = \"rough\"\n[links]\nlost = 1\n", &["line 3", "lost"]);
    wrong("brokers = 0\n", &["line 1", "brokers cannot be 0"]);
    wrong("brokers = \"five\"\n", &["line 1"]);
    wrong("base = \"mild\"\n", &["mild", "none of calm, rough, swarm, "]);
    wrong("heal_ms = 900_000\n", &["heal_ms cannot be 900000"]);
    wrong("base = \"calm\"\nbrokers = = 5\n", &["line 2"]);
    wrong("[[faults]]\nat_ms = 1\nkind = \"explode\"\ndown_ms = 1\n", &["explode"]);
    assert_refused(folder.path(), &["sim", "--scenario", "none.toml"], &["none.toml", "calm, rough, swarm"]);
    let brokers = ["sim", "--scenario", "calm", "--nodes", "2"];
    assert_refused(folder.path(), &brokers, &["--nodes", "brokers cannot be 2"]);
    let minutes = ["sim", "--scenario", "calm", "--minutes", "0.2"];
    assert_refused(folder.path(), &minutes, &["--minutes", "heal_ms cannot be 25000"]);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let folder = folder();
    for seeds in ["9..3", "3..3", "a", "-1"] {
        assert_refused(folder.path(), &["sim", &format!("--seeds={seeds}")], &["1..101"]);
    }
    assert_refused(folder.path(), &["sim", "--jobs", "0"], &["--jobs"]);
    assert_refused(folder.path(), &["sim", "--minutes", "0"], &["1.5"]);
    assert_refused(folder.path(), &["sim", "--shrink=0"], &["--shrink"]);
    assert_refused(folder.path(), &["replay"], &["FILE"]);
    assert_refused(folder.path(), &["replay", "a.tape", "--seed", "1"], &["cannot be used with"]);
    let backwards = ["replay", "--seed", "1", "--scenario", "calm", "--from", "9", "--to", "3"];
    assert_refused(folder.path(), &backwards, &["--from 9", "--to"]);
}

#[test]
fn tapes_that_are_none_are_told_apart() {
    let folder = folder();
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("it is written");
        name.to_string()
    };
    let tape =
        "weir tape 1\nseed 7\ndecisions\nscenario\nbrokers = 4\nduration_ms = 60_000\nheal_ms = 20_000\n";
    for command in ["replay", "shrink"] {
        let refused = |name: &str, parts: &[&str]| assert_refused(folder.path(), &[command, name], parts);
        refused("absent.tape", &["absent.tape"]);
        refused(&file("picture.tape", b"\x89PNG"), &["picture.tape", "not a tape"]);
        refused(&file("empty.tape", b""), &["not a tape"]);
        refused(&file("cut.tape", b"WEIRTAPE\0\x01\x04ab"), &["the file was cut off"]);
        refused(&file("later.tape", b"WEIRTAPE\0\x09"), &["format 9", "the weir that wrote it"]);
        refused(&file("line.tape", tape.replace("seed 7", "seed x").as_bytes()), &["line 2"]);
        refused(&file("key.tape", tape.replace("brokers", "breakers").as_bytes()), &["breakers"]);
        refused(".", &["."]);
    }
    let good = file("good.tape", tape.as_bytes());
    let replayed = weir(folder.path(), &["replay", &good]);
    assert_eq!(replayed.status.code(), Some(0), "{}", text(&replayed.stdout));
    assert_refused(folder.path(), &["shrink", &good], &["good.tape", "nothing to shrink"]);
    for arguments in [["--nodes", "5"], ["--scenario", "calm"]] {
        let all = [&["replay", good.as_str()], &arguments[..]].concat();
        assert_refused(folder.path(), &all, &["a tape has its own scenario"]);
    }
}
