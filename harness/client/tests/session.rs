//! Sessions against a scripted node on loopback: what is sent, resent and given up when a node behaves badly.

mod node;

use std::time::Duration;

use node::{Batch, Node, Reply};
use weir_client::{
    Client, Delivery, Event, Fate, Key, Level, Outcome, PublishFailure, PublishOptions, PublishSession,
    Report, Start, SubscribeError, SubscribeOptions, Subscription,
};

fn events(count: usize) -> impl Iterator<Item = Event> {
    (0..count).map(|n| Event { timestamp_ms: Some(1000 + n as u64), ..Event::new(format!("{{\"n\":{n}}}")) })
}

async fn publish(node: &Node, options: PublishOptions, events: impl Iterator<Item = Event>) -> Report {
    let client = Client::connect(&node.url(), Some(Key::development())).await.expect("the node answers");
    let session = PublishSession::open(&client, node::STREAM, options).await.expect("the stream exists");
    for event in events {
        if session.publish(event).await.is_err() {
            break;
        }
    }
    session.finish().await
}

/// The contents that a node acknowledged, by partition and lane in order of sequence, each checked to be
/// consecutive.
fn contents(batches: &[Batch]) -> Vec<String> {
    let mut next = std::collections::BTreeMap::new();
    let mut contents = Vec::new();
    for batch in batches {
        let expected = next.entry(batch.lane()).or_insert(0);
        assert_eq!(batch.header().sequence, *expected, "a lane has no gap");
        *expected += u64::from(batch.len());
        contents.extend(batch.events().map(|event| String::from_utf8(event.content.to_vec()).expect("text")));
    }
    contents.sort();
    contents
}

fn expected(count: usize) -> Vec<String> {
    let mut contents: Vec<_> = (0..count).map(|n| format!("{{\"n\":{n}}}")).collect();
    contents.sort();
    contents
}

#[tokio::test]
async fn every_event_is_signed_sent_and_acknowledged_once() {
    let node = Node::start(4, |_| Reply::Ack("stored")).await;
    let report = publish(&node, PublishOptions::default(), events(5000)).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.submitted, report.acknowledged), (5000, 5000));
    let batches = node.batches();
    assert_eq!(contents(&batches), expected(5000));
    let mut load = [0; 4];
    batches.iter().for_each(|batch| load[batch.header().stream_partition as usize] += batch.len());
    assert_eq!(load, [1250; 4], "events without a key go round the partitions");
    assert!(batches.len() < 500, "a flood goes out in batches, not one by one: {}", batches.len());
}

#[tokio::test]
async fn a_key_decides_the_partition() {
    let node = Node::start(8, |_| Reply::Ack("stored")).await;
    let keyed = events(400).map(|event| Event { partition_key: Some("DTW".into()), ..event });
    assert!(publish(&node, PublishOptions::default(), keyed).await.is_complete());
    let wanted = weir_kernel::partition_key::partition_of_key(b"DTW", 8);
    assert!(node.batches().iter().all(|batch| batch.header().stream_partition == wanted));
}

#[tokio::test]
async fn after_a_lost_connection_the_same_bytes_are_sent_again() {
    // The first three messages are read and never answered: the connection just ends.
    let node =
        Node::start(2, |message| if message.count < 3 { Reply::Hang } else { Reply::Ack("stored") }).await;
    let report = publish(&node, PublishOptions::default(), events(3000)).await;
    assert!(report.is_complete(), "{report:?}");
    let received = node.received();
    let mut versions = std::collections::BTreeMap::new();
    for bytes in &received {
        let batch = node::decode(bytes);
        let first = versions.entry((batch.lane(), batch.header().sequence)).or_insert_with(|| bytes.clone());
        assert_eq!(first, bytes, "a second version of a batch would be a fork");
    }
    assert!(received.len() > versions.len(), "something was sent twice");
    assert_eq!(contents(&node.batches()), expected(3000));
}

#[tokio::test]
async fn refusals_that_pass_are_waited_out() {
    let node = Node::start(1, |message| match message.count {
        0..2 => Reply::Refuse("rate-limited", "too much at once"),
        2 => Reply::Refuse("unavailable", "no quorum"),
        _ => Reply::Ack("stored"),
    })
    .await;
    let report = publish(&node, PublishOptions::default(), events(2000)).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(contents(&node.batches()), expected(2000));
}

#[tokio::test]
async fn a_refused_batch_costs_its_own_events_and_no_others() {
    let node = Node::start(1, |message| {
        let spoilt = message.batch.events().any(|event| event.content == b"{\"n\":1500}");
        if spoilt { Reply::Refuse("invalid", "this one is spoilt") } else { Reply::Ack("stored") }
    })
    .await;
    let report = publish(&node, PublishOptions::default(), events(6000)).await;
    assert!(!report.is_complete() && report.failure.is_none());
    assert!(report.refused >= 1 && report.refused <= 1024, "{report:?}");
    assert_eq!(report.acknowledged + report.refused, 6000);
    assert_eq!(
        (report.refusals[0].code.as_str(), report.refusals[0].reason.as_str()),
        ("invalid", "this one is spoilt")
    );
    assert_eq!(contents(&node.batches()).len() as u64, report.acknowledged);
}

