//! A whole network in this process: first start, restarts, brokers that come, go and stop.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use weir_chain::port::Chain;
use weir_kernel::ids::{Address, StreamId};
use weir_node::network::{Network, NetworkError, Options};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(directory: &Path) -> Options {
    let any = "127.0.0.1:0".parse().unwrap();
    Options {
        brokers: Some(4),
        replicas: Some(4),
        partitions_per_broker: Some(1),
        epoch_blocks: Some(8),
        block_time: Duration::from_millis(50),
        http: any,
        websocket: any,
        ..Options::new(directory)
    }
}

/// The options of a restart: what is fixed is not said again.
fn again(directory: &Path) -> Options {
    Options {
        brokers: None,
        replicas: None,
        partitions_per_broker: None,
        epoch_blocks: None,
        ..options(directory)
    }
}

async fn eventually(what: &str, network: &Network, mut ready: impl FnMut(&Network) -> bool) {
    let begin = Instant::now();
    while !ready(network) {
        assert!(begin.elapsed() < PATIENCE, "{what} did not happen: {:?}", network.summary());
        sleep(Duration::from_millis(20)).await;
    }
}

async fn get(network: &Network, path: &str) -> serde_json::Value {
    let url = format!("http://{}{path}", network.http_addr());
    let response = reqwest::get(&url).await.unwrap();
    assert!(response.status().is_success(), "{url}: {}", response.status());
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn sealed_events(network: &Network) -> u128 {
    network.view().partitions.iter().map(|partition| partition.events).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_starts_publishes_samples_and_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let network = Network::start(options(directory.path())).await.unwrap();
    let view = network.view();
    assert!(view.partitions.iter().all(|partition| partition.founded));
    let development: Address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap();
    assert_eq!(view.balance(development), 1_000_000 * weir_kernel::coordinator::params::DATA);
    let streams: Vec<StreamId> =
        ["quakes", "weather", "flights"].map(|name| network.sample(name).unwrap()).to_vec();
    assert!(streams.iter().all(|id| view.stream(*id).is_some_and(|stream| stream.owner == development)));
    eventually("sealing of samples", &network, |network| sealed_events(network) >= 6).await;
    let last = get(&network, &format!("/streams/{}/data/partitions/0/last?count=2", streams[0])).await;
    assert!(last[0]["content"]["properties"]["place"].is_string(), "{last}");

    let before = network.view();
    network.stop().await.unwrap();
    let network = Network::start(again(directory.path())).await.unwrap();
    let after = network.view();
    assert!(after.height >= before.height);
    assert_eq!(network.sample("quakes"), Some(streams[0]));
    assert_eq!(after.supply(), before.supply());
    assert_eq!(after.balance(development), before.balance(development));
    for (old, new) in before.partitions.iter().zip(after.partitions.iter()) {
        assert!(new.sealed_epoch >= old.sealed_epoch && new.events >= old.events);
        assert!(new.sealed_epoch > old.sealed_epoch || new.checksum == old.checksum);
    }
    for (old, new) in before.brokers.values().zip(after.brokers.values()) {
        assert_eq!((old.address, old.stake, old.tls_key_hash), (new.address, new.stake, new.tls_key_hash));
    }
    let events = sealed_events(&network);
    eventually("sealing after the restart", &network, |network| sealed_events(network) > events).await;
    network.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_refuses_what_it_cannot_do() {
    let directory = tempfile::tempdir().unwrap();
    let first = Options { brokers: Some(1), replicas: Some(1), samples: false, ..options(directory.path()) };
    let network = Network::start(first).await.unwrap();
    let error = Network::start(again(directory.path())).await.err().unwrap();
    assert!(matches!(&error, NetworkError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("--dir") && !error.is_usage());
    let (http, chain_height) = (network.http_addr(), network.chain().height());
    assert!(chain_height > 0);

    let other = tempfile::tempdir().unwrap();
    let taken =
        Options { brokers: Some(1), replicas: Some(1), http, samples: false, ..options(other.path()) };
    let error = Network::start(taken).await.err().unwrap().to_string();
    assert!(error.contains(&http.to_string()) && error.contains("--http"), "{error}");
    assert!(!other.path().join("network.toml").exists());
    network.stop().await.unwrap();

    for changed in [
        Options { replicas: Some(2), ..again(directory.path()) },
        Options { partitions_per_broker: Some(3), ..again(directory.path()) },
        Options { epoch_blocks: Some(9), ..again(directory.path()) },
    ] {
        let error = Network::start(changed).await.err().unwrap();
        assert!(matches!(&error, NetworkError::Changed { .. }) && error.is_usage(), "{error}");
    }
    let strays = [
        Options { brokers: Some(0), ..options(directory.path()) },
        Options { offline: vec![1], ..again(directory.path()) },
        Options { block_time: Duration::ZERO, ..again(directory.path()) },
    ];
    for stray in strays {
        let error = Network::start(stray).await.err().unwrap();
        assert!(matches!(&error, NetworkError::Options(_)), "{error}");
    }
    let few = tempfile::tempdir().unwrap();
    let error = Network::start(Options { brokers: Some(2), ..options(few.path()) }).await.err().unwrap();
    assert!(error.to_string().contains("at least 3 brokers") && error.is_usage(), "{error}");

    std::fs::write(directory.path().join("network.toml"), "replicas = ").unwrap();
    let error = Network::start(again(directory.path())).await.err().unwrap();
    assert!(matches!(&error, NetworkError::Damaged { .. }), "{error}");
    std::fs::remove_file(directory.path().join("network.toml")).unwrap();
    let error = Network::start(again(directory.path())).await.err().unwrap();
    assert!(matches!(&error, NetworkError::Foreign { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_stops_and_comes_back_while_the_network_seals() {
    let directory = tempfile::tempdir().unwrap();
    let network = Network::start(options(directory.path())).await.unwrap();
    let port = network.summary().brokers[0].quic.unwrap();
    network.set_running(0, false).await.unwrap();
    network.set_running(0, false).await.unwrap();
    assert!(!network.summary().brokers[0].running);
    let events = sealed_events(&network);
    eventually("sealing without one", &network, |network| sealed_events(network) > events + 6).await;
    network.set_running(0, true).await.unwrap();
    let back = network.summary().brokers[0].clone();
    assert!(back.running && back.quic == Some(port));
    let reports = |network: &Network| {
        let view = network.view();
        view.brokers.values().find(|broker| broker.address.to_string() == back.address).unwrap().reports
    };
    let before = reports(&network);
    eventually("its next report", &network, |network| reports(network) > before).await;
    assert!(network.set_running(9, true).await.unwrap_err().contains("from 0 to 3"));
    network.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_join_and_leave_at_restarts() {
    let directory = tempfile::tempdir().unwrap();
    Network::start(options(directory.path())).await.unwrap().stop().await.unwrap();

    let network = Network::start(Options { brokers: Some(6), ..again(directory.path()) }).await.unwrap();
    assert_eq!(network.view().brokers.len(), 6);
    let seated = |network: &Network| {
        let view = network.view();
        [5, 6].iter().any(|index| view.broker(weir_kernel::ids::BrokerIndex(*index)).unwrap().seats > 0)
    };
    eventually("a seat for a newcomer", &network, seated).await;
    network.stop().await.unwrap();

    let network = Network::start(Options { brokers: Some(4), ..again(directory.path()) }).await.unwrap();
    assert_eq!((network.summary().brokers.len(), network.summary().leaving), (4, 2));
    let gone = |network: &Network| {
        let view = network.view();
        [5, 6].iter().all(|index| view.broker(weir_kernel::ids::BrokerIndex(*index)).unwrap().stake == 0)
    };
    eventually("the leavers' stakes", &network, gone).await;
    // What they still had earned is claimed after the stake.
    eventually("nobody who still leaves", &network, |network| network.summary().leaving == 0).await;
    let events = sealed_events(&network);
    eventually("sealing without the leavers", &network, |network| sealed_events(network) > events).await;
    network.stop().await.unwrap();
}
