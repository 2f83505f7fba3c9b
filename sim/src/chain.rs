//! The chain as an actor: the contracts' real bytecode, blocks on virtual time, one follower for all nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use alloy_primitives::{Address as EthereumAddress, B256, Bytes, TxKind, U256};
use weir_chain::calldata;
use weir_chain::deploy::{Addresses, Deployment, deploy};
use weir_chain::facts::decode_block;
use weir_chain::limits::{BROKER_ETHER_WEI, TX_GAS_LIMIT};
use weir_chain::mirror::{Genesis, Mirror};
use weir_chain::port::{Chain as _, SharedMirror};
use weir_chain::wallet::{Account, Wallet};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Fact, Intent, MAXIMUM_LIST, Params, State, useful_changes};
use weir_kernel::ids::{Address, StreamId};
use weir_kernel::signature::SecretKey;
use weir_node::follower::Follower;

use crate::faults::FaultKind;
use crate::scenario::{Scenario, key_bytes};

/// The development chain's id.
pub const CHAIN_ID: u64 = 31_337;

/// When a run's time 0 is, in milliseconds since 1970 UTC.
pub const START_MS: u64 = 1_800_000_000_000;

/// All tokens.
pub const SUPPLY: u128 = 1_000_000_000 * DATA;

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
    known_streams: BTreeSet<StreamId>,
    /// The newest first.
    views: VecDeque<Arc<State>>,
    waiting: BTreeMap<B256, ()>,
    /// How many of them.
    kept_views: usize,
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
        let start_s = START_MS / 1_000 - 1_000;
        let mut mirror = Mirror::in_memory(&Genesis { chain_id: CHAIN_ID, timestamp_s: start_s, alloc });
        if !scenario.real_signatures {
            mirror.take_stand_ins();
        }
        let params = params(scenario);
        let deployment = Deployment { supply: SUPPLY, reserve: RESERVE, params: params.clone() };
        let addresses =
            deploy(&mut mirror, &owner, &deployment, start_s).expect("a fresh chain takes the contracts");
        let mirror = SharedMirror::new(mirror);
        let follower = Follower::new(mirror.clone(), addresses, params, 1);
        let mut chain = Self {
            mirror,
            addresses,
            follower,
            known_streams: BTreeSet::new(),
            views: VecDeque::new(),
            waiting: BTreeMap::new(),
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
        if scenario.guests > 0 {
            self.admit_guests(seed, scenario, owner, start_s + 2);
        }
        assert!(self.reverts.is_empty(), "the set-up succeeds: {:?}", self.reverts);
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

    /// Makes blocks until everything that was sent is included.
    fn settle(&mut self, timestamp_s: u64) {
        while !self.waiting.is_empty() {
            self.produce(timestamp_s);
        }
    }

    /// The stream that only guests may read, if there are any.
    pub fn private_stream(&self) -> Option<StreamId> {
        let view = self.view();
        view.streams.iter().find(|(_, stream)| stream.name == PRIVATE).map(|(id, _)| *id)
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

    /// Registers a broker with a stake of so many tickets.
    pub fn register(&mut self, wallet: &Wallet, number: u32, tickets: u8) {
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
    }

    /// Seats all brokers, once, when so many have their draws: whoever wants to may do that, and one who is no broker gets
    /// no reward for it.
    pub fn found(&mut self, brokers: usize) {
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
            Ok(hash) => drop(self.waiting.insert(hash, ())),
            Err(error) => self.count(format!("not taken: {error}")),
        }
    }

    fn count(&mut self, reason: String) {
        *self.reverts.entry(reason).or_default() += 1;
    }

    /// Makes a block; returns the new view and what the block's logs say.
    pub fn produce(&mut self, timestamp_s: u64) -> (Arc<State>, Vec<Fact>) {
        let block = self.mirror.lock().produce_block(timestamp_s).expect("a chain in memory does not fail");
        let hashes: Vec<B256> = block.transactions.iter().map(|transaction| transaction.hash).collect();
        for hash in hashes {
            self.waiting.remove(&hash);
            let receipt = self.mirror.receipt(hash).expect("a chain in memory does not fail");
            if let Some(reason) = receipt.and_then(|receipt| receipt.failure()) {
                let name = reason.split('(').next().unwrap_or_default().to_string();
                self.count(name);
            }
        }
        let facts = decode_block(&self.addresses, &mut self.known_streams, block.logs());
        let view = self.follower.advance().expect("the chain never goes back");
        let view = view.expect("a block is there");
        self.views.push_front(Arc::clone(&view));
        self.views.truncate(self.kept_views);
        (view, facts)
    }
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
