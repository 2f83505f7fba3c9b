//! What brokers do for their living, in a whole network in this process: settling, late reports, lost quorums.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use alloy_primitives::{Address as EthereumAddress, TxKind, U256};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use weir_chain::calldata;
use weir_chain::facts::decode_block;
use weir_chain::port::Chain;
use weir_chain::wallet::{Account, Wallet};
use weir_kernel::coordinator::Fact;
use weir_kernel::ids::{Address, BrokerIndex, PartitionId, StreamId};
use weir_node::network::{Network, Options};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(180);

/// One network at a time: epochs here last tenths of a second, and brokers that share two cores with three other
/// networks miss so many seals that the contracts suspend them.
static ALONE: Mutex<()> = Mutex::const_new(());

fn options(directory: &Path, brokers: u32, block_ms: u64) -> Options {
    let any = "127.0.0.1:0".parse().unwrap();
    Options {
        brokers: Some(brokers),
        replicas: Some(4),
        partitions_per_broker: Some(1),
        epoch_blocks: Some(4),
        block_time: Duration::from_millis(block_ms),
        http: any,
        websocket: any,
        samples: false,
        ..Options::new(directory)
    }
}

async fn eventually(what: &str, network: &Network, mut ready: impl FnMut(&Network) -> bool) {
    let begin = Instant::now();
    while !ready(network) {
        assert!(begin.elapsed() < PATIENCE, "{what} did not happen: {:?}", network.summary());
        sleep(Duration::from_millis(20)).await;
    }
}

/// Everything that the contracts said from a block on, as far as the network has seen: the chain may be a block ahead
/// of what its view shows.
fn facts(network: &Network, from: u64) -> Vec<Fact> {
    let addresses = network.settings().addresses();
    let mut streams: BTreeSet<StreamId> = network.view().streams.keys().copied().collect();
    let seen = network.view().height;
    let logs = |number| network.chain().block_logs(number).unwrap().map(|block| block.logs);
    (from..=seen).filter_map(logs).flat_map(|logs| decode_block(&addresses, &mut streams, &logs)).collect()
}

