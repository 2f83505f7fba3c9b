//! A running broker: engines on threads of their own, and the threads and sockets that carry their operations out.
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
//! A broker of several shards has an engine with its inbox, committer and reader for each, every one over a log of its
//! own; they share the sockets, the sessions and the submitter, and no state of the protocol. A *front* then brings
//! what comes in to the shard that it is for:
//!
//! ```text
//!   QUIC, sessions ──► front ──┬─► engine 0 ─► log 0        replies, frames, intents go out from each
//!                              └─► engine 1 ─► log 1        what one says to another goes from inbox to inbox
//! ```
//!
//! Frames are verified before their turn, which is most of the work: an engine thread shares it with helpers while a
//! core has nothing to do. The kernel takes them in one after the other, in the order in which they came.
//!
//! Every queue here is bounded: when the disk falls behind, the engine stops taking frames and commands, so that
//! QUIC's flow control and the sessions' queues push back to the publishers.

pub mod commit;
mod disk;
mod door;
mod front;
mod inbox;
pub mod layout;
mod life;
mod reading;
mod shown;
mod submit;
mod turns;
mod verifying;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use weir_chain::port::SharedMirror;
use weir_kernel::broker::{OpenError, Shards, Share};
use weir_kernel::coordinator::State;
use weir_kernel::rules::Rules;
use weir_kernel::signature::SecretKey;
use weir_net::TlsIdentity;
use weir_net::quic::{Backlog, QuicConfig, QuicTransport};
use weir_store::{EventLog, LogError, SegmentLog, SegmentOptions};

use self::commit::Committer;
use self::disk::DiskLimit;
use self::door::{Door, waker};
use self::front::Front;
use self::inbox::Inbox;
use self::layout::{LayoutError, ShardCount};
use self::life::Life;
use self::reading::Reader;
use self::shown::Shown;
use self::submit::Submitter;
use self::turns::{Common, Source, Turns};
use self::verifying::Verifying;
use crate::engine::{Completion, Engine};
use crate::handle::{NodeHandle, node};
use crate::verifier::NativeVerifier;

/// What a broker is started with.
pub struct NodeConfig {
    /// Its name in logs.
    pub name: String,
    /// Its Ethereum key: signs reports and transactions.
    pub key: SecretKey,
    /// Where its store lies.
    pub directory: PathBuf,
    /// How many shards it has.
    pub shards: ShardCount,
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
    /// The directory is for another number of shards, or does not say for how many.
    #[error("{name}: {source}")]
    Layout {
        /// The broker.
        name: String,
        /// The reason.
        source: LayoutError,
    },
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
    life: Arc<Life>,
    /// Of its shards, and of the front if there is one: all that follow the chain.
    inboxes: Vec<Arc<Inbox>>,
    backlog: Backlog,
    committers: Vec<Committer>,
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
    /// Opens the stores and the endpoint, and runs the broker. Needs a tokio runtime around it for the sockets.
    ///
    /// # Errors
    ///
    /// [`StartError`] says which part could not be opened and why.
    pub fn start(config: NodeConfig) -> Result<Self, StartError> {
        let stores = layout::stores(&config.directory, config.shards)
            .map_err(|source| StartError::Layout { name: config.name.clone(), source })?;
        let open = |directory: PathBuf| {
            SegmentLog::open(&directory, SegmentOptions::default()).map_err(|source| {
                let name = config.name.clone();
                StartError::Store { name, directory, source }
            })
        };
        let logs = stores.into_iter().map(open).collect::<Result<_, _>>()?;
        Self::run(config, logs)
    }

    /// The same over a log that is open, as one shard; the configuration's directory only names it in errors.
    ///
    /// # Errors
    ///
    /// As [`Node::start`].
    pub fn start_over(config: NodeConfig, log: impl EventLog + 'static) -> Result<Self, StartError> {
        Self::run(config, vec![log])
    }

