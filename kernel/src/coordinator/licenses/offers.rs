//! Offering: what a product must be, and who may offer it.

use super::{Fact, License, MAXIMUM_SECONDS, Product, Refusal, known};
use crate::coordinator::State;
use crate::coordinator::registry::created_address;
use crate::ids::Address;

/// The most streams of a product.
pub const MAXIMUM_STREAMS: usize = 16;
/// The longest terms, in bytes.
pub const MAXIMUM_TERMS_BYTES: usize = 256;
/// The longest window, in seconds: thirty days.
pub const MAXIMUM_WINDOW_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The factory's nonce when it creates its first product: the one before made the shared implementation.
const FIRST_NONCE: u64 = 2;

/// `offer`.
pub(super) fn offer(state: &State, provider: Address, product: Product) -> Result<Fact, Refusal> {
    if product.beneficiary.is_zero() {
        return Err(Refusal::BeneficiaryMissing {});
    }
    let limits: [(&'static str, u64, u64); 6] = [
        ("pricePerSecond", product.price_per_second, u64::MAX),
        ("minimumSeconds", product.minimum_seconds, MAXIMUM_SECONDS),
        ("windowSeconds", product.window_seconds, MAXIMUM_WINDOW_SECONDS),
        ("minimumEvents", product.minimum_events, u64::MAX),
        ("terms", product.terms.len() as u64, MAXIMUM_TERMS_BYTES as u64),
        ("streams", product.streams.len() as u64, MAXIMUM_STREAMS as u64),
    ];
    for (parameter, given, maximum) in limits {
        if !(1..=maximum).contains(&given) {
            let (given, maximum) = (u128::from(given), u128::from(maximum));
            return Err(Refusal::ParameterOutOfRange { parameter, given, minimum: 1, maximum });
        }
    }
    for (position, id) in product.streams.iter().enumerate() {
        if position > 0 && *id <= product.streams[position - 1] {
            return Err(Refusal::StreamsNotAscending { position });
        }
        let stream = state.stream(*id).filter(|stream| stream.removed_block().is_none());
        let stream = stream.ok_or(Refusal::UnknownStream { stream: *id })?;
        if stream.owner != provider && !stream.permission(provider).can_grant {
            return Err(Refusal::MayNotGrant { stream: *id, provider });
        }
    }
    let nonce = FIRST_NONCE + state.licenses.products.len() as u64;
    let license = Address(created_address(state.contracts.license_factory, nonce).0);
    Ok(Fact::ProductOffered { license, provider, product })
}

/// A product as it is offered.
pub(super) fn offered(provider: Address, product: Product, block: u64) -> License {
    License {
        provider,
        offered_block: block,
        for_sale: true,
        product,
        licences: Default::default(),
        owed: Default::default(),
        windows: Default::default(),
        cuts: Default::default(),
        proved: Default::default(),
        locked: 0,
        unclaimed: 0,
    }
}

/// The caller must be the provider.
pub(super) fn check_provider(state: &State, caller: Address, license: Address) -> Result<(), Refusal> {
    if known(state, license)?.provider == caller { Ok(()) } else { Err(Refusal::NotProvider { caller }) }
}

/// `setBeneficiary`.
pub(super) fn set_beneficiary(
    state: &State,
    caller: Address,
    license: Address,
    beneficiary: Address,
) -> Result<Fact, Refusal> {
    check_provider(state, caller, license)?;
    if beneficiary.is_zero() {
        return Err(Refusal::BeneficiaryMissing {});
    }
    Ok(Fact::BeneficiarySet { license, beneficiary })
}
