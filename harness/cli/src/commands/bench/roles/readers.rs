//! Many subscribers over WebSocket that only count what comes, and some that take nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::failure::Failure;

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Subscriptions to open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Follow {
    /// The network: `http://…`.
    pub url: String,
    /// The stream.
    pub stream: String,
    /// Its partition.
    pub partition: u32,
    /// Readers that take what comes.
    pub readers: u32,
    /// Readers that take nothing.
    pub stalled: u32,
}

/// What the readers had.
#[derive(Debug, Serialize, Deserialize)]
pub struct Had {
    /// Events, counted at each reader.
    pub deliveries: u64,
    /// From the first of them to the last.
    pub seconds: f64,
    /// Stalled readers whose connection is still open.
    pub stalled: u32,
}

/// Open subscriptions.
#[derive(Default)]
pub struct Readers {
    counts: Vec<Arc<AtomicU64>>,
    /// What the counts were the last time.
    before: u64,
    changed: Arc<Notify>,
    tasks: JoinSet<()>,
    stalled: Vec<Socket>,
}

async fn subscribe(follow: &Follow) -> Result<Socket, Failure> {
    let base = follow.url.strip_prefix("http").unwrap_or(&follow.url);
    let Follow { stream, partition, .. } = follow;
    let url = format!("ws{base}/streams/{stream}/subscribe?partitions={partition}");
    let (socket, _) = connect_async(url).await.map_err(Failure::of)?;
    Ok(socket)
}

impl Readers {
    /// Opens them all; done when the node has accepted each.
    pub async fn open(&mut self, follow: &Follow) -> Result<(), Failure> {
        for _ in 0..follow.readers {
            let mut socket = subscribe(follow).await?;
            let count = Arc::<AtomicU64>::default();
            self.counts.push(Arc::clone(&count));
            let changed = Arc::clone(&self.changed);
            self.tasks.spawn(async move {
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() {
                        count.fetch_add(1, Ordering::Relaxed);
                        changed.notify_one();
                    }
                }
            });
        }
        for _ in 0..follow.stalled {
            self.stalled.push(subscribe(follow).await?);
        }
        Ok(())
    }

    /// Waits until every reader has had so many more events.
    pub async fn wait_for(&mut self, events: u64) -> Result<Had, Failure> {
        let wanted = self.before + events;
        let counted = |counts: &[Arc<AtomicU64>]| -> u64 {
            counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
        };
        let all = wanted * self.counts.len() as u64;
        let before = self.before * self.counts.len() as u64;
        let mut begin = None;
        while counted(&self.counts) < all {
            if timeout(PATIENCE, self.changed.notified()).await.is_err() {
                let had = counted(&self.counts) - before;
                return Err(Failure::Failed(format!("{had} deliveries came, then nothing for a while")));
            }
            begin.get_or_insert_with(Instant::now);
        }
        self.before = wanted;
        let seconds = begin.map_or(0.0, |begin| begin.elapsed().as_secs_f64());
        Ok(Had { deliveries: all - before, seconds, stalled: self.stalled.len() as u32 })
    }
}
