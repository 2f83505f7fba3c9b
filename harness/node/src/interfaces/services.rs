//! What the routes share: the services, who may use them, and the chain.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use tokio::sync::{Mutex, watch};
use weir_chain::port::SharedMirror;
use weir_chain::wallet::Wallet;
use weir_kernel::ids::StreamId;
use weir_kernel::signature::SecretKey;

use super::caller::{Access, Caller};
use super::counters::Counters;
use super::error::ApiError;
use super::query::Parameters;
use crate::service::{Gateway, Publisher, SignIn};

/// Stops and starts brokers of this process, for `POST /admin/brokers/{n}/stop|start`; `n` counts from 0.
pub trait BrokerSwitch: Send + Sync {
    /// Stops broker `n`, or starts it again. Done when it is.
    ///
    /// # Errors
    ///
    /// A sentence for people: there is no such broker, or why it did not start.
    fn set_running(
        &self,
        n: usize,
        running: bool,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

/// How the interfaces of a node are set up.
#[derive(Clone)]
pub struct InterfaceConfig {
    /// Where HTTP listens; port 0 picks one.
    pub http: SocketAddr,
    /// Where WebSocket clients are told to connect; port 0 picks one.
    pub websocket: SocketAddr,
    /// The application key: signs plain publishes, and in development the creation of streams.
    pub application_key: [u8; 32],
    /// Callers with one of these have their events signed.
    pub api_keys: Vec<String>,
    /// A development network: callers on this machine need no key.
    pub development: bool,
    /// Further names (`host` or `host:port`) that this node is reached by, for sign-in messages.
    pub hosts: Vec<String>,
    /// How long a WebSocket subscriber may take nothing before it is closed as too slow.
    pub slow_reader: Duration,
    /// Stops and starts brokers, where that is offered.
    pub switch: Option<Arc<dyn BrokerSwitch>>,
}

/// Never shows the keys.
impl fmt::Debug for InterfaceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterfaceConfig")
            .field("http", &self.http)
            .field("websocket", &self.websocket)
            .field("api_keys", &self.api_keys.len())
            .field("development", &self.development)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// The application key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the application key is no secp256k1 private key: make another one")]
pub struct InvalidApplicationKey;

/// What the routes share.
pub struct Services {
    /// The brokers.
    pub gateway: Arc<Gateway>,
    /// Signs and publishes.
    pub publisher: Publisher,
    /// Sign-ins.
    pub sign_in: SignIn,
    /// Who may do what.
    pub access: Access,
    /// The chain.
    pub chain: SharedMirror,
    /// Sends the application key's transactions, one at a time so that their nonces follow each other.
    pub(super) wallet: Mutex<Wallet>,
    /// Whether this is a development network.
    pub development: bool,
    /// How long a WebSocket subscriber may take nothing.
    pub(super) slow_reader: Duration,
    /// Stops and starts brokers.
    pub(super) switch: Option<Arc<dyn BrokerSwitch>>,
    /// What is counted.
    pub(super) counters: Counters,
    /// The addresses that HTTP and WebSocket listen on.
    pub(super) listening: [SocketAddr; 2],
    /// Turns true when the servers shut down.
    pub(super) shutdown: watch::Receiver<bool>,
}

impl Services {
    /// Puts the services together. `listening` are the addresses of the HTTP and the WebSocket port.
    pub(super) fn new(
        config: &InterfaceConfig,
        gateway: Arc<Gateway>,
        chain: SharedMirror,
        listening: [SocketAddr; 2],
        shutdown: watch::Receiver<bool>,
    ) -> Result<Self, InvalidApplicationKey> {
        let key = SecretKey::from_bytes(&config.application_key).map_err(|_| InvalidApplicationKey)?;
        let wallet = Wallet::from_bytes(&config.application_key).map_err(|_| InvalidApplicationKey)?;
        let own = listening
            .iter()
            .flat_map(|address| [address.to_string(), format!("localhost:{}", address.port())]);
        let loopback = listening.iter().map(|address| format!("127.0.0.1:{}", address.port()));
        let domains: Vec<String> = own.chain(loopback).chain(config.hosts.iter().cloned()).collect();
        let chain_id = weir_chain::port::Chain::chain_id(&chain);
        Ok(Self {
            access: Access::new(
                config.api_keys.iter().map(String::as_str),
                config.development,
                key.address(),
            ),
            publisher: Publisher::new(gateway.clone(), key),
            gateway,
            sign_in: SignIn::new(chain_id, domains),
            chain,
            wallet: Mutex::new(wallet),
            development: config.development,
            slow_reader: config.slow_reader,
            switch: config.switch.clone(),
            counters: Counters::default(),
            listening,
            shutdown,
        })
    }

    /// Who asks, by the request's headers and query.
    pub(super) fn caller(
        &self,
        headers: &HeaderMap,
        parameters: &Parameters,
        peer: SocketAddr,
    ) -> Result<Caller, ApiError> {
        self.access.caller(&self.sign_in, headers, parameters.text("apiKey"), peer)
    }

    /// Query and caller of a request at once.
    pub(super) fn request(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        known: &[&str],
        peer: SocketAddr,
    ) -> Result<(Parameters, Caller), ApiError> {
        let parameters = Parameters::read(uri, known)?;
        let caller = self.caller(headers, &parameters, peer)?;
        Ok((parameters, caller))
    }

    /// Reads a stream id from a path, and that it exists.
    pub(super) fn stream(&self, id: &str) -> Result<StreamId, ApiError> {
        let stream = id.parse().map_err(|error| {
            ApiError::not_found(format!("{id:?} is no stream id (the address of its contract): {error}"))
        })?;
        self.gateway.partitions(stream)?;
        Ok(stream)
    }
}
