//! A network of contracts on an in-memory chain, watched by the kernel's twin: after every block the twin is
//! fed the block's facts, and the contracts' views must say what the twin says.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod foresee;
pub mod permit;
pub mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use alloy_primitives::aliases::U24;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::SolCall;
use weir_chain::bindings::{DataCoin, NetworkCoordinator as C};
use weir_chain::calldata;
use weir_chain::deploy::{Addresses, Deployment, Economy, deploy_with, token_balance};
use weir_chain::facts::decode_block;
use weir_chain::limits;
use weir_chain::mirror::{Genesis, Mirror, Receipt};
use weir_chain::wallet::{Account, Wallet};
use weir_kernel::agreement::cut;
use weir_kernel::coordinator::{
    BlockRef, Certificate, Entry, Params, State, begin_block, certificates, evolve, params::DATA,
    score::broker_key, seats::packed,
};
use weir_kernel::ids::{self, BrokerIndex, Hash, PartitionId, StreamId};

pub const CHAIN_ID: u64 = 31337;
pub const SUPPLY: u128 = 1_000_000_000 * DATA;
pub const RESERVE: u128 = 1_000_000 * DATA;

pub struct Network {
    pub mirror: Mirror,
    pub addresses: Addresses,
    pub twin: State,
    streams: BTreeSet<StreamId>,
    fed: u64,
}

/// The n-th key, below 100; 0 deploys and owns the tokens.
pub fn wallet(n: u8) -> Wallet {
    static WALLETS: OnceLock<Vec<Wallet>> = OnceLock::new();
    let wallets = WALLETS.get_or_init(|| {
        let wallet = |n: u8| {
            let mut key = [0; 32];
            key[31] = n + 1;
            Wallet::from_bytes(&key).unwrap()
        };
        (0..100).map(wallet).collect()
    });
    wallets[usize::from(n)].clone()
}

pub fn kernel_address(address: Address) -> ids::Address {
    ids::Address(address.into_array())
}

pub fn params() -> Params {
    Params { replicas: 4, partitions: 3, ..Params::default() }
}

impl Network {
    pub fn new(params: Params) -> Self {
        Self::with_economy(params, &Economy::default())
    }

    /// The same with other fees and karma.
    pub fn with_economy(params: Params, economy: &Economy) -> Self {
        let alloc: BTreeMap<_, _> =
            (0..40).map(|n| (wallet(n).address(), limits::BROKER_ETHER_WEI)).collect();
        let mut mirror = Mirror::in_memory(&Genesis { chain_id: CHAIN_ID, timestamp_s: 1_000, alloc });
        let deployment = Deployment { supply: SUPPLY, reserve: RESERVE, params: params.clone() };
        let addresses = deploy_with(&mut mirror, &wallet(0), &deployment, economy, 1_001).unwrap();
        let contracts = addresses.contracts();
        let twin = State::new(CHAIN_ID, contracts, params);
        let mut network = Self { mirror, addresses, twin, streams: BTreeSet::new(), fed: 0 };
        network.feed();
        network
    }

    /// A network in which brokers 1 to n are registered, each with this stake, and have their draws.
    pub fn with_brokers(params: Params, stakes: &[u128]) -> Self {
        let mut network = Self::new(params);
        for (n, stake) in stakes.iter().enumerate() {
            network.join(n as u8 + 1, *stake);
        }
        network
    }

    /// Lets a broker register and records its draw.
    pub fn join(&mut self, n: u8, stake: u128) -> BrokerIndex {
        let coordinator = self.addresses.coordinator;
        let price = stake + self.twin.params.join_fee;
        self.ok(0, self.addresses.token, calldata::transfer(wallet(n).address(), price));
        self.ok(n, self.addresses.token, calldata::approve(coordinator, price));
        self.ok(n, coordinator, calldata::register(stake, &format!("127.0.0.1:{n}"), B256::repeat_byte(n)));
        let index = self.twin.broker_index(kernel_address(wallet(n).address())).unwrap();
        self.blocks(self.twin.params.draw_delay);
        self.ok(0, coordinator, calldata::record_draw(index));
        index
    }

    /// Makes all useful changes, as nodes do.
    pub fn rebalance(&mut self) {
        loop {
            let changes = weir_kernel::coordinator::targets::useful_changes(&self.twin, 64);
            if changes.is_empty() {
                return;
            }
            self.ok(0, self.addresses.coordinator, calldata::rebalance(&changes));
        }
    }

