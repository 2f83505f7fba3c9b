//! How a network does, in a few figures: for a status line.

use std::net::SocketAddr;

use weir_kernel::coordinator::{State, params::DATA};

use super::brokers::{Brokers, Slot};
use crate::service::Gateway;
use crate::service::status::status_of;

/// A few figures of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The newest block.
    pub height: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Partitions sealed up to the epoch before last or later: those that keep up.
    pub sealed: usize,
    /// All partitions.
    pub partitions: usize,
    /// Events kept, each counted once.
    pub events: u64,
    /// Rewards so far, claimed or not, in whole DATA.
    pub rewards: u128,
    /// The brokers by number.
    pub brokers: Vec<BrokerSummary>,
    /// How many brokers are still leaving.
    pub leaving: usize,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSummary {
    /// Its account.
    pub address: String,
    /// Where it listens for other brokers, if it ever ran in this process.
    pub quic: Option<SocketAddr>,
    /// Whether it runs.
    pub running: bool,
    /// Why it stopped by itself, if it did.
    pub failure: Option<String>,
}

pub(super) fn of(view: &State, gateway: &Gateway, brokers: &Brokers) -> Summary {
    let epoch = view.epoch();
    let earned: u128 = view.brokers.iter().map(|(index, broker)| view.earned(*index) + broker.claimed).sum();
    let broker = |slot: &std::sync::Arc<Slot>| BrokerSummary {
        address: slot.address().to_string(),
        quic: slot.quic(),
        running: slot.is_running(),
        failure: slot.failure(),
    };
    Summary {
        height: view.height,
        epoch,
        sealed: view.partitions.iter().filter(|partition| partition.sealed_epoch + 2 >= epoch).count(),
        partitions: view.partitions.len(),
        events: status_of(gateway).map_or(0, |status| status.events),
        rewards: earned / DATA,
        brokers: brokers.numbered().iter().map(broker).collect(),
        leaving: brokers.leaving().iter().filter(|slot| slot.is_running()).count(),
    }
}
