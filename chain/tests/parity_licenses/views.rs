//! What products say of themselves, against the twin.

use alloy_primitives::{Address, U256};
use weir_chain::bindings::{DataLicense, DataLicenseFactory, Stream};
use weir_kernel::coordinator::licenses::{self, Delivery, License};

use super::{Run, to};
use crate::common::kernel_address;

impl Run {
    /// After a call: the product's books balance, and its views say what the twin says.
    pub fn check(&self, call: &licenses::Call) {
        use licenses::Call as C;
        let address = match call {
            C::Offer(_) => return self.check_factory(),
            C::Order { license, .. } | C::Pay { license, .. } | C::Prove { license, .. } => *license,
            C::Settle { license, .. } | C::Withdraw { license } => *license,
            C::SetForSale { license, .. } | C::SetBeneficiary { license, .. } => *license,
        };
        let held = self.network.twin.licenses.license(address).unwrap();
        let locked: u128 = held.licences.values().map(|l| held.product.price_of(l.end - l.settled)).sum();
        assert_eq!(locked, held.locked, "what is not decided is locked");
        assert_eq!(held.owed.values().sum::<u128>(), held.unclaimed, "what is decided is owed");
        let balance = self.network.twin.balance(address);
        assert_eq!(balance, held.locked + held.unclaimed, "a product's balance is its escrow");
        let at = to(address);
        assert_eq!(self.network.tokens(at), balance);
        assert_eq!(self.network.view(at, DataLicense::lockedCall {}), held.locked);
        assert_eq!(self.network.view(at, DataLicense::unclaimedCall {}), held.unclaimed);
        let count: u64 = self.network.view(at, DataLicense::licenceCountCall {}).to();
        assert_eq!(count, held.licences.len() as u64);
        match call {
            C::Order { order, .. } | C::Pay { order, .. } => {
                self.check_licence(at, held, if order.licence == 0 { count } else { order.licence });
            }
            C::Settle { licence, .. } => self.check_licence(at, held, *licence),
            C::Prove { delivery, .. } => self.check_lane(at, held, delivery),
            _ => {}
        }
    }

    fn check_factory(&self) {
        let factory = self.network.addresses.license_factory.unwrap();
        let count: usize = self.network.view(factory, DataLicenseFactory::productCountCall {}).to();
        assert_eq!(count, self.network.twin.licenses.products.len());
    }

    fn check_licence(&self, at: Address, held: &License, number: u64) {
        let found = self.network.view(at, DataLicense::licenceOfCall { licence: U256::from(number) });
        let Some(expected) = held.licences.get(&number) else {
            return assert_eq!((found.buyer, found.end), (Address::ZERO, 0));
        };
        assert_eq!(kernel_address(found.buyer), expected.buyer);
        assert_eq!((found.start, found.end, found.settled), (expected.start, expected.end, expected.settled));
        for account in [expected.buyer, held.product.beneficiary] {
            let owed: u128 = self.network.view(at, DataLicense::owedCall { account: to(account) }).to();
            assert_eq!(owed, held.owed.get(&account).copied().unwrap_or(0));
        }
        for stream in &held.product.streams {
            let call = DataLicense::deliveredSecondsCall {
                stream: stream.0.into(),
                from: expected.start,
                to: expected.end,
            };
            let windows = held.windows.get(stream).cloned().unwrap_or_default();
            let window_seconds = held.product.window_seconds;
            let delivered = windows.delivered_within(expected.start, expected.end, window_seconds);
            assert_eq!(self.network.view(at, call), delivered);
            if self.network.twin.stream(*stream).is_some_and(|s| s.removed_block().is_none()) {
                let call = Stream::permissionOfCall { user: to(expected.buyer) };
                let permission = self.network.view(Address::from(stream.0), call);
                let known = self.network.twin.stream(*stream).unwrap().permission(expected.buyer);
                assert_eq!(permission.subscribeUntil, known.subscribe_until);
                assert!(permission.subscribeUntil >= expected.end, "who paid may read");
            }
        }
    }

    fn check_lane(&self, at: Address, held: &License, delivery: &Delivery) {
        let lane = delivery.lane.lane();
        let proved = self.network.view(at, DataLicense::provedOfCall { lane: lane.0.into() });
        assert_eq!(proved, held.proved.get(&lane).copied().unwrap_or(0));
    }
}
