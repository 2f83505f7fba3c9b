//! The accounts of a development network. Their keys are public knowledge, so they are worth nothing elsewhere.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use weir_chain::mirror::Genesis;
use weir_chain::wallet::Wallet;
use weir_kernel::coordinator::{Params, fees, params::DATA};
use weir_kernel::signature::SecretKey;

/// EIP-155 id of every development chain.
pub const CHAIN_ID: u64 = 31_337;

/// The first well-known development account: what the command line signs with when it is given no key.
const DEVELOPMENT_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// The second: deploys the contracts and holds the tokens that nobody has yet.
const TREASURY_KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/// The third: publishes the sample streams.
const SAMPLE_KEY: &str = "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";

/// All tokens of a new network.
pub const SUPPLY: u128 = 1_000_000_000 * DATA;

/// What of them the coordinator pays rewards from: a million epochs of the default emission.
pub const RESERVE: u128 = 100_000_000 * DATA;

/// What the development account gets.
pub const DEVELOPMENT_TOKENS: u128 = 1_000_000 * DATA;

/// What the samples' publisher allots to each of their stream partitions: enough for weeks at [`fees`]' prices.
pub const SAMPLE_ALLOTMENT: u128 = 1_000 * DATA;

/// What a network here charges: an event of a kilobyte costs a fifth of a thousandth of a DATA. The first events of a
/// lane are free, so that somebody without tokens can try.
pub fn fees() -> fees::Params {
    fees::Params {
        event_price: DATA / 10_000,
        byte_price: DATA / 10_000_000,
        free_events: 20,
        free_volume: 20_000,
        ..fees::Params::default()
    }
}

/// Ether of each account at genesis, in wei: enough to fund every broker.
const GENESIS_ETHER_WEI: u128 = 10_000 * 1_000_000_000_000_000_000;

/// Owns the sample streams and signs for callers on this machine.
pub fn development() -> Wallet {
    wallet(DEVELOPMENT_KEY)
}

/// Deploys and funds.
pub fn treasury() -> Wallet {
    wallet(TREASURY_KEY)
}

/// Publishes the samples.
pub fn sample_publisher() -> SecretKey {
    SecretKey::from_bytes(&wallet(SAMPLE_KEY).to_bytes()).expect("a wallet's key is a key")
}

fn wallet(key: &str) -> Wallet {
    Wallet::from_hex(key).expect("the key is well known")
}

/// What the chain begins with.
pub fn genesis(timestamp_s: u64) -> Genesis {
    let sample = Address::from(sample_publisher().address().0);
    let accounts = [development().address(), treasury().address(), sample];
    let alloc = accounts.map(|account| (account, U256::from(GENESIS_ETHER_WEI)));
    Genesis { chain_id: CHAIN_ID, timestamp_s, alloc: BTreeMap::from(alloc) }
}

/// What a broker stakes: as many tickets as one can hold, the same for all.
pub fn stake(params: &Params) -> u128 {
    params.minimum_stake.max(params.ticket_stake * u128::from(params.maximum_tickets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_keys_have_their_well_known_addresses() {
        assert_eq!(development().address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(treasury().address().to_string(), "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        let sample = Address::from(sample_publisher().address().0);
        assert_eq!(sample.to_string(), "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
    }
}
