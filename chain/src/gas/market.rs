//! The market: products, licences, and events delivered to contracts.

use crate::bindings::{DataLicenseFactory, IStream, Stream};
use crate::calldata;
use crate::calldata::market;
use crate::deploy::deploy_market;
use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_sol_types::{SolCall, sol};
use weir_kernel::agreement::cut::{Cut, LaneHead};
use weir_kernel::batch::{Batch, LaneWriter, NewEvent, Session};
use weir_kernel::coordinator::delivery::{self, Terms};
use weir_kernel::coordinator::licenses::{Delivery, LaneParts, Order, Product};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Entry, Params};
use weir_kernel::ids::{Hash, PartitionId, StreamId, StreamPartition};
use weir_kernel::merkle;
use weir_kernel::signature::{SECP256K1, Signature};

use super::Table;
use super::harness::{CHAIN_ID, Network, SESSION_KEY, kernel_address, wallet};

sol!(
    #[derive(Debug)]
    HostileSubscriber,
    "../contracts/artifacts/testing/HostileSubscriber.json"
);

pub(super) fn rows(table: &mut Table) {
    let params = Params { replicas: 1, partitions: 1, epoch_blocks: 2, ..Params::default() };
    let mut network = Network::new(params);
    network.join(1, 1_000 * DATA);
    network.rebalance();
    let time = network.mirror.head().header.timestamp + 1;
    let before = network.mirror.height();
    deploy_market(&mut network.mirror, &wallet(0), &mut network.addresses, time)
        .expect("as deployed and made above");
    for (height, what) in (before + 1..).zip(["DataLicenseFactory", "EventDelivery"]) {
        let block = network.mirror.block(height).expect("history is in memory").expect("it was made");
        table.row(&format!("deploy {what}"), block.receipts[0].gas_used);
    }
    network.twin.contracts = network.addresses.contracts();
    network.blocks(1);
    network.ok(0, network.addresses.token, calldata::transfer(wallet(2).address(), 1_000 * DATA));
    network.ok(1, network.addresses.registry, calldata::create_stream("quakes", "", 1, false, false));
    let stream = *network.twin.streams.keys().next().expect("as deployed and made above");
    licences(table, &mut network, stream);
    deliveries(table, &mut network, stream);
}

