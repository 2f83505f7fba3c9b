//! What each public function costs, against a committed table: a change shows in review.
//!
//! Run with `WEIR_UPDATE_GAS=1` to write the table again.

mod common;
#[path = "gas/fees.rs"]
mod fees;
#[path = "gas/market.rs"]
mod market;

use std::fmt::Write;

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use common::{Network, params, wallet};
use weir_chain::bindings::{DataCoin, IStream, Stream, StreamRegistry};
use weir_chain::calldata;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Change, FeeTerms, Retention, targets};
use weir_kernel::ids::{BrokerIndex, PartitionId};

struct Table(String);

impl Table {
    fn row(&mut self, what: &str, gas: u64) {
        writeln!(self.0, "{what:<58} {gas:>9}").expect("writing to a string cannot fail");
    }
}

fn tokens_and_streams(table: &mut Table) {
    let mut network = Network::new(params());
    let (token, registry) = (network.addresses.token, network.addresses.registry);
    for number in 1..=3 {
        let block = network.mirror.block(number).unwrap().unwrap();
        let what = ["DataCoin", "StreamRegistry", "NetworkCoordinator"][number as usize - 1];
        table.row(&format!("deploy {what}"), block.receipts[0].gas_used);
    }
    let to = wallet(1).address();
    table.row("DataCoin.transfer, new holder", network.ok(0, token, calldata::transfer(to, 5)).gas_used);
    table.row("DataCoin.transfer", network.ok(0, token, calldata::transfer(to, 5)).gas_used);
    table.row("DataCoin.approve", network.ok(0, token, calldata::approve(to, 5)).gas_used);
    let call = DataCoin::transferAndCallCall { to, amount: U256::from(1), data: Bytes::new() };
    table.row("DataCoin.transferAndCall, account", network.ok(0, token, call.abi_encode().into()).gas_used);
    let create = calldata::create_stream("temperature", "degrees Celsius", 8, true, false);
    table.row("StreamRegistry.createStream, public", network.ok(0, registry, create).gas_used);
    let call = StreamRegistry::streamAtCall { index: U256::ZERO };
    let stream = network.view(registry, call);
    let permission = IStream::Permission {
        subscribeUntil: u64::MAX,
        publishUntil: 7,
        canGrant: true,
        canEdit: false,
        canDelete: false,
    };
    let call = Stream::setPermissionCall { user: to, permission }.abi_encode();
    table.row("Stream.setPermission, new user", network.ok(0, stream, call.into()).gas_used);
    let call = Stream::updateCall { newName: "heat".into(), newDescription: "kelvin".into() }.abi_encode();
    table.row("Stream.update", network.ok(0, stream, call.into()).gas_used);
    stream_rights(table, &mut network, stream);
    table.row(
        "Stream.remove, 8 search keys",
        network.ok(0, stream, Stream::removeCall {}.abi_encode().into()).gas_used,
    );
}

fn stream_rights(table: &mut Table, network: &mut Network, stream: alloy_primitives::Address) {
    let [delegate, reader, owner] = [2, 3, 4].map(|n| wallet(n).address());
    let keys: Vec<B256> = (1..=8).map(B256::repeat_byte).collect();
    let fee_terms = FeeTerms { event_price: 1, byte_price: 1, terms: weir_kernel::ids::Hash([1; 32]) };
    let calls = [
        ("Stream.delegate, new delegate", 0, calldata::delegate(delegate, u64::MAX, u64::MAX)),
        ("Stream.grant by a delegate, new user", 2, calldata::grant(delegate, u64::MAX, u64::MAX)),
        ("Stream.grantReader, new, key of 33 bytes", 2, calldata::grant_reader(reader, 1 << 40, &[2; 33])),
        ("Stream.grantReader, renewed", 2, calldata::grant_reader(reader, 1 << 41, &[])),
        ("Stream.setPublicKey, 65 bytes for 33", 3, calldata::set_public_key(&[2; 65])),
        ("Stream.setSearchKeys, 8 new", 0, calldata::set_search_keys(&keys)),
        ("Stream.setRetention", 0, calldata::set_retention(&Retention { age_s: 86_400, size_bytes: 0 })),
        ("Stream.setFeeTerms", 0, calldata::set_fee_terms(&fee_terms)),
        ("Stream.transferOwnership", 0, calldata::transfer_ownership(owner)),
        ("Stream.acceptOwnership", 4, calldata::accept_ownership()),
        ("Stream.transferOwnership, back", 4, calldata::transfer_ownership(wallet(0).address())),
        ("Stream.acceptOwnership, back", 0, calldata::accept_ownership()),
    ];
    for (what, n, call) in calls {
        table.row(what, network.ok(n, stream, call).gas_used);
    }
}