    /// Runs a broker over the logs of its shards.
    fn run<L: EventLog + 'static>(config: NodeConfig, logs: Vec<L>) -> Result<Self, StartError> {
        let NodeConfig { name, key, directory, shards: _, disk_limit_bytes, listen, tls, chain, view } =
            config;
        let count = u16::try_from(logs.len()).ok().and_then(Shards::new);
        let shards = count.expect("a layout has as many stores as a broker has shards");
        let me = key.address();
        let opening = Opening { name: &name, directory, view: &view, key: &key };
        let opened = shards.shares().zip(logs).map(|(share, log)| opening.open(share, log));
        let opened = opened.collect::<Result<Vec<_>, _>>()?;
        let runtime = tokio::runtime::Handle::current();
        let quic = QuicConfig { address: me, chain_id: view.chain_id, listen, identity: tls, runtime };
        let transport =
            QuicTransport::bind(quic).map_err(|source| StartError::Listen { name: name.clone(), source })?;
        let (local_addr, backlog, sender) = (transport.local_addr(), transport.backlog(), transport.sender());
        let (handle, end) = node(me, Arc::clone(&view));
        let life = Arc::<Life>::default();
        let mut inboxes: Vec<_> = shards.shares().map(|_| life.inbox()).collect();
        let mut threads = Threads { name: &name, life: &life, running: Vec::new() };
        let (verifying, submitter) = (Arc::<Verifying>::default(), Submitter::default());
        threads.spawn("chain", submitter.run(name.clone(), &key, chain))?;
        for _ in 0..verifying.helpers() {
            let (helping, decoder) = (Arc::clone(&verifying), opened[0].engine.decoder().clone());
            threads.spawn("verify", Box::new(move || helping.help(&decoder)))?;
        }
        let (replies, shown, name_of) = (end.replies(), Shown::new(inboxes.len()), name.clone());
        let all = inboxes.clone();
        let common = Common {
            name: name_of,
            key,
            verifying,
            sender,
            replies: replies.clone(),
            submitter,
            shards: all.clone(),
            shown,
            disk: DiskLimit::new(disk_limit_bytes, all.len()),
        };
        let mut sources: Vec<Source> = Vec::new();
        if shards == Shards::ONE {
            let door = Door::new(name.clone(), transport, end, waker(&all[0]));
            sources.push(Source::Door(Box::new(door)));
        } else {
            let inbox = life.inbox();
            inboxes.push(Arc::clone(&inbox));
            sources.extend(shards.shares().map(|_| Source::Front(Arc::clone(&inbox))));
            let door = Door::new(name.clone(), transport, end, waker(&inbox));
            let view = Arc::clone(&view);
            let front = Front { door, inbox, shards: all.clone(), of: shards, view, replies };
            threads.spawn("front", Box::new(move || front.run()))?;
        }
        inboxes.iter().for_each(|inbox| inbox.push(Completion::Chain(Arc::clone(&view))));
        let common = Arc::new(common);
        let mut committers = Vec::new();
        for ((shard, source), inbox) in opened.into_iter().zip(sources).zip(all) {
            committers.push(shard.run(&mut threads, &common, source, inbox)?);
        }
        let threads = threads.running;
        Ok(Self { name, handle, local_addr, life, inboxes, backlog, committers, threads })
    }

    /// What waits in it now.
    pub fn queued(&self) -> Queued {
        let arrived: usize = self.inboxes.iter().map(|inbox| inbox.arrived_bytes()).sum();
        let records = self.committers.iter().map(Committer::queued_bytes).sum();
        Queued { frames: self.backlog.bytes() + arrived, records }
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
        self.inboxes.iter().for_each(|inbox| inbox.set_view(Arc::clone(&view)));
    }

    /// Why it stopped by itself, if it did.
    pub fn failure(&self) -> Option<NodeFailure> {
        self.life.failure().map(|reason| NodeFailure { name: self.name.clone(), reason })
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
        self.life.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.life.fail(String::from("a thread of the broker panicked: please report this as a bug"));
            }
        }
    }
}

/// What the shards of a broker are opened with.
struct Opening<'a> {
    name: &'a str,
    directory: PathBuf,
    view: &'a Arc<State>,
    key: &'a SecretKey,
}

/// A shard with its log, before it runs.
struct Opened<L> {
    share: Share,
    engine: Engine<NativeVerifier>,
    log: L,
}

impl Opening<'_> {
    fn open<L: EventLog>(&self, share: Share, log: L) -> Result<Opened<L>, StartError> {
        let name = || self.name.to_owned();
        let checkpoint = log.load().map_err(|source| {
            let directory = self.directory.clone();
            StartError::Store { name: name(), directory, source }
        })?;
        let (me, view) = (self.key.address(), Arc::clone(self.view));
        let engine = Engine::open_share(me, view, &checkpoint, NativeVerifier, Rules::sound(), share);
        let engine = engine.map_err(|source| StartError::Open { name: name(), source })?;
        Ok(Opened { share, engine, log })
    }
}

impl<L: EventLog + 'static> Opened<L> {
    /// Starts the shard's threads: for its disk, for reads beside it, and the engine's own.
    fn run(
        self,
        threads: &mut Threads<'_>,
        common: &Arc<Common>,
        source: Source,
        inbox: Arc<Inbox>,
    ) -> Result<Committer, StartError> {
        let Self { share, engine, log } = self;
        let role = |role: &str| match share.of() {
            Shards::ONE => role.to_owned(),
            _ => format!("{role}-{}", share.number()),
        };
        let (reader, committer, told) = (Reader::default(), Committer::default(), Arc::clone(&inbox));
        let log_reader = log.reader();
        let committed = move |durable: Result<u64, LogError>| match durable {
            Ok(index) => told.push(Completion::Durable(index)),
            Err(error) => told.life().fail(error.to_string()),
        };
        threads.spawn(&role("store"), committer.run(log, committed))?;
        threads.spawn(&role("reads"), reader.run(log_reader.clone(), Arc::clone(&inbox)))?;
        let turns = Turns {
            number: share.number(),
            common: Arc::clone(common),
            engine,
            source,
            inbox,
            committer: committer.clone(),
            reader,
            log: log_reader,
            full: false,
        };
        threads.spawn(&role("engine"), Box::new(move || turns.run()))?;
        Ok(committer)
    }
}

/// The threads of a broker as they are started.
struct Threads<'a> {
    name: &'a str,
    life: &'a Life,
    running: Vec<JoinHandle<()>>,
}

impl Threads<'_> {
    fn spawn(&mut self, role: &str, run: Box<dyn FnOnce() + Send>) -> Result<(), StartError> {
        let thread = std::thread::Builder::new().name(format!("{}-{role}", self.name)).spawn(run);
        let thread = thread.map_err(|source| {
            // Those that run already have nothing to run for.
            self.life.stop();
            StartError::Thread { name: self.name.to_owned(), source }
        })?;
        self.running.push(thread);
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.halt();
    }
}
