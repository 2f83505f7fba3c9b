//! Token, registry and streams.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use weir_kernel::coordinator::{FeeTerms, Params, Retention};
use weir_kernel::ids::Hash;

use super::Table;
use super::harness::{Network, wallet};
use crate::bindings::{DataCoin, IStream, Stream, StreamRegistry};
use crate::calldata;

pub(super) fn rows(table: &mut Table) {
    let mut network = Network::new(Params { partitions: 3, ..Params::default() });
    let (token, registry) = (network.addresses.token, network.addresses.registry);
    for number in 1..=3 {
        let block = network.mirror.block(number).expect("history is in memory").expect("it was made");
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

fn stream_rights(table: &mut Table, network: &mut Network, stream: Address) {
    let [delegate, reader, owner] = [2, 3, 4].map(|n| wallet(n).address());
    let keys: Vec<B256> = (1..=8).map(B256::repeat_byte).collect();
    let fee_terms = FeeTerms { event_price: 1, byte_price: 1, terms: Hash([1; 32]) };
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
