//! One connection: the exchange of hellos, then frames both ways until it ends.
//!
//! Each end opens two unidirectional streams, live first. A stream begins with its kind; on the live stream the
//! hello follows; then frames. Nothing of a peer is read beyond its hello before the hello is accepted.

use std::sync::{Arc, OnceLock};

use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tokio::time::timeout;
use tracing::{debug, info};
use weir_kernel::ids::{Address, Hash};

use super::Shared;
use super::outbox::Outbox;
use super::tls::proven_key;
use crate::close::{CloseCode, CloseReason, RefuseReason};
use crate::counters::add;
use crate::inbound::SessionId;
use crate::wire::{FrameDecoder, FrameEncoder, Hello, PREFIX_BYTES, stream_kind};
use crate::{Channel, limits};

/// Which end opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// We dialled this peer.
    Dialled(Address),
    /// Somebody with a key of the directory dialled us.
    Accepted,
}

/// A live session, reachable for senders.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) address: Address,
    pub(super) key_hash: Hash,
    /// Longest frame, in bytes, that the peer takes.
    pub(super) max_frame_bytes: usize,
    pub(super) out: [Outbox; 2],
    connection: Connection,
    closing: OnceLock<CloseCode>,
}

impl Session {
    /// Closes the connection with a code; the first code stands.
    pub(super) fn close(&self, code: CloseCode) {
        let code = *self.closing.get_or_init(|| code);
        self.connection.close(VarInt::from_u32(code.code()), code.text().as_bytes());
    }

    fn reason(&self, error: ConnectionError) -> CloseReason {
        match (error, self.closing.get()) {
            (ConnectionError::LocallyClosed, Some(code)) => CloseReason::Local(*code),
            (error, _) => close_reason(error),
        }
    }
}

/// A connection after its hellos, with its streams.
pub(super) struct Established {
    session: Arc<Session>,
    live_in: RecvStream,
    live_out: SendStream,
    bulk_out: SendStream,
}

/// Why there are no hellos: a rule broken here, or the connection gone.
enum Failure {
    Code(CloseCode),
    Lost,
}

impl From<quinn::ConnectionError> for Failure {
    fn from(_: quinn::ConnectionError) -> Self {
        Self::Lost
    }
}

impl From<quinn::WriteError> for Failure {
    fn from(_: quinn::WriteError) -> Self {
        Self::Lost
    }
}

impl From<quinn::ReadExactError> for Failure {
    fn from(error: quinn::ReadExactError) -> Self {
        match error {
            quinn::ReadExactError::FinishedEarly(_) => Self::Code(CloseCode::HelloMalformed),
            quinn::ReadExactError::ReadError(_) => Self::Lost,
        }
    }
}

fn close_reason(error: ConnectionError) -> CloseReason {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let number = close.error_code.into_inner();
            CloseCode::from_code(number).map_or(CloseReason::RemoteUnknown(number), CloseReason::Remote)
        }
        ConnectionError::LocallyClosed => CloseReason::Local(CloseCode::Shutdown),
        ConnectionError::TimedOut => CloseReason::TimedOut,
        ConnectionError::Reset => CloseReason::Reset,
        other => CloseReason::Transport(other.to_string()),
    }
}

/// What a failed handshake tells the engine: only what concerns identity or protocol. That somebody is not there is
/// no refusal.
pub(super) fn refusal(error: ConnectionError) -> Option<RefuseReason> {
    let is_tls = match &error {
        ConnectionError::TransportError(error) => is_crypto(error.code),
        ConnectionError::ConnectionClosed(close) => is_crypto(close.error_code),
        _ => false,
    };
    match error {
        error if is_tls => Some(RefuseReason::Tls(error.to_string())),
        error @ ConnectionError::ApplicationClosed(_) => Some(RefuseReason::Hello(close_reason(error))),
        _ => None,
    }
}

/// QUIC carries TLS alerts as the codes 0x100 to 0x1ff (RFC 9001, 4.8).
fn is_crypto(code: quinn::TransportErrorCode) -> bool {
    (0x100..0x200).contains(&u64::from(code))
}

