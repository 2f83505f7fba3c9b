//! A world to try the rules in: contracts, accounts and blocks.

mod assignment;
mod bounties;
mod calls;
mod certificates;
mod conduct;
mod grants;
mod growth;
mod properties;
mod settlements;
mod targets;
mod vectors;

use alloc::format;
use alloc::vec::Vec;

use super::params::DATA;
use super::*;
use crate::agreement::cut::kept;
use crate::hash::keccak256;
use crate::ids::{BrokerIndex, Hash, PartitionId};

/// Who holds all tokens at first.
const HOLDER: Address = Address([0xFF; 20]);

const CONTRACTS: Contracts = Contracts::of(Address([0xC0; 20]), Address([0xC1; 20]), Address([0xC2; 20]));

/// A chain with the contracts on it.
#[derive(Clone, Debug)]
struct World {
    state: State,
}

impl World {
    /// Deployed contracts, with 1000 DATA in reserve and the rest of the supply with the holder.
    fn new(params: Params) -> Self {
        let mut world = Self { state: State::new(31337, CONTRACTS, params) };
        world.mine(1);
        let block = world.block().reference();
        let supply = 1_000_000_000 * DATA;
        evolve(&mut world.state, block, &Fact::Transfer { from: Address::ZERO, to: HOLDER, value: supply });
        world.must(HOLDER, Call::Transfer { to: CONTRACTS.coordinator, value: 1_000 * DATA });
        world
    }

    /// The same with `brokers` registered brokers that have their draws.
    fn with_brokers(params: Params, brokers: u32) -> Self {
        let mut world = Self::new(params);
        for index in 1..=brokers {
            world.fund(account(index), 100_000 * DATA);
            let stake = world.state.params.minimum_stake;
            world.must(account(index), register(stake));
        }
        world.mine(world.state.params.draw_delay + 1);
        for index in 1..=brokers {
            world.must(HOLDER, Call::RecordDraw { index: BrokerIndex(index) });
        }
        world
    }

    /// The same with every partition founded, and the epoch from which its members act begun.
    fn founded(params: Params, brokers: u32) -> Self {
        let mut world = Self::with_brokers(params, brokers);
        let changes = useful_changes(&world.state, usize::MAX);
        changes
            .chunks(MAXIMUM_LIST)
            .for_each(|changes| world.must(HOLDER, Call::Rebalance(changes.to_vec())));
        world.reach_epoch(world.state.epoch() + 1);
        world
    }

