//! The chain as an actor: the contracts' real bytecode, blocks on virtual time, one follower for all nodes but those
//! whose provider is on a [`branch`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use alloy_primitives::{Address as EthereumAddress, B256, Bytes, TxKind, U256};
use weir_chain::deploy::{Addresses, Deployment, Economy, deploy_with};
use weir_chain::facts::decode_block;
use weir_chain::limits::{BROKER_ETHER_WEI, MAX_POOL_TRANSACTIONS, TX_GAS_LIMIT};
use weir_chain::mirror::{Genesis, Mirror};
use weir_chain::port::{Chain as _, SharedMirror};
use weir_chain::wallet::{Account, Wallet};
use weir_chain::{calldata, fees};
use weir_kernel::coordinator::fees::Params as Prices;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Fact, Intent, MAXIMUM_LIST, Params, Retention, State, useful_changes};
use weir_kernel::ids::{Address, StreamId, StreamPartition};
use weir_kernel::signature::SecretKey;
use weir_node::follower::Follower;

use crate::faults::FaultKind;
use crate::scenario::{Scenario, key_bytes};

pub mod branch;

/// The development chain's id.
pub const CHAIN_ID: u64 = 31_337;

/// When a run's time 0 is, in milliseconds since 1970 UTC.
pub const START_MS: u64 = 1_800_000_000_000;

/// All tokens.
pub const SUPPLY: u128 = 1_000_000_000 * DATA;

/// What an event costs where not everything is free.
const EVENT_PRICE: u128 = DATA / 1_000;

/// What honest publishers deposit then for each stream partition: more than any run publishes.
const DEPOSIT: u128 = 1_000 * DATA;

const RESERVE: u128 = 1_000_000 * DATA;

/// The name of the stream that is not public.
const PRIVATE: &str = "private";

/// Gas that a small call is given.
const CALL_GAS: u64 = 3_000_000;

/// Views of the last blocks that are kept, for those who see the chain late.
pub const KEPT_VIEWS: usize = 40;

/// Transactions of the owner that wait at once: a pool takes no more than a thousand of one account.
const SET_UP_TRANSACTIONS: usize = 500;

/// The chain and who follows it.
pub struct ChainActor {
    mirror: SharedMirror,
    addresses: Addresses,
    follower: Follower<SharedMirror>,
    /// Blocks that make a block count, itself included.
    confirmations: u64,
    known_streams: BTreeSet<StreamId>,
    /// The newest first.
    views: VecDeque<Arc<State>>,
    /// How many of them.
    kept_views: usize,
    waiting: BTreeSet<B256>,
    /// Who will seat all brokers.
    founder: Option<Wallet>,
    /// Transactions that were included and failed, by reason.
    pub reverts: BTreeMap<String, u64>,
}

impl ChainActor {
    /// A chain with the contracts, the streams, and tokens for every broker.
    pub fn new(seed: u64, scenario: &Scenario, brokers: &[Wallet]) -> Self {
        let owner = Wallet::from_bytes(&key_bytes(seed, "owner", 0)).expect("the key is in range");
        let owner = if scenario.real_signatures { owner } else { owner.standing_in() };
        let mut alloc: BTreeMap<EthereumAddress, U256> =
            brokers.iter().map(|wallet| (wallet.address(), BROKER_ETHER_WEI)).collect();
        // It pays for a transfer to each broker, and what waits is held back at its gas limit.
        let share = U256::from(1 + brokers.len() / 64);
        alloc.insert(owner.address(), BROKER_ETHER_WEI * share);
        alloc.extend(payers(seed, scenario).map(|wallet| (wallet.address(), BROKER_ETHER_WEI)));
        let start_s = START_MS / 1_000 - 1_000;
        let mut mirror = Mirror::in_memory(&Genesis { chain_id: CHAIN_ID, timestamp_s: start_s, alloc });
        if !scenario.real_signatures {
            mirror.take_stand_ins();
        }
        let params = params(scenario);
        let deployment = Deployment { supply: SUPPLY, reserve: RESERVE, params: params.clone() };
        let fees = scenario.free_events.map_or_else(Prices::default, |free_events| Prices {
            free_events,
            event_price: EVENT_PRICE,
            ..Prices::default()
        });
        let economy = Economy { fees, ..Economy::default() };
        let addresses = deploy_with(&mut mirror, &owner, &deployment, &economy, start_s);
        let addresses = addresses.expect("a fresh chain takes the contracts");
        let mirror = SharedMirror::new(mirror);
        let confirmations = u64::from(scenario.confirmations);
        let follower = Follower::new(mirror.clone(), addresses, params, confirmations);
        let mut chain = Self {
            mirror,
            addresses,
            follower,
            confirmations,
            known_streams: BTreeSet::new(),
            views: VecDeque::new(),
            waiting: BTreeSet::new(),
            kept_views: kept_views(scenario),
            founder: scenario.founder.then(|| owner.clone()),
            reverts: BTreeMap::new(),
        };
        chain.set_up(seed, scenario, &owner, brokers, start_s);
        chain
    }

