//! Licences (WP 2.3, 2.5.4): products over sets of streams, their escrow, and the deliveries that release it; the
//! twin of DataLicenseFactory and of the DataLicense contracts that it creates.
//!
//! ```text
//!   provider ──offer──► product ◄──purchase, renew── buyer          locked: the price of what is not decided
//!                          │ prove: a head in a sealed cut
//!                          ▼
//!   windows ended ──settle──► released to the provider, or refunded  unclaimed: until each withdraws
//! ```
//!
//! Time is cut into windows, the same for all licences of a product. A stream is *delivered* in a window if enough
//! of its events were proved in it. When a window is over, each second of a licence in it is decided: the share of
//! every stream goes to the provider if that stream was delivered, and back to the buyer if not. A product's balance
//! is `locked + unclaimed`.
//!
//! | rule | module |
//! | --- | --- |
//! | what can be offered, and by whom | [`offers`] |
//! | buying and renewing | [`orders`] |
//! | what proves a delivery | [`deliveries`] |
//! | which seconds are delivered | [`windows`] |
//! | releasing, refunding, paying out | [`settlement`] |

pub mod deliveries;
pub mod offers;
pub mod orders;
pub mod settlement;
pub mod windows;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::tree::Map;
use super::{Fact as AnyFact, Refusal as AnyRefusal, State as AnyState};
use crate::ids::{Address, Epoch, Hash, LaneId, PartitionId, StreamId};

pub use crate::batch::LaneParts;
pub use deliveries::Delivery;
pub use windows::Windows;

/// The longest that a licence can run from now on, in seconds: ten years.
pub const MAXIMUM_SECONDS: u64 = 3650 * 24 * 60 * 60;

/// What is sold. Amounts are in the token's smallest unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Product {
    /// Who earns.
    pub beneficiary: Address,
    /// What a second of access to all the streams costs.
    pub price_per_second: u64,
    /// The shortest order.
    pub minimum_seconds: u64,
    /// The length of a window.
    pub window_seconds: u64,
    /// Events of a stream that make a window delivered.
    pub minimum_events: u64,
    /// Hash or content address of the contract text.
    pub terms: String,
    /// The streams, ascending.
    pub streams: Vec<StreamId>,
}

impl Product {
    /// What `seconds` of access cost.
    pub fn price_of(&self, seconds: u64) -> u128 {
        u128::from(self.price_per_second) * u128::from(seconds)
    }
}

/// What a buyer asks for; licence 0 is a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The licence that is to run on, or 0.
    pub licence: u64,
    /// Seconds of access.
    pub duration: u64,
    /// The buyer's key; may be empty where the licence is not new.
    pub public_key: Vec<u8>,
}

/// A call of the factory or of a product's contract.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `DataLicenseFactory.offer`: the caller is the provider.
    Offer(Product),
    /// `purchase`, or `renew` if the order names a licence: paid by allowance.
    Order { license: Address, order: Order },
    /// The token's `transferAndCall` with an order for the product.
    Pay { license: Address, amount: u128, order: Order },
    /// `prove`: by anybody.
    Prove { license: Address, delivery: Delivery },
    /// `settle`: by anybody.
    Settle { license: Address, licence: u64 },
    /// `withdraw`.
    Withdraw { license: Address },
    /// `setForSale`: by the provider.
    SetForSale { license: Address, for_sale: bool },
    /// `setBeneficiary`: by the provider.
    SetBeneficiary { license: Address, beneficiary: Address },
}

/// An event of the factory, or of the product's contract that `license` names.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fact {
    /// A product is offered.
    ProductOffered { license: Address, provider: Address, product: Product },
    /// A licence was bought.
    LicencePurchased {
        license: Address,
        licence: u64,
        buyer: Address,
        start: u64,
        end: u64,
        price: u128,
        by_allowance: bool,
    },
    /// A licence ends later.
    LicenceRenewed { license: Address, licence: u64, end: u64, price: u128, by_allowance: bool },
    /// A lane moved; `events` of it count for `window`.
    DeliveryProved {
        license: Address,
        stream: StreamId,
        lane: LaneId,
        partition: PartitionId,
        epoch: Epoch,
        window: u64,
        next_sequence: u64,
        events: u64,
    },
    /// All of a licence before `until` is decided.
    LicenceSettled { license: Address, licence: u64, until: u64, released: u128, refunded: u128 },
    /// An account took what it was owed.
    Withdrawn { license: Address, account: Address, amount: u128 },
    /// Whether licences are sold.
    SaleSet { license: Address, for_sale: bool },
    /// Who earns from now on.
    BeneficiarySet { license: Address, beneficiary: Address },
}