    /// Sends a transaction in a block of its own.
    pub fn send(&mut self, n: u8, to: Address, data: Bytes) -> Receipt {
        self.transact(n, TxKind::Call(to), data)
    }

    pub fn transact(&mut self, n: u8, to: TxKind, data: Bytes) -> Receipt {
        let nonce = self.mirror.pending_nonce(wallet(n).address());
        let raw = Account::new(wallet(n), CHAIN_ID, nonce).sign(to, U256::ZERO, data, limits::TX_GAS_LIMIT);
        let hash = self.mirror.submit(&raw).unwrap();
        self.blocks(1);
        self.mirror.receipt(hash).unwrap().unwrap()
    }

    /// Sends a transaction that must succeed.
    pub fn ok(&mut self, n: u8, to: Address, data: Bytes) -> Receipt {
        let receipt = self.send(n, to, data);
        assert_eq!(receipt.failure(), None);
        receipt
    }

    /// Sends a transaction that must fail, and returns the reason.
    pub fn refused(&mut self, n: u8, to: Address, data: Bytes) -> String {
        self.send(n, to, data).failure().expect("the call must be refused")
    }

    /// Makes blocks.
    pub fn blocks(&mut self, count: u64) {
        for _ in 0..count {
            let time = self.mirror.head().header.timestamp + 1;
            self.mirror.produce_block(time).unwrap();
            self.feed();
        }
    }

    /// Makes blocks until the newest is the first of this epoch; transactions then see this epoch too, unless
    /// an epoch has one block only.
    pub fn until_epoch(&mut self, epoch: u64) {
        while self.mirror.height() < self.twin.first_block_of(epoch) {
            self.blocks(1);
        }
    }

    pub fn epoch(&self) -> u64 {
        self.twin.epoch_of(self.mirror.height())
    }

    fn feed(&mut self) {
        while self.fed < self.mirror.height() {
            self.fed += 1;
            let block = self.mirror.block(self.fed).unwrap().unwrap();
            let reference = BlockRef { number: self.fed, timestamp_s: block.header.timestamp };
            begin_block(&mut self.twin, reference.number, reference.timestamp_s);
            for fact in decode_block(&self.addresses, &mut self.streams, block.logs()) {
                evolve(&mut self.twin, reference, &fact);
            }
        }
    }

    /// Asks a view.
    pub fn view<V: SolCall>(&self, to: Address, call: V) -> V::Return {
        let answer = self.mirror.call(Address::ZERO, to, call.abi_encode().into(), U256::ZERO).unwrap();
        V::abi_decode_returns(&answer).unwrap()
    }

    pub fn tokens(&self, account: Address) -> u128 {
        token_balance(&self.mirror, self.addresses.token, account).unwrap().to()
    }

    /// A certificate of an entry, signed by these keys.
    pub fn certificate(&self, entry: Entry, signers: &[u8]) -> Certificate {
        self.shared_certificate(&[entry], signers)
    }

    /// A certificate of entries, signed by these keys.
    pub fn shared_certificate(&self, entries: &[Entry], signers: &[u8]) -> Certificate {
        let root = B256::from(certificates::root(entries).0);
        let digest = calldata::report_digest(CHAIN_ID, self.addresses.coordinator, root);
        let signatures = signers.iter().map(|n| wallet(*n).sign_digest(digest)).collect();
        Certificate { entries: entries.to_vec(), signatures }
    }

    /// An entry that extends what is sealed.
    pub fn entry(&self, partition: u32, epoch: u64) -> Entry {
        let previous = self.twin.partition(PartitionId(partition)).map_or(Hash::ZERO, |p| p.checksum);
        let checksum = cut::kept(Hash(keccak256([previous.0, [epoch as u8; 32]].concat()).0));
        let partition = PartitionId(partition);
        Entry { partition, epoch, round: 1, previous, checksum, events: 10, volume: 1_000 }
    }

    /// Seals an epoch of a partition with these signers; it must succeed.
    pub fn seal(&mut self, partition: u32, epoch: u64, signers: &[u8]) {
        let certificate = self.certificate(self.entry(partition, epoch), signers);
        self.ok(0, self.addresses.coordinator, calldata::submit_certificates([&certificate]));
    }

    /// The keys of a partition's members.
    pub fn members(&self, partition: u32) -> Vec<u8> {
        self.keys(self.twin.partition(PartitionId(partition)).unwrap().members)
    }

    pub fn keys(&self, seats: weir_kernel::coordinator::Seats) -> Vec<u8> {
        let key = |index| self.key_of(self.twin.address_of(index).unwrap()).unwrap();
        seats.brokers().map(key).collect()
    }

