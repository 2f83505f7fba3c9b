//! `weir bench` as it is typed: which groups there are, and what it refuses. What groups measure takes too long here.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).arg("bench").args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn help_says_what_each_group_measures() {
    let output = bench(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for part in [
        "ingest:",
        "memory:",
        "assign:",
        "10,000 brokers",
        "sim:",
        "--max-brokers",
        "all:",
        "--release -- bench all",
    ] {
        assert!(help.contains(part), "{part} in\n{help}");
    }
}

/// Starts a process as `weir bench` does.
fn role(name: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// Whether it ends by itself in time.
fn ends(mut child: Child) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        if child.try_wait().expect("it is a child").is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it is a child");
    false
}

#[test]
fn processes_answer_and_end_with_their_standard_input() {
    let mut load = role("bench-load");
    let mut requests = load.stdin.take().expect("a pipe");
    let mut answers = BufReader::new(load.stdout.take().expect("a pipe"));
    writeln!(requests, r#"{{"bring":null}}"#).expect("it reads");
    let mut answer = String::new();
    answers.read_line(&mut answer).expect("it answers");
    assert!(answer.contains(r#""failed""#) && answer.contains("no broker"), "{answer}");
    assert!(load.try_wait().expect("it is a child").is_none(), "it waits for the next request");
    drop(requests);
    assert!(ends(load));
}

#[test]
fn a_process_ends_while_it_works_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut node = role("bench-node");
    let mut requests = node.stdin.take().expect("a pipe");
    let start = serde_json::json!({ "start": {
        "directory": directory.path().join("network"), "brokers": 1, "replicas": 1, "partitions_per_broker": 1,
        "epoch_blocks": 60, "offline": [],
    }});
    writeln!(requests, "{start}").expect("it reads");
    drop(requests);
    assert!(ends(node));
}

#[test]
fn a_process_refuses_what_is_no_request() {
    let mut node = role("bench-node");
    writeln!(node.stdin.take().expect("a pipe"), "up").expect("it reads");
    let output = node.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(r#"no request: "up""#), "{}", text(&output.stderr));
}

#[test]
fn an_unknown_group_is_refused_with_those_that_exist() {
    let output = bench(&["nothing"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""));
    let complaint = text(&output.stderr);
    assert!(complaint.contains("'nothing'") && complaint.contains("assign, "), "{complaint}");
    for wrong in [&["assign", "--runs", "0"][..], &["scaling", "--max-brokers", "0"], &["assign", "all"], &[]]
    {
        assert_eq!(bench(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