/// Exchanges hellos and registers the session; a failure closes the connection and is reported.
pub(super) async fn establish(shared: &Shared, connection: Connection, role: Role) -> Option<Established> {
    let remote = connection.remote_address();
    let hellos = timeout(limits::HELLO_TIMEOUT, exchange(shared, &connection, role));
    let failure = match hellos.await {
        Ok(Ok(established)) => match shared.register(&established.session) {
            Ok(()) => return Some(established),
            Err(code) => Failure::Code(code),
        },
        Ok(Err(failure)) => failure,
        Err(_) => Failure::Code(CloseCode::HelloTimeout),
    };
    match failure {
        Failure::Code(code) => {
            connection.close(VarInt::from_u32(code.code()), code.text().as_bytes());
            debug!(%remote, %code, "refused a connection");
            shared.inbound.refuse(remote, RefuseReason::Hello(CloseReason::Local(code)));
        }
        Failure::Lost => match refusal(connection.closed().await) {
            Some(reason) => {
                debug!(%remote, %reason, "a connection was refused");
                shared.inbound.refuse(remote, reason);
            }
            None => add(&shared.counters.dials_failed, 1),
        },
    }
    None
}

async fn exchange(shared: &Shared, connection: &Connection, role: Role) -> Result<Established, Failure> {
    let key_hash = proven_key(connection).ok_or(Failure::Code(CloseCode::IdentityMismatch))?;
    let recipient = match role {
        Role::Dialled(peer) => peer,
        Role::Accepted => Address::ZERO,
    };
    let ours = Hello::new(shared.chain_id, shared.address, recipient);
    let mut live_out = connection.open_uni().await?;
    let mut bulk_out = connection.open_uni().await?;
    // Priorities decide which stream's bytes fill the next packet.
    let priorities = live_out.set_priority(1).and_then(|()| bulk_out.set_priority(0));
    priorities.map_err(|_| Failure::Lost)?;
    let body = ours.encode();
    let mut opening = vec![stream_kind(Channel::Live)];
    opening.extend((body.len() as u32).to_be_bytes());
    opening.extend(body);
    live_out.write_all(&opening).await?;
    bulk_out.write_all(&[stream_kind(Channel::Bulk)]).await?;

    let mut live_in = connection.accept_uni().await?;
    read_kind(&mut live_in, Channel::Live).await?;
    let theirs = read_hello(&mut live_in).await?;
    let agreed = ours.agree(&theirs).map_err(Failure::Code)?;
    match role {
        Role::Dialled(peer) if theirs.sender != peer => {
            return Err(Failure::Code(CloseCode::IdentityMismatch));
        }
        Role::Accepted if theirs.recipient != shared.address => {
            return Err(Failure::Code(CloseCode::IdentityMismatch));
        }
        Role::Accepted if theirs.sender >= shared.address => {
            return Err(Failure::Code(CloseCode::WrongDialler));
        }
        _ => {}
    }
    let session = Arc::new(Session {
        id: shared.next_session(),
        address: theirs.sender,
        key_hash,
        max_frame_bytes: agreed.max_frame_bytes,
        out: Channel::ALL.map(|channel| Outbox::new(limits::out_bytes(channel))),
        connection: connection.clone(),
        closing: OnceLock::new(),
    });
    Ok(Established { session, live_in, live_out, bulk_out })
}

async fn read_kind(stream: &mut RecvStream, channel: Channel) -> Result<(), Failure> {
    let mut kind = [0];
    stream.read_exact(&mut kind).await?;
    if kind[0] == stream_kind(channel) { Ok(()) } else { Err(Failure::Code(CloseCode::StreamMisuse)) }
}

async fn read_hello(stream: &mut RecvStream) -> Result<Hello, Failure> {
    let mut prefix = [0; PREFIX_BYTES];
    stream.read_exact(&mut prefix).await?;
    let bytes = u32::from_be_bytes(prefix) as usize;
    if bytes > limits::MAX_HELLO_BYTES {
        return Err(Failure::Code(CloseCode::HelloMalformed));
    }
    let mut body = vec![0; bytes];
    stream.read_exact(&mut body).await?;
    Hello::decode(&body).map_err(|error| {
        debug!(%error, "a hello is malformed");
        Failure::Code(CloseCode::HelloMalformed)
    })
}

