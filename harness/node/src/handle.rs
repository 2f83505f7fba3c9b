//! The inner border of a node: how the interfaces talk to a running broker.
//!
//! A session is a numbered conversation with the broker: commands go in by one bounded queue, replies come back by a
//! [`Fanout`], which keeps a bounded queue a session. What many sessions get is shared: a reply holds its batch by
//! reference. Dropping a [`Session`] ends it at the broker too.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use weir_kernel::broker::{Command, Reply, SessionId};
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, Epoch, Hash, PartitionId};
use weir_kernel::limits::{CHUNK_BYTES, HEADER_BYTES, MAX_BATCH_BYTES, SUBSCRIPTION_WINDOW_BYTES};
use weir_queue::{End, Fanout, Held, Limit, Reader};

use crate::service::limits::READ_AHEAD;

/// Commands that wait for the broker; then whoever sends one waits.
const COMMAND_QUEUE: usize = 1024;

/// Bytes of batches in these commands: several of the largest.
const COMMAND_BYTES: usize = 32 << 20;

/// The largest command finds room.
const _: () = assert!(COMMAND_BYTES >= MAX_BATCH_BYTES);

/// Replies that wait for a session's owner: more than a subscription's window of the smallest batches, so that a slow
/// reader meets its window first and is only ended when it takes nothing at all; and in bytes as many chunks as a
/// reader asks for at the same time.
const REPLY_QUEUE: Limit =
    Limit { entries: 8192, bytes: READ_AHEAD * (CHUNK_BYTES as usize + MAX_BATCH_BYTES) + (8 << 20) };

/// The smallest batch has its header, a signature and one event.
const _: () = assert!(REPLY_QUEUE.entries as u64 > SUBSCRIPTION_WINDOW_BYTES / (HEADER_BYTES as u64 + 66));

/// A window is overrun by one batch at most, and each entry takes a little more than its batch.
const _: () = assert!(
    REPLY_QUEUE.bytes
        > SUBSCRIPTION_WINDOW_BYTES as usize + MAX_BATCH_BYTES + REPLY_QUEUE.entries * size_of::<Reply>()
);

/// The broker behind a session or handle is not running any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker has stopped: open a session on another one")]
pub struct NodeStopped;

/// What a broker counts about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatistics {
    /// Events that this broker keeps.
    pub events: u64,
    /// Batches that this broker keeps.
    pub batches: u64,
    /// Bytes of batches that this broker keeps.
    pub bytes: u64,
    /// Peers connected now.
    pub peers: u64,
    /// Events that this broker keeps, by partition.
    pub partition_events: BTreeMap<PartitionId, u64>,
    /// The last sealed cut that this broker adopted, by partition: epoch and checksum.
    pub partition_seals: BTreeMap<PartitionId, (Epoch, Hash)>,
}

impl NodeStatistics {
    /// Adds what another shard of the broker counts. A peer is connected to all of them.
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.batches += other.batches;
        self.bytes += other.bytes;
        self.peers = self.peers.max(other.peers);
        self.partition_events.extend(other.partition_events.iter());
        self.partition_seals.extend(other.partition_seals.iter());
    }
}

/// Talks to one running broker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

/// A command on its way, with the room that it takes.
type Sent = (SessionId, Command, Option<OwnedSemaphorePermit>);

struct Shared {
    address: Address,
    waker: OnceLock<Arc<dyn Fn() + Send + Sync>>,
    commands: mpsc::Sender<Sent>,
    /// Room for batches in commands, given back as the broker takes them.
    command_bytes: Arc<Semaphore>,
    sessions: Fanout<SessionId, Reply>,
    /// Dropped sessions whose end found the command queue full: the broker must hear of it all the same, or it would
    /// keep what they asked for. Never more than there were sessions.
    dropped: Mutex<Vec<SessionId>>,
    next_session: AtomicU64,
    running: AtomicBool,
    view: RwLock<Arc<State>>,
    /// By shard.
    statistics: Mutex<BTreeMap<u16, NodeStatistics>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("address", &self.address).field("running", &self.running).finish()
    }
}

impl Shared {
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker();
        }
    }
}

/// The broker's end of its handles.
#[derive(Debug)]
pub struct NodeEnd {
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Sent>,
}

/// What a broker tells its sessions and its handles, from any of its threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replies {
    shared: Arc<Shared>,
}

/// A conversation with a broker.
#[derive(Debug)]
pub struct Session {
    /// Its number at the broker.
    pub id: SessionId,
    replies: Reader<SessionId, Reply>,
    end: Option<End>,
    shared: Arc<Shared>,
}

/// A handle and the broker's end of it.
pub fn node(address: Address, view: Arc<State>) -> (NodeHandle, NodeEnd) {
    let (sender, commands) = mpsc::channel(COMMAND_QUEUE);
    let shared = Arc::new(Shared {
        address,
        waker: OnceLock::new(),
        commands: sender,
        command_bytes: Arc::new(Semaphore::new(COMMAND_BYTES)),
        sessions: Fanout::new(REPLY_QUEUE),
        dropped: Mutex::default(),
        next_session: AtomicU64::new(1),
        running: AtomicBool::new(true),
        view: RwLock::new(view),
        statistics: Mutex::default(),
    });
    (NodeHandle { shared: shared.clone() }, NodeEnd { shared, commands })
}

impl NodeHandle {
    /// Begins a conversation. On a stopped broker its replies end at once.
    pub fn open_session(&self) -> Session {
        let id = SessionId(self.shared.next_session.fetch_add(1, Ordering::Relaxed));
        let replies = self.shared.sessions.subscribe(id);
        Session { id, replies, end: None, shared: self.shared.clone() }
    }

