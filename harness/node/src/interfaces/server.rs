//! The servers: two ports, one router, a bounded number of connections, and an end that ends them all.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use weir_chain::port::SharedMirror;

use super::router::router;
use super::services::{InterfaceConfig, InvalidApplicationKey, Services};
use crate::service::Gateway;
use crate::service::limits::{MAX_CONNECTIONS, SHUTDOWN_PATIENCE};

/// Which of the two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// The HTTP port.
    Http,
    /// The WebSocket port.
    WebSocket,
}

impl Bind {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::WebSocket => "WebSocket",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Http => "--http",
            Self::WebSocket => "--ws",
        }
    }
}

/// Why the servers did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port cannot be listened on.
    #[error(
        "cannot listen for {} on {address}: {source}; is another node running there? stop it, or choose another \
         address with {} (port 0 picks a free one)",
        .bind.name(),
        .bind.flag()
    )]
    Bind {
        /// Which port.
        bind: Bind,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The application key cannot be used.
    #[error(transparent)]
    Key(#[from] InvalidApplicationKey),
}

/// Running servers.
pub struct Servers {
    /// Where HTTP listens.
    pub http_addr: SocketAddr,
    /// Where WebSocket clients are told to connect.
    pub ws_addr: SocketAddr,
    shutdown: watch::Sender<bool>,
    services: Arc<Services>,
    tasks: Vec<JoinHandle<io::Result<()>>>,
}

impl Servers {
    /// Stops taking connections, closes WebSockets as going away, lets requests finish for [`SHUTDOWN_PATIENCE`], then
    /// ends what is left.
    pub async fn shutdown(self) {
        let _ = self.shutdown.send(true);
        let deadline = Instant::now() + SHUTDOWN_PATIENCE;
        for mut task in self.tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
        while self.services.counters.open_sockets() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Binds both ports and serves on them.
///
/// # Errors
///
/// [`ServeError`]; then nothing is listening.
pub async fn serve(
    config: InterfaceConfig,
    gateway: Arc<Gateway>,
    chain: SharedMirror,
) -> Result<Servers, ServeError> {
    let http = bind(Bind::Http, config.http).await?;
    let websocket = bind(Bind::WebSocket, config.websocket).await?;
    let (shutdown, shut_down) = watch::channel(false);
    let listening = [http.address, websocket.address];
    let services = Arc::new(Services::new(&config, gateway, chain, listening, shut_down.clone())?);
    let router = router(services.clone());
    let tasks = [http, websocket].map(|listener| {
        let service = router.clone().into_make_service_with_connect_info::<Peer>();
        let mut over = shut_down.clone();
        let signal = async move {
            let _ = over.wait_for(|over| *over).await;
        };
        let server = axum::serve(listener, service).with_graceful_shutdown(signal);
        tokio::spawn(async move { server.await })
    });
    Ok(Servers { http_addr: listening[0], ws_addr: listening[1], shutdown, services, tasks: tasks.into() })
}

async fn bind(bind: Bind, address: SocketAddr) -> Result<Bounded, ServeError> {
    let failed = |source| ServeError::Bind { bind, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bounded { listener, address, room: Arc::new(Semaphore::new(MAX_CONNECTIONS)) })
}

/// A listener that accepts only while there is room.
struct Bounded {
    listener: TcpListener,
    address: SocketAddr,
    room: Arc<Semaphore>,
}

/// A connection that takes up room while it lives, WebSockets included.
struct Connection {
    stream: TcpStream,
    _room: OwnedSemaphorePermit,
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let room = self.room.clone().acquire_owned().await.expect("the semaphore is never closed");
        // The listener's own accept waits out passing errors, such as too many open files.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        // Small answers should not wait for more; a socket that refuses works all the same.
        let _ = stream.set_nodelay(true);
        (Connection { stream, _room: room }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Names the peer of a bounded listener's connection, for [`axum::extract::ConnectInfo`].
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
