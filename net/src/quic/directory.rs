//! The broker directory as TLS and dialling need it: who may connect, and where everybody listens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use thiserror::Error;
use weir_kernel::ids::{Address, Hash};

use crate::{Peer, limits};

/// Why nobody can be dialled at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum EndpointError {
    #[error("the endpoint has {0} bytes, {max} are allowed", max = limits::MAX_ENDPOINT_BYTES)]
    TooLong(usize),
    #[error("the endpoint {0:?} is not host:port with a port from 1 to 65535")]
    Malformed(String),
    #[error("{0} is no address of one machine")]
    NotUnicast(SocketAddr),
}

/// Checks the form of a registered endpoint before it is looked up: registrations are strangers' input.
pub(super) fn check_endpoint(endpoint: &str) -> Result<(), EndpointError> {
    if endpoint.len() > limits::MAX_ENDPOINT_BYTES {
        return Err(EndpointError::TooLong(endpoint.len()));
    }
    let malformed = || EndpointError::Malformed(endpoint.to_string());
    let (host, port) = endpoint.rsplit_once(':').ok_or_else(malformed)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if (bracketed || plain) && digits && port.parse::<u16>().is_ok_and(|port| port != 0) {
        Ok(())
    } else {
        Err(malformed())
    }
}

/// Checks what a name led to: nobody may aim this node's packets at a group or at nowhere.
pub(super) fn check_address(address: SocketAddr) -> Result<SocketAddr, EndpointError> {
    let ip = address.ip();
    let broadcast = matches!(ip, std::net::IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_multicast() || ip.is_unspecified() || broadcast || address.port() == 0 {
        Err(EndpointError::NotUnicast(address))
    } else {
        Ok(address)
    }
}

/// Shared between the engine, which replaces it, and every handshake, which reads it.
#[derive(Debug, Default)]
pub(super) struct Directory {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    peers: BTreeMap<Address, Peer>,
    /// Several addresses may claim one key, for anybody may register any hash; only the key's holder gets further
    /// than TLS, and the hello says which of the addresses it goes by.
    keys: BTreeSet<Hash>,
}

impl Directory {
    fn read<R>(&self, read: impl FnOnce(&Entries) -> R) -> R {
        read(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces all entries; returns the addresses whose endpoint or key is new.
    pub(super) fn replace(&self, peers: BTreeMap<Address, Peer>) -> Vec<Address> {
        let keys = peers.values().map(|peer| peer.tls_key_hash).collect();
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let news = peers.values().filter(|peer| entries.peers.get(&peer.address) != Some(peer));
        let news = news.map(|peer| peer.address).collect();
        *entries = Entries { peers, keys };
        news
    }

    pub(super) fn get(&self, address: Address) -> Option<Peer> {
        self.read(|entries| entries.peers.get(&address).cloned())
    }

    pub(super) fn contains(&self, address: Address) -> bool {
        self.read(|entries| entries.peers.contains_key(&address))
    }

    pub(super) fn lists_key(&self, key_hash: Hash) -> bool {
        self.read(|entries| entries.keys.contains(&key_hash))
    }

    /// Whether the address is listed with this key.
    pub(super) fn binds(&self, address: Address, key_hash: Hash) -> bool {
        self.read(|entries| entries.peers.get(&address).is_some_and(|peer| peer.tls_key_hash == key_hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for good in ["127.0.0.1:30000", "[::1]:1", "broker-1.example.org:65535"] {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for bad in
            ["", "host", "host:", ":1", "host:0", "host:65536", "host:+1", "a b:1", "http://host:1", "::1:1"]
        {
            assert_eq!(check_endpoint(bad), Err(EndpointError::Malformed(bad.into())));
        }
        assert_eq!(check_endpoint(&"a".repeat(300)), Err(EndpointError::TooLong(300)));
        for bad in ["0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[ff02::1]:1", "[::]:1", "127.0.0.1:0"] {
            let address = bad.parse().expect("an address");
            assert_eq!(check_address(address), Err(EndpointError::NotUnicast(address)));
        }
    }

    #[test]
    fn one_key_under_two_addresses() {
        let peer = |byte, key| Peer {
            address: Address([byte; 20]),
            endpoint: "127.0.0.1:1".into(),
            tls_key_hash: Hash([key; 32]),
        };
        let list = |peers: &[Peer]| peers.iter().map(|peer| (peer.address, peer.clone())).collect();
        let directory = Directory::default();
        assert_eq!(directory.replace(list(&[peer(1, 9), peer(2, 9)])).len(), 2);
        assert!(
            directory.binds(Address([1; 20]), Hash([9; 32]))
                && directory.binds(Address([2; 20]), Hash([9; 32]))
        );
        assert_eq!(directory.replace(list(&[peer(1, 9), peer(2, 8)])), [Address([2; 20])]);
        assert!(directory.lists_key(Hash([9; 32])));
        assert!(directory.replace(list(&[peer(2, 8)])).is_empty());
        assert!(!directory.lists_key(Hash([9; 32])) && !directory.contains(Address([1; 20])));
    }
}
