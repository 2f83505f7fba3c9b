//! Opening the network's chain, and beginning one: genesis, contracts, first settings.
//!
//! A chain begins in `chain.new/`; the settings are written when its contracts are deployed; then it is renamed to
//! `chain/`. So an interruption at any instant leaves either nothing that counts, or a chain with its settings.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_chain::deploy::{Deployment, Economy, deploy_market, deploy_with};
use weir_chain::mirror::{Mirror, OpenError};

use super::accounts::{self, CHAIN_ID, RESERVE, SUPPLY};
use super::directory::StateDirectory;
use super::error::NetworkError;
use super::options::Options;
use super::settings::{Settings, sync_directory};

/// How long connections of an earlier network in this process may hold its chain.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

/// The settings and chain of the network in `directory`; begins one if there is none.
pub fn open(directory: &StateDirectory, options: &Options) -> Result<(Settings, Mirror), NetworkError> {
    let settings = match Settings::read(&directory.settings())? {
        Some(settings) => {
            options.check_against(&settings, options.brokers.unwrap_or(settings.brokers))?;
            settings
        }
        None => begin(directory, options)?,
    };
    let (chain, new_chain) = (directory.chain(), directory.new_chain());
    if !chain.exists() {
        if !new_chain.exists() {
            let reason = "network.toml is there but its chain/ is not: restore that, or remove the whole directory \
                          to begin a new network";
            return Err(NetworkError::Foreign { directory: directory.root().into(), reason: reason.into() });
        }
        let renamed = fs::rename(&new_chain, &chain).and_then(|()| sync_directory(&chain));
        renamed.map_err(NetworkError::io("rename", &new_chain))?;
    }
    let mirror = open_chain(&chain, settings.genesis_time_s)?;
    let addresses = settings.addresses();
    let optional = [
        ("fees", addresses.fees),
        ("karma", addresses.karma),
        ("license_factory", addresses.license_factory),
        ("event_delivery", addresses.event_delivery),
    ];
    let named = [
        ("token", Some(addresses.token)),
        ("registry", Some(addresses.registry)),
        ("coordinator", Some(addresses.coordinator)),
    ];
    for (name, address) in named.into_iter().chain(optional) {
        let Some(address) = address else { continue };
        if mirror.code(address).is_empty() {
            let reason = format!("the chain has no contract at {address}, where it says the {name} is");
            return Err(NetworkError::Damaged { path: directory.settings(), reason });
        }
    }
    Ok((settings, mirror))
}

/// Opens a chain. The directory is this process's alone, so whoever still holds the chain is a part of an earlier run
/// in this process, which is about to let go.
fn open_chain(path: &Path, genesis_time_s: u64) -> Result<Mirror, OpenError> {
    let begin = Instant::now();
    loop {
        match Mirror::open(path, &accounts::genesis(genesis_time_s)) {
            Err(OpenError::InUse(_)) if begin.elapsed() < RELEASE_PATIENCE => {
                sleep(Duration::from_millis(20))
            }
            opened => return opened,
        }
    }
}

/// Makes a chain with the contracts on it, and writes the settings.
fn begin(directory: &StateDirectory, options: &Options) -> Result<Settings, NetworkError> {
    let params = options.new_params()?;
    let path = directory.new_chain();
    if path.exists() {
        fs::remove_dir_all(&path).map_err(NetworkError::io("remove", &path))?;
    }
    let genesis_time_s = now_s();
    let brokers = options.new_brokers();
    let each = options.new_partitions_per_broker();
    let nowhere = weir_chain::deploy::Addresses::default();
    let mut settings = Settings::new(CHAIN_ID, genesis_time_s, &params, brokers, each, nowhere);
    options.check_against(&settings, brokers)?;
    let mut mirror = Mirror::open(&path, &accounts::genesis(genesis_time_s))?;
    let deployment = Deployment { supply: SUPPLY, reserve: RESERVE, params: params.clone() };
    let (deployer, economy) =
        (accounts::treasury(), Economy { fees: accounts::fees(), ..Economy::default() });
    let mut addresses = deploy_with(&mut mirror, &deployer, &deployment, &economy, genesis_time_s)?;
    deploy_market(&mut mirror, &deployer, &mut addresses, genesis_time_s)?;
    mirror.snapshot();
    drop(mirror);
    settings = Settings::new(CHAIN_ID, genesis_time_s, &params, brokers, each, addresses);
    settings.write(&directory.settings())?;
    Ok(settings)
}

/// The present in seconds since 1970 UTC.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
