//! Allotting tokens of the development account to a stream, so that brokers take what it publishes there.

use std::time::Duration;

use alloy_primitives::{Address, TxKind, U256};
use tokio::time::sleep;
use weir_chain::port::Chain;
use weir_chain::wallet::{Account, Wallet};
use weir_chain::{calldata, fees};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::ids::StreamPartition;
use weir_node::network::Network;

/// The development account's well-known key.
pub const DEVELOPMENT: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Allots so many whole tokens and waits until every broker knows it.
pub async fn allot(network: &Network, slot: StreamPartition, tokens: u128) {
    let (view, chain) = (network.view(), network.chain());
    let [token, contract] =
        [view.contracts.token, view.contracts.fees].map(|contract| Address::from(contract.0));
    let wallet = Wallet::from_hex(DEVELOPMENT).expect("a key");
    let publisher = weir_kernel::ids::Address(wallet.address().into_array());
    let mut account = Account::new(wallet, chain.chain_id(), chain.nonce(Address::from(publisher.0)));
    let calls =
        [(token, calldata::approve(contract, tokens * DATA)), (contract, fees::allot(slot, tokens * DATA))];
    for (to, input) in calls {
        let raw = account.sign(TxKind::Call(to), U256::ZERO, input, 1_000_000);
        chain.submit(&raw).expect("the chain takes it");
    }
    let knows = |node: &weir_node::handle::NodeHandle| {
        node.view().fees.allotment(publisher, slot).amount >= tokens * DATA
    };
    while !network.gateway().nodes().iter().all(knows) {
        sleep(Duration::from_millis(20)).await;
    }
}
