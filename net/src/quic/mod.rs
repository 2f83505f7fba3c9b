//! The transport over QUIC (RFC 9000) with mutual TLS 1.3.
//!
//! One UDP socket dials and is dialled. Tasks on the caller's tokio runtime only move bytes: a task an incoming
//! handshake, one a dialled peer, one a session. All decisions an engine sees come out of `poll`.

mod dial;
mod directory;
mod outbox;
mod session;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use bytes::Bytes;
use quinn::{
    AsyncUdpSocket, ConnectionError, Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig,
    TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, info};
use weir_kernel::ids::Address;

use self::directory::Directory;
use self::outbox::Full;
use self::session::{Role, Session, establish, refusal};
use crate::close::{CloseCode, CloseReason};
use crate::counters::{Counters, CountersSnapshot, add};
use crate::inbound::{Inbound, SessionId};
use crate::{Channel, NetEvent, Peer, SendError, TlsIdentity, Transport, Waker, limits};

/// What a node's transport needs to know.
#[derive(Clone, Debug)]
pub struct QuicConfig {
    /// The node's broker address.
    pub address: Address,
    /// The chain whose directory it follows (EIP-155 id); peers of another chain are refused.
    pub chain_id: u64,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The key and certificate.
    pub identity: TlsIdentity,
    /// The tokio runtime that moves the bytes; it needs its I/O and time drivers, and must outlive the transport.
    pub runtime: Handle,
}

/// Why a transport did not start.
#[derive(Debug, Error)]
pub enum BindError {
    /// The socket cannot be opened.
    #[error("cannot listen on UDP {listen}: {source} (is another node running there?)")]
    Socket {
        /// The wanted address.
        listen: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// TLS refuses the identity.
    #[error("TLS cannot use this identity: {0}")]
    Tls(rustls::Error),
}

/// What the engine's thread and the tasks share.
struct Shared {
    address: Address,
    chain_id: u64,
    identity: TlsIdentity,
    directory: Arc<Directory>,
    transport: Arc<TransportConfig>,
    inbound: Inbound,
    counters: Arc<Counters>,
    sessions: Mutex<BTreeMap<Address, Arc<Session>>>,
    numbers: AtomicU64,
    closed: AtomicBool,
}

impl Shared {
    fn next_session(&self) -> SessionId {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<Address, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a session the peer's only one. The directory is read under the same lock under which `set_peers` sweeps,
    /// so a session that slips in between cannot survive a removal.
    fn register(&self, session: &Arc<Session>) -> Result<(), CloseCode> {
        let mut sessions = self.sessions();
        if self.closed.load(Ordering::SeqCst) {
            return Err(CloseCode::Shutdown);
        }
        if !self.directory.binds(session.address, session.key_hash) {
            return Err(CloseCode::IdentityMismatch);
        }
        if let Some(old) = sessions.insert(session.address, Arc::clone(session)) {
            old.close(CloseCode::Replaced);
        }
        self.inbound.open(session.address, session.id);
        Ok(())
    }

    fn unregister(&self, session: &Session, reason: CloseReason) {
        let mut sessions = self.sessions();
        if sessions.get(&session.address).is_some_and(|current| current.id == session.id) {
            sessions.remove(&session.address);
        }
        self.inbound.end(session.address, session.id, reason, false);
    }

    fn send(&self, to: Address, channel: Channel, frame: Bytes) -> Result<(), SendError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(SendError::Closed(to));
        }
        if !self.directory.contains(to) {
            return Err(SendError::UnknownPeer(to));
        }
        let session = self.sessions().get(&to).cloned();
        let limit = session.as_ref().map_or(limits::MAX_FRAME_BYTES, |session| session.max_frame_bytes);
        if frame.len() > limit {
            return Err(SendError::TooLarge { to, bytes: frame.len(), limit });
        }
        let session = session.ok_or(SendError::Closed(to))?;
        session.out[channel.index()].offer(frame).map_err(|Full(queued)| {
            add(&self.counters.frames_full, 1);
            SendError::Full { to, channel, queued }
        })
    }

    /// Ends the sessions that the directory no longer covers.
    fn sweep(&self) {
        let mut sessions = self.sessions();
        sessions.retain(|_, session| {
            let stays = self.directory.binds(session.address, session.key_hash);
            if !stays {
                session.close(CloseCode::Removed);
                let reason = CloseReason::Local(CloseCode::Removed);
                self.inbound.end(session.address, session.id, reason, true);
            }
            stays
        });
    }
}

