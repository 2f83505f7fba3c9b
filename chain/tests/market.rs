//! What random calls of the market do not meet: payments that are no orders, hostile tokens, gas that does not suffice
//! for a subscriber, and what a subscriber's misbehaviour costs a deliverer.

mod common;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, SolValue};
use common::{CHAIN_ID, Network, kernel_address, params, wallet};
use weir_chain::bindings::{DataLicense, DataLicenseFactory, EventDelivery, IStream, Stream};
use weir_chain::calldata;
use weir_chain::calldata::market;
use weir_chain::deploy::{deploy_market, event_delivery_code, license_factory_code};
use weir_chain::wallet::Account;
use weir_kernel::batch::{Batch, LaneWriter, NewEvent};
use weir_kernel::coordinator::delivery::{Delivery, Terms};
use weir_kernel::coordinator::licenses::{Order, Product};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::ids::{Hash, StreamId, StreamPartition};
use weir_kernel::signature::{SECP256K1, Signature};

mod hostile {
    alloy_sol_types::sol!(
        #[derive(Debug)]
        HostileSubscriber,
        "../contracts/artifacts/testing/HostileSubscriber.json"
    );
    alloy_sol_types::sol!(
        #[derive(Debug)]
        HostileToken,
        "../contracts/artifacts/testing/HostileToken.json"
    );
}
use hostile::{HostileSubscriber, HostileToken};

const OBEY: u8 = 0;
const RETURN_FALSE: u8 = 1;
const REVERT: u8 = 2;
const REENTER: u8 = 3;

/// A network with a market and one stream of wallet 1.
fn network() -> (Network, StreamId) {
    let mut network = Network::new(params());
    let time = network.mirror.head().header.timestamp + 1;
    deploy_market(&mut network.mirror, &wallet(0), &mut network.addresses, time).unwrap();
    network.twin.contracts = network.addresses.contracts();
    network.blocks(1);
    for n in 1..4 {
        network.ok(0, network.addresses.token, calldata::transfer(wallet(n).address(), 1_000 * DATA));
    }
    let create = calldata::create_stream("quakes", "", 1, false, false);
    network.ok(1, network.addresses.registry, create);
    let stream = *network.twin.streams.keys().next().unwrap();
    (network, stream)
}

/// A product over the stream, offered at `factory` and allowed to grant; the contract's address.
fn product(network: &mut Network, factory: Address, stream: StreamId) -> Address {
    let product = Product {
        beneficiary: kernel_address(wallet(1).address()),
        price_per_second: 5,
        minimum_seconds: 10,
        window_seconds: 10,
        minimum_events: 1,
        terms: "ipfs://terms".into(),
        streams: vec![stream],
    };
    network.ok(1, factory, market::offer(&product));
    let license = network.view(factory, DataLicenseFactory::productAtCall { index: U256::ZERO });
    let permission = IStream::Permission {
        subscribeUntil: 0,
        publishUntil: 0,
        canGrant: true,
        canEdit: false,
        canDelete: false,
    };
    let call = Stream::setPermissionCall { user: license, permission };
    network.ok(1, Address::from(stream.0), call.abi_encode().into());
    license
}

fn expect(reason: String, name: &str) {
    assert!(reason.starts_with(&format!("{name}(")), "expected {name}, got {reason}");
}

fn batch(stream: StreamId) -> Batch {
    let slot = StreamPartition { stream, partition: 0 };
    let origin = kernel_address(wallet(1).address());
    let mut lane = LaneWriter::new(slot, origin, 1, [3; 16], Hash::ZERO, SECP256K1);
    let events = (0..8u8).map(|n| NewEvent::new(10, 0, [n])).collect();
    let unsigned = lane.next_batch(events).unwrap();
    let digest = B256::from(unsigned.signing_hash(CHAIN_ID).0);
    unsigned.sign(Signature::Secp256k1(wallet(1).sign_digest(digest))).unwrap()
}

