//! The binary itself: what it prints where, and its exit codes, against a scripted node on loopback.

#[path = "../../client/tests/node/mod.rs"]
mod node;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use node::{Node, Reply, STREAM};

const FEATURES: &str = r#"{"type":"FeatureCollection","features":[
  {"type":"Feature","properties":{"mag":2.0,"time":1517966773840},"id":"b"},
  {"type":"Feature","properties":{"mag":1.30,"time":1517966000000},"id":"a"}]}"#;

fn weir(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).env("WEIR_URL", url).env_remove("WEIR_KEY").env_remove("WEIR_LOG");
    command
}

/// Runs a command to its end, off the runtime that serves it.
async fn run(url: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = weir(url, arguments);
    let input = input.to_owned();
    let running = move || {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        // A command that does not read its input closes it.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    };
    tokio::task::spawn_blocking(running).await.expect("no panic")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

async fn storing() -> Node {
    Node::start(2, |_| Reply::Ack("stored")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_a_file_sorts_it_and_counts() {
    let node = storing().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("quakes.json");
    std::fs::write(&file, FEATURES).expect("written");
    let (file, stream) = (file.to_str().expect("text"), STREAM.to_string());
    let arguments = ["publish", &stream, "--file", file, "--timestamp-field", "properties.time", "--json"];
    let output = run(&node.url(), &arguments, "").await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let last: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&last["published"], &last["stored"], &last["refused"]), (&2.into(), &2.into(), &0.into()));
    assert!(last["seconds"].is_number());
    let batches = node.batches();
    let first = batches.iter().find(|batch| batch.header().stream_partition == 0).expect("partition 0");
    let event = first.event(0).expect("an event");
    assert_eq!(event.timestamp_ms, 1_517_966_000_000, "the oldest goes first");
    assert_eq!(
        text(event.content),
        r#"{"type":"Feature","properties":{"mag":1.30,"time":1517966000000},"id":"a"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_from_a_pipe() {
    let node = storing().await;
    let stream = STREAM.to_string();
    let output = run(&node.url(), &["publish", &stream, "--file", "-"], "{\"a\":1}\n{\"a\":2}\n").await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("2 of 2 events stored in "), "{}", text(&output.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stored_is_exit_code_one() {
    let stream = STREAM.to_string();
    let refusing = Node::start(1, |_| Reply::Refuse("invalid", "spoilt")).await;
    let output = run(&refusing.url(), &["publish", &stream, "--file", "-", "--json"], "[1,2]").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("weir: error: event 1 is refused: spoilt (invalid)"),
        "{}",
        text(&output.stderr)
    );
    let last: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&last["published"], &last["stored"], &last["refused"]), (&2.into(), &0.into(), &2.into()));

    let spoilt = storing().await;
    let output = run(&spoilt.url(), &["publish", &stream, "--file", "-"], "{\"a\":1}\n{\"a\":\n").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("line 2"), "{}", text(&output.stderr));
    assert_eq!(spoilt.batches().len(), 1, "what came before was published");

    let silent = Node::start(1, |_| Reply::Silence).await;
    let output = run(&silent.url(), &["publish", &stream, "--file", "-", "--timeout", "1"], "1\n").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--timeout"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("1 unacknowledged"), "{}", text(&output.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_named_with_what_to_do() {
    let node = storing().await;
    let stream = STREAM.to_string();
    let unknown = "0x0909090909090909090909090909090909090909";
    for (arguments, code, parts) in [
        (&["publish", &stream, "--file", "/nowhere/x.json"][..], 1, &["/nowhere/x.json", "can be read"][..]),
        (&["publish", unknown, "--file", "-"], 1, &["no such stream"]),
        (&["subscribe", unknown], 1, &["no such stream"]),
        (&["query", unknown, "last", "5"], 1, &["no such stream"]),
        (&["query", &stream, "range", "9", "5"], 2, &["the earlier time first"]),
        (&["query", &stream, "last", "0"], 2, &["0"]),
        (&["query", "0x12", "last", "1"], 2, &["40 hexadecimal digits"]),
        (&["query", &stream, "from", "yesterday"], 2, &["ISO 8601"]),
        (&["subscribe", &stream, "--from", "soon"], 2, &["neither latest nor all"]),
        (&["publish", &stream, "--file", "-", "--ack", "engraved"], 2, &["engraved", "sealed"]),
        (&["publish", &stream, "--file", "-", "--timestamp-field", "a..b"], 2, &["a..b"]),
        (&["stream", "create", "--name", "x", "--partitions", "0"], 2, &["0"]),
        (&["stream", "grant", &stream, "everybody"], 2, &["--subscribe"]),
        (&["stream", "retain", &stream], 2, &["--age", "--size-mb", "--all"]),
        (&["stream", "retain", &stream, "--age", "1 month"], 2, &["1 month", "30d"]),
        (&["stream", "retain", &stream, "--age", "1d", "--all"], 2, &["cannot be used"]),
        (&["status", "--url", "127.0.0.1:7171"], 1, &["http://127.0.0.1:7171"]),
        (&["status", "--url", "http://127.0.0.1:1"], 1, &["cannot reach", "weir up"]),
        (&["status", "--key", "/nowhere/key"], 1, &["/nowhere/key"]),
        (&["engrave"], 2, &["engrave"]),
        (&[], 2, &["Usage"]),
    ] {
        let output = run(&node.url(), arguments, "").await;
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
        assert!(parts.iter().all(|part| complaint.contains(part)), "{arguments:?}: {complaint}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(complaint.starts_with("weir: error: ") || arguments.is_empty(), "{arguments:?}: {complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribing_prints_lines_and_ends_at_its_count() {
    let node = storing().await;
    node.script(vec![node::lines(0..5)]);
    let output =
        run(&node.url(), &["subscribe", &STREAM.to_string(), "--from", "all", "--count", "3"], "").await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines, node::lines(0..3));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn subscribing_ends_cleanly_when_the_reader_goes_or_control_c_comes() {
    use std::io::{BufRead, BufReader};

    let node = storing().await;
    node.script(vec![node::lines(0..20_000)]);
    let mut command = weir(&node.url(), &["subscribe", &STREAM.to_string(), "--from", "all"]);
    command.stdout(Stdio::piped());
    let closed = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        child.wait().expect("it ends")
    });
    assert_eq!(closed.await.expect("no panic").code(), Some(0));

    let node = storing().await;
    node.script(vec![node::lines(0..1)]);
    let mut command = weir(&node.url(), &["subscribe", &STREAM.to_string(), "--from", "all"]);
    command.stdout(Stdio::piped());
    let interrupted = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the binary starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("flushed with each event");
        let kill =
            Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
        assert!(kill.success());
        child.wait().expect("it ends")
    });
    assert_eq!(interrupted.await.expect("no panic").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn querying_prints_lines_and_a_broken_answer_is_no_success() {
    let node = storing().await;
    let path = |what: &str| format!("GET /streams/{STREAM}/data/partitions/{what}&format=jsonl");
    node.answer(path("all/last?count=2"), "200 OK", format!("{}\n{}\n", node::line(1), node::line(2)));
    node.answer(path("1/range?fromTimestamp=5&toTimestamp=9"), "200 OK", "");
    let broken = format!("{}\n{{\"code\":\"unavailable\",\"reason\":\"a replica went\"}}\n", node::line(1));
    node.answer(path("all/from?fromTimestamp=5"), "200 OK", broken);
    let stream = STREAM.to_string();
    let output = run(&node.url(), &["query", &stream, "last", "2"], "").await;
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 2));
    let output = run(&node.url(), &["query", &stream, "range", "5", "9", "--partition", "1"], "").await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{}", text(&output.stderr));
    let output = run(&node.url(), &["query", &stream, "from", "5"], "").await;
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(1), 1));
    assert!(text(&output.stderr).contains("a replica went"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_live_in_files_and_the_environment() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("alice.key");
    let file = file.to_str().expect("text");
    let made = run("http://unused", &["key", "new", file], "").await;
    let shown = run("http://unused", &["key", "show", "--key", file], "").await;
    assert_eq!((made.status.code(), shown.status.code()), (Some(0), Some(0)));
    assert_eq!(made.stdout, shown.stdout);
    assert_eq!(
        run("http://unused", &["key", "new", file], "").await.status.code(),
        Some(1),
        "it is not replaced"
    );
    let secret = std::fs::read_to_string(file).expect("the key");
    let mut command = weir("http://unused", &["key", "show"]);
    let from_variable = command.env("WEIR_KEY", secret.trim()).output().expect("it ends");
    assert_eq!(from_variable.stdout, shown.stdout);
    let development = run("http://unused", &["key", "show"], "").await;
    assert_eq!(text(&development.stdout).trim(), "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_are_stopped_and_streams_listed() {
    let node = storing().await;
    node.answer("POST /admin/brokers/3/stop".into(), "200 OK", "");
    node.answer(
        "POST /admin/brokers/9/stop".into(),
        "404 Not Found",
        r#"{"code":"not-found","reason":"there are brokers 1 to 5"}"#,
    );
    assert_eq!(run(&node.url(), &["broker", "stop", "3"], "").await.status.code(), Some(0));
    let output = run(&node.url(), &["broker", "stop", "9"], "").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("brokers 1 to 5"));
    let list = format!(r#"[{{"id":"{STREAM}","name":"quakes","partitions":4}}]"#);
    node.answer("GET /streams?limit=1000&offset=0&search=qu%20ake".into(), "200 OK", list);
    let output = run(&node.url(), &["stream", "search", "qu ake"], "").await;
    assert_eq!(text(&output.stdout), format!("{STREAM}     4  quakes\n"));
}