    fn block(&self) -> Block<'static> {
        Block {
            number: self.state.height,
            timestamp_s: self.state.timestamp_s,
            hash_of: &|number| Some(keccak256(&[b"block", &number.to_be_bytes()])),
        }
    }

    /// What a call does, done.
    fn call(&mut self, caller: Address, call: Call) -> Result<Vec<Fact>, Refusal> {
        let facts = decide(&self.state, self.block(), caller, call)?;
        let block = self.block().reference();
        facts.iter().for_each(|fact| evolve(&mut self.state, block, fact));
        Ok(facts)
    }

    fn must(&mut self, caller: Address, call: Call) {
        let said = format!("{call:?}");
        self.call(caller, call).unwrap_or_else(|refusal| panic!("{said}: {refusal}"));
    }

    fn mine(&mut self, blocks: u64) {
        let (number, timestamp_s) = (self.state.height + blocks, self.state.timestamp_s + blocks);
        begin_block(&mut self.state, number, timestamp_s);
    }

    /// Goes on to the first block of an epoch.
    fn reach_epoch(&mut self, epoch: u64) {
        self.mine(self.state.first_block_of(epoch) - self.state.height);
    }

    /// Gives an account tokens and lets the coordinator move them.
    fn fund(&mut self, account: Address, value: u128) {
        self.must(HOLDER, Call::Transfer { to: account, value });
        self.must(account, Call::Approve { spender: CONTRACTS.coordinator, value: u128::MAX });
    }

    fn partition(&self, partition: u32) -> &Partition {
        self.state.partition(PartitionId(partition)).expect("a partition")
    }

    /// The next thing to seal of a partition in `epoch`.
    fn entry(&self, partition: u32, epoch: u64) -> Entry {
        let previous = self.partition(partition).checksum;
        let checksum = kept(keccak256(&[&previous.0, &epoch.to_be_bytes()]));
        let (partition, round, events, volume) = (PartitionId(partition), 0, 3, 100);
        Entry { partition, epoch, round, previous, checksum, events, volume }
    }

    /// Entries of these partitions in `epoch` under one certificate, signed by `brokers`.
    fn shared(
        &self,
        partitions: impl IntoIterator<Item = u32>,
        epoch: u64,
        brokers: impl IntoIterator<Item = BrokerIndex>,
    ) -> SignedCertificate {
        let entries = partitions.into_iter().map(|partition| self.entry(partition, epoch)).collect();
        let signers = brokers.into_iter().map(|broker| self.state.address_of(broker)).collect();
        SignedCertificate { entries, signers }
    }

    /// The next thing to seal of a partition in `epoch`, signed by `brokers`.
    fn signed(
        &self,
        partition: u32,
        epoch: u64,
        brokers: impl IntoIterator<Item = BrokerIndex>,
    ) -> SignedCertificate {
        self.shared([partition], epoch, brokers)
    }

    /// Ends this epoch and has it sealed for a partition by these of its members, by seat; gives the facts.
    fn seal_by_seats(&mut self, partition: u32, seats: &[usize]) -> Vec<Fact> {
        let epoch = self.state.epoch();
        self.reach_epoch(epoch + 1);
        let members = self.partition(partition).members;
        let signers: Vec<_> = seats.iter().filter_map(|seat| members.get(*seat)).map(|s| s.broker).collect();
        let certificate = self.signed(partition, epoch, signers);
        self.call(HOLDER, Call::SubmitCertificates(vec![certificate])).expect("a seal")
    }

    fn broker(&self, index: BrokerIndex) -> &Broker {
        self.state.broker(index).expect("a broker")
    }

    /// What must hold after every call.
    fn check(&self) {
        let state = &self.state;
        assert_eq!(state.supply(), 1_000_000_000 * DATA, "tokens are neither made nor lost");
        let owed = state.stakes + state.pool + state.unpaid;
        assert!(state.balance(CONTRACTS.coordinator) >= owed, "the coordinator covers what it owes");
        assert_eq!(state.stakes, state.brokers.values().map(|broker| broker.stake).sum::<u128>());
        let rewards = state.brokers.values().map(|broker| broker.accrued).sum::<u128>();
        assert_eq!(state.unpaid, rewards + state.bounties.values().sum::<u128>());
        let fees = state.brokers.values().map(|broker| broker.fee).sum::<u128>();
        assert!(state.pool >= fees, "what fees are left is in the pool");
        for partition in state.partitions.iter() {
            for seats in [partition.target, partition.members, partition.previous_members] {
                assert!(seats.are_distinct() && seats.taken().all(|(at, _)| at < state.params.seats()));
            }
            assert!(!partition.founded || partition.members.len() >= state.quorum());
            assert!(!partition.tally.is_full(), "a full tally is settled at once");
            assert_eq!(partition.members, partition.members.without_tickets());
            let at_rest = partition.target_changed_epoch == 0;
            let waits = |index| !partition.members.contains(index) && self.broker(index).left.is_none();
            let nobody_waits = !partition.founded || !partition.target.brokers().any(waits);
            assert!(!at_rest || nobody_waits, "a seal looks where it must");
            let vacant = |seat: usize| partition.members.get(seat).is_none();
            for seat in (0..seats::SEATS).filter(|seat| vacant(*seat)) {
                assert_eq!((partition.tally.misses[seat], partition.probation[seat]), (0, 0));
            }
            assert!(partition.since_epoch <= state.epoch() + 1 && partition.sealed_epoch <= state.epoch());
        }
        for (index, broker) in state.brokers.iter() {
            let seats =
                state.partitions.iter().filter(|partition| partition.members.contains(*index)).count();
            assert_eq!(broker.seats as usize, seats, "broker {index} sits where it is counted");
            assert_eq!(state.broker_index(broker.address), Some(*index));
        }
    }
}

/// The account of the broker that registers as this one.
fn account(index: u32) -> Address {
    let mut address = [0xB0; 20];
    address[16..].copy_from_slice(&index.to_be_bytes());
    Address(address)
}

fn register(stake: u128) -> Call {
    Call::Register { stake, endpoint: "127.0.0.1:1".into(), tls_key_hash: Hash([9; 32]) }
}
