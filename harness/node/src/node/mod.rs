//! A running broker: the engine on a thread of its own, and the threads and sockets that carry its operations out.
//!
//! ```text
//!                         ┌───────────── engine thread ─────────────┐
//!   QUIC (tokio) ───────► │ inbox ─► Engine::turn ─► operations     │ ──► QUIC
//!   client sessions ────► │                                         │ ──► replies
//!   chain views ────────► │                                         │
//!                         └──▲───────▲──────────────▲───────────────┘
//!             Durable ───────┘       │ Loaded       └─ (signs in place)
//!          committer thread     reader thread        submitter thread ──► chain
//! ```
//!
//! Frames are verified before their turn, which is most of the work: the engine thread shares it with helpers, one for
//! each other core. The kernel takes them in one after the other, in the order in which they came.
//!
//! Every queue here is bounded: when the disk falls behind, the engine stops taking frames and commands, so that
//! QUIC's flow control and the sessions' queues push back to the publishers.

pub mod commit;
mod inbox;
mod reading;
mod submit;
mod turns;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use weir_chain::port::SharedMirror;
use weir_kernel::broker::OpenError;
use weir_kernel::coordinator::State;
use weir_kernel::signature::SecretKey;
use weir_net::TlsIdentity;
use weir_net::quic::{Backlog, QuicConfig, QuicTransport};
use weir_queue::Share;
use weir_store::{EventLog, LogError, SegmentLog, SegmentOptions};

use self::commit::Committer;
use self::inbox::Inbox;
use self::reading::Reader;
use self::submit::Submitter;
use self::turns::{Decoded, Framed, Turns};
use crate::engine::{Completion, Decoder, Engine};
use crate::handle::{NodeHandle, node};
use crate::verifier::NativeVerifier;

/// Threads that help to verify at most: what one connection brings keeps no more of them busy.
const MAX_HELPERS: usize = 7;

/// What a broker is started with.
pub struct NodeConfig {
    /// Its name in logs.
    pub name: String,
    /// Its Ethereum key: signs reports and transactions.
    pub key: SecretKey,
    /// Where its store lies.
    pub directory: PathBuf,
    /// Bytes on disk from which on it takes nothing new from publishers; `None` for no limit.
    pub disk_limit_bytes: Option<u64>,
    /// Where it listens for other brokers; port 0 picks one.
    pub listen: SocketAddr,
    /// Its TLS key, whose hash is in its registration.
    pub tls: TlsIdentity,
    /// The chain.
    pub chain: SharedMirror,
    /// The confirmed chain as it stands.
    pub view: Arc<State>,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error("{name}, whose data directory is {}: {source}", .directory.display())]
    Store {
        /// The broker.
        name: String,
        /// Where its store lies.
        directory: PathBuf,
        /// The store's reason.
        source: LogError,
    },
    /// The store is not this broker's, or damaged.
    #[error("{name}: {source}")]
    Open {
        /// The broker.
        name: String,
        /// The kernel's reason.
        source: OpenError,
    },
    /// The QUIC endpoint cannot be opened.
    #[error("{name}: {source}")]
    Listen {
        /// The broker.
        name: String,
        /// The transport's reason.
        source: weir_net::quic::BindError,
    },
    /// A thread cannot be started.
    #[error("{name}: starting a thread: {source}")]
    Thread {
        /// The broker.
        name: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Why a running broker stopped by itself.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name} stopped: {reason}")]
pub struct NodeFailure {
    /// The broker.
    pub name: String,
    /// What failed and what to do.
    pub reason: String,
}

/// A running broker. Dropping it stops it.
pub struct Node {
    name: String,
    handle: NodeHandle,
    local_addr: SocketAddr,
    inbox: Arc<Inbox>,
    backlog: Backlog,
    committer: Committer,
    threads: Vec<JoinHandle<()>>,
}

/// What waits inside a broker, in bytes. Each is bounded, so that a slow disk is felt by whoever sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Frames of other brokers that the engine has not taken in.
    pub frames: usize,
    /// Records on their way to the disk.
    pub records: usize,
}

impl Node {
    /// Opens the store and the endpoint, and runs the broker. Needs a tokio runtime around it for the sockets.
    ///
    /// # Errors
    ///
    /// [`StartError`] says which part could not be opened and why.
    pub fn start(config: NodeConfig) -> Result<Self, StartError> {
        let log = SegmentLog::open(&config.directory, SegmentOptions::default());
        let log = log.map_err(|source| StartError::Store {
            name: config.name.clone(),
            directory: config.directory.clone(),
            source,
        })?;
        Self::start_over(config, log)
    }

