//! Why a contract refused, in words: `NotUseful(partition: 3)`.

use alloy_sol_types::{GenericContractError, SolInterface};

use crate::bindings::fees::LaneFees;
use crate::bindings::{
    DataCoin, DataLicense, DataLicenseFactory, EventDelivery, Karma, NetworkCoordinator, Stream,
    StreamRegistry,
};

/// Reads revert data: a custom error of one of the contracts, `Error(string)` or `Panic(uint256)`; anything
/// else is shown in hexadecimal digits.
pub fn reason(data: &[u8]) -> String {
    if data.is_empty() {
        return "the contract gave no reason".into();
    }
    if let Ok(error) = GenericContractError::abi_decode(data) {
        return match error {
            GenericContractError::Revert(revert) => revert.reason,
            GenericContractError::Panic(panic) => panic.to_string(),
        };
    }
    let decoded = NetworkCoordinator::NetworkCoordinatorErrors::abi_decode(data)
        .map(|error| format!("{error:?}"))
        .or_else(|_| StreamRegistry::StreamRegistryErrors::abi_decode(data).map(|error| format!("{error:?}")))
        .or_else(|_| Stream::StreamErrors::abi_decode(data).map(|error| format!("{error:?}")))
        .or_else(|_| DataLicense::DataLicenseErrors::abi_decode(data).map(|error| format!("{error:?}")))
        .or_else(|_| EventDelivery::EventDeliveryErrors::abi_decode(data).map(|error| format!("{error:?}")))
        .or_else(|_| {
            DataLicenseFactory::DataLicenseFactoryErrors::abi_decode(data).map(|error| format!("{error:?}"))
        })
        .or_else(|_| LaneFees::LaneFeesErrors::abi_decode(data).map(|error| format!("{error:?}")))
        .or_else(|_| Karma::KarmaErrors::abi_decode(data).map(|error| format!("{error:?}")))
        .or_else(|_| DataCoin::DataCoinErrors::abi_decode(data).map(|error| format!("{error:?}")));
    decoded.map_or_else(
        |_| format!("an unknown error, 0x{}", alloy_primitives::hex::encode(data)),
        |d| readable(&d),
    )
}

/// Turns Rust's `NotUseful(NotUseful { partition: 3 })` into `NotUseful(partition: 3)`.
fn readable(debug: &str) -> String {
    let inner = debug.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(debug);
    match inner.split_once(" { ") {
        Some((name, fields)) => format!("{name}({})", fields.strip_suffix(" }").unwrap_or(fields)),
        None => format!("{inner}()"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_sol_types::{Panic, Revert, SolError};

    #[test]
    fn standard_errors_and_unknown_ones_are_words() {
        assert_eq!(reason(&Revert::from("too late").abi_encode()), "too late");
        let overflow = reason(&Panic::from(0x11).abi_encode());
        assert!(overflow.contains("overflow"), "{overflow}");
        assert_eq!(reason(&[]), "the contract gave no reason");
        assert_eq!(reason(&[1, 2, 3, 4]), "an unknown error, 0x01020304");
    }

    #[test]
    fn debug_text_becomes_a_call() {
        assert_eq!(readable("NotUseful(NotUseful { partition: 3 })"), "NotUseful(partition: 3)");
        assert_eq!(readable("A(A { x: 1, y: B { z: 2 } })"), "A(x: 1, y: B { z: 2 })");
        assert_eq!(readable("Paused(Paused)"), "Paused()");
    }
}