struct Dialler {
    task: JoinHandle<()>,
    kick: Arc<Notify>,
}

/// One node's transport over QUIC. Dropping it closes every connection without waiting; [`close`](Self::close)
/// waits until the peers were told.
pub struct QuicTransport {
    shared: Arc<Shared>,
    runtime: Handle,
    local: SocketAddr,
    /// `None` once closed: the socket is free when the last clone is gone.
    endpoint: Option<Endpoint>,
    diallers: BTreeMap<Address, Dialler>,
    accepting: JoinHandle<()>,
}

impl QuicTransport {
    /// Listens on a UDP socket of the system.
    ///
    /// # Errors
    /// [`BindError::Socket`] when the address is taken or not ours, [`BindError::Tls`] for an unusable identity.
    pub fn bind(config: QuicConfig) -> Result<Self, BindError> {
        let listen = config.listen;
        let failed = |source| BindError::Socket { listen, source };
        let socket = std::net::UdpSocket::bind(listen).map_err(failed)?;
        let guard = config.runtime.enter();
        let socket = quinn::Runtime::wrap_udp_socket(&quinn::TokioRuntime, socket).map_err(failed)?;
        drop(guard);
        Self::over(config, socket, Arc::new(quinn::TokioRuntime))
    }

    /// Runs over any datagram socket, with QUIC's own timers and tasks on any runtime; `config.listen` only names
    /// the socket in errors.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn over(
        config: QuicConfig,
        socket: Arc<dyn AsyncUdpSocket>,
        quic_runtime: Arc<dyn quinn::Runtime>,
    ) -> Result<Self, BindError> {
        let QuicConfig { address, chain_id, listen, identity, runtime } = config;
        let failed = |source| BindError::Socket { listen, source };
        let directory = Arc::<Directory>::default();
        let transport = Arc::new(transport_config());
        let crypto = tls::server(&identity, Arc::clone(&directory)).map_err(BindError::Tls)?;
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        server.transport_config(Arc::clone(&transport)).max_incoming(limits::MAX_HANDSHAKES);
        let guard = runtime.enter();
        let endpoint = Endpoint::new_with_abstract_socket(
            endpoint_config(&identity),
            Some(server),
            socket,
            quic_runtime,
        )
        .map_err(failed)?;
        drop(guard);
        let local = endpoint.local_addr().map_err(failed)?;
        let counters = Arc::<Counters>::default();
        let shared = Arc::new(Shared {
            address,
            chain_id,
            identity,
            directory,
            transport,
            inbound: Inbound::new(Arc::clone(&counters)),
            counters,
            sessions: Mutex::default(),
            numbers: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let accepting = runtime.spawn(accept(Arc::clone(&shared), endpoint.clone()));
        info!(%local, %address, "listening");
        Ok(Self { shared, runtime, local, endpoint: Some(endpoint), diallers: BTreeMap::new(), accepting })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What was counted so far.
    pub fn counters(&self) -> CountersSnapshot {
        self.shared.counters.snapshot()
    }

    /// The counters themselves, for a telemetry thread.
    pub fn counters_handle(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Sends too, for other threads: a node of several engines has one transport.
    pub fn sender(&self) -> Sender {
        Sender(Arc::clone(&self.shared))
    }

    /// How much waits for the engine, for another thread to look at.
    pub fn backlog(&self) -> Backlog {
        Backlog(Arc::clone(&self.shared))
    }

    /// Closes every connection and the socket and waits, at most [`limits::CLOSE_WAIT`], until the peers were told.
    /// Returns whether they were. Not to be called on the runtime's own threads, for it blocks.
    pub fn close(&mut self) -> bool {
        let Some(endpoint) = self.shut() else { return true };
        let (done, wait) = mpsc::channel();
        self.runtime.spawn(async move {
            endpoint.wait_idle().await;
            drop(endpoint);
            let _ = done.send(());
        });
        wait.recv_timeout(limits::CLOSE_WAIT).is_ok()
    }

    /// Stops everything that starts connections, then closes those that are.
    fn shut(&mut self) -> Option<Endpoint> {
        let endpoint = self.endpoint.take()?;
        self.accepting.abort();
        self.diallers.values().for_each(|dialler| dialler.task.abort());
        self.diallers.clear();
        let sessions = {
            let mut sessions = self.shared.sessions();
            self.shared.closed.store(true, Ordering::SeqCst);
            std::mem::take(&mut *sessions)
        };
        sessions.values().for_each(|session| session.close(CloseCode::Shutdown));
        endpoint.close(VarInt::from_u32(CloseCode::Shutdown.code()), CloseCode::Shutdown.text().as_bytes());
        info!(local = %self.local, "closed");
        Some(endpoint)
    }
}

/// The sending half of a transport, for any thread.
#[derive(Clone)]
pub struct Sender(Arc<Shared>);

impl Sender {
    /// As [`Transport::send`].
    ///
    /// # Errors
    /// As [`Transport::send`]; [`SendError::Closed`] once the transport is closed.
    pub fn send(&self, to: Address, channel: Channel, frame: Bytes) -> Result<(), SendError> {
        self.0.send(to, channel, frame)
    }
}

/// What came in and waits for the engine.
#[derive(Clone)]
pub struct Backlog(Arc<Shared>);

impl Backlog {
    /// Bytes of frames of all peers.
    pub fn bytes(&self) -> usize {
        self.0.inbound.queued_in_all()
    }
}

impl Transport for QuicTransport {
    fn set_peers(&mut self, peers: Vec<Peer>) {
        let Some(endpoint) = &self.endpoint else { return };
        let own = self.shared.address;
        let peers = peers.into_iter().filter(|peer| peer.address != own);
        let news = self.shared.directory.replace(peers.map(|peer| (peer.address, peer)).collect());
        self.shared.sweep();
        self.diallers.retain(|address, dialler| {
            let stays = self.shared.directory.contains(*address);
            if !stays {
                dialler.task.abort();
            }
            stays
        });
        for address in news.into_iter().filter(|address| own < *address) {
            if let Some(dialler) = self.diallers.get(&address) {
                dialler.kick.notify_one();
                continue;
            }
            let kick = Arc::new(Notify::new());
            let dialling =
                dial::keep_connected(Arc::clone(&self.shared), endpoint.clone(), address, Arc::clone(&kick));
            self.diallers.insert(address, Dialler { task: self.runtime.spawn(dialling), kick });
        }
    }

    fn send(&mut self, to: Address, channel: Channel, frame: Bytes) -> Result<(), SendError> {
        self.shared.send(to, channel, frame)
    }

    fn poll(&mut self, max: usize) -> Vec<NetEvent> {
        self.shared.inbound.poll(max)
    }

    fn set_waker(&mut self, waker: Waker) {
        self.shared.inbound.set_waker(waker);
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        self.shut();
    }
}

fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::default();
    let idle = IdleTimeout::try_from(limits::IDLE_TIMEOUT).expect("the idle timeout fits QUIC's field");
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(Channel::ALL.len() as u32))
        .stream_receive_window(VarInt::from_u32(limits::STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(limits::CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(limits::CONNECTION_WINDOW_BYTES))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits::KEEP_ALIVE));
    config
}

fn endpoint_config(identity: &TlsIdentity) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(tls::ResetKey::new(identity)));
    let key = tls::connection_id_key(identity);
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}