fn deliver(batch: &Batch, index: u32) -> Bytes {
    let delivery = Delivery {
        header: *batch.header(),
        recovered: None,
        session: None,
        index,
        path: batch.proof(index).unwrap().path,
        encoded: batch.event_bytes(index).unwrap().to_vec(),
    };
    market::deliver(1, &delivery, &batch.signed_header().proof())
}

/// A subscriber of wallet 2 with a subscription to the stream; its address.
fn subscriber(network: &mut Network, delivery: Address, token: Address, stream: StreamId) -> Address {
    let code = HostileSubscriber::BYTECODE.clone();
    let at = network.transact(2, TxKind::Create, code).contract_address.unwrap();
    let terms = Terms {
        subscriber: kernel_address(at),
        stream,
        bounty: 10,
        callback_gas: 300_000,
        rate_events: 100,
        rate_seconds: 60,
    };
    network.ok(2, token, calldata::approve(delivery, 1_000));
    network.ok(2, delivery, market::subscribe(&terms, 1_000));
    at
}

#[test]
fn payments_that_are_no_orders_come_back() {
    let (mut network, stream) = network();
    let token = network.addresses.token;
    let factory = network.addresses.license_factory.unwrap();
    let license = product(&mut network, factory, stream);
    let order = (U256::ZERO, 10u64, Bytes::from(vec![7; 33])).abi_encode_params();
    let mut far = order.clone();
    far[95] = 64;
    let mut long = order.clone();
    long.extend([0; 32]);
    let mut late = order.clone();
    late[32] = 1;
    for data in [Vec::new(), order[..127].to_vec(), order[..150].to_vec(), far, long, late] {
        let call = market::transfer_and_call(license, 50, data.into());
        expect(network.refused(2, token, call), "MalformedOrder");
    }
    let call = DataLicense::onTokenTransferCall {
        from: wallet(2).address(),
        amount: U256::from(50),
        data: order.clone().into(),
    };
    expect(network.refused(2, license, call.abi_encode().into()), "NotToken");
    network.ok(2, token, market::transfer_and_call(license, 50, order.into()));
    assert_eq!(network.view(license, DataLicense::lockedCall {}), 50);

    let delivery = network.addresses.event_delivery.unwrap();
    subscriber(&mut network, delivery, token, stream);
    for bytes in [0, 31, 33, 64] {
        let call = market::transfer_and_call(delivery, 5, vec![0; bytes].into());
        expect(network.refused(2, token, call), "MalformedTopUp");
    }
    let call = EventDelivery::onTokenTransferCall {
        from: wallet(2).address(),
        amount: U256::from(5),
        data: U256::from(1).abi_encode().into(),
    };
    expect(network.refused(2, delivery, call.abi_encode().into()), "NotToken");
    let call = DataLicenseFactory::productAtCall { index: U256::from(1) };
    expect(network.refused(2, factory, call.abi_encode().into()), "ProductIndexOutOfRange");
    let again = DataLicense::initializeCall {
        provider_: wallet(2).address(),
        product_: weir_chain::bindings::market::license::IDataLicense::Product {
            beneficiary: wallet(2).address(),
            pricePerSecond: 1,
            minimumSeconds: 1,
            windowSeconds: 1,
            minimumEvents: 1,
            terms: "t".into(),
            streams: vec![stream.0.into()],
        },
    };
    expect(network.refused(2, license, again.abi_encode().into()), "InvalidInitialization");
}

