//! How long a stream is kept, as its owner says it and as its readers meet it.

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::Network;

/// Records of some years ago.
const EARTHQUAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node/data/earthquakes.jsonl");

/// How long brokers may take to seal, and to let go of what is too old.
const PATIENCE: Duration = Duration::from_secs(120);

fn kept(network: &Network, stream: &str) -> usize {
    network.lines(&["query", stream, "last", "1000"]).len()
}

#[test]
fn what_is_too_old_goes_once_the_owner_says_so() {
    let network = Network::start(&["--block-ms", "100", "--epoch-blocks", "8", "--no-samples"]);
    let stream = network.create_stream("short", 1);
    let publish = ["publish", &stream, "--file", EARTHQUAKES, "--ack", "sealed"];
    network.lines(&[&publish[..], &["--timestamp-field", "properties.time"]].concat());
    network.lines(&publish);
    assert_eq!(kept(&network, &stream), 400, "a new stream keeps everything");

    let key = network.scratch("alice.key");
    let key = key.to_str().expect("UTF-8");
    network.lines(&["key", "new", key]);
    network.lines(&["key", "fund", "--key", key]);
    let output = network.weir(&["stream", "retain", &stream, "--age", "1s", "--key", key]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && told.contains("NotPermitted"),
        "only editors say what is kept: {told}"
    );

    network.lines(&["stream", "retain", &stream, "--age", "30d", "--size-mb", "5"]);
    let shown: Value =
        serde_json::from_str(&network.lines(&["stream", "show", &stream, "--json"]).concat()).expect("JSON");
    assert_eq!(
        (&shown["retention"]["ageSeconds"], &shown["retention"]["sizeBytes"]),
        (&(30 * 86_400).into(), &5_000_000.into())
    );
    let begin = Instant::now();
    while kept(&network, &stream) > 200 {
        assert!(begin.elapsed() < PATIENCE, "what is years old is still there");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(kept(&network, &stream), 200, "what came just now stays");
}
