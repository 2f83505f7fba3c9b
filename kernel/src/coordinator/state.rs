//! What the contracts hold, as the kernel sees it, and the questions that the rest of the kernel asks of it.
//!
//! A node shares one state among many readers and clones it where a block changes it, so that all that grows with
//! the network is in [maps](super::tree) whose copies share what a block does not touch.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::broker::Broker;
use super::conduct::Conflict;
use super::homes::{self, Home};
use super::params::Params;
use super::partition::Partition;
use super::refusal::Refusal;
use super::reseated::Reseated;
use super::seats::Seats;
use super::stream::{Names, Stream};
use super::succession::Succession;
use super::tree::{Map, Set};
use super::{delivery, fees, karma, licenses};
use crate::ids::{Address, BrokerIndex, Epoch, Hash, PartitionId, StreamId, StreamPartition};

/// Where the contracts live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contracts {
    /// The network coordinator; verifying contract of reports.
    pub coordinator: Address,
    /// The token.
    pub token: Address,
    /// The stream registry.
    pub registry: Address,
    /// LaneFees; zero if the network has none.
    pub fees: Address,
    /// Karma; zero if the network has none.
    pub karma: Address,
    /// DataLicenseFactory; zero if the network has none.
    pub license_factory: Address,
    /// EventDelivery; zero if the network has none.
    pub event_delivery: Address,
}

impl Contracts {
    /// A network of these three alone.
    pub const fn of(coordinator: Address, token: Address, registry: Address) -> Self {
        Self {
            coordinator,
            token,
            registry,
            fees: Address::ZERO,
            karma: Address::ZERO,
            license_factory: Address::ZERO,
            event_delivery: Address::ZERO,
        }
    }
}

/// All that the contracts hold. Amounts are in the token's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What the coordinator was deployed with.
    pub params: Params,
    /// Where the contracts live.
    pub contracts: Contracts,
    /// The chain's id.
    pub chain_id: u64,
    /// The newest block seen.
    pub height: u64,
    /// Its time in Unix seconds.
    pub timestamp_s: u64,
    /// Everybody who ever registered.
    pub brokers: Map<BrokerIndex, Arc<Broker>>,
    /// The same by account.
    pub broker_by_address: Map<Address, BrokerIndex>,
    /// The partitions, by number.
    pub partitions: Arc<Vec<Partition>>,
    /// The seats of which of them changed lately.
    pub reseated: Reseated,
    /// Streams, removed ones too.
    pub streams: Map<StreamId, Arc<Stream>>,
    /// Existing streams by owner and name.
    pub stream_names: Names,
    /// Existing streams by search key.
    pub stream_by_key: Set<(Hash, StreamId)>,
    /// Token balances; no entry is 0.
    pub balances: Map<Address, u128>,
    /// What (owner, spender) allows; no entry is 0, [`u128::MAX`] is without end.
    pub allowances: Map<(Address, Address), u128>,
    /// Stakes that the coordinator holds.
    pub stakes: u128,
    /// Fees that the coordinator holds.
    pub pool: u128,
    /// Rewards and bounties that the coordinator owes.
    pub unpaid: u128,
    /// The bounties among them, by account; no entry is 0.
    pub bounties: Map<Address, u128>,
    /// Conflicts that were punished.
    pub punished: Set<Conflict>,
    /// Who follows this coordinator.
    pub succession: Succession,
    /// What LaneFees holds.
    pub fees: Arc<fees::State>,
    /// What Karma holds.
    pub karma: Arc<karma::State>,
    /// What the products hold.
    pub licenses: Arc<licenses::State>,
    /// What EventDelivery holds.
    pub delivery: Arc<delivery::State>,
}

impl Default for State {
    fn default() -> Self {
        Self::new(0, Contracts::default(), Params::default())
    }
}

