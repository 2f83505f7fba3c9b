//! `weir bench` as it is typed: which groups there are, and what it refuses. What groups measure takes too long here.

use std::process::{Command, Output};

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
    for part in
        ["assign:", "10,000 brokers", "sim:", "scaling:", "--max-brokers", "all:", "--release -- bench all"]
    {
        assert!(help.contains(part), "{part} in\n{help}");
    }
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