/// Takes incoming connections, sheds what is too much, and gives each of the others a task.
async fn accept(shared: Arc<Shared>, endpoint: Endpoint) {
    let places = Arc::new(Semaphore::new(limits::MAX_HANDSHAKES));
    while let Some(incoming) = endpoint.accept().await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            add(&shared.counters.handshakes_shed, 1);
            incoming.refuse();
            continue;
        };
        let busy = limits::MAX_HANDSHAKES - places.available_permits() > limits::VALIDATE_ABOVE_HANDSHAKES;
        if busy && incoming.may_retry() && !incoming.remote_address_validated() {
            // It fails only for attempts that may not be retried, which was just asked.
            let _ = incoming.retry();
            continue;
        }
        tokio::spawn(welcome(Arc::clone(&shared), incoming, place));
    }
}

async fn welcome(shared: Arc<Shared>, incoming: Incoming, place: OwnedSemaphorePermit) {
    let remote = incoming.remote_address();
    let handshake = timeout(limits::HANDSHAKE_TIMEOUT, incoming).await;
    let connection = match handshake.unwrap_or(Err(ConnectionError::TimedOut)) {
        Ok(connection) => connection,
        Err(error) => {
            debug!(%remote, %error, "a handshake failed");
            match refusal(error) {
                Some(reason) => shared.inbound.refuse(remote, reason),
                None => add(&shared.counters.handshakes_refused, 1),
            }
            return;
        }
    };
    if let Some(established) = establish(&shared, connection, Role::Accepted).await {
        drop(place);
        established.run(shared).await;
    }
}