fn offered(table: &mut Table, network: &mut Network, stream: StreamId) -> Address {
    let product = Product {
        beneficiary: kernel_address(wallet(1).address()),
        price_per_second: 1_000_000,
        minimum_seconds: 10,
        window_seconds: 20,
        minimum_events: 1,
        terms: "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".into(),
        streams: vec![stream],
    };
    let factory = network.addresses.license_factory.expect("as deployed and made above");
    let offer = network.ok(1, factory, market::offer(&product)).gas_used;
    table.row("DataLicenseFactory.offer, 1 stream", offer);
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

fn licences(table: &mut Table, network: &mut Network, stream: StreamId) {
    let license = offered(table, network, stream);
    let token = network.addresses.token;
    network.ok(2, token, calldata::approve(license, 1_000 * DATA));
    let order = |licence| Order { licence, duration: 60, public_key: vec![7; 33] };
    let call = market::order(&order(0));
    table.row("DataLicense.purchase, 1 stream", network.ok(2, license, call).gas_used);
    let call = market::pay_for_order(license, 60_000_000, &order(0));
    table.row("DataLicense, bought by transferAndCall", network.ok(2, token, call).gas_used);
    let call = market::order(&order(1));
    table.row("DataLicense.renew, 1 stream", network.ok(2, license, call).gas_used);
    for leaves in [1, 64] {
        let delivery = sealed(network, stream, leaves);
        let gas = network.ok(3, license, market::prove(&delivery)).gas_used;
        table.row(&format!("DataLicense.prove, {leaves} heads in the cut"), gas);
    }
    network.blocks(60);
    table.row("DataLicense.settle, 1 stream", network.ok(3, license, market::settle_licence(1)).gas_used);
    let call = market::withdraw_from_licence();
    table.row("DataLicense.withdraw", network.ok(2, license, call).gas_used);
    let call = market::set_beneficiary(wallet(5).address());
    table.row("DataLicense.setBeneficiary", network.ok(1, license, call).gas_used);
    table.row("DataLicense.setForSale", network.ok(1, license, market::set_for_sale(false)).gas_used);
}

/// A new lane of the stream, sealed among this many heads.
fn sealed(network: &mut Network, stream: StreamId, leaves: u8) -> Delivery {
    let opening_block = network.mirror.height();
    let parts = |nonce| LaneParts { stream, opening_block, nonce: [nonce; 16], ..LaneParts::default() };
    let head = |nonce| LaneHead { next_sequence: 9, volume: 99, ..LaneHead::empty(parts(nonce).lane()) };
    let mut heads: Vec<LaneHead> = (0..leaves).map(head).collect();
    heads.sort();
    network.blocks(4);
    let (partition, previous) = (PartitionId(0), network.twin.partitions[0].checksum);
    let epoch = network.epoch() - 1;
    let cut = Cut { partition, epoch, previous, heads, forks: Vec::new() };
    let checksum = cut.checksum();
    let entry = Entry { partition, epoch, round: 1, previous, checksum, events: 9, volume: 99 };
    let certificate = network.certificate(&[entry], &[1]);
    network.ok(1, network.addresses.coordinator, calldata::submit_certificates([&certificate]));
    let hashes: Vec<Hash> = cut.heads.iter().map(LaneHead::leaf).collect();
    let first = cut.heads[0];
    let lane =
        (0..leaves).map(parts).find(|lane| lane.lane() == first.lane).expect("as deployed and made above");
    Delivery {
        partition,
        previous,
        lane,
        next_sequence: first.next_sequence,
        volume: first.volume,
        digest: first.digest,
        path: merkle::proof(&hashes, 0).expect("as deployed and made above"),
    }
}

fn deliveries(table: &mut Table, network: &mut Network, stream: StreamId) {
    let at = network.addresses.event_delivery.expect("as deployed and made above");
    let token = network.addresses.token;
    let code = HostileSubscriber::BYTECODE.clone();
    let subscriber =
        network.transact(2, TxKind::Create, code).contract_address.expect("as deployed and made above");
    network.ok(2, token, calldata::approve(at, DATA));
    let terms = Terms {
        subscriber: kernel_address(subscriber),
        stream,
        bounty: 1_000,
        callback_gas: 200_000,
        rate_events: 10,
        rate_seconds: 60,
    };
    table.row("EventDelivery.subscribe", network.ok(2, at, market::subscribe(&terms, 9_000)).gas_used);
    table.row("EventDelivery.topUp", network.ok(2, at, market::top_up(1, 100)).gas_used);
    let call = market::pay_for_subscription(at, 1, 100);
    table.row("EventDelivery, topped up by transferAndCall", network.ok(2, token, call).gas_used);
    let own = batch(stream, 64, None);
    let session = batch(stream, 64, Some(u64::MAX));
    for (batch, index, what) in
        [(&own, 0, "first of a lane"), (&own, 1, "next"), (&session, 2, "next, in a session")]
    {
        let delivery = delivery::Delivery {
            header: *batch.header(),
            recovered: None,
            session: None,
            index,
            path: batch.proof(index).expect("as deployed and made above").path,
            encoded: batch.event_bytes(index).expect("as deployed and made above").to_vec(),
        };
        let call = market::deliver(1, &delivery, &batch.signed_header().proof());
        let what = format!("EventDelivery.deliver, of 64 events, {what}");
        table.row(&what, network.ok(3, at, call).gas_used);
    }
    table.row("EventDelivery.withdraw", network.ok(2, at, market::withdraw_budget(1, 100)).gas_used);
}

/// A batch of wallet 1, signed by itself or in a session up to a block.
fn batch(stream: StreamId, events: u8, session_end: Option<u64>) -> Batch {
    let slot = StreamPartition { stream, partition: 0 };
    let origin = kernel_address(wallet(1).address());
    let mut lane = LaneWriter::new(slot, origin, 1, [3; 16], Hash::ZERO, SECP256K1);
    let mut signer = wallet(1);
    if let Some(expiry_block) = session_end {
        signer = wallet(SESSION_KEY);
        let key = kernel_address(signer.address());
        let session = Session { stream, origin, key, expiry_block, signature_type: SECP256K1 };
        let digest = B256::from(session.signing_hash(CHAIN_ID).0);
        let certificate = session.certified(Signature::Secp256k1(wallet(1).sign_digest(digest)));
        lane = lane.in_session(&session, certificate).expect("as deployed and made above");
    }
    let events = (0..events).map(|n| NewEvent::new(10, 1, vec![n; 32])).collect();
    let unsigned = lane.next_batch(events).expect("as deployed and made above");
    let digest = B256::from(unsigned.signing_hash(CHAIN_ID).0);
    unsigned.sign(Signature::Secp256k1(signer.sign_digest(digest))).expect("as deployed and made above")
}