    /// The key of an account.
    pub fn key_of(&self, account: ids::Address) -> Option<u8> {
        (0..40).find(|n| kernel_address(wallet(*n).address()) == account)
    }

    /// Compares every view of coordinator and token with the twin, and checks that the books balance.
    pub fn check(&self) {
        let coordinator = self.addresses.coordinator;
        assert_eq!(self.view(coordinator, C::stakesCall {}), self.twin.stakes);
        assert_eq!(self.view(coordinator, C::poolCall {}), self.twin.pool);
        assert_eq!(self.view(coordinator, C::unpaidCall {}), self.twin.unpaid);
        assert_eq!(self.view(coordinator, C::reserveCall {}).to::<u128>(), self.twin.reserve());
        assert_eq!(usize::from(self.view(coordinator, C::quorumCall {})), self.twin.quorum());
        assert_eq!(self.view(coordinator, C::epochCall {}), self.epoch());
        for (index, broker) in self.twin.brokers.iter() {
            let index = U24::from(index.0);
            let found = self.view(coordinator, C::brokerCall { index });
            assert_eq!(kernel_address(found.account), broker.address);
            let rated = (broker.settled_reliability, broker.rated_epoch);
            assert_eq!((found.settledReliability, u64::from(found.ratedEpoch)), rated, "{index}");
            let tickets = self.view(coordinator, C::ticketsOfCall { index });
            assert_eq!(tickets, broker.tickets_in(self.epoch()), "{index}");
            assert_eq!((found.tickets, found.reliability), (broker.tickets, broker.reliability), "{index}");
            assert_eq!(
                (found.stake, found.accrued, found.seats),
                (broker.stake, broker.accrued, broker.seats)
            );
            assert_eq!((found.left, found.drawBlock), (broker.left.is_some(), broker.draw_block));
            assert_eq!(found.withdrawableEpoch, broker.left.unwrap_or_default());
            assert_eq!(found.drawKey, broker.draw.map_or(0, |draw| broker_key(&draw)));
            assert_eq!(found.fee, broker.fee, "{index}");
            assert_eq!(
                (found.endpoint, found.tlsKeyHash.0),
                (broker.endpoint.clone(), broker.tls_key_hash.0)
            );
        }
        for (number, partition) in self.twin.partitions.iter().enumerate() {
            let found = self.view(coordinator, C::partitionCall { partition_: number as u32 });
            assert_eq!(found.members.to_be_bytes::<24>(), partition.members.to_set());
            assert_eq!(found.previousMembers.to_be_bytes::<24>(), partition.previous_members.to_set());
            assert_eq!(found.sponsors.to_be_bytes::<24>(), partition.sponsors.to_set(), "{number}");
            assert_eq!(found.target.to_be_bytes::<32>(), partition.target.to_be_bytes());
            assert_eq!(
                (found.sinceEpoch, found.sealedEpoch),
                (partition.since_epoch, partition.sealed_epoch)
            );
            assert_eq!((found.targetEpoch, found.absent), (partition.target_changed_epoch, partition.absent));
            assert_eq!(found.checksum.0, partition.checksum.0[..24]);
            let seal = self.view(coordinator, C::sealOfCall { partition_: number as u32 });
            assert_eq!((seal.checksum.0, seal.sealedEpoch), (partition.checksum.0, partition.sealed_epoch));
            let tally = (partition.tally.seals, packed(&partition.tally.misses));
            assert_eq!((found.seals, found.misses), tally, "{number}");
            assert_eq!(found.probation, packed(&partition.probation), "{number}");
            assert_eq!(found.foundedEpoch, partition.founded_epoch, "{number}");
        }
        let counted = self.view(coordinator, C::partitionCountCall {});
        assert_eq!(counted as usize, self.twin.partitions.len());
        let active =
            self.twin.brokers.values().filter(|broker| broker.draw.is_some() && broker.left.is_none());
        assert_eq!(self.view(coordinator, C::activeBrokersCall {}).to::<usize>(), active.count());
        let succession = self.twin.succession;
        let (successor, from_epoch) = succession.accepted.unwrap_or_default();
        assert_eq!(kernel_address(self.view(coordinator, C::successorCall {})), successor);
        assert_eq!(self.view(coordinator, C::successorEpochCall {}), from_epoch);
        let proposed = self.view(coordinator, C::proposedSuccessorCall {});
        assert_eq!(kernel_address(proposed), succession.proposed);
        for n in 0..40 {
            let account = wallet(n).address();
            let bounty = self.view(coordinator, C::bountyOfCall { account });
            assert_eq!(bounty, self.twin.bounty(kernel_address(account)));
        }
        for (account, balance) in self.twin.balances.iter() {
            assert_eq!(self.tokens(Address::from(account.0)), *balance);
        }
        for ((owner, spender), allowed) in self.twin.allowances.iter() {
            let call = DataCoin::allowanceCall { owner: owner.0.into(), spender: spender.0.into() };
            let found = self.view(self.addresses.token, call).saturating_to::<u128>();
            // The token reports no use of an allowance; the twin knows those that the coordinator makes.
            let exact = *spender == kernel_address(coordinator);
            assert!(if exact { found == *allowed } else { found <= *allowed }, "{found} of {allowed}");
        }
        assert_eq!(self.twin.supply(), SUPPLY, "tokens are neither made nor lost");
        let owed = self.twin.stakes + self.twin.pool + self.twin.unpaid;
        assert!(self.tokens(coordinator) >= owed, "the coordinator can pay what it owes");
    }
}

