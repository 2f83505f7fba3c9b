//! From an open chain to a running network: see the steps in the module above.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use weir_chain::port::SharedMirror;
use weir_kernel::coordinator::State;

use super::Network;
use super::accounts;
use super::brokers::Brokers;
use super::directory::StateDirectory;
use super::error::NetworkError;
use super::membership;
use super::options::Options;
use super::samples;
use super::settings::Settings;
use super::ticker::Ticker;
use super::transactions::Sender;
use crate::follower::Follower;
use crate::interfaces::{BrokerSwitch, InterfaceConfig, Servers, serve};
use crate::service::Gateway;

/// Time between blocks during set-up, when nothing but the brokers' own work has to be waited for.
const SETUP_BLOCK_TIME: Duration = Duration::from_millis(40);

/// Time between blocks while brokers start: no epoch passes that nobody seals.
const PAUSED: Duration = Duration::from_secs(86_400);

/// What set-up begins with.
pub struct Setup {
    /// What was asked for.
    pub options: Options,
    /// The locked directory.
    pub directory: StateDirectory,
    /// What the network was made with.
    pub settings: Settings,
    /// Its chain.
    pub chain: SharedMirror,
}

impl Setup {
    /// Sets the network up.
    pub async fn run(mut self, follower: Follower<SharedMirror>) -> Result<Network, NetworkError> {
        let begin = Instant::now();
        let (ticker, brokers, gateway) = self.prepare(follower)?;
        let done = self.bring_up(&ticker, &brokers, &gateway).await;
        let servers = match done {
            Ok(servers) => servers,
            Err(error) => {
                // The error that matters is the first one.
                let _ = brokers.stop_all().await;
                return Err(error);
            }
        };
        let mut tasks = JoinSet::new();
        if self.options.samples {
            samples::publish(&gateway, &self.settings, &mut tasks);
        }
        if !brokers.leaving().is_empty() {
            let sender = Sender::new(self.chain.clone(), ticker.views());
            tasks.spawn(membership::retire(sender, Arc::clone(&brokers)));
        }
        ticker.set_period(self.options.block_time);
        tracing::info!(elapsed_ms = begin.elapsed().as_millis(), "the network is up");
        let Self { settings, directory, chain, .. } = self;
        Ok(Network { settings, chain, gateway, brokers, servers, tasks, ticker, directory })
    }

    /// Decides who takes part, and lets the chain tick.
    fn prepare(
        &self,
        follower: Follower<SharedMirror>,
    ) -> Result<(Ticker, Arc<Brokers>, Arc<Gateway>), NetworkError> {
        let count = self.options.brokers.unwrap_or(self.settings.brokers);
        let (numbered, leaving) = membership::plan(&self.directory, &follower.view(), count)?;
        let gateway = Arc::new(Gateway::default());
        // The brokers need the ticker's views and the ticker shows views to the brokers.
        let shown: Arc<OnceLock<Arc<Brokers>>> = Arc::default();
        let show = Arc::clone(&shown);
        let on_view = move |view: &Arc<State>| {
            if let Some(brokers) = show.get() {
                brokers.set_view(view);
            }
        };
        let ticker = Ticker::start(self.chain.clone(), follower, PAUSED, on_view)?;
        let (gate, limit) = (Arc::clone(&gateway), self.options.disk_limit_bytes);
        let brokers = Brokers::new(numbered, leaving, self.chain.clone(), gate, ticker.views(), limit);
        let brokers = Arc::new(brokers.with_shards(self.options.shard_count(count)));
        assert!(shown.set(Arc::clone(&brokers)).is_ok(), "set once, here");
        Ok((ticker, brokers, gateway))
    }

    async fn bring_up(
        &mut self,
        ticker: &Ticker,
        brokers: &Arc<Brokers>,
        gateway: &Arc<Gateway>,
    ) -> Result<Servers, NetworkError> {
        let sender = Sender::new(self.chain.clone(), ticker.views());
        self.start_brokers(&sender, brokers).await?;
        ticker.set_period(self.options.block_time.min(SETUP_BLOCK_TIME));
        membership::fund_development(&sender).await?;
        membership::join(&sender, brokers.numbered()).await?;
        sender.wait_for("founding the partitions", membership::all_act).await?;
        let mut changed = self.options.samples && samples::create(&sender, &mut self.settings).await?;
        if self.options.samples {
            samples::allot(&sender, &self.settings).await?;
        }
        if let Some(count) = self.options.brokers.filter(|count| *count != self.settings.brokers) {
            self.settings.brokers = count;
            changed = true;
        }
        if changed {
            self.settings.write(&self.directory.settings())?;
        }
        for number in &self.options.offline {
            if let Some(slot) = brokers.numbered().get(*number as usize) {
                brokers.stop(slot).await?;
            }
        }
        let config = InterfaceConfig {
            http: self.options.http,
            websocket: self.options.websocket,
            application_key: accounts::development().to_bytes(),
            api_keys: Vec::new(),
            development: true,
            hosts: Vec::new(),
            slow_reader: self.options.slow_reader,
            switch: Some(Arc::clone(brokers) as Arc<dyn BrokerSwitch>),
        };
        Ok(serve(config, Arc::clone(gateway), self.chain.clone()).await?)
    }

    /// Starts all brokers but those that are wanted offline and are registered already, at the same time: most of a
    /// start is waiting for the disk.
    async fn start_brokers(&self, sender: &Sender, brokers: &Arc<Brokers>) -> Result<(), NetworkError> {
        let view = sender.view();
        // The interfaces know them in the order of their numbers, whichever is up first.
        brokers.all().for_each(|slot| brokers.show_stopped(slot));
        let mut starts = JoinSet::new();
        for (number, slot) in brokers.all().enumerate() {
            let registered = view.broker_index(slot.address()).is_some();
            if registered && self.options.offline.contains(&(number as u32)) {
                continue;
            }
            let (brokers, slot) = (Arc::clone(brokers), Arc::clone(slot));
            starts.spawn(async move { brokers.start(&slot).await });
        }
        // All are waited for, so that none starts after another's failure has stopped the rest.
        starts.join_all().await.into_iter().collect()
    }
}