impl State {
    /// The state of freshly deployed contracts, before any event.
    pub fn new(chain_id: u64, contracts: Contracts, params: Params) -> Self {
        assert!(
            params.partitions > 0 && params.epoch_blocks > 0 && params.seats() > 0,
            "parameters are usable"
        );
        let partitions = (0..params.partitions).map(|id| Partition::vacant(PartitionId(id))).collect();
        Self {
            params,
            contracts,
            chain_id,
            height: 0,
            timestamp_s: 0,
            brokers: Map::default(),
            broker_by_address: Map::default(),
            partitions: Arc::new(partitions),
            reseated: Reseated::default(),
            streams: Map::default(),
            stream_names: Names::default(),
            stream_by_key: Set::default(),
            balances: Map::default(),
            allowances: Map::default(),
            stakes: 0,
            pool: 0,
            unpaid: 0,
            bounties: Map::default(),
            punished: Set::default(),
            succession: Succession::default(),
            fees: Arc::default(),
            karma: Arc::default(),
            licenses: Arc::default(),
            delivery: Arc::default(),
        }
    }

    /// The epoch of a block.
    pub fn epoch_of(&self, block: u64) -> Epoch {
        self.params.epoch_of(block)
    }

    /// The epoch of the newest block.
    pub fn epoch(&self) -> Epoch {
        self.epoch_of(self.height)
    }

    /// The first block of an epoch.
    pub fn first_block_of(&self, epoch: Epoch) -> u64 {
        epoch.saturating_mul(self.params.epoch_blocks)
    }

    /// q, the reports that make a certificate and the receipts that make `stored`.
    pub fn quorum(&self) -> usize {
        self.params.quorum()
    }

    /// P, the number of partitions of the network's traffic (WP 2.4.5).
    pub fn partition_count(&self) -> u32 {
        u32::try_from(self.partitions.len()).expect("partitions are numbered with 32 bits")
    }

    /// A partition, or `None` if the network has fewer.
    pub fn partition(&self, partition: PartitionId) -> Option<&Partition> {
        self.partitions.get(partition.0 as usize)
    }

    /// The set of an epoch in a partition, by what the chain has installed so far; vacant before the
    /// founding.
    pub fn acting_set(&self, partition: PartitionId, epoch: Epoch) -> Seats {
        self.partition(partition)
            .map_or(Seats::VACANT, |p| if epoch >= p.since_epoch { p.members } else { p.previous_members })
    }

    /// The sets that must each give a quorum of reports to seal `epoch`: the one of every epoch since the
    /// last sealed, oldest first.
    pub fn needed_sets(&self, partition: PartitionId, epoch: Epoch) -> Vec<Seats> {
        self.partition(partition).map_or_else(Vec::new, |p| super::certificates::needed_sets(p, epoch))
    }

    /// Whether a broker belongs to the set of an epoch.
    pub fn is_member(&self, partition: PartitionId, broker: BrokerIndex, epoch: Epoch) -> bool {
        self.acting_set(partition, epoch).contains(broker)
    }

    /// The brokers of a partition's target that are not members yet: they fetch its data, to be able to sign.
    pub fn proposed(&self, partition: PartitionId) -> Vec<BrokerIndex> {
        let outside =
            |p: &Partition| p.target.brokers().filter(|broker| !p.members.contains(*broker)).collect();
        self.partition(partition).map_or_else(Vec::new, outside)
    }

    /// A broker.
    pub fn broker(&self, index: BrokerIndex) -> Option<&Broker> {
        self.brokers.get(&index).map(Arc::as_ref)
    }

    /// The index of a broker's account.
    pub fn broker_index(&self, address: Address) -> Option<BrokerIndex> {
        self.broker_by_address.get(&address).copied()
    }

    /// The account of a broker.
    pub fn address_of(&self, index: BrokerIndex) -> Option<Address> {
        self.broker(index).map(|broker| broker.address)
    }

    /// The partition that carries the lanes of a stream partition that were opened in this block, from their first
    /// event to their last (WP 2.4.5). The block is not after the newest.
    pub fn home_at(&self, slot: StreamPartition, opening_block: u64) -> PartitionId {
        homes::home_in(self, slot, self.epoch_of(opening_block))
    }