super::refusal::refusals! {
    nested {}
    /// No product has this address. On chain the call would reach no contract.
    NotALicense { license: Address } => "{license} is no product of the factory";
    ParameterOutOfRange { parameter: &'static str, given: u128, minimum: u128, maximum: u128 } =>
        "{parameter} is {given} and must be {minimum} to {maximum}";
    BeneficiaryMissing {} => "name who earns: the zero address cannot";
    StreamsNotAscending { position: usize } =>
        "stream number {position} is not above the one before it; give each stream once, ascending";
    UnknownStream { stream: StreamId } => "{stream} is no stream of the registry";
    MayNotGrant { stream: StreamId, provider: Address } =>
        "{provider} neither owns {stream} nor may grant permissions on it";
    NotProvider { caller: Address } => "{caller} is not the product's provider";
    NotForSale {} => "the provider sells no more of this product";
    DurationOutOfRange { duration: u64, minimum: u64, maximum: u64 } =>
        "{duration} s ordered; order {minimum} to {maximum} s";
    PublicKeyMissing {} => "a first order needs the buyer's public key";
    UnknownLicence { licence: u64 } => "there is no licence {licence}";
    NotBuyer { licence: u64, caller: Address } => "licence {licence} was not bought by {caller}";
    LicenceExpired { licence: u64, end: u64 } => "licence {licence} ended at {end}; buy another";
    WrongPayment { amount: u128, price: u128 } => "{amount} was sent and the order costs {price}";
    StreamNotInProduct { stream: StreamId } => "{stream} is not of this product";
    PathMalformed { index: u32, count: u32, length: usize } =>
        "a path of {length} hashes does not lead from leaf {index} of {count} to a root";
    ChecksumMismatch { partition: PartitionId, epoch: Epoch, given: Hash, stored: Hash } =>
        "the proof leads to checksum {given} in epoch {epoch} of partition {partition}; the chain has {stored}";
    CutUsed { partition: PartitionId, epoch: Epoch, window: u64 } =>
        "the cut of epoch {epoch} of partition {partition} proved deliveries in window {window}; wait for the next";
    LaneNotAdvanced { lane: LaneId, next_sequence: u64, proved: u64 } =>
        "{proved} events of lane {lane} are proved; a head after {next_sequence} adds nothing";
    NothingToSettle { licence: u64, settled: u64 } =>
        "licence {licence} is settled up to {settled} and no window of it ended since";
    NothingOwed { account: Address } => "{account} is owed nothing";
}

/// A licence; times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Licence {
    /// Who bought it.
    pub buyer: Address,
    /// When it began.
    pub start: u64,
    /// When it ends.
    pub end: u64,
    /// All before is decided.
    pub settled: u64,
}

/// The newest cut of a partition that proved something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutUse {
    /// Its epoch.
    pub epoch: Epoch,
    /// In which window.
    pub window: u64,
}

/// What a product's contract holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// Who offers it.
    pub provider: Address,
    /// Since when.
    pub offered_block: u64,
    /// Whether licences are sold.
    pub for_sale: bool,
    /// What is sold.
    pub product: Product,
    /// The licences, by number from 1.
    pub licences: Map<u64, Licence>,
    /// What accounts can withdraw.
    pub owed: Map<Address, u128>,
    /// When each stream was delivered.
    pub windows: Map<StreamId, Windows>,
    /// The newest cut that each partition proved something with.
    pub cuts: Map<PartitionId, CutUse>,
    /// How many events of each lane are proved.
    pub proved: Map<LaneId, u64>,
    /// The price of all that is not decided.
    pub locked: u128,
    /// What was decided and not withdrawn.
    pub unclaimed: u128,
}

/// What all products' contracts hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The products, by contract.
    pub products: Map<Address, Arc<License>>,
}

impl State {
    /// A product's contract.
    pub fn license(&self, license: Address) -> Option<&License> {
        self.products.get(&license).map(Arc::as_ref)
    }
}

fn known(state: &AnyState, license: Address) -> Result<&License, Refusal> {
    state.licenses.license(license).ok_or(Refusal::NotALicense { license })
}

fn licence(license: &License, number: u64) -> Result<Licence, Refusal> {
    license.licences.get(&number).copied().ok_or(Refusal::UnknownLicence { licence: number })
}

