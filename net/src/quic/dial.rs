//! Dialling one peer again and again: between two peers the one with the lower address does it, so that there is
//! one connection and nobody has to choose between two.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, Endpoint};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;
use weir_kernel::hash::sha256;
use weir_kernel::ids::Address;

use super::directory::{EndpointError, check_address, check_endpoint};
use super::session::{Established, Role, establish, refusal};
use super::{Shared, tls};
use crate::counters::add;
use crate::identity::SERVER_NAME;
use crate::{Peer, limits};

/// How long to wait after `failures` failed attempts in a row. Doubles up to the cap, less up to an eighth that
/// depends on the two addresses, so that a returning node is not dialled by everybody in one instant.
fn backoff(failures: u32, own: Address, peer: Address) -> Duration {
    let whole = limits::BACKOFF_FIRST.saturating_mul(1 << failures.min(16)).min(limits::BACKOFF_CAP);
    let digest = sha256(&[&own.0, &peer.0, &failures.to_be_bytes()]);
    whole - whole / 8 * u32::from(digest.0[0]) / 256
}

/// Keeps a session with one peer for as long as the directory lists it; `kick` cuts a wait short.
pub(super) async fn keep_connected(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    address: Address,
    kick: Arc<Notify>,
) {
    let mut failures = 0;
    while let Some(peer) = shared.directory.get(address) {
        let began = Instant::now();
        if let Some(established) = attempt(&shared, &endpoint, &peer).await {
            // The session has its own task: who stops dialling does not cut it.
            let session = tokio::spawn(established.run(Arc::clone(&shared)));
            let _ = session.await;
            if began.elapsed() >= limits::STABLE_SESSION {
                failures = 0;
            }
        }
        tokio::select! {
            () = sleep(backoff(failures, shared.address, address)) => failures = failures.saturating_add(1),
            () = kick.notified() => failures = 0,
        }
    }
}

async fn attempt(shared: &Shared, endpoint: &Endpoint, peer: &Peer) -> Option<Established> {
    let remote = match resolve(endpoint, &peer.endpoint).await {
        Ok(remote) => remote,
        Err(reason) => {
            debug!(peer = %peer.address, endpoint = %peer.endpoint, %reason, "cannot dial");
            add(&shared.counters.dials_failed, 1);
            return None;
        }
    };
    let crypto = match tls::client(&shared.identity, peer.tls_key_hash) {
        Ok(crypto) => crypto,
        Err(reason) => {
            debug!(%reason, "no TLS configuration");
            add(&shared.counters.dials_failed, 1);
            return None;
        }
    };
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::clone(&shared.transport));
    let connecting = endpoint.connect_with(config, remote, SERVER_NAME).ok();
    let handshake = match connecting {
        Some(connecting) => timeout(limits::HANDSHAKE_TIMEOUT, connecting).await.ok(),
        None => None,
    };
    match handshake {
        Some(Ok(connection)) => establish(shared, connection, Role::Dialled(peer.address)).await,
        Some(Err(error)) => {
            debug!(peer = %peer.address, %remote, %error, "dialling failed");
            match refusal(error) {
                Some(reason) => shared.inbound.refuse(remote, reason),
                None => add(&shared.counters.dials_failed, 1),
            }
            None
        }
        None => {
            add(&shared.counters.dials_failed, 1);
            None
        }
    }
}

/// Why an endpoint led to no address, in words for the log.
async fn resolve(endpoint: &Endpoint, text: &str) -> Result<SocketAddr, String> {
    let explain = |error: EndpointError| error.to_string();
    check_endpoint(text).map_err(explain)?;
    let local = endpoint.local_addr().map_err(|error| error.to_string())?;
    let found = timeout(limits::LOOKUP_TIMEOUT, tokio::net::lookup_host(text)).await;
    let mut found = found.map_err(|_| "the name lookup took too long")?.map_err(|error| error.to_string())?;
    let usable = found.find(|address| address.is_ipv4() == local.is_ipv4());
    let address = usable.ok_or("the name has no address of the family this node listens on")?;
    check_address(address).map_err(explain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let (own, peer) = (Address([3; 20]), Address([9; 20]));
        for failures in 0..100 {
            let whole = limits::BACKOFF_FIRST.saturating_mul(1 << failures.min(16)).min(limits::BACKOFF_CAP);
            let wait = backoff(failures, own, peer);
            assert!(wait <= whole && wait >= whole / 8 * 7, "{failures}: {wait:?} of {whole:?}");
        }
        assert!(backoff(100, own, peer) > limits::BACKOFF_FIRST * 40);
    }

    #[test]
    fn peers_wait_differently() {
        let peer = Address([9; 20]);
        let waits: std::collections::BTreeSet<_> =
            (0..16).map(|byte| backoff(10, Address([byte; 20]), peer)).collect();
        assert!(waits.len() > 4);
    }
}