fn coordinator(table: &mut Table) {
    let mut network = Network::new(params());
    let coordinator = network.addresses.coordinator;
    for n in 1..=4 {
        network.ok(0, network.addresses.token, calldata::transfer(wallet(n).address(), 9_000 * DATA));
        network.ok(n, network.addresses.token, calldata::approve(coordinator, 8_000 * DATA));
        let call = calldata::register(1_000 * DATA, "203.0.113.7:7600", B256::repeat_byte(n));
        let register = network.ok(n, coordinator, call).gas_used;
        network.blocks(1);
        let draw = network.ok(0, coordinator, calldata::record_draw(BrokerIndex(u32::from(n)))).gas_used;
        if n == 1 {
            table.row("NetworkCoordinator.register", register);
            table.row("NetworkCoordinator.recordDraw", draw);
        }
    }
    let change = |broker| Change { partition: PartitionId(0), broker: BrokerIndex(broker), ticket: 0 };
    let call = calldata::rebalance(&[change(1)]);
    table.row("NetworkCoordinator.rebalance, 1 change", network.ok(0, coordinator, call.clone()).gas_used);
    table.row("NetworkCoordinator.rebalance, 1 useless", network.ok(0, coordinator, call).gas_used);
    let call = calldata::rebalance(&[change(2), change(3), change(4)]);
    table.row("NetworkCoordinator.rebalance, 3 that found", network.ok(0, coordinator, call).gas_used);
    let rest = targets::useful_changes(&network.twin, 64);
    let what = format!("NetworkCoordinator.rebalance, {} that found 2", rest.len());
    table.row(&what, network.ok(0, coordinator, calldata::rebalance(&rest)).gas_used);
    let first = network.twin.partitions[0].since_epoch;
    network.until_epoch(first + 3);
    let members = network.members(0);
    let seal = |network: &Network, partition, epoch, signers: &[u8]| {
        network.certificate(network.entry(partition, epoch), signers)
    };
    let one = seal(&network, 0, first, &members[..3]);
    let call = calldata::submit_certificates([&one]);
    table.row("submitCertificates, 1 of 3 signatures, first", network.ok(0, coordinator, call).gas_used);
    let one = seal(&network, 0, first + 1, &members[..3]);
    let call = calldata::submit_certificates([&one]);
    table.row("submitCertificates, 1 of 3 signatures", network.ok(0, coordinator, call).gas_used);
    let three: Vec<_> = (0..3).map(|partition| seal(&network, partition, first + 2, &members)).collect();
    let call = calldata::submit_certificates(&three);
    table.row("submitCertificates, 3 of 4 signatures", network.ok(0, coordinator, call).gas_used);
    let signer = members[0];
    table.row("NetworkCoordinator.claim", network.ok(signer, coordinator, calldata::claim()).gas_used);
    let call = calldata::update_endpoint("203.0.113.8:7600", B256::repeat_byte(9));
    table.row("NetworkCoordinator.updateEndpoint", network.ok(1, coordinator, call).gas_used);
    table.row("NetworkCoordinator.leave", network.ok(1, coordinator, calldata::leave()).gas_used);
    let seat = network.twin.partitions[0].target.position(BrokerIndex(1)).unwrap() as u8;
    let call = calldata::evict(PartitionId(0), seat);
    table.row("NetworkCoordinator.evict", network.ok(0, coordinator, call).gas_used);
}

#[test]
fn every_function_costs_what_the_table_says() {
    let mut table = Table(String::new());
    tokens_and_streams(&mut table);
    coordinator(&mut table);
    fees::rows(&mut table);
    market::rows(&mut table);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gas.txt");
    if std::env::var_os("WEIR_UPDATE_GAS").is_some() {
        std::fs::write(path, &table.0).unwrap();
    }
    let committed = std::fs::read_to_string(path).expect("tests/gas.txt: write it with WEIR_UPDATE_GAS=1");
    assert_eq!(committed, table.0, "gas changed: see whether it should, then run with WEIR_UPDATE_GAS=1");
}