    /// The latest confirmed view of the chain.
    pub fn view(&self) -> Arc<State> {
        self.shared.view.read().expect("no holder panics").clone()
    }

    /// The broker's account.
    pub fn address(&self) -> Address {
        self.shared.address
    }

    /// Whether the broker runs.
    pub fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::Acquire)
    }

    /// What waits for the owners of sessions.
    pub fn held(&self) -> Held {
        self.shared.sessions.held()
    }

    /// What the broker counts.
    pub fn statistics(&self) -> NodeStatistics {
        let parts = self.shared.statistics.lock().expect("no holder panics");
        let mut whole = NodeStatistics::default();
        parts.values().for_each(|part| whole.add(part));
        whole
    }
}

impl Session {
    /// Sends a command; waits while the broker's queue is full.
    ///
    /// # Errors
    ///
    /// [`NodeStopped`] if the broker will not see it.
    pub async fn command(&self, command: Command) -> Result<(), NodeStopped> {
        let room = match &command {
            Command::Publish { batch, .. } => {
                let bytes = u32::try_from(batch.bytes().len()).expect("a batch is shorter than 4 GiB");
                let room = Arc::clone(&self.shared.command_bytes).acquire_many_owned(bytes).await;
                Some(room.map_err(|_| NodeStopped)?)
            }
            _ => None,
        };
        self.shared.commands.send((self.id, command, room)).await.map_err(|_| NodeStopped)?;
        self.shared.wake();
        Ok(())
    }

    /// The next reply; `None` once the broker stopped or ended the session.
    pub async fn reply(&mut self) -> Option<Reply> {
        let next = self.replies.next().await;
        self.note(Some(next))
    }

    /// The next reply if it is there already.
    pub fn try_reply(&mut self) -> Option<Reply> {
        let next = self.replies.try_next();
        self.note(next)
    }

    /// Whether the broker ended the session because its replies were not taken.
    pub fn is_behind(&self) -> bool {
        self.end == Some(End::Behind)
    }

    fn note(&mut self, next: Option<Result<Reply, End>>) -> Option<Reply> {
        match next? {
            Ok(reply) => Some(reply),
            Err(end) => {
                self.end = Some(end);
                None
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(TrySendError::Full(_)) = self.shared.commands.try_send((self.id, Command::Close, None)) {
            self.shared.dropped.lock().expect("no holder panics").push(self.id);
        }
        self.shared.wake();
    }
}

impl NodeEnd {
    /// The next command; `None` once every handle is gone.
    pub async fn command(&mut self) -> Option<(SessionId, Command)> {
        self.commands.recv().await.map(|(session, command, _)| (session, command))
    }

    /// The next command if one is there already.
    pub fn try_command(&mut self) -> Option<(SessionId, Command)> {
        // What a session said before it was dropped comes before its end.
        let sent = self.commands.try_recv().ok().map(|(session, command, _)| (session, command));
        sent.or_else(|| {
            let dropped = self.shared.dropped.lock().expect("no holder panics").pop();
            dropped.map(|session| (session, Command::Close))
        })
    }

    /// Sets who is told, from any thread, that a command is there. Only the first call counts.
    pub fn set_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        let _ = self.shared.waker.set(waker);
    }

    /// What tells its sessions and handles.
    pub fn replies(&self) -> Replies {
        Replies { shared: Arc::clone(&self.shared) }
    }
}

impl Replies {
    /// Hands a reply to its session; a session that does not take its replies is ended: `false` then.
    pub fn reply(&self, session: SessionId, reply: Reply) -> bool {
        let bytes = held_bytes(&reply);
        self.shared.sessions.send(&session, reply, bytes).is_ok()
    }

    /// Shows a newer view of the chain.
    pub fn set_view(&self, view: Arc<State>) {
        *self.shared.view.write().expect("no holder panics") = view;
    }

    /// Shows newer counts of one shard.
    pub fn set_statistics(&self, shard: u16, statistics: NodeStatistics) {
        self.shared.statistics.lock().expect("no holder panics").insert(shard, statistics);
    }
}

impl Drop for NodeEnd {
    fn drop(&mut self) {
        self.shared.running.store(false, Ordering::Release);
        self.shared.command_bytes.close();
        self.shared.sessions.end();
    }
}

/// Memory that a reply keeps from being freed: its own, and the batches in it.
fn held_bytes(reply: &Reply) -> usize {
    let batches = match reply {
        Reply::Live { batch, .. } => batch.bytes().len(),
        Reply::Chunk { chunk, .. } => {
            chunk.batches.iter().map(|batch| batch.len()).sum::<usize>()
                + chunk.order.len() * size_of::<weir_kernel::log::Slice>()
        }
        _ => 0,
    };
    size_of::<Reply>() + batches
}

#[cfg(test)]
mod tests {
    use weir_kernel::coordinator::{Contracts, Params};

    use super::*;

    #[tokio::test]
    async fn a_session_dropped_while_the_queue_is_full_still_ends() {
        let view = Arc::new(State::new(1, Contracts::default(), Params::default()));
        let (handle, mut end) = node(Address([1; 20]), view);
        let (busy, dropped) = (handle.open_session(), handle.open_session());
        for request in 0..COMMAND_QUEUE as u64 {
            busy.command(Command::More { request, bytes: 1 }).await.unwrap();
        }
        let id = dropped.id;
        drop(dropped);
        let heard: Vec<_> = std::iter::from_fn(|| end.try_command()).collect();
        assert_eq!(heard.len(), COMMAND_QUEUE + 1);
        assert!(matches!(heard.last(), Some((session, Command::Close)) if *session == id));
    }
}