    fn set_up(&mut self, seed: u64, scenario: &Scenario, owner: &Wallet, brokers: &[Wallet], start_s: u64) {
        let price = 10_000 * DATA;
        for some in brokers.chunks(SET_UP_TRANSACTIONS) {
            for wallet in some {
                self.send(owner, self.addresses.token, calldata::transfer(wallet.address(), price), CALL_GAS);
            }
            if some.len() == SET_UP_TRANSACTIONS {
                self.settle(start_s + 1);
            }
        }
        for number in 0..scenario.streams {
            let name = format!("stream-{number}");
            let create = calldata::create_stream(&name, "simulated", scenario.stream_partitions, true, true);
            self.send(owner, self.addresses.registry, create, CALL_GAS);
            if (number as usize + 1).is_multiple_of(SET_UP_TRANSACTIONS) {
                self.settle(start_s + 1);
            }
        }
        self.settle(start_s + 1);
        if scenario.retention_s > 0 {
            self.bound(scenario, owner, start_s + 1);
        }
        if scenario.guests > 0 {
            self.admit_guests(seed, scenario, owner, start_s + 2);
        }
        if scenario.free_events.is_some() {
            self.deposit(seed, scenario, owner, start_s + 4);
        }
        assert!(self.reverts.is_empty(), "the set-up succeeds: {:?}", self.reverts);
    }

    /// What the streams carry is kept for a while.
    fn bound(&mut self, scenario: &Scenario, owner: &Wallet, at_s: u64) {
        let retention = Retention { age_s: scenario.retention_s, size_bytes: 0 };
        for stream in self.view().streams.keys() {
            self.send(owner, EthereumAddress::from(stream.0), calldata::set_retention(&retention), CALL_GAS);
        }
        self.settle(at_s);
    }

    /// A stream that everybody may publish to and nobody read but guests, each until its time.
    fn admit_guests(&mut self, seed: u64, scenario: &Scenario, owner: &Wallet, at_s: u64) {
        let create = calldata::create_stream(PRIVATE, "simulated", scenario.stream_partitions, false, true);
        self.send(owner, self.addresses.registry, create, CALL_GAS);
        self.settle(at_s);
        let stream = self.private_stream().expect("it was just created");
        for number in 0..scenario.guests {
            let until_s = START_MS / 1_000 + scenario.guest_until_us(number) / 1_000_000;
            let guest = EthereumAddress::from(guest(seed, number).0);
            self.send(owner, EthereumAddress::from(stream.0), calldata::grant(guest, until_s, 0), CALL_GAS);
        }
        self.settle(at_s + 1);
    }

    /// Every honest publisher has a deposit for every stream partition.
    fn deposit(&mut self, seed: u64, scenario: &Scenario, owner: &Wallet, at_s: u64) {
        let view = self.view();
        let slots: Vec<StreamPartition> = { view.streams.iter() }
            .flat_map(|(id, stream)| (0..stream.partitions).map(|at| (*id, at)))
            .map(|(stream, partition)| StreamPartition { stream, partition })
            .collect();
        let (lane_fees, all) = (self.addresses.fees.expect("it was deployed"), DEPOSIT * slots.len() as u128);
        for wallet in payers(seed, scenario) {
            self.send(owner, self.addresses.token, calldata::transfer(wallet.address(), all), CALL_GAS);
            self.settle(at_s);
            self.send(&wallet, self.addresses.token, calldata::approve(lane_fees, all), CALL_GAS);
            slots
                .iter()
                .for_each(|slot| self.send(&wallet, lane_fees, fees::allot(*slot, DEPOSIT), CALL_GAS));
            self.settle(at_s + 1);
        }
    }

    /// Makes blocks until everything that was sent is included and counts.
    fn settle(&mut self, timestamp_s: u64) {
        while !self.waiting.is_empty() {
            self.produce(timestamp_s);
        }
        (1..self.confirmations).for_each(|_| drop(self.produce(timestamp_s)));
    }

    /// The stream that only guests may read, if there are any.
    pub fn private_stream(&self) -> Option<StreamId> {
        let view = self.view();
        view.streams.iter().find(|(_, stream)| stream.name() == PRIVATE).map(|(id, _)| *id)
    }

    /// The view as it stands.
    pub fn view(&self) -> Arc<State> {
        self.follower.view()
    }

    /// The view as it was so many blocks ago, or the oldest there is.
    pub fn view_before(&self, blocks: u32) -> Arc<State> {
        let at = (blocks as usize).min(self.views.len().saturating_sub(1));
        self.views.get(at).map_or_else(|| self.view(), Arc::clone)
    }

    /// Registers a broker with a stake of so many tickets; false if the pool is too full for that now.
    pub fn register(&mut self, wallet: &Wallet, number: u32, tickets: u8) -> bool {
        // It approves the stake, and pays it.
        if self.waiting.len() + 2 > MAX_POOL_TRANSACTIONS {
            return false;
        }
        let params = self.view().params.clone();
        let stake = params.ticket_stake * u128::from(tickets.max(1));
        let coordinator = self.addresses.coordinator;
        self.send(
            wallet,
            self.addresses.token,
            calldata::approve(coordinator, stake + params.join_fee),
            CALL_GAS,
        );
        let endpoint = format!("127.0.0.1:{number}");
        self.send(wallet, coordinator, calldata::register(stake, &endpoint, B256::repeat_byte(1)), CALL_GAS);
        true
    }