/// What must hold after every call; says what does not. Balances are the chain's own.
pub fn invariants(network: &Network) -> Result<(), String> {
    let (twin, holds) =
        (&network.twin, |holds: bool, what: &str| holds.then_some(()).ok_or(what.to_string()));
    holds(twin.supply() == SUPPLY, "tokens are neither made nor lost")?;
    let held = network.tokens(network.addresses.coordinator);
    let owed = twin.stakes + twin.pool + twin.unpaid;
    holds(held == owed + twin.reserve() && held >= owed, "balance = stakes + pool + unpaid + reserve")?;
    let stakes: u128 = twin.brokers.values().map(|broker| broker.stake).sum();
    holds(twin.stakes == stakes, "stakes are the brokers'")?;
    let rewards: u128 = twin.brokers.values().map(|broker| broker.accrued).sum();
    let bounties: u128 = twin.bounties.values().sum();
    holds(twin.unpaid == rewards + bounties, "unpaid is what is owed to somebody")?;
    let fees: u128 = twin.brokers.values().map(|broker| broker.fee).sum();
    holds(twin.pool >= fees, "unspent join fees are in the pool")?;
    for partition in twin.partitions.iter() {
        let sets = [partition.target, partition.members, partition.previous_members];
        holds(sets.iter().all(|set| set.are_distinct()), "no broker sits twice")?;
        holds(!partition.founded || partition.members.len() >= twin.quorum(), "members can be a quorum")?;
    }
    for (index, broker) in twin.brokers.iter() {
        let seats = twin.partitions.iter().filter(|partition| partition.members.contains(*index)).count();
        holds(broker.seats as usize == seats, "a broker sits where it is counted")?;
    }
    Ok(())
}

/// The shortest list found by taking out parts of `steps` as long as it still `differs`.
pub fn shrink<T: Clone>(steps: &[T], differs: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut least = steps.to_vec();
    let mut chunk = least.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < least.len() {
            let mut fewer = least.clone();
            fewer.drain(at..(at + chunk).min(least.len()));
            if differs(&fewer) {
                least = fewer;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    least
}

/// The names of the errors in a contract's ABI.
pub fn error_names(artifact: &str) -> BTreeSet<String> {
    let path = format!("{}/../contracts/artifacts/{artifact}.json", env!("CARGO_MANIFEST_DIR"));
    let artifact: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let items = artifact["abi"].as_array().unwrap().iter();
    items.filter(|item| item["type"] == "error").map(|item| item["name"].as_str().unwrap().into()).collect()
}

/// Collects the errors that were met and compares them with the ABI at the end.
#[derive(Default)]
pub struct Met(BTreeSet<String>);

impl Met {
    /// The reason must be this error.
    pub fn expect(&mut self, name: &str, reason: String) {
        assert!(reason.starts_with(&format!("{name}(")), "expected {name}, got {reason}");
        self.0.insert(name.into());
    }

    /// All errors of the contract were met, except those that the reasons given with them keep from
    /// happening.
    pub fn complete(self, artifact: &str, unreachable: &[(&str, &str)]) {
        let mut left = error_names(artifact);
        left.retain(|name| !self.0.contains(name));
        for (name, reason) in unreachable {
            assert!(left.remove(*name), "{name} does not exist or was met although {reason}");
        }
        assert!(left.is_empty(), "errors that no call met: {left:?}");
    }
}
