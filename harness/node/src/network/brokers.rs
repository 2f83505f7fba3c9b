//! The brokers of this process: each can be stopped and started while the others and the interfaces go on.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use alloy_primitives::{B256, U256};
use tokio::sync::watch;
use weir_chain::calldata;
use weir_chain::port::SharedMirror;
use weir_kernel::coordinator::State;
use weir_kernel::ids::Address;
use weir_kernel::signature::SecretKey;

use super::directory::BrokerFiles;
use super::error::NetworkError;
use super::transactions::Sender;
use crate::handle::node;
use crate::interfaces::BrokerSwitch;
use crate::node::layout::ShardCount;
use crate::node::{Node, NodeConfig};
use crate::service::Gateway;

/// A broker and whether it runs.
pub struct Slot {
    name: String,
    files: BrokerFiles,
    state: Mutex<SlotState>,
    /// Held while the broker is being started or stopped, so that only one does it.
    switching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct SlotState {
    node: Option<Node>,
    address: Option<SocketAddr>,
}

/// All brokers of the process: those that are numbered, and those that are leaving.
pub struct Brokers {
    numbered: Vec<Arc<Slot>>,
    leaving: Vec<Arc<Slot>>,
    chain: SharedMirror,
    gateway: Arc<Gateway>,
    views: watch::Receiver<Arc<State>>,
    shards: ShardCount,
    disk_limit_bytes: Option<u64>,
}

impl Slot {
    fn new(name: String, files: BrokerFiles) -> Arc<Self> {
        Arc::new(Self { name, files, state: Mutex::default(), switching: tokio::sync::Mutex::default() })
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its keys and files.
    pub fn files(&self) -> &BrokerFiles {
        &self.files
    }

    /// Its account.
    pub fn address(&self) -> Address {
        Address(self.files.wallet.address().into_array())
    }

    /// Where it listens for other brokers, if it ever ran in this process.
    pub fn quic(&self) -> Option<SocketAddr> {
        self.lock().address
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.lock().node.as_ref().is_some_and(|node| node.handle().is_running())
    }

    /// Why it stopped by itself, if it did.
    pub fn failure(&self) -> Option<String> {
        self.lock().node.as_ref().and_then(|node| node.failure()).map(|failure| failure.to_string())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SlotState> {
        self.state.lock().expect("no holder panics")
    }

    /// Where to listen: where it did, else where the chain says, else anywhere; if that is taken, anywhere.
    fn listen(&self, view: &State) -> SocketAddr {
        let registered = view.broker_index(self.address()).and_then(|index| view.broker(index));
        let known = registered.and_then(|broker| broker.endpoint.parse::<SocketAddr>().ok());
        let wanted = self.quic().or(known).filter(|address| address.ip().is_loopback());
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        match wanted.map(|address| (address, UdpSocket::bind(address))) {
            Some((address, Ok(_))) => address,
            Some((address, Err(reason))) => {
                tracing::warn!(broker = self.name, %address, %reason, "its port is taken: another one is chosen");
                anywhere
            }
            None => anywhere,
        }
    }
}

impl Brokers {
    /// None runs yet.
    pub fn new(
        numbered: Vec<BrokerFiles>,
        leaving: Vec<BrokerFiles>,
        chain: SharedMirror,
        gateway: Arc<Gateway>,
        views: watch::Receiver<Arc<State>>,
        disk_limit_bytes: Option<u64>,
    ) -> Self {
        let slot = |(number, files)| Slot::new(format!("broker-{number}"), files);
        let leaver = |files: BrokerFiles| Slot::new(format!("leaving-{}", files.wallet.address()), files);
        Self {
            numbered: numbered.into_iter().enumerate().map(slot).collect(),
            leaving: leaving.into_iter().map(leaver).collect(),
            chain,
            gateway,
            views,
            shards: ShardCount::a_core(1),
            disk_limit_bytes,
        }
    }

    /// With so many shards each. Those that leave keep what they have.
    pub fn with_shards(self, shards: ShardCount) -> Self {
        Self { shards, ..self }
    }

    /// The brokers by number.
    pub fn numbered(&self) -> &[Arc<Slot>] {
        &self.numbered
    }

    /// Those that leave.
    pub fn leaving(&self) -> &[Arc<Slot>] {
        &self.leaving
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.numbered.iter().chain(&self.leaving)
    }

    /// Shows a view to all that run. To be called with every view, after it is in the watch.
    pub fn set_view(&self, view: &Arc<State>) {
        for slot in self.all() {
            if let Some(node) = &slot.lock().node {
                node.set_view(Arc::clone(view));
            }
        }
    }

    /// Starts a broker; does nothing if it runs.
    pub async fn start(&self, slot: &Arc<Slot>) -> Result<(), NetworkError> {
        let _switching = slot.switching.lock().await;
        if slot.is_running() {
            return Ok(());
        }
        halt(slot).await?;
        let view = self.views.borrow().clone();
        let height = view.height;
        let leaves = self.leaving.iter().any(|leaving| Arc::ptr_eq(leaving, slot));
        let config = NodeConfig {
            name: slot.name.clone(),
            key: SecretKey::from_bytes(&slot.files.wallet.to_bytes()).expect("a wallet's key is a key"),
            directory: slot.files.store(),
            shards: if leaves { self.shards.if_new() } else { self.shards },
            disk_limit_bytes: self.disk_limit_bytes,
            listen: slot.listen(&view),
            tls: slot.files.tls.clone(),
            chain: self.chain.clone(),
            view,
        };
        let node = blocking(move || Node::start(config)).await?;
        {
            let mut state = slot.lock();
            // Under the lock that set_view takes: a view comes to the node here or there, never an older one later.
            let view = self.views.borrow().clone();
            if view.height > height {
                node.set_view(view);
            }
            self.gateway.put(node.handle());
            state.address = Some(node.local_addr());
            state.node = Some(node);
        }
        self.announce(slot)
    }

    /// Lets the interfaces know a broker that is not started.
    pub fn show_stopped(&self, slot: &Slot) {
        let (handle, end) = node(slot.address(), self.views.borrow().clone());
        drop(end);
        self.gateway.put(handle);
    }

    /// Stops a broker; does nothing if it does not run.
    pub async fn stop(&self, slot: &Arc<Slot>) -> Result<(), NetworkError> {
        let _switching = slot.switching.lock().await;
        halt(slot).await
    }

    /// Stops all of them, at the same time.
    pub async fn stop_all(&self) -> Result<(), NetworkError> {
        let stops: Vec<_> = self
            .all()
            .map(|slot| {
                let slot = Arc::clone(slot);
                tokio::spawn(async move {
                    let _switching = slot.switching.lock().await;
                    halt(&slot).await
                })
            })
            .collect();
        let mut result = Ok(());
        for stop in stops {
            result = result.and(stop.await.expect("stopping a broker does not panic"));
        }
        result
    }

    /// Tells the chain where a registered broker is now, if that is not what the chain has.
    fn announce(&self, slot: &Slot) -> Result<(), NetworkError> {
        let sender = Sender::new(self.chain.clone(), self.views.clone());
        let view = sender.view();
        let Some(broker) = view.broker_index(slot.address()).and_then(|index| view.broker(index)) else {
            return Ok(());
        };
        let Some(address) = slot.quic() else { return Ok(()) };
        let key_hash = slot.files.tls.key_hash();
        if broker.endpoint == address.to_string() && broker.tls_key_hash == key_hash {
            return Ok(());
        }
        let input = calldata::update_endpoint(&address.to_string(), B256::from(key_hash.0));
        let coordinator = alloy_primitives::Address::from(view.contracts.coordinator.0);
        let what = format!("the new address of {}", slot.name);
        sender.send(what, &slot.files.wallet, coordinator, U256::ZERO, input).map(|_| ())
    }
}

/// Stops a broker's node, if there is one. The caller holds `switching`.
async fn halt(slot: &Slot) -> Result<(), NetworkError> {
    let node = slot.lock().node.take();
    match node {
        Some(node) => Ok(blocking(move || node.stop()).await?),
        None => Ok(()),
    }
}

/// Runs what waits for disks and threads where that may wait.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.expect("a blocking part does not panic")
}

impl BrokerSwitch for Brokers {
    fn set_running(
        &self,
        n: usize,
        running: bool,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async move {
            let count = self.numbered.len();
            let slot = self.numbered.get(n).ok_or_else(|| {
                format!("there is no broker {n}: brokers are numbered from 0 to {}", count.saturating_sub(1))
            })?;
            let done = if running { self.start(slot).await } else { self.stop(slot).await };
            done.map_err(|error| error.to_string())
        })
    }
}
