//! Streams and permissions against the real contracts on a chain in memory.

mod node;

use alloy_sol_types::SolCall;
use node::{Node, Reply};
use weir_chain::bindings::Stream;
use weir_client::{Client, EVERYBODY, Grant, Key, NewStream, TransactionError};
use weir_kernel::ids::{Address, StreamId};

const OWNER: [u8; 32] = [7; 32];
const STRANGER: [u8; 32] = [8; 32];

fn key(bytes: [u8; 32]) -> Key {
    Key::from_hex(&bytes.map(|byte| format!("{byte:02x}")).concat(), "the test").expect("a key")
}

async fn network() -> Node {
    Node::start(1, |_| Reply::Silence).await.with_chain(&[OWNER, STRANGER])
}

async fn client(node: &Node, bytes: [u8; 32]) -> Client {
    Client::connect(&node.url(), Some(key(bytes))).await.expect("the node answers")
}

fn quakes() -> NewStream {
    NewStream {
        name: "quakes".into(),
        description: "All earthquakes, past week".into(),
        partitions: 4,
        public_subscribe: true,
        public_publish: false,
    }
}

fn permission(node: &Node, stream: StreamId, user: Address) -> (u64, u64, bool) {
    let call = Stream::permissionOfCall { user: user.0.into() };
    let answer = node.view(stream.0, call.abi_encode());
    let found = Stream::permissionOfCall::abi_decode_returns(&answer).expect("a permission");
    (found.subscribeUntil, found.publishUntil, found.canGrant)
}

#[tokio::test]
async fn a_stream_is_created_by_a_transaction_of_the_clients_key() {
    let node = network().await;
    let owner = client(&node, OWNER).await;
    let stream = owner.create_stream(&quakes()).await.expect("created");
    let name = Stream::nameCall::abi_decode_returns(&node.view(stream.0, Stream::nameCall {}.abi_encode()));
    assert_eq!(name.as_deref(), Ok("quakes"));
    let partitions = node.view(stream.0, Stream::partitionsCall {}.abi_encode());
    assert_eq!(Stream::partitionsCall::abi_decode_returns(&partitions), Ok(4));
    assert_eq!(permission(&node, stream, key(OWNER).address()), (u64::MAX, u64::MAX, true));
    assert_eq!(permission(&node, stream, EVERYBODY), (u64::MAX, 0, false));
    let other = NewStream { name: "others".into(), ..quakes() };
    assert_ne!(owner.create_stream(&other).await.expect("a second one"), stream);
}

#[tokio::test]
async fn a_refusal_of_the_registry_is_put_into_words() {
    let node = network().await;
    let owner = client(&node, OWNER).await;
    let stream = owner.create_stream(&quakes()).await.expect("created");
    let taken = owner.create_stream(&quakes()).await.expect_err("the name is taken").to_string();
    assert!(taken.contains("NameTaken") && taken.to_lowercase().contains(&stream.to_string()), "{taken}");
    let many = NewStream { name: "x".into(), partitions: 5000, ..quakes() };
    let refused = owner.create_stream(&many).await.expect_err("too many partitions").to_string();
    assert!(refused.contains("PartitionsOutOfRange"), "{refused}");
}

#[tokio::test]
async fn rights_are_granted_and_taken_one_by_one() {
    let node = network().await;
    let owner = client(&node, OWNER).await;
    let stream = owner.create_stream(&quakes()).await.expect("created");
    let user = key(STRANGER).address();
    let grant = Grant { publish_until_s: Some(5_000_000_000), ..Grant::default() };
    owner.grant(stream, user, grant).await.expect("granted");
    assert_eq!(permission(&node, stream, user), (0, 5_000_000_000, false));
    let grant = Grant { subscribe_until_s: Some(u64::MAX), ..Grant::default() };
    owner.grant(stream, user, grant).await.expect("granted");
    assert_eq!(permission(&node, stream, user), (u64::MAX, 5_000_000_000, false), "the other right stays");
    let revoke = Grant { publish_until_s: Some(0), ..Grant::default() };
    owner.grant(stream, user, revoke).await.expect("revoked");
    assert_eq!(permission(&node, stream, user), (u64::MAX, 0, false));
}

#[tokio::test]
async fn who_may_not_grant_is_told() {
    let node = network().await;
    let stream = client(&node, OWNER).await.create_stream(&quakes()).await.expect("created");
    let stranger = client(&node, STRANGER).await;
    let grant = Grant { publish_until_s: Some(u64::MAX), ..Grant::default() };
    let refused = stranger.grant(stream, key(STRANGER).address(), grant).await.expect_err("not the owner");
    assert!(refused.to_string().contains("NotPermitted"), "{refused}");
    let nothing = StreamId([9; 20]);
    let refused = stranger.grant(nothing, key(STRANGER).address(), grant).await.expect_err("no stream");
    assert!(refused.to_string().contains("is no stream"), "{refused}");
    let without = Client::connect(&node.url(), None).await.expect("the node answers");
    assert!(matches!(without.create_stream(&quakes()).await, Err(TransactionError::NoKey)));
}