#[test]
fn a_hostile_token_harms_nobody_but_its_own_products() {
    let (mut network, stream) = network();
    let (registry, coordinator) = (network.addresses.registry, network.addresses.coordinator);
    let token = network.transact(2, TxKind::Create, HostileToken::BYTECODE.clone()).contract_address.unwrap();
    let code = license_factory_code(token, registry, coordinator);
    let factory = network.transact(0, TxKind::Create, code).contract_address.unwrap();
    let license = product(&mut network, factory, stream);
    network.ok(2, token, calldata::approve(license, u128::MAX));
    let order = Order { licence: 0, duration: 10, public_key: vec![7; 33] };
    let behave = |network: &mut Network, behaviour: u8, target: Address, attack: Bytes| {
        let call = HostileToken::behaveCall { behaviour_: behaviour, target_: target, attack_: attack };
        network.ok(2, token, call.abi_encode().into());
    };
    for (behaviour, reason) in [(RETURN_FALSE, "SafeERC20FailedOperation"), (REVERT, "hostile")] {
        behave(&mut network, behaviour, Address::ZERO, Bytes::new());
        let refused = network.refused(2, license, market::order(&order));
        assert!(refused.starts_with(reason), "{refused}");
        assert_eq!(network.view(license, DataLicense::lockedCall {}), 0);
        assert_eq!(network.view(license, DataLicense::licenceCountCall {}), U256::ZERO);
        let reader = Stream::canSubscribeCall { user: wallet(2).address() };
        assert!(!network.view(Address::from(stream.0), reader), "nobody reads without paying");
    }
    behave(&mut network, REENTER, license, market::withdraw_from_licence());
    network.ok(2, license, market::order(&order));
    assert_eq!(network.view(token, HostileToken::succeededCall {}), U256::ZERO);
    assert_eq!(network.view(license, DataLicense::lockedCall {}), 50);
    behave(&mut network, OBEY, Address::ZERO, Bytes::new());

    let code = event_delivery_code(token, registry);
    let delivery = network.transact(0, TxKind::Create, code).contract_address.unwrap();
    subscriber(&mut network, delivery, token, stream);
    let batch = batch(stream);
    behave(&mut network, REENTER, delivery, deliver(&batch, 1));
    network.ok(3, delivery, deliver(&batch, 0));
    network.ok(2, delivery, market::withdraw_budget(1, 10));
    assert_eq!(network.view(token, HostileToken::succeededCall {}), U256::ZERO);
    assert_eq!(network.view(delivery, EventDelivery::budgetsCall {}), 980);
}

#[test]
fn a_deliverer_gives_a_subscriber_its_gas_or_nothing_happens() {
    let (mut network, stream) = network();
    let (token, delivery) = (network.addresses.token, network.addresses.event_delivery.unwrap());
    subscriber(&mut network, delivery, token, stream);
    let batch = batch(stream);
    let nonce = network.mirror.pending_nonce(wallet(3).address());
    let mut account = Account::new(wallet(3), CHAIN_ID, nonce);
    let raw = account.sign(TxKind::Call(delivery), U256::ZERO, deliver(&batch, 0), 400_000);
    let hash = network.mirror.submit(&raw).unwrap();
    network.blocks(1);
    let receipt = network.mirror.receipt(hash).unwrap().unwrap();
    expect(receipt.failure().expect("not enough gas"), "GasTooLow");
    assert_eq!(network.view(delivery, EventDelivery::budgetsCall {}), 1_000);
    network.ok(3, delivery, deliver(&batch, 0));
}

#[test]
fn what_a_subscriber_does_costs_a_deliverer_no_more_than_its_gas() {
    let (mut network, stream) = network();
    let (token, delivery) = (network.addresses.token, network.addresses.event_delivery.unwrap());
    let at = subscriber(&mut network, delivery, token, stream);
    let batch = batch(stream);
    let before = network.tokens(wallet(3).address());
    for (index, behaviour) in (0..6u8).enumerate() {
        let call = HostileSubscriber::behaveCall { behaviour_: behaviour }.abi_encode();
        network.ok(2, at, call.into());
        let receipt = network.ok(3, delivery, deliver(&batch, index as u32));
        assert!(receipt.gas_used < 300_000 + 200_000, "{behaviour}: {} gas", receipt.gas_used);
        let paid = network.tokens(wallet(3).address()) - before;
        assert_eq!(paid, 10 * (index as u128 + 1), "the deliverer is paid whatever happens");
    }
    assert_eq!(network.view(at, HostileSubscriber::reenteredCall {}), U256::ZERO);
    assert_eq!(network.view(at, HostileSubscriber::keptCall {}), U256::from(2), "kept and re-entered");
    assert_eq!(network.view(at, HostileSubscriber::contentCall {}), Bytes::from(vec![4]));
}
