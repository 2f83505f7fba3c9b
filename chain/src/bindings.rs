//! The contracts as types: calls, events, errors and bytecode, read from the committed artifacts at compile
//! time.
//!
//! Whoever needs a view that has no function of its own here encodes `…Call` with
//! [`SolCall`](alloy_sol_types::SolCall) and hands it to [`Mirror::call`](crate::mirror::Mirror::call).
#![allow(missing_docs, clippy::too_many_arguments)]

use alloy_sol_types::sol;

pub use market::delivery::EventDelivery;
pub use market::factory::DataLicenseFactory;
pub use market::license::DataLicense;

sol!(
    #[derive(Debug, PartialEq, Eq)]
    DataCoin,
    "../contracts/artifacts/DataCoin.json"
);

sol!(
    #[derive(Debug, PartialEq, Eq)]
    Stream,
    "../contracts/artifacts/Stream.json"
);

sol!(
    #[derive(Debug, PartialEq, Eq)]
    StreamRegistry,
    "../contracts/artifacts/StreamRegistry.json"
);

/// The market's contracts, each in a module of its own: their ABIs repeat types of each other.
pub mod market {
    /// A product's contract.
    pub mod license {
        alloy_sol_types::sol!(
            #[derive(Debug, PartialEq, Eq)]
            DataLicense,
            "../contracts/artifacts/DataLicense.json"
        );
    }

    /// Where products come from.
    pub mod factory {
        alloy_sol_types::sol!(
            #[derive(Debug, PartialEq, Eq)]
            DataLicenseFactory,
            "../contracts/artifacts/DataLicenseFactory.json"
        );
    }

    /// Contracts as subscribers.
    pub mod delivery {
        alloy_sol_types::sol!(
            #[derive(Debug, PartialEq, Eq)]
            EventDelivery,
            "../contracts/artifacts/EventDelivery.json"
        );
    }
}

sol!(
    #[derive(Debug, PartialEq, Eq)]
    NetworkCoordinator,
    "../contracts/artifacts/NetworkCoordinator.json"
);

sol!(
    #[derive(Debug, PartialEq, Eq)]
    Karma,
    "../contracts/artifacts/Karma.json"
);

/// LaneFees. Its batch headers are a type of a library that other contracts use too, so it has a module of its
/// own.
pub mod fees {
    use alloy_sol_types::sol;

    sol!(
        #[derive(Debug, PartialEq, Eq)]
        LaneFees,
        "../contracts/artifacts/LaneFees.json"
    );
}