/// A key of the network's directory, or the development key.
fn wallet(network: &Network, broker: usize) -> Wallet {
    let path = network.directory().join(format!("brokers/{broker}/key"));
    Wallet::from_hex(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn send(network: &Network, wallet: &Wallet, to: Address, input: alloy_primitives::Bytes) {
    let chain = network.chain();
    let mut account = Account::new(wallet.clone(), chain.chain_id(), chain.nonce(wallet.address()));
    let to = TxKind::Call(EthereumAddress::from(to.0));
    chain.submit(&account.sign(to, U256::ZERO, input, 2_000_000)).unwrap();
}

/// Creates a public stream of one partition by the development account; its id.
async fn stream(network: &Network, name: &str) -> StreamId {
    let client = reqwest::Client::new();
    let body = json!({ "name": name, "partitions": 1, "public": true });
    let url = format!("http://{}/streams", network.http_addr());
    let response = client.post(url).json(&body).send().await.unwrap();
    let text = response.text().await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    document["id"].as_str().unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

/// Publishes one event and waits until it is stored.
async fn publish(network: &Network, stream: StreamId, number: u64) {
    let client = reqwest::Client::new();
    let url = format!("http://{}/streams/{stream}", network.http_addr());
    let response = client.post(url).json(&json!({ "number": number })).send().await.unwrap();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
}

fn index_of(network: &Network, broker: usize) -> BrokerIndex {
    let address = Address(wallet(network, broker).address().into_array());
    network.view().broker_index(address).unwrap()
}

/// Partitions in which both of these sit.
fn shared(network: &Network, pair: [BrokerIndex; 2]) -> Vec<PartitionId> {
    let view = network.view();
    let sit = |members: &weir_kernel::coordinator::Seats| pair.iter().all(|index| members.contains(*index));
    let numbers = view.partitions.iter().enumerate().filter(|(_, partition)| sit(&partition.members));
    numbers.map(|(number, _)| PartitionId(number as u32)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_missed_a_seal_attests_it_when_it_is_back() {
    let _alone = ALONE.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let network = Network::start(options(directory.path(), 4, 100)).await.unwrap();
    let late = |network: &Network, from| {
        let is_late = |fact: &Fact| matches!(fact, Fact::LateReportAccepted { .. });
        facts(network, from).iter().any(is_late)
    };
    let begin = network.view().height;
    network.set_running(0, false).await.unwrap();
    let absent = |network: &Network| network.view().partitions.iter().any(|partition| partition.absent != 0);
    eventually("a seal without it", &network, absent).await;
    network.set_running(0, true).await.unwrap();
    eventually("a late report", &network, |network| late(network, begin)).await;
    network.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_without_its_quorum_is_reseated_with_what_survivors_hold() {
    let _alone = ALONE.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let network = Network::start(options(directory.path(), 6, 40)).await.unwrap();
    let coordinator = network.view().contracts.coordinator;
    // Two brokers that share a partition; a stream that lives there.
    let pairs = (0..6).flat_map(|a| (a + 1..6).map(move |b| [a, b]));
    let shared_by = |pair: [usize; 2]| shared(&network, pair.map(|broker| index_of(&network, broker)));
    let (pair, partitions) = pairs
        .map(|pair| (pair, shared_by(pair)))
        .find(|(_, shared)| !shared.is_empty())
        .expect("24 seats of 6");
    let mut found = None;
    for attempt in 0..40 {
        let id = stream(&network, &format!("try {attempt}")).await;
        let slot = weir_kernel::ids::StreamPartition { stream: id, partition: 0 };
        let home = network.view().home(slot);
        if partitions.contains(&home) {
            found = Some((id, home));
            break;
        }
    }
    let (id, home) = found.expect("a stream in a shared partition");
    // Something is stored right before the two are gone for good.
    publish(&network, id, 1).await;
    for broker in pair {
        network.set_running(broker, false).await.unwrap();
    }
    let begin = network.view().height;
    for broker in pair {
        send(&network, &wallet(&network, broker), coordinator, calldata::leave());
    }
    let lost = |network: &Network| {
        let is_lost = |fact: &Fact| matches!(fact, Fact::QuorumLost { partition, .. } if *partition == home);
        facts(network, begin).iter().any(is_lost)
    };
    eventually("the declaration that the quorum is lost", &network, lost).await;
    let sealed = |network: &Network| {
        let view = network.view();
        let partition = view.partition(home).unwrap();
        partition.sealed_epoch >= partition.since_epoch && partition.members.len() == 4
    };
    eventually("a seal by the new members", &network, sealed).await;
    let gone = pair.map(|broker| index_of(&network, broker));
    assert!(gone.iter().all(|index| !network.view().partition(home).unwrap().members.contains(*index)));
    publish(&network, id, 2).await;
    let url = format!("http://{}/streams/{id}/data/partitions/0/last?count=5", network.http_addr());
    let kept: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    let numbers: Vec<&Value> =
        kept.as_array().unwrap().iter().map(|event| &event["content"]["number"]).collect();
    assert_eq!(numbers, [1, 2], "{kept}");
    eventually("both events sealed", &network, |n| n.view().partition(home).unwrap().events >= 2).await;
    network.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_was_away_for_long_pays_and_joins_again() {
    let _alone = ALONE.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let network = Network::start(options(directory.path(), 5, 30)).await.unwrap();
    let index = index_of(&network, 0);
    let is_suspended = |network: &Network| network.view().broker(index).unwrap().is_suspended();
    network.set_running(0, false).await.unwrap();
    eventually("its suspension", &network, is_suspended).await;
    let seats = |network: &Network| network.view().broker(index).unwrap().seats;
    eventually("others in its seats", &network, |network| seats(network) == 0).await;
    let (begin, supply) = (network.view().height, network.view().supply());
    network.set_running(0, true).await.unwrap();
    let joined = |network: &Network| {
        let is_back =
            |fact: &Fact| matches!(fact, Fact::BrokerRejoined { index: back, .. } if *back == index);
        facts(network, begin).iter().any(is_back)
    };
    eventually("its second joining", &network, joined).await;
    eventually("seats for it", &network, |network| seats(network) > 0).await;
    assert_eq!(network.view().supply(), supply);
    network.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_follow_the_brokers() {
    let _alone = ALONE.lock().await;
    let directory = tempfile::tempdir().unwrap();
    Network::start(options(directory.path(), 4, 50)).await.unwrap().stop().await.unwrap();
    let more = Options {
        replicas: None,
        partitions_per_broker: None,
        epoch_blocks: None,
        ..options(directory.path(), 6, 50)
    };
    let network = Network::start(more).await.unwrap();
    let acting = |network: &Network| {
        let view = network.view();
        let acts = |p: &weir_kernel::coordinator::Partition| p.founded && p.sealed_epoch >= p.since_epoch;
        view.partitions.len() == 6 && view.partitions.iter().all(acts)
    };
    eventually("two more partitions that are sealed", &network, acting).await;
    network.stop().await.unwrap();
}