    /// The partition that carries the lanes of a stream partition that are opened now.
    pub fn home(&self, slot: StreamPartition) -> PartitionId {
        homes::home_in(self, slot, self.epoch())
    }

    /// Every partition that ever was the home of a stream partition, oldest first; there is at least one.
    pub fn homes(&self, slot: StreamPartition) -> Vec<Home> {
        homes::homes(self, slot)
    }

    /// A stream, removed or not.
    pub fn stream(&self, stream: StreamId) -> Option<&Stream> {
        self.streams.get(&stream).map(Arc::as_ref)
    }

    /// The existing stream of this owner and name.
    pub fn stream_named(&self, owner: Address, name: &str) -> Option<StreamId> {
        let is_it = |stream: &Stream| stream.owner == owner && stream.name() == name;
        self.stream_names.candidates(owner, name).find(|id| self.stream(*id).is_some_and(is_it))
    }

    /// The existing streams that are found under a search key, in the order of their ids (WP 2.5.2).
    pub fn streams_by_key(&self, key: Hash) -> impl Iterator<Item = StreamId> + '_ {
        let from = self.stream_by_key.iter_from(&(key, StreamId::ZERO));
        from.take_while(move |(found, _)| *found == key).map(|(_, stream)| *stream)
    }

    /// Whether `user` may publish to a stream at `time_s`, by the permissions as they stood after `block`.
    pub fn can_publish_at(&self, stream: StreamId, user: Address, block: u64, time_s: u64) -> bool {
        self.stream(stream).is_some_and(|stream| stream.can_publish_at(user, block, time_s))
    }

    /// Whether `user` may subscribe to a stream at `time_s`, by the permissions as they stood after `block`.
    pub fn can_subscribe_at(&self, stream: StreamId, user: Address, block: u64, time_s: u64) -> bool {
        self.stream(stream).is_some_and(|stream| stream.can_subscribe_at(user, block, time_s))
    }

    /// An account's tokens.
    pub fn balance(&self, account: Address) -> u128 {
        self.balances.get(&account).copied().unwrap_or(0)
    }

    /// How much of `owner`'s tokens `spender` may move; [`u128::MAX`] is without end.
    pub fn allowance(&self, owner: Address, spender: Address) -> u128 {
        self.allowances.get(&(owner, spender)).copied().unwrap_or(0)
    }

    /// What the coordinator can still pay rewards from: its tokens beyond stakes, pool and unpaid rewards.
    pub fn reserve(&self) -> u128 {
        self.balance(self.contracts.coordinator).saturating_sub(self.stakes + self.pool + self.unpaid)
    }

    /// The tokens of all accounts together.
    pub fn supply(&self) -> u128 {
        self.balances.values().sum()
    }

    /// What an account can claim as bounties.
    pub fn bounty(&self, account: Address) -> u128 {
        self.bounties.get(&account).copied().unwrap_or(0)
    }

    pub(super) fn known_partition(&self, id: PartitionId) -> Result<&Partition, Refusal> {
        let unknown = Refusal::UnknownPartition { partition: id, partitions: self.partition_count() };
        self.partition(id).ok_or(unknown)
    }

    /// Adds vacant partitions up to this many.
    pub(super) fn add_partitions(&mut self, partitions: u32) {
        let added = (self.partition_count()..partitions).map(|id| Partition::vacant(PartitionId(id)));
        Arc::make_mut(&mut self.partitions).extend(added);
    }

    pub(super) fn partition_mut(&mut self, partition: PartitionId) -> &mut Partition {
        let partitions = Arc::make_mut(&mut self.partitions);
        partitions.get_mut(partition.0 as usize).expect("events name partitions that exist")
    }

    pub(super) fn broker_mut(&mut self, index: BrokerIndex) -> &mut Broker {
        Arc::make_mut(self.brokers.get_mut(&index).expect("events name brokers that registered"))
    }

    pub(super) fn stream_mut(&mut self, stream: StreamId) -> &mut Stream {
        let found = self.streams.get_mut(&stream);
        Arc::make_mut(found.expect("a stream is created before its other events"))
    }
}