impl Established {
    /// Carries frames until the connection ends, however it ends, and tells the engine.
    pub(super) async fn run(self, shared: Arc<Shared>) {
        let Self { session, live_in, live_out, bulk_out } = self;
        let (peer, remote) = (session.address, session.connection.remote_address());
        info!(%peer, %remote, "session begins");
        let error = tokio::select! {
            error = session.connection.closed() => error,
            never = write_frames(&shared, &session, Channel::Live, live_out) => match never {},
            never = write_frames(&shared, &session, Channel::Bulk, bulk_out) => match never {},
            never = read_frames(&shared, &session, Channel::Live, live_in) => match never {},
            never = read_bulk(&shared, &session) => match never {},
        };
        let reason = session.reason(error);
        info!(%peer, %remote, %reason, "session ends");
        shared.unregister(&session, reason);
    }
}

/// The end of a stream's work: the connection is closing, and what closed it ends the session.
type Never = std::convert::Infallible;

async fn misbehaved(shared: &Shared, session: &Session, code: CloseCode) -> Never {
    add(&shared.counters.sessions_misbehaved, 1);
    session.close(code);
    std::future::pending().await
}

async fn write_frames(shared: &Shared, session: &Session, channel: Channel, mut stream: SendStream) -> Never {
    let outbox = &session.out[channel.index()];
    loop {
        let batch = outbox.take().await;
        let frames = batch.frames.len();
        let bytes: usize = batch.frames.iter().map(bytes::Bytes::len).sum();
        let mut encoder = FrameEncoder::default();
        batch.frames.into_iter().for_each(|frame| encoder.push(frame));
        match stream.write_all_chunks(&mut encoder.finish()).await {
            Ok(()) => {}
            Err(quinn::WriteError::Stopped(_)) => {
                return misbehaved(shared, session, CloseCode::StreamMisuse).await;
            }
            Err(_) => return std::future::pending().await,
        }
        outbox.release(batch.cost);
        add(&shared.counters.frames_sent, frames);
        add(&shared.counters.bytes_sent, bytes);
    }
}

async fn read_bulk(shared: &Shared, session: &Session) -> Never {
    let Ok(mut stream) = session.connection.accept_uni().await else { return std::future::pending().await };
    match read_kind(&mut stream, Channel::Bulk).await {
        Ok(()) => read_frames(shared, session, Channel::Bulk, stream).await,
        Err(Failure::Code(_)) => misbehaved(shared, session, CloseCode::StreamMisuse).await,
        Err(Failure::Lost) => std::future::pending().await,
    }
}

async fn read_frames(shared: &Shared, session: &Session, channel: Channel, mut stream: RecvStream) -> Never {
    let mut decoder = FrameDecoder::new(limits::MAX_FRAME_BYTES);
    let mut chunks = [const { bytes::Bytes::new() }; limits::READ_STEP_CHUNKS];
    loop {
        if !shared.inbound.room(session.address, session.id, channel).await {
            return std::future::pending().await;
        }
        // What a packet brought is a chunk: one lock of the connection and of the inbox for many of them.
        match stream.read_chunks(&mut chunks).await {
            Ok(Some(read)) => {
                for chunk in &mut chunks[..read] {
                    decoder.push(&std::mem::take(chunk));
                }
            }
            Err(quinn::ReadError::ConnectionLost(_)) => return std::future::pending().await,
            Ok(None) | Err(_) => return misbehaved(shared, session, CloseCode::StreamMisuse).await,
        }
        let mut frames = Vec::new();
        let broken = loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break false,
                Err(error) => {
                    debug!(peer = %session.address, %error, "closing a connection");
                    break true;
                }
            }
        };
        if !frames.is_empty() {
            shared.inbound.push(session.address, session.id, channel, frames);
        }
        if broken {
            return misbehaved(shared, session, CloseCode::FrameTooLarge).await;
        }
    }
}
