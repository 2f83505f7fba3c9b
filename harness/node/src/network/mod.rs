//! A whole network on this machine, as `weir up` runs it: chain, brokers, interfaces, sample streams.
//!
//! ```text
//!   ticker ──block──► mirror ──► follower ──view──┬─► brokers (QUIC between them) ◄── gateway ◄── HTTP, WebSocket
//!                       ▲                         └─► set-up, retirement                 ▲
//!                       └── transactions of brokers, set-up, JSON-RPC                    └── samples
//! ```
//!
//! What a network was made with is in its directory's `network.toml`; everything else that matters is on its chain and
//! in its brokers' stores. The set-up looks at the chain and does what is missing, on the first start and on every
//! other, so that it may be killed at any instant:
//!
//! 1. lock the directory, open the chain or begin one (`founding`), follow it to its end;
//! 2. decide who takes part (`membership`), start the brokers;
//! 3. fund and register those that are new; their own agents draw, take seats and found the partitions;
//! 4. create the sample streams (`samples`), open the interfaces.
//!
//! While that lasts blocks come fast; afterwards one a block time.

mod accounts;
mod brokers;
mod directory;
mod error;
mod founding;
mod membership;
mod options;
mod samples;
mod settings;
mod setup;
mod summary;
mod ticker;
mod transactions;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_chain::port::SharedMirror;
use weir_kernel::coordinator::State;
use weir_kernel::ids::StreamId;

pub use accounts::CHAIN_ID;
pub use error::NetworkError;
pub use options::{MAX_BROKERS, MAX_PARTITIONS, Options};
pub use settings::Settings;
pub use summary::{BrokerSummary, Summary};

use self::brokers::Brokers;
use self::directory::StateDirectory;
use self::setup::Setup;
use self::ticker::Ticker;
use crate::follower::Follower;
use crate::interfaces::{Bind, BrokerSwitch, ServeError, Servers};
use crate::service::Gateway;

/// Blocks that confirm a block of a chain that never goes back.
const CONFIRMATIONS: u64 = 1;

/// A running network. End it with [`Network::stop`].
pub struct Network {
    settings: Settings,
    chain: SharedMirror,
    gateway: Arc<Gateway>,
    brokers: Arc<Brokers>,
    servers: Servers,
    /// Samples and retirement.
    tasks: JoinSet<()>,
    ticker: Ticker,
    directory: StateDirectory,
}

impl Network {
    /// Starts the network of a directory, or a new one. Done when every partition takes events and the interfaces are
    /// open. Needs a multi-threaded tokio runtime.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] says what is wrong and what to do. The directory can be started again whatever happened.
    pub async fn start(options: Options) -> Result<Self, NetworkError> {
        options.check()?;
        let root = options.directory.clone();
        let opening = move || {
            let directory = StateDirectory::lock(&root)?;
            check_free(&options)?;
            let (settings, mirror) = founding::open(&directory, &options)?;
            let chain = SharedMirror::new(mirror);
            let begin = Instant::now();
            let mut follower =
                Follower::new(chain.clone(), settings.addresses(), settings.params(), CONFIRMATIONS);
            follower.advance()?;
            let (blocks, elapsed_ms) = (follower.view().height, begin.elapsed().as_millis());
            tracing::info!(blocks, elapsed_ms, "followed the chain to its end");
            Ok::<_, NetworkError>((options, directory, settings, chain, follower))
        };
        let opened = tokio::task::spawn_blocking(opening).await.expect("opening does not panic");
        let (options, directory, settings, chain, follower) = opened?;
        Setup { options, directory, settings, chain }.run(follower).await
    }

    /// Where HTTP listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.servers.http_addr
    }

    /// Where WebSocket clients connect.
    pub fn ws_addr(&self) -> SocketAddr {
        self.servers.ws_addr
    }

    /// What the network was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The directory of its state.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.root()
    }

    /// A sample stream's id.
    pub fn sample(&self, name: &str) -> Option<StreamId> {
        self.settings.sample(name)
    }

    /// What the interfaces open sessions by.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// The chain.
    pub fn chain(&self) -> &SharedMirror {
        &self.chain
    }

    /// The newest view of the chain.
    pub fn view(&self) -> Arc<State> {
        self.ticker.views().borrow().clone()
    }

    /// The views of the chain, as they come.
    pub fn views(&self) -> watch::Receiver<Arc<State>> {
        self.ticker.views()
    }

    /// How the network does, in a few figures.
    pub fn summary(&self) -> Summary {
        summary::of(&self.view(), &self.gateway, &self.brokers)
    }

    /// Stops broker `number`, counted from 0, or starts it again.
    ///
    /// # Errors
    ///
    /// A sentence for people.
    pub async fn set_running(&self, number: usize, running: bool) -> Result<(), String> {
        self.brokers.set_running(number, running).await
    }

    /// Done when the network cannot go on, with the reason: the chain's block log cannot be written, say.
    pub async fn failed(&self) -> NetworkError {
        self.ticker.failed().await
    }

    /// Stops everything in order: interfaces, samples, brokers, chain. The state is kept.
    ///
    /// # Errors
    ///
    /// A broker that had stopped by itself before says why; everything is stopped all the same.
    pub async fn stop(self) -> Result<(), NetworkError> {
        let Self { mut tasks, servers, brokers, gateway, ticker, chain, directory, .. } = self;
        tasks.shutdown().await;
        servers.shutdown().await;
        let stopped = brokers.stop_all().await;
        drop((brokers, gateway));
        let end = move || {
            drop(ticker);
            chain.lock().snapshot();
            drop(chain);
            drop(directory);
        };
        tokio::task::spawn_blocking(end).await.expect("ending the chain does not panic");
        stopped
    }
}

/// Checks that the interfaces' ports are free, before anything is set up for nothing.
fn check_free(options: &Options) -> Result<(), ServeError> {
    let bind = |bind, address| {
        TcpListener::bind(address).map_err(|source| ServeError::Bind { bind, address, source })
    };
    // Both at once, for they may be the same.
    let _http = bind(Bind::Http, options.http)?;
    let _websocket = bind(Bind::WebSocket, options.websocket)?;
    Ok(())
}
