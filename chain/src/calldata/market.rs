//! Calls of the market: products, licences, and events delivered to contracts.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use weir_kernel::coordinator::delivery::{self, Terms};
use weir_kernel::coordinator::licenses::{self, Order, Product};

use crate::bindings::market::delivery::IEventDelivery;
use crate::bindings::market::factory::IDataLicense as Offered;
use crate::bindings::market::license::IDataLicense;
use crate::bindings::{DataCoin, DataLicense, DataLicenseFactory, EventDelivery};
use crate::calldata::batch::header;

/// `DataLicenseFactory.offer`.
pub fn offer(product: &Product) -> Bytes {
    let product = Offered::Product {
        beneficiary: product.beneficiary.0.into(),
        pricePerSecond: product.price_per_second,
        minimumSeconds: product.minimum_seconds,
        windowSeconds: product.window_seconds,
        minimumEvents: product.minimum_events,
        terms: product.terms.clone(),
        streams: product.streams.iter().map(|stream| stream.0.into()).collect(),
    };
    DataLicenseFactory::offerCall { product }.abi_encode().into()
}

/// `DataLicense.purchase`, or `renew` if the order names a licence; the contract must be allowed to take the price.
pub fn order(order: &Order) -> Bytes {
    let Order { licence, duration, ref public_key } = *order;
    let key = Bytes::copy_from_slice(public_key);
    if licence == 0 {
        DataLicense::purchaseCall { duration, publicKey: key }.abi_encode().into()
    } else {
        let licence = U256::from(licence);
        DataLicense::renewCall { licence, duration, publicKey: key }.abi_encode().into()
    }
}

/// `DataCoin.transferAndCall` to a product: pays for an order and places it.
pub fn pay_for_order(license: Address, amount: u128, order: &Order) -> Bytes {
    let key = Bytes::copy_from_slice(&order.public_key);
    let data = (U256::from(order.licence), order.duration, key).abi_encode_params();
    transfer_and_call(license, amount, data.into())
}

/// `DataCoin.transferAndCall`.
pub fn transfer_and_call(to: Address, amount: u128, data: Bytes) -> Bytes {
    DataCoin::transferAndCallCall { to, amount: U256::from(amount), data }.abi_encode().into()
}

/// `DataLicense.prove`.
pub fn prove(delivery: &licenses::Delivery) -> Bytes {
    let licenses::Delivery { partition, previous, lane, next_sequence, volume, digest, path } = delivery;
    let delivery = IDataLicense::Delivery {
        partition: partition.0,
        previous: previous.0.into(),
        stream: lane.stream.0.into(),
        streamPartition: lane.stream_partition,
        originType: lane.origin_type,
        origin: lane.origin.0.into(),
        openingBlock: lane.opening_block,
        nonce: lane.nonce.into(),
        nextSequence: *next_sequence,
        volume: *volume,
        digest: digest.0.into(),
        index: path.index,
        count: path.count,
        path: path.path.iter().map(|hash| hash.0.into()).collect(),
    };
    DataLicense::proveCall { delivery }.abi_encode().into()
}

/// `DataLicense.settle`.
pub fn settle_licence(licence: u64) -> Bytes {
    DataLicense::settleCall { licence: U256::from(licence) }.abi_encode().into()
}

/// `DataLicense.withdraw`.
pub fn withdraw_from_licence() -> Bytes {
    DataLicense::withdrawCall {}.abi_encode().into()
}

/// `DataLicense.setForSale`.
pub fn set_for_sale(for_sale: bool) -> Bytes {
    DataLicense::setForSaleCall { forSale_: for_sale }.abi_encode().into()
}

/// `DataLicense.setBeneficiary`.
pub fn set_beneficiary(beneficiary: Address) -> Bytes {
    DataLicense::setBeneficiaryCall { beneficiary_: beneficiary }.abi_encode().into()
}

/// `EventDelivery.subscribe`; the contract must be allowed to take the budget.
pub fn subscribe(terms: &Terms, budget: u128) -> Bytes {
    let terms = IEventDelivery::Terms {
        subscriber: terms.subscriber.0.into(),
        stream: terms.stream.0.into(),
        bounty: terms.bounty,
        callbackGas: terms.callback_gas,
        rateEvents: terms.rate_events,
        rateSeconds: terms.rate_seconds,
    };
    EventDelivery::subscribeCall { terms, budget }.abi_encode().into()
}

/// `EventDelivery.topUp`.
pub fn top_up(subscription: u64, amount: u128) -> Bytes {
    let (subscription, amount) = (U256::from(subscription), U256::from(amount));
    EventDelivery::topUpCall { subscription, amount }.abi_encode().into()
}

/// `DataCoin.transferAndCall` to the delivery contract: adds to a budget.
pub fn pay_for_subscription(delivery: Address, subscription: u64, amount: u128) -> Bytes {
    transfer_and_call(delivery, amount, U256::from(subscription).abi_encode().into())
}

/// `EventDelivery.withdraw`.
pub fn withdraw_budget(subscription: u64, amount: u128) -> Bytes {
    let (subscription, amount) = (U256::from(subscription), U256::from(amount));
    EventDelivery::withdrawCall { subscription, amount }.abi_encode().into()
}

/// `EventDelivery.deliver`, with the [`proof`](weir_kernel::batch::SignedHeader::proof) of the event's batch header.
pub fn deliver(subscription: u64, delivery: &delivery::Delivery, proof: &[u8]) -> Bytes {
    let delivery = IEventDelivery::Delivery {
        subscription: U256::from(subscription),
        header: header(&delivery.header).into(),
        signature: Bytes::copy_from_slice(proof),
        index: delivery.index,
        path: delivery.path.iter().map(|hash| hash.0.into()).collect(),
        encoded: Bytes::copy_from_slice(&delivery.encoded),
    };
    EventDelivery::deliverCall { delivery }.abi_encode().into()
}
