//! The gateway: which broker of this process serves a client.
//!
//! Interfaces outlive brokers: a session is opened on the first broker that runs, and whoever holds a session whose
//! broker stopped asks for another one. The list can change while the interfaces are open, because a restarted
//! broker has a new handle.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use weir_kernel::broker::{Command, Refusal, RefusalCode};
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, StreamId, StreamPartition};

use super::limits::REOPEN_PAUSE;
use super::rendering::Renderings;
use crate::handle::{NodeHandle, Session};

/// The brokers of this process.
#[derive(Debug, Default)]
pub struct Gateway {
    nodes: RwLock<Vec<NodeHandle>>,
    renderings: Renderings,
}

impl Gateway {
    /// A gateway to these brokers, preferred in this order.
    pub fn new(nodes: Vec<NodeHandle>) -> Self {
        Self { nodes: RwLock::new(nodes), renderings: Renderings::default() }
    }

    /// What subscribers share of the batches that they get.
    pub fn renderings(&self) -> &Renderings {
        &self.renderings
    }

    /// The brokers, running or not.
    pub fn nodes(&self) -> Vec<NodeHandle> {
        self.nodes.read().expect("no holder panics").clone()
    }

    /// Replaces the handle of the broker with the same address, or adds it at the end.
    pub fn put(&self, node: NodeHandle) {
        let mut nodes = self.nodes.write().expect("no holder panics");
        match nodes.iter_mut().find(|known| known.address() == node.address()) {
            Some(known) => *known = node,
            None => nodes.push(node),
        }
    }

    /// How many brokers run.
    pub fn running(&self) -> usize {
        self.nodes.read().expect("no holder panics").iter().filter(|node| node.is_running()).count()
    }

    /// The newest confirmed view of the chain that any broker has, stopped ones included.
    ///
    /// # Errors
    ///
    /// `unavailable` if there is no broker at all.
    pub fn view(&self) -> Result<Arc<State>, Refusal> {
        let nodes = self.nodes.read().expect("no holder panics");
        nodes.iter().map(NodeHandle::view).max_by_key(|view| view.height).ok_or_else(no_broker)
    }

    /// A session on the first running broker.
    ///
    /// # Errors
    ///
    /// `unavailable` if none runs.
    pub fn open_session(&self) -> Result<Session, Refusal> {
        let nodes = self.nodes.read().expect("no holder panics");
        let running = nodes.iter().find(|node| node.is_running());
        running.map(NodeHandle::open_session).ok_or_else(no_broker)
    }

    /// A session for `identity` on a running broker; waits up to `patience` for one.
    ///
    /// # Errors
    ///
    /// `unavailable` if none runs by then.
    pub async fn open_identified(
        &self,
        identity: Option<Address>,
        patience: Duration,
    ) -> Result<Session, Refusal> {
        let deadline = Instant::now() + patience;
        loop {
            let failed = match self.open_session() {
                Ok(session) => match session.command(Command::Identify(identity)).await {
                    Ok(()) => return Ok(session),
                    Err(_) => no_broker(),
                },
                Err(refusal) => refusal,
            };
            if Instant::now() >= deadline {
                return Err(failed);
            }
            sleep(REOPEN_PAUSE).await;
        }
    }

    /// Checks that a stream partition exists.
    ///
    /// # Errors
    ///
    /// `not-found` for the stream, `invalid` for the partition.
    pub fn check_slot(&self, slot: StreamPartition) -> Result<(), Refusal> {
        let partitions = self.partitions(slot.stream)?;
        if slot.partition >= partitions {
            let reason = format!(
                "stream {} has partitions 0 to {}, not {}",
                slot.stream,
                partitions - 1,
                slot.partition
            );
            return Err(Refusal::new(RefusalCode::Invalid, reason));
        }
        Ok(())
    }

    /// How many partitions a stream has, at least 1.
    ///
    /// # Errors
    ///
    /// `not-found` if there is no such stream now.
    pub fn partitions(&self, stream: StreamId) -> Result<u32, Refusal> {
        let view = self.view()?;
        let found = view.stream(stream).filter(|found| found.exists_at(view.height) && found.partitions > 0);
        found.map(|found| found.partitions).ok_or_else(|| no_stream(stream))
    }

    /// Checks that `identity` may read a stream now (WP 2.5.1).
    ///
    /// # Errors
    ///
    /// `not-found` or `unauthorized`.
    pub fn check_subscribe(&self, stream: StreamId, identity: Option<Address>) -> Result<(), Refusal> {
        let view = self.view()?;
        let reader = identity.unwrap_or(Address::ZERO);
        self.partitions(stream)?;
        if view.can_subscribe_at(stream, reader, view.height, view.timestamp_s) {
            return Ok(());
        }
        let who = identity.map_or("everybody".to_owned(), |address| address.to_string());
        let reason = format!(
            "stream {stream} is not open to {who}: sign in with an address that its owner granted reading \
             (GET /auth/nonce tells how)"
        );
        Err(Refusal::new(RefusalCode::Unauthorized, reason))
    }

    /// Checks that `origin` may publish to a stream now (WP 2.5.1).
    ///
    /// # Errors
    ///
    /// `not-found` or `unauthorized`.
    pub fn check_publish(&self, stream: StreamId, origin: Address) -> Result<(), Refusal> {
        let view = self.view()?;
        self.partitions(stream)?;
        if view.can_publish_at(stream, origin, view.height, view.timestamp_s) {
            return Ok(());
        }
        let reason = format!("{origin} may not publish to stream {stream}: ask its owner to grant it");
        Err(Refusal::new(RefusalCode::Unauthorized, reason))
    }
}

fn no_broker() -> Refusal {
    Refusal::new(
        RefusalCode::Unavailable,
        "no broker of this process is running: start one, or try again later",
    )
}

/// There is no such stream.
pub fn no_stream(stream: StreamId) -> Refusal {
    let reason = format!("there is no stream {stream}: check the id, or create it first");
    Refusal::new(RefusalCode::NotFound, reason)
}