#[tokio::test]
async fn what_no_node_would_take_is_refused_before_it_is_sent() {
    let node = Node::start(1, |_| Reply::Ack("stored")).await;
    let (outcomes, mut heard) = tokio::sync::mpsc::channel(16);
    let options = PublishOptions { outcomes: Some(outcomes), ..PublishOptions::default() };
    let huge = Event::new(vec![b'1'; (1 << 20) + 1]);
    let future = Event { timestamp_ms: Some(4_000_000_000_000), ..Event::new("2") };
    let report = publish(&node, options, [Event::new("0"), huge, future].into_iter()).await;
    assert_eq!((report.acknowledged, report.refused), (1, 2));
    let mut fates = Vec::new();
    while let Some(Outcome { index, fate }) = heard.recv().await {
        fates.push((index, matches!(fate, Fate::Acknowledged { partition: 0, sequence: 0, .. })));
    }
    fates.sort_unstable();
    assert_eq!(fates, [(0, true), (1, false), (2, false)]);
    assert!(report.refusals[0].reason.contains("split it"), "{:?}", report.refusals);
    assert!(report.refusals[1].reason.contains("ahead"), "{:?}", report.refusals);
}

#[tokio::test]
async fn a_publisher_without_permission_is_told_at_once() {
    let node = Node::start(1, |_| Reply::Refuse("unauthorized", "ask the owner")).await;
    let report = publish(&node, PublishOptions::default(), events(20_000)).await;
    assert!(
        matches!(&report.failure, Some(PublishFailure::Refused { code, .. }) if code == "unauthorized"),
        "{report:?}"
    );
    assert_eq!(report.acknowledged, 0);
    assert_eq!(report.unacknowledged, report.submitted);
}

#[tokio::test]
async fn a_silent_node_is_given_up_after_the_timeout() {
    let node = Node::start(1, |_| Reply::Silence).await;
    let options = PublishOptions { timeout: Duration::from_millis(300), ..PublishOptions::default() };
    let report = publish(&node, options, events(10)).await;
    assert!(matches!(report.failure, Some(PublishFailure::Timeout { .. })), "{report:?}");
    assert_eq!((report.unacknowledged, report.submitted), (10, 10));
}

#[tokio::test]
async fn sealed_waits_for_the_second_acknowledgement() {
    let node = Node::start(1, |_| Reply::AckTwice("stored", "sealed")).await;
    let options = PublishOptions { level: Level::Sealed, ..PublishOptions::default() };
    assert!(publish(&node, options, events(100)).await.is_complete());
    let node = Node::start(1, |_| Reply::Ack("stored")).await;
    let options = PublishOptions {
        level: Level::Sealed,
        timeout: Duration::from_millis(300),
        ..PublishOptions::default()
    };
    let report = publish(&node, options, events(100)).await;
    assert_eq!((report.acknowledged, report.unacknowledged), (0, 100), "stored is not sealed");
}

#[tokio::test]
async fn a_trickle_goes_out_event_by_event() {
    let node = Node::start(1, |_| Reply::Ack("stored")).await;
    let client = Client::connect(&node.url(), Some(Key::development())).await.expect("the node answers");
    let session =
        PublishSession::open(&client, node::STREAM, PublishOptions::default()).await.expect("opens");
    let mut progress = session.progress();
    for n in 1..=3u64 {
        session.publish(Event::new("1")).await.expect("open");
        let waited = progress.wait_for(|progress| progress.acknowledged == n);
        tokio::time::timeout(Duration::from_secs(10), waited).await.expect("sent at once").expect("open");
    }
    assert_eq!(node.batches().len(), 3);
    assert!(session.finish().await.is_complete());
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_named() {
    let node = Node::start(1, |_| Reply::Ack("stored")).await;
    let client = Client::connect(&node.url(), Some(Key::development())).await.expect("the node answers");
    let unknown = weir_kernel::ids::StreamId([9; 20]);
    let error =
        PublishSession::open(&client, unknown, PublishOptions::default()).await.err().expect("no stream");
    assert!(error.to_string().contains("no such stream"), "{error}");
}

#[tokio::test]
async fn a_subscription_goes_on_without_gaps_or_duplicates() {
    let node = Node::start(1, |_| Reply::Silence).await;
    // Each connection gives the history from its beginning and breaks off; the last one stays.
    node.script(vec![node::lines(0..3), node::lines(0..6), node::lines(0..10)]);
    let client = Client::connect(&node.url(), None).await.expect("the node answers");
    let options =
        SubscribeOptions { from: Start::All, partitions: vec![0, 2], ..SubscribeOptions::default() };
    let mut subscription = Subscription::open(&client, node::STREAM, options).await.expect("accepted");
    for n in 0..10 {
        let next = tokio::time::timeout(Duration::from_secs(20), subscription.next());
        let delivery = next.await.expect("in time").expect("goes on");
        assert_eq!(delivery, Delivery::Event(node::line(n)));
    }
    let asked = node.subscriptions();
    assert_eq!(asked.len(), 3);
    assert!(
        asked.iter().all(|path| path.contains("from=all") && path.contains("partitions=0,2")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_refused_subscription_says_why() {
    let node = Node::start(1, |_| Reply::Silence).await;
    let client = Client::connect(&node.url(), None).await.expect("the node answers");
    let unknown = weir_kernel::ids::StreamId([9; 20]);
    let error =
        Subscription::open(&client, unknown, SubscribeOptions::default()).await.err().expect("no stream");
    assert!(matches!(&error, SubscribeError::Refused { code, .. } if code == "not-found"), "{error}");
}