    /// The same over a log that is open; the configuration's directory only names it in errors.
    ///
    /// # Errors
    ///
    /// As [`Node::start`].
    pub fn start_over(config: NodeConfig, log: impl EventLog + 'static) -> Result<Self, StartError> {
        let NodeConfig { name, key, directory, disk_limit_bytes, listen, tls, chain, view } = config;
        let at_store =
            |source| StartError::Store { name: name.clone(), directory: directory.clone(), source };
        let checkpoint = log.load().map_err(at_store)?;
        let me = key.address();
        let engine = Engine::open(me, Arc::clone(&view), &checkpoint, NativeVerifier)
            .map_err(|source| StartError::Open { name: name.clone(), source })?;
        let runtime = tokio::runtime::Handle::current();
        let quic = QuicConfig { address: me, chain_id: view.chain_id, listen, identity: tls, runtime };
        let transport =
            QuicTransport::bind(quic).map_err(|source| StartError::Listen { name: name.clone(), source })?;
        let (local_addr, backlog) = (transport.local_addr(), transport.backlog());
        let (handle, end) = node(me, Arc::clone(&view));
        let inbox = Arc::new(Inbox::default());
        inbox.push(Completion::Chain(view));
        let mut threads = Vec::new();
        let mut spawn = |role: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(format!("{name}-{role}"))
                .spawn(run)
                .map(|thread| threads.push(thread))
                .map_err(|source| StartError::Thread { name: name.clone(), source })
        };
        let reader = Reader::default();
        let committer = Committer::default();
        let submitter = Submitter::default();
        let log_reader = log.reader();
        let told = Arc::clone(&inbox);
        let committed = move |durable: Result<u64, LogError>| match durable {
            Ok(index) => told.push(Completion::Durable(index)),
            Err(error) => told.fail(error.to_string()),
        };
        spawn("store", committer.run(log, committed))?;
        spawn("reads", reader.run(log_reader.clone(), Arc::clone(&inbox)))?;
        spawn("chain", submitter.run(name.clone(), &key, chain))?;
        let verifying = Arc::<Share<_, _>>::default();
        for _ in 0..helpers() {
            let (helping, decoder) = (Arc::clone(&verifying), engine.decoder().clone());
            spawn("verify", Box::new(move || help(&helping, &decoder)))?;
        }
        let turns = Turns {
            name: name.clone(),
            key,
            engine,
            verifying,
            transport,
            end,
            inbox: Arc::clone(&inbox),
            committer: committer.clone(),
            reader,
            submitter,
            log: log_reader,
            disk_limit_bytes,
            full: false,
            peers: 0,
        };
        spawn("engine", Box::new(move || turns.run()))?;
        Ok(Self { name, handle, local_addr, inbox, backlog, committer, threads })
    }

    /// What waits in it now.
    pub fn queued(&self) -> Queued {
        Queued { frames: self.backlog.bytes(), records: self.committer.queued_bytes() }
    }

    /// How the interfaces talk to it.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Where it listens for other brokers.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Shows it a newer confirmed view of the chain.
    pub fn set_view(&self, view: Arc<State>) {
        self.inbox.set_view(view);
    }

    /// Why it stopped by itself, if it did.
    pub fn failure(&self) -> Option<NodeFailure> {
        self.inbox.failure().map(|reason| NodeFailure { name: self.name.clone(), reason })
    }

    /// Stops it: what was written is synced, peers are told.
    ///
    /// # Errors
    ///
    /// [`NodeFailure`] if it had stopped by itself before.
    pub fn stop(mut self) -> Result<(), NodeFailure> {
        self.halt();
        self.failure().map_or(Ok(()), Err)
    }

    fn halt(&mut self) {
        self.inbox.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.inbox.fail(String::from("a thread of the broker panicked: please report this as a bug"));
            }
        }
    }
}

/// Threads that help the engine's to verify: the cores beside its own.
fn helpers() -> usize {
    std::thread::available_parallelism().map_or(0, |cores| (cores.get() - 1).min(MAX_HELPERS))
}

fn help(share: &Share<Framed, Decoded>, decoder: &Decoder<NativeVerifier>) {
    share.help(|(from, frame)| (from, decoder.decode(from, &frame)));
}

impl Drop for Node {
    fn drop(&mut self) {
        self.halt();
    }
}