/// What a call does.
pub(super) fn decide(state: &AnyState, caller: Address, call: Call) -> Result<Vec<AnyFact>, AnyRefusal> {
    match call {
        Call::Offer(product) => Ok(alloc::vec![offers::offer(state, caller, product)?.into()]),
        Call::Order { license, order } => orders::order(state, caller, license, &order),
        Call::Pay { license, amount, order } => orders::pay(state, caller, license, amount, &order),
        Call::Prove { license, delivery } => {
            Ok(alloc::vec![deliveries::prove(state, license, &delivery)?.into()])
        }
        Call::Settle { license, licence } => {
            Ok(alloc::vec![settlement::settle(state, license, licence)?.into()])
        }
        Call::Withdraw { license } => settlement::withdraw(state, caller, license),
        Call::SetForSale { license, for_sale } => {
            offers::check_provider(state, caller, license)?;
            Ok(alloc::vec![Fact::SaleSet { license, for_sale }.into()])
        }
        Call::SetBeneficiary { license, beneficiary } => {
            Ok(alloc::vec![offers::set_beneficiary(state, caller, license, beneficiary)?.into()])
        }
    }
}

impl From<Fact> for AnyFact {
    fn from(fact: Fact) -> Self {
        Self::Licenses(fact)
    }
}

impl Fact {
    /// The product's contract that it is of.
    pub fn license(&self) -> Address {
        match self {
            Self::ProductOffered { license, .. }
            | Self::LicencePurchased { license, .. }
            | Self::LicenceRenewed { license, .. }
            | Self::DeliveryProved { license, .. }
            | Self::LicenceSettled { license, .. }
            | Self::Withdrawn { license, .. }
            | Self::SaleSet { license, .. }
            | Self::BeneficiarySet { license, .. } => *license,
        }
    }
}

/// Applies an event. Those of contracts that the factory did not create are somebody else's and do nothing.
pub(super) fn evolve(state: &mut AnyState, block: u64, fact: &Fact) {
    let address = fact.license();
    if let Fact::ProductOffered { provider, product, .. } = fact {
        let license = offers::offered(*provider, product.clone(), block);
        let before = Arc::make_mut(&mut state.licenses).products.insert(address, Arc::new(license));
        assert!(before.is_none(), "a contract is created once");
        return;
    }
    if state.licenses.license(address).is_none() {
        return;
    }
    use_allowance(state, fact);
    let products = &mut Arc::make_mut(&mut state.licenses).products;
    let license = Arc::make_mut(products.get_mut(&address).expect("looked up above"));
    match *fact {
        Fact::ProductOffered { .. } => unreachable!("handled above"),
        Fact::LicencePurchased { licence, buyer, start, end, price, .. } => {
            license.licences.insert(licence, Licence { buyer, start, end, settled: start });
            license.locked += price;
        }
        Fact::LicenceRenewed { licence, end, price, .. } => {
            license.licence_mut(licence).end = end;
            license.locked += price;
        }
        Fact::DeliveryProved { stream, lane, partition, epoch, window, next_sequence, events, .. } => {
            license.cuts.insert(partition, CutUse { epoch, window });
            license.proved.insert(lane, next_sequence);
            let minimum = license.product.minimum_events;
            license.windows.or_default(stream).count(window, events, minimum);
        }
        Fact::LicenceSettled { licence, until, released, refunded, .. } => {
            let beneficiary = license.product.beneficiary;
            let settled = license.licence_mut(licence);
            settled.settled = until;
            let buyer = settled.buyer;
            let total = released + refunded;
            license.locked = license.locked.checked_sub(total).expect("undecided seconds are locked");
            license.unclaimed += total;
            license.owe(beneficiary, released);
            license.owe(buyer, refunded);
        }
        Fact::Withdrawn { account, amount, .. } => {
            let owed = license.owed.remove(&account);
            assert_eq!(owed, Some(amount), "an account withdraws all that it is owed");
            license.unclaimed = license.unclaimed.checked_sub(amount).expect("debts add up");
        }
        Fact::SaleSet { for_sale, .. } => license.for_sale = for_sale,
        Fact::BeneficiarySet { beneficiary, .. } => license.product.beneficiary = beneficiary,
    }
}

/// The token reports no use of an allowance, so the order does.
fn use_allowance(state: &mut AnyState, fact: &Fact) {
    let (license, buyer, price) = match *fact {
        Fact::LicencePurchased { license, buyer, price, by_allowance: true, .. } => (license, buyer, price),
        Fact::LicenceRenewed { license, licence, price, by_allowance: true, .. } => {
            let renewed = state.licenses.license(license).and_then(|l| l.licences.get(&licence));
            (license, renewed.expect("a licence is bought before it is renewed").buyer, price)
        }
        _ => return,
    };
    let allowed = state.allowance(buyer, license);
    if allowed != u128::MAX {
        super::evolve::allow(state, buyer, license, allowed.saturating_sub(price));
    }
}

impl License {
    fn licence_mut(&mut self, number: u64) -> &mut Licence {
        self.licences.get_mut(&number).expect("events name licences that were bought")
    }

    fn owe(&mut self, account: Address, amount: u128) {
        if amount > 0 {
            *self.owed.or_default(account) += amount;
        }
    }
}

#[cfg(test)]
mod tests;
