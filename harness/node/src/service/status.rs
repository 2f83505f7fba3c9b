//! The network's state as one JSON object: what `GET /status` and `weir status --json` show.
//!
//! `events` counts each event once, not once a replica: of every partition it is the most that any broker of this
//! process keeps, or what the chain says was sealed if that is more (no broker of this process may have a seat
//! there). Token amounts are decimal strings in the token's smallest unit.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_kernel::coordinator::{Seats, State};
use weir_kernel::ids::{Address, BrokerIndex, PartitionId};

use super::economy::{EconomyStatus, economy};
use super::gateway::Gateway;
use crate::handle::NodeStatistics;

/// The status. Its keys are an interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The chain as the newest broker has confirmed it.
    pub chain: ChainStatus,
    /// Registered brokers, by their index on chain.
    pub brokers: Vec<BrokerStatus>,
    /// Partitions, by number.
    pub partitions: Vec<PartitionStatus>,
    /// Events kept in the network.
    pub events: u64,
    /// The token's total supply.
    pub supply: String,
    /// Streams that exist.
    pub streams: u64,
    /// Where the tokens are.
    pub economy: EconomyStatus,
}

/// The chain.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChainStatus {
    /// Its id.
    pub id: u64,
    /// The newest confirmed block.
    pub height: u64,
    /// Its epoch.
    pub epoch: u64,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BrokerStatus {
    /// Its number in this process, by which it is stopped and started, if it is of this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
    /// Its account.
    pub address: String,
    /// In how many partitions it is a member.
    pub partitions: u32,
    /// Its stake.
    pub stake: String,
    /// Tickets that it can sit with in this epoch.
    pub tickets: u8,
    /// Rewards so far, claimed or not.
    pub earned: String,
    /// Of this, what it can claim; what else it has not claimed is counted in tallies that are not settled yet.
    pub accrued: String,
    /// Of this, what it has claimed.
    pub claimed: String,
    /// Bounties that it has not claimed.
    pub bounty: String,
    /// Its karma.
    pub karma: String,
    /// Whether it gave notice.
    pub left: bool,
    /// Whether it was absent so often that it has no tickets until it joins again.
    pub suspended: bool,
    /// Tokens on its account.
    pub balance: String,
    /// How reliably it reports: 1 is always.
    pub reliability: f64,
    /// Whether it runs, if it is of this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionStatus {
    /// Its number.
    pub id: u32,
    /// The accounts of its members.
    pub replicas: Vec<String>,
    /// The last sealed epoch.
    pub epoch: u64,
    /// The rolling checksum there.
    pub checksum: String,
    /// Events kept in it.
    pub events: u64,
    /// Of these, events sealed.
    pub sealed: u64,
    /// What the members of this process hold: equal to the chain's once they have adopted its last seal.
    pub held: Vec<HeldSeal>,
}

/// The last seal that one replica has adopted: it holds everything under it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldSeal {
    /// The replica's account.
    pub broker: String,
    /// The epoch.
    pub epoch: u64,
    /// The checksum over what it holds.
    pub checksum: String,
}

fn held(view: &State, nodes: &BTreeMap<Address, Local>, id: PartitionId, members: Seats) -> Vec<HeldSeal> {
    let of_member = |address: Address| {
        let (epoch, checksum) = nodes.get(&address)?.counts.partition_seals.get(&id)?;
        Some(HeldSeal { broker: address.to_string(), epoch: *epoch, checksum: checksum.to_string() })
    };
    members.brokers().filter_map(|index| view.address_of(index)).filter_map(of_member).collect()
}

/// A broker of this process.
#[derive(Clone, Debug, Default)]
pub struct Local {
    /// Its number in the gateway.
    pub number: usize,
    /// Whether it runs.
    pub running: bool,
    /// What it counts.
    pub counts: NodeStatistics,
}

/// The status by a view of the chain and what the brokers of this process count.
pub fn status(view: &State, nodes: &BTreeMap<Address, Local>) -> Status {
    let partition = |(number, partition): (usize, &weir_kernel::coordinator::Partition)| {
        let id = PartitionId(number as u32);
        let kept = nodes.values().filter_map(|local| local.counts.partition_events.get(&id)).max();
        let sealed = u64::try_from(partition.events).unwrap_or(u64::MAX);
        PartitionStatus {
            id: id.0,
            replicas: accounts(view, partition.members),
            epoch: partition.sealed_epoch,
            checksum: partition.checksum.to_string(),
            events: kept.copied().unwrap_or(0).max(sealed),
            sealed,
            held: held(view, nodes, id, partition.members),
        }
    };
    let partitions: Vec<_> = view.partitions.iter().enumerate().map(partition).collect();
    let broker = |index: &BrokerIndex, broker: &weir_kernel::coordinator::Broker| BrokerStatus {
        number: nodes.get(&broker.address).map(|local| local.number),
        address: broker.address.to_string(),
        partitions: broker.seats,
        stake: broker.stake.to_string(),
        tickets: broker.tickets_in(view.epoch()),
        accrued: broker.accrued.to_string(),
        claimed: broker.claimed.to_string(),
        bounty: view.bounty(broker.address).to_string(),
        karma: view.karma.karma_of(broker.address, view.timestamp_s).to_string(),
        left: broker.left.is_some(),
        suspended: broker.is_suspended(),
        earned: view.earned(*index).saturating_add(broker.claimed).to_string(),
        balance: view.balance(broker.address).to_string(),
        reliability: f64::from(broker.reliability) / 10_000.0,
        running: nodes.get(&broker.address).map(|local| local.running),
    };
    Status {
        chain: ChainStatus { id: view.chain_id, height: view.height, epoch: view.epoch() },
        brokers: view.brokers.iter().map(|(index, known)| broker(index, known)).collect(),
        events: partitions.iter().map(|partition| partition.events).sum(),
        partitions,
        supply: view.supply().to_string(),
        streams: view.stream_names.len() as u64,
        economy: economy(view),
    }
}

/// The status as the brokers of a gateway see it.
///
/// # Errors
///
/// `unavailable` if there is no broker at all.
pub fn status_of(gateway: &Gateway) -> Result<Status, weir_kernel::broker::Refusal> {
    let view = gateway.view()?;
    let local = |(number, node): (usize, &crate::handle::NodeHandle)| {
        (node.address(), Local { number, running: node.is_running(), counts: node.statistics() })
    };
    Ok(status(&view, &gateway.nodes().iter().enumerate().map(local).collect()))
}

fn accounts(view: &State, seats: Seats) -> Vec<String> {
    seats.brokers().filter_map(|index| view.address_of(index)).map(|address| address.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_once_however_many_keep_it() {
        let view = State::default();
        let keeps = |partition, events| {
            let partition_events = BTreeMap::from([(PartitionId(partition), events)]);
            let counts = NodeStatistics { partition_events, ..NodeStatistics::default() };
            Local { running: true, counts, ..Local::default() }
        };
        let mut nodes = BTreeMap::new();
        nodes.insert(Address([1; 20]), keeps(0, 7));
        nodes.insert(Address([2; 20]), keeps(0, 9));
        nodes.insert(Address([3; 20]), keeps(1, 4));
        let status = status(&view, &nodes);
        assert_eq!((status.partitions[0].events, status.events), (9, 13));
        let json = serde_json::to_value(&status).unwrap();
        for key in ["chain", "brokers", "partitions", "events", "supply"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["supply"], "0");
    }
}