    /// Seats all brokers, once, when so many have their draws: whoever wants to may do that, and one who is no broker
    /// gets no reward for it.
    pub fn found(&mut self, brokers: usize) {
        if self.founder.is_none() {
            return;
        }
        let view = self.view();
        let drawn = view.brokers.values().filter(|broker| broker.draw.is_some()).count();
        let Some(founder) = self.founder.take_if(|_| drawn >= brokers) else { return };
        for changes in useful_changes(&view, usize::MAX).chunks(MAXIMUM_LIST) {
            self.submit(&founder, &Intent::Rebalance(changes.to_vec()));
        }
    }

    /// Sends what a broker wants, from its account.
    pub fn submit(&mut self, wallet: &Wallet, intent: &Intent) {
        let gas = match intent {
            Intent::Rebalance(_) => TX_GAS_LIMIT,
            _ => CALL_GAS,
        };
        let contract = intent.contract(&self.addresses.contracts());
        self.send(wallet, EthereumAddress::from(contract.0), calldata::intent(intent), gas);
    }

    fn send(&mut self, wallet: &Wallet, to: EthereumAddress, data: Bytes, gas: u64) {
        let nonce = self.mirror.nonce(wallet.address());
        let raw = Account::new(wallet.clone(), CHAIN_ID, nonce).sign(TxKind::Call(to), U256::ZERO, data, gas);
        match self.mirror.submit(&raw) {
            Ok(hash) => {
                self.waiting.insert(hash);
            }
            Err(error) => self.count(format!("not taken: {error}")),
        }
    }

    fn count(&mut self, reason: String) {
        *self.reverts.entry(reason).or_default() += 1;
    }

    /// Makes a block; returns the new view and what the logs of the block say that counts from now on. None does while
    /// the chain is shorter than its confirmations.
    pub fn produce(&mut self, timestamp_s: u64) -> Option<(Arc<State>, Vec<Fact>)> {
        let block = self.mirror.lock().produce_block(timestamp_s).expect("a chain in memory does not fail");
        for transaction in &block.transactions {
            self.waiting.remove(&transaction.hash);
        }
        let view = self.follower.advance().expect("what counts is never replaced")?;
        let block = self.mirror.lock().block(view.height).expect("a chain in memory does not fail");
        let block = block.expect("it was followed");
        for transaction in &block.transactions {
            let receipt = self.mirror.receipt(transaction.hash).expect("a chain in memory does not fail");
            if let Some(reason) = receipt.and_then(|receipt| receipt.failure()) {
                let name = reason.split('(').next().unwrap_or_default().to_string();
                self.count(name);
            }
        }
        let facts = decode_block(&self.addresses, &mut self.known_streams, block.logs());
        self.views.push_front(Arc::clone(&view));
        self.views.truncate(self.kept_views);
        Some((view, facts))
    }

    /// The newest blocks are replaced by as many others, fewer than make a block count. Their transactions wait again.
    pub fn reorganise(&mut self, blocks: u64, timestamp_s: u64) {
        assert!(blocks < self.confirmations, "everybody would have acted on what is replaced");
        let mut mirror = self.mirror.lock();
        mirror.reorg(blocks as usize).expect("the mirror can drop more blocks than that");
        for _ in 0..blocks {
            mirror.produce_block(timestamp_s).expect("a chain in memory does not fail");
        }
    }
}

/// The accounts of honest publishers that pay for what they publish: where everything is free nobody does.
fn payers(seed: u64, scenario: &Scenario) -> impl Iterator<Item = Wallet> + use<> {
    let count = if scenario.free_events.is_some() { scenario.publishers } else { 0 };
    (0..count).map(move |number| {
        let bytes = key_bytes(seed, "publisher", u64::from(number));
        Wallet::from_bytes(&bytes).expect("the key is in range")
    })
}

/// Only a fault that shows brokers the past needs the past.
fn kept_views(scenario: &Scenario) -> usize {
    let stale = |fault: &crate::faults::Fault| matches!(fault.kind, FaultKind::StaleReads { .. });
    if scenario.faults.iter().any(stale) { KEPT_VIEWS } else { 1 }
}

/// The account of a guest.
pub fn guest(seed: u64, number: u32) -> Address {
    let key = SecretKey::from_bytes(&key_bytes(seed, "guest", u64::from(number)));
    key.expect("the key is in range").address()
}

fn params(scenario: &Scenario) -> Params {
    Params {
        replicas: scenario.replicas,
        partitions: scenario.partitions,
        partitions_per_broker: scenario.partitions_per_broker,
        epoch_blocks: scenario.epoch_blocks,
        ..Params::default()
    }
}
