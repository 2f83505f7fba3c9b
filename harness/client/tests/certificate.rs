//! Publishing in a session (WP 2.4.9): the wallet signs one certificate, a fresh key every batch.

mod node;

use std::collections::BTreeSet;
use std::time::Duration;

use node::{Node, Reply};
use weir_client::{
    Client, Event, Key, NewStream, PublishError, PublishFailure, PublishOptions, PublishSession, Report,
};

const OWNER: [u8; 32] = [7; 32];

fn wallet() -> Key {
    Key::from_hex(&OWNER.map(|byte| format!("{byte:02x}")).concat(), "the test").expect("a key")
}

async fn client(node: &Node) -> Client {
    Client::connect(&node.url(), Some(wallet())).await.expect("the node answers")
}

async fn open(node: &Node, seconds: u64) -> PublishSession {
    let session = Some(Duration::from_secs(seconds));
    let options = PublishOptions { session, timeout: Duration::from_secs(20), ..PublishOptions::default() };
    PublishSession::open(&client(node).await, node::STREAM, options).await.expect("the stream exists")
}

fn event(n: usize) -> Event {
    Event { timestamp_ms: Some(1000 + n as u64), ..Event::new(format!("{{\"n\":{n}}}")) }
}

async fn publish(node: &Node, seconds: u64, count: usize) -> Report {
    let session = open(node, seconds).await;
    for n in 0..count {
        if session.publish(event(n)).await.is_err() {
            break;
        }
    }
    session.finish().await
}

#[tokio::test]
async fn a_fresh_key_signs_the_batches_and_the_wallet_one_certificate() {
    let node = Node::start(3, |_| Reply::Ack("stored")).await.with_chain(&[OWNER]);
    let mut sessions = BTreeSet::new();
    for round in 1..3 {
        let report = publish(&node, 3600, 4000).await;
        assert!(report.is_complete(), "{report:?}");
        // The node has verified every batch: signature, and certificate.
        for batch in node.batches() {
            let header = batch.header();
            assert_eq!(header.origin, wallet().address());
            assert_ne!(header.signer, wallet().address());
            let certificate = batch.certificate().expect("signed in a session");
            assert!(certificate.expiry_block > header.opening_block);
            sessions.insert((
                header.signer,
                header.certificate,
                *certificate.signature.as_bytes().first_chunk::<65>().expect("65 bytes"),
            ));
        }
        assert_eq!(sessions.len(), round, "one certificate and one key a session, never the same again");
    }
}

#[tokio::test]
async fn a_session_that_the_node_calls_over_ends_the_publishing() {
    let node = Node::start(1, |_| Reply::Refuse("session-expired", "have another signed"))
        .await
        .with_chain(&[OWNER]);
    let report = publish(&node, 3600, 10_000).await;
    assert!(
        matches!(&report.failure, Some(PublishFailure::Refused { code, .. }) if code == "session-expired"),
        "{report:?}"
    );
    assert_eq!((report.acknowledged, report.unacknowledged), (0, report.submitted));
}

#[tokio::test]
async fn nothing_is_signed_after_the_session() {
    let node = Node::start(1, |_| Reply::Ack("stored")).await.with_chain(&[OWNER]);
    let session = open(&node, 1).await;
    session.publish(event(0)).await.expect("the session is open");
    let mut progress = session.progress();
    progress.wait_for(|progress| progress.acknowledged == 1).await.expect("the first one is stored");
    // A block for each transaction: more than the chain made in its first second.
    let client = client(&node).await;
    for n in 0..12 {
        let stream = NewStream {
            name: format!("block {n}"),
            description: String::new(),
            partitions: 1,
            public_subscribe: true,
            public_publish: false,
        };
        client.create_stream(&stream).await.expect("created");
    }
    let over = tokio::time::timeout(Duration::from_secs(30), async {
        let mut n = 1;
        while session.publish(event(n)).await.is_ok() {
            n += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    over.await.expect("the session ends once the client has heard of the block");
    let report = session.finish().await;
    assert!(matches!(report.failure, Some(PublishFailure::SessionOver { .. })), "{report:?}");
    assert!(report.failure.expect("it failed").to_string().contains("signs another certificate"));
    assert!(report.acknowledged >= 1 && report.unacknowledged >= 1, "{}", report.acknowledged);
}

#[tokio::test]
async fn without_a_chain_there_is_no_session() {
    let node = Node::start(1, |_| Reply::Ack("stored")).await;
    let options = PublishOptions { session: Some(Duration::from_secs(3600)), ..PublishOptions::default() };
    let refused = PublishSession::open(&client(&node).await, node::STREAM, options).await.err();
    let error = refused.expect("there is no chain to count blocks on");
    assert!(matches!(error, PublishError::Chain(_)), "{error}");
    assert!(error.to_string().starts_with("the session's length in blocks is unknown"), "{error}");
}
