//! Facts of the market: products, their licences, and events delivered to contracts.
//!
//! A product's events come from its own contract. Which contracts are the factory's own is what the kernel knows from
//! the offers; it leaves the others' alone.

use alloy_primitives::{Log, U256};
use alloy_sol_types::{SolEvent, SolEventInterface};
use weir_kernel::coordinator::Fact;
use weir_kernel::coordinator::delivery::{Fact as Delivery, Terms};
use weir_kernel::coordinator::licenses::{Fact as License, Product};
use weir_kernel::ids::{LaneId, PartitionId, StreamId};

use super::{address, amount};
use crate::bindings::{DataLicense, DataLicenseFactory, EventDelivery};
use crate::deploy::Addresses;

/// The market's fact in a log entry, if it is one and the network has a market.
pub(super) fn fact(addresses: &Addresses, log: &Log) -> Option<Fact> {
    let factory = addresses.license_factory?;
    if Some(log.address) == addresses.event_delivery {
        return delivery(log).map(Fact::Delivery);
    }
    if log.address == factory {
        return offer(log).map(Fact::Licenses);
    }
    license(log).map(Fact::Licenses)
}

/// Numbers are given one by one, so they fit.
fn number(number: U256) -> u64 {
    number.saturating_to()
}

fn offer(log: &Log) -> Option<License> {
    let offered = DataLicenseFactory::ProductOffered::decode_log(log).ok()?.data;
    let product = offered.product;
    Some(License::ProductOffered {
        license: address(offered.license),
        provider: address(offered.provider),
        product: Product {
            beneficiary: address(product.beneficiary),
            price_per_second: product.pricePerSecond,
            minimum_seconds: product.minimumSeconds,
            window_seconds: product.windowSeconds,
            minimum_events: product.minimumEvents,
            terms: product.terms,
            streams: product.streams.iter().map(|stream| StreamId(stream.into_array())).collect(),
        },
    })
}

fn license(log: &Log) -> Option<License> {
    use DataLicense::DataLicenseEvents as E;
    let license = address(log.address);
    let fact = match E::decode_raw_log(log.topics(), &log.data.data).ok()? {
        E::LicencePurchased(e) => License::LicencePurchased {
            license,
            licence: number(e.licence),
            buyer: address(e.buyer),
            start: e.start,
            end: e.end,
            price: amount(e.price),
            by_allowance: e.byAllowance,
        },
        E::LicenceRenewed(e) => License::LicenceRenewed {
            license,
            licence: number(e.licence),
            end: e.end,
            price: amount(e.price),
            by_allowance: e.byAllowance,
        },
        E::DeliveryProved(e) => License::DeliveryProved {
            license,
            stream: StreamId(e.stream.into_array()),
            lane: LaneId(e.lane.0),
            partition: PartitionId(e.partition),
            epoch: e.epoch,
            window: e.window,
            next_sequence: e.nextSequence,
            events: e.events,
        },
        E::LicenceSettled(e) => License::LicenceSettled {
            license,
            licence: number(e.licence),
            until: e.until,
            released: amount(e.released),
            refunded: amount(e.refunded),
        },
        E::Withdrawn(e) => {
            License::Withdrawn { license, account: address(e.account), amount: amount(e.amount) }
        }
        E::SaleSet(e) => License::SaleSet { license, for_sale: e.forSale },
        E::BeneficiarySet(e) => License::BeneficiarySet { license, beneficiary: address(e.beneficiary) },
        _ => return None,
    };
    Some(fact)
}

fn delivery(log: &Log) -> Option<Delivery> {
    use EventDelivery::EventDeliveryEvents as E;
    let fact = match E::decode_raw_log(log.topics(), &log.data.data).ok()? {
        E::Subscribed(e) => Delivery::Subscribed {
            subscription: number(e.subscription),
            controller: address(e.controller),
            terms: Terms {
                subscriber: address(e.subscriber),
                stream: StreamId(e.stream.into_array()),
                bounty: e.bounty,
                callback_gas: e.callbackGas,
                rate_events: e.rateEvents,
                rate_seconds: e.rateSeconds,
            },
        },
        E::BudgetAdded(e) => Delivery::BudgetAdded {
            subscription: number(e.subscription),
            from: address(e.from),
            amount: amount(e.amount),
            by_allowance: e.byAllowance,
        },
        E::BudgetWithdrawn(e) => {
            Delivery::BudgetWithdrawn { subscription: number(e.subscription), amount: amount(e.amount) }
        }
        E::EventDelivered(e) => Delivery::EventDelivered {
            subscription: number(e.subscription),
            lane: LaneId(e.lane.0),
            sequence: e.sequence,
            deliverer: address(e.deliverer),
            bounty: amount(e.bounty),
            accepted: e.accepted,
        },
        #[allow(unreachable_patterns, reason = "the ABI has only these today")]
        _ => return None,
    };
    Some(fact)
}
