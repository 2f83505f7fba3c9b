//! A network of contracts on an in-memory chain, for measuring: the twin follows it, so that entries and useful changes
//! are those of the moment. What must succeed and does not is a mistake of the measurement, and panics.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use weir_kernel::agreement::cut;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{
    BlockRef, Certificate, Entry, Params, Seats, State, begin_block, certificates, evolve, targets,
};
use weir_kernel::hash::keccak256;
use weir_kernel::ids::{self, BrokerIndex, Hash, PartitionId, StreamId};

use crate::calldata;
use crate::deploy::{Addresses, Deployment, Economy, deploy_with};
use crate::facts::decode_block;
use crate::limits;
use crate::mirror::{Genesis, Mirror, Receipt};
use crate::wallet::{Account, Wallet};

pub(super) const CHAIN_ID: u64 = 31337;

/// How many accounts have ether.
const ACCOUNTS: u8 = 40;

/// Signs batches in sessions.
pub(super) const SESSION_KEY: u8 = 30;

/// Contracts, their chain, and the twin.
pub(super) struct Network {
    pub mirror: Mirror,
    pub addresses: Addresses,
    pub twin: State,
    streams: BTreeSet<StreamId>,
    fed: u64,
}

/// The n-th key; 0 deploys and owns the tokens.
pub(super) fn wallet(n: u8) -> Wallet {
    let mut key = [0; 32];
    key[31] = n + 1;
    Wallet::from_bytes(&key).expect("a small number is a key")
}

pub(super) fn kernel_address(address: Address) -> ids::Address {
    ids::Address(address.into_array())
}

impl Network {
    pub fn new(params: Params) -> Self {
        Self::with_economy(params, &Economy::default())
    }

    /// The same with other fees and karma.
    pub fn with_economy(params: Params, economy: &Economy) -> Self {
        let alloc: BTreeMap<_, _> =
            (0..ACCOUNTS).map(|n| (wallet(n).address(), limits::BROKER_ETHER_WEI)).collect();
        let mut mirror = Mirror::in_memory(&Genesis { chain_id: CHAIN_ID, timestamp_s: 1_000, alloc });
        let deployment =
            Deployment { supply: 1_000_000_000 * DATA, reserve: 1_000_000 * DATA, params: params.clone() };
        let addresses = deploy_with(&mut mirror, &wallet(0), &deployment, economy, 1_001)
            .expect("the contracts can be deployed");
        let twin = State::new(CHAIN_ID, addresses.contracts(), params);
        let mut network = Self { mirror, addresses, twin, streams: BTreeSet::new(), fed: 0 };
        network.feed();
        network
    }

    /// Lets a broker register and records its draw; the gas of both.
    pub fn join(&mut self, n: u8, stake: u128) -> [u64; 2] {
        let coordinator = self.addresses.coordinator;
        let price = stake + self.twin.params.join_fee;
        self.ok(0, self.addresses.token, calldata::transfer(wallet(n).address(), 2 * price));
        self.ok(n, self.addresses.token, calldata::approve(coordinator, 2 * price));
        let call = calldata::register(stake, "203.0.113.7:7600", B256::repeat_byte(n));
        let register = self.ok(n, coordinator, call).gas_used;
        let index = self.index(n);
        self.blocks(self.twin.params.draw_delay);
        [register, self.ok(0, coordinator, calldata::record_draw(index)).gas_used]
    }

    /// The index of a broker's key.
    pub fn index(&self, n: u8) -> BrokerIndex {
        self.twin.broker_index(kernel_address(wallet(n).address())).expect("it registered")
    }

    /// Makes all useful changes.
    pub fn rebalance(&mut self) {
        loop {
            let changes = targets::useful_changes(&self.twin, 64);
            if changes.is_empty() {
                return;
            }
            self.ok(0, self.addresses.coordinator, calldata::rebalance(&changes));
        }
    }

    /// Sends a transaction in a block of its own; it must succeed.
    pub fn ok(&mut self, n: u8, to: Address, data: Bytes) -> Receipt {
        self.transact(n, TxKind::Call(to), data)
    }

    pub fn transact(&mut self, n: u8, to: TxKind, data: Bytes) -> Receipt {
        let nonce = self.mirror.pending_nonce(wallet(n).address());
        let raw = Account::new(wallet(n), CHAIN_ID, nonce).sign(to, U256::ZERO, data, limits::TX_GAS_LIMIT);
        let hash = self.mirror.submit(&raw).expect("the transaction is valid");
        self.blocks(1);
        let receipt = self.mirror.receipt(hash).expect("history is in memory").expect("it is in the block");
        assert_eq!(receipt.failure(), None, "what is measured succeeds");
        receipt
    }

    /// Makes blocks.
    pub fn blocks(&mut self, count: u64) {
        for _ in 0..count {
            let time = self.mirror.head().header.timestamp + 1;
            self.mirror.produce_block(time).expect("a block can be made");
            self.feed();
        }
    }

    /// Makes blocks until the newest is the first of this epoch.
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
            let block = self.mirror.block(self.fed).expect("history is in memory").expect("it was made");
            let reference = BlockRef { number: self.fed, timestamp_s: block.header.timestamp };
            begin_block(&mut self.twin, reference.number, reference.timestamp_s);
            for fact in decode_block(&self.addresses, &mut self.streams, block.logs()) {
                evolve(&mut self.twin, reference, &fact);
            }
        }
    }

    /// Asks a view.
    pub fn view<V: SolCall>(&self, to: Address, call: V) -> V::Return {
        let answer = self.mirror.call(Address::ZERO, to, call.abi_encode().into(), U256::ZERO);
        V::abi_decode_returns(&answer.expect("views answer")).expect("as the ABI says")
    }

    /// A certificate of entries, signed by these keys.
    pub fn certificate(&self, entries: &[Entry], signers: &[u8]) -> Certificate {
        let root = B256::from(certificates::root(entries).0);
        let digest = calldata::report_digest(CHAIN_ID, self.addresses.coordinator, root);
        let signatures = signers.iter().map(|n| wallet(*n).sign_digest(digest)).collect();
        Certificate { entries: entries.to_vec(), signatures }
    }

    /// An entry that extends what is sealed.
    pub fn entry(&self, partition: u32, epoch: u64) -> Entry {
        let partition = PartitionId(partition);
        let previous = self.twin.partition(partition).map_or(Hash::ZERO, |p| p.checksum);
        let checksum = cut::kept(keccak256(&[&previous.0, &epoch.to_be_bytes()]));
        Entry { partition, epoch, round: 1, previous, checksum, events: 100_000, volume: 20_000_000 }
    }

    /// The keys of a partition's members.
    pub fn members(&self, partition: u32) -> Vec<u8> {
        self.keys(self.twin.partition(PartitionId(partition)).expect("it exists").members)
    }

    pub fn keys(&self, seats: Seats) -> Vec<u8> {
        let key = |index| {
            let account = self.twin.address_of(index).expect("members are brokers");
            (0..ACCOUNTS).find(|n| kernel_address(wallet(*n).address()) == account).expect("of these keys")
        };
        seats.brokers().map(key).collect()
    }
}
