//! Evolve: what each fact does to the state. It decides nothing: facts are what the chain has already
//! accepted.
//!
//! Facts come in the order of the chain's logs. One that cannot be (an unknown broker, a balance below zero)
//! means that the logs are of other contracts than the state's, or that the twin is wrong: it panics, naming
//! what failed.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::conduct;
use super::fact::Fact;
use super::growth;
use super::params::Params;
use super::permissions::{Delegation, HISTORY_EPOCHS};
use super::reliability;
use super::seats::{Seat, Seats};
use super::state::{Broker, State, Stream};
use super::succession::Succession;
use super::{BlockRef, begin_block};
use super::{delivery, fees, karma, licenses};
use crate::ids::{Address, BrokerIndex, Epoch, Hash, PartitionId, StreamId};

/// Applies a fact of `block` to the state.
pub fn evolve(state: &mut State, block: BlockRef, fact: &Fact) {
    begin_block(state, block.number, block.timestamp_s);
    let block = block.number;
    match fact {
        Fact::StreamCreated { stream, owner, name, description, partitions } => {
            let created = Stream {
                owner: *owner,
                pending_owner: None,
                name: name.clone(),
                description: description.clone(),
                partitions: *partitions,
                created_block: block,
                removed_block: None,
                permissions: Default::default(),
                delegations: Default::default(),
                public_keys: Default::default(),
                search_keys: Vec::new(),
                retention: Default::default(),
                fee_terms: Default::default(),
            };
            Arc::make_mut(&mut state.streams).insert(*stream, Arc::new(created));
            Arc::make_mut(&mut state.stream_by_name).insert((*owner, name.clone()), *stream);
        }
        Fact::MetadataUpdated { stream, name, description } => rename(state, *stream, name, description),
        Fact::PermissionSet { stream, user, permission } => {
            let oldest = block.saturating_sub(state.first_block_of(HISTORY_EPOCHS));
            let permissions = &mut state.stream_mut(*stream).permissions;
            permissions.entry(*user).or_default().set(block, *permission, oldest);
        }
        Fact::PublicKeySet { stream, user, public_key } => {
            let keys = &mut state.stream_mut(*stream).public_keys;
            if public_key.is_empty() {
                keys.remove(user)
            } else {
                keys.insert(*user, public_key.as_slice().into())
            };
        }
        Fact::DelegationSet { stream, delegate, delegation } => {
            let delegations = &mut state.stream_mut(*stream).delegations;
            if *delegation == Delegation::default() {
                delegations.remove(delegate)
            } else {
                delegations.insert(*delegate, *delegation)
            };
        }
        Fact::OwnershipTransferStarted { stream, new_owner, .. } => {
            state.stream_mut(*stream).pending_owner = Some(*new_owner).filter(|owner| !owner.is_zero());
        }
        Fact::OwnershipTransferred { stream, new_owner, .. } => hand_over(state, *stream, *new_owner),
        Fact::RetentionSet { stream, retention } => state.stream_mut(*stream).retention = *retention,
        Fact::FeeTermsSet { stream, fee_terms } => state.stream_mut(*stream).fee_terms = *fee_terms,
        Fact::SearchKeysSet { stream, keys } => set_search_keys(state, *stream, keys),
        Fact::StreamRemoved { stream } => {
            set_search_keys(state, *stream, &[]);
            let removed = state.stream_mut(*stream);
            removed.removed_block = Some(block);
            let key = (removed.owner, removed.name.clone());
            Arc::make_mut(&mut state.stream_by_name).remove(&key);
        }
        Fact::BrokerRegistered { index, broker, stake, tickets, endpoint, tls_key_hash, draw_block } => {
            let joined = Broker {
                address: *broker,
                endpoint: endpoint.clone(),
                tls_key_hash: *tls_key_hash,
                stake: *stake,
                tickets: *tickets,
                draw: None,
                draw_block: *draw_block,
                left: None,
                reliability: reliability::FULL,
                settled_reliability: reliability::FULL,
                rated_epoch: 0,
                accrued: 0,
                claimed: 0,
                reports: 0,
                seats: 0,
            };
            register(state, *index, joined);
        }
        Fact::BrokerUpdated { index, endpoint, tls_key_hash } => {
            let broker = state.broker_mut(*index);
            broker.endpoint = endpoint.clone();
            broker.tls_key_hash = *tls_key_hash;
        }
        Fact::DrawMissed { index, draw_block } => state.broker_mut(*index).draw_block = *draw_block,
        Fact::DrawRecorded { index, draw } => state.broker_mut(*index).draw = Some(*draw),
        Fact::BrokerLeft { index, withdrawable_epoch } => {
            let broker = state.broker_mut(*index);
            broker.left = Some(*withdrawable_epoch);
            broker.tickets = 0;
        }
        Fact::StakeWithdrawn { index, amount } => {
            let broker = state.broker_mut(*index);
            broker.stake = broker.stake.checked_sub(*amount).expect("no more than the stake is withdrawn");
            state.stakes = state.stakes.checked_sub(*amount).expect("stakes add up");
        }
        Fact::SeatProposed { partition, seat, broker, ticket, .. } => {
            let seat = (*seat, Some(Seat { broker: *broker, ticket: *ticket }));
            retarget(state, block, *partition, seat);
        }
        Fact::SeatVacated { partition, seat, .. } => retarget(state, block, *partition, (*seat, None)),
        Fact::MembersInstalled { partition, since_epoch, members } => {
            install(state, block, *partition, *since_epoch, *members);
        }
        Fact::PartitionsGrown { partitions, .. } => growth::grown(state, *partitions),
        Fact::PartitionSealed { partition, epoch, checksum, events, volume, signers, reward, round: _ } => {
            let sealed = Sealed { epoch: *epoch, checksum: *checksum, events: *events, volume: *volume };
            seal(state, *partition, sealed, *signers, *reward);
        }
        Fact::RewardClaimed { index, amount } => {
            let broker = state.broker_mut(*index);
            broker.accrued = broker.accrued.checked_sub(*amount).expect("no more than accrued is claimed");
            broker.claimed += amount;
            state.unpaid = state.unpaid.checked_sub(*amount).expect("unpaid rewards add up");
        }
        Fact::BrokerSlashed { index, reporter, partition, epoch, round, previous, amount, reward } => {
            let broker = state.broker_mut(*index);
            broker.stake = broker.stake.checked_sub(*amount).expect("no more than the stake is taken");
            state.stakes = state.stakes.checked_sub(*amount).expect("stakes add up");
            state.pool += amount - reward;
            earn(state, *reporter, *reward);
            let conflict = (*index, *partition, *epoch, *round, *previous);
            let first = Arc::make_mut(&mut state.punished).insert(conflict);
            assert!(first, "a conflict is punished once");
        }
        Fact::LateReportAccepted { partition, index, .. } => excuse(state, *partition, *index),
        Fact::QuorumLost { partition, members, .. } => {
            let epoch = state.epoch_of(block);
            let lost = state.partition_mut(*partition);
            lost.sealed_epoch = epoch;
            lost.absent = 0;
            rate(state, *members, Seats::VACANT);
        }
        Fact::BountyClaimed { account, amount } => {
            let bounty = Arc::make_mut(&mut state.bounties).remove(account);
            assert_eq!(bounty, Some(*amount), "a bounty is claimed whole");
            state.unpaid = state.unpaid.checked_sub(*amount).expect("unpaid bounties add up");
        }
        Fact::SuccessorProposed { successor } => state.succession.proposed = *successor,
        Fact::SuccessorAccepted { successor, from_epoch } => {
            state.succession =
                Succession { proposed: Address::ZERO, accepted: Some((*successor, *from_epoch)) };
        }
        Fact::Transfer { from, to, value } => transfer(state, *from, *to, *value),
        Fact::Approval { owner, spender, value } => allow(state, *owner, *spender, *value),
        Fact::Fees(fact) => fees::evolve(state, fact),
        Fact::Karma(fact) => karma::evolve(state, fact),
        Fact::Licenses(fact) => licenses::evolve(state, block, fact),
        Fact::Delivery(fact) => delivery::evolve(state, fact),
    }
}

/// A stream has a new name.
fn rename(state: &mut State, id: StreamId, name: &str, description: &str) {
    let stream = state.stream_mut(id);
    let owner = stream.owner;
    let old = core::mem::replace(&mut stream.name, String::from(name));
    stream.description = String::from(description);
    let names = Arc::make_mut(&mut state.stream_by_name);
    names.remove(&(owner, old));
    names.insert((owner, String::from(name)), id);
}

/// A stream has a new owner, who accepted it.
fn hand_over(state: &mut State, id: StreamId, owner: Address) {
    let stream = state.stream_mut(id);
    let previous = core::mem::replace(&mut stream.owner, owner);
    stream.pending_owner = None;
    let name = stream.name.clone();
    let names = Arc::make_mut(&mut state.stream_by_name);
    names.remove(&(previous, name.clone()));
    names.insert((owner, name), id);
}

/// A stream is found under these keys.
fn set_search_keys(state: &mut State, id: StreamId, keys: &[Hash]) {
    let before = core::mem::replace(&mut state.stream_mut(id).search_keys, keys.to_vec());
    if before.is_empty() && keys.is_empty() {
        return;
    }
    let by_key = Arc::make_mut(&mut state.stream_by_key);
    before.into_iter().for_each(|key| assert!(by_key.remove(&(key, id)), "every search key is indexed"));
    keys.iter().for_each(|key| assert!(by_key.insert((*key, id)), "search keys differ"));
}

/// A broker joined. The token reports no use of an allowance (OpenZeppelin's ERC-20), so the registration
/// does.
fn register(state: &mut State, index: BrokerIndex, broker: Broker) {
    let Params { join_fee, .. } = state.params;
    let (address, stake) = (broker.address, broker.stake);
    let coordinator = state.contracts.coordinator;
    let allowed = state.allowance(address, coordinator);
    if allowed != u128::MAX {
        allow(state, address, coordinator, allowed.saturating_sub(stake + join_fee));
    }
    state.stakes += stake;
    state.pool += join_fee;
    let before = Arc::make_mut(&mut state.brokers).insert(index, Arc::new(broker));
    assert!(before.is_none(), "broker indices are given once");
    Arc::make_mut(&mut state.broker_by_address).insert(address, index);
}

/// A target seat changed hands.
fn retarget(state: &mut State, block: u64, partition: PartitionId, (at, seat): (u8, Option<Seat>)) {
    let epoch = state.epoch_of(block);
    let partition = state.partition_mut(partition);
    partition.target.set(usize::from(at), seat);
    partition.target_changed_epoch = epoch;
    assert!(partition.target.are_distinct(), "no broker has two seats of one partition");
}

/// A partition has new members; the first ones find nothing to seal before them.
fn install(state: &mut State, block: u64, id: PartitionId, since_epoch: Epoch, members: Seats) {
    assert!(members.are_distinct(), "no broker has two seats of one partition");
    let epoch = state.epoch_of(block);
    let partition = state.partition_mut(id);
    if !partition.founded {
        partition.founded = true;
        partition.founded_epoch = since_epoch;
        partition.sealed_epoch = epoch;
    }
    partition.previous_members = core::mem::replace(&mut partition.members, members);
    partition.since_epoch = since_epoch;
    let previous = partition.previous_members;
    for broker in previous.brokers().filter(|broker| !members.contains(*broker)) {
        let broker = state.broker_mut(broker);
        broker.seats = broker.seats.checked_sub(1).expect("a member has a seat");
    }
    for broker in members.brokers().filter(|broker| !previous.contains(*broker)) {
        state.broker_mut(broker).seats += 1;
    }
}

/// What an accepted certificate says.
struct Sealed {
    epoch: Epoch,
    checksum: Hash,
    events: u64,
    volume: u64,
}

/// An epoch of a partition is sealed: its signers earn, and the reliability of the set of that epoch moves if
/// it is the members'. Members whose first epoch is yet to come could not sign and are not rated.
fn seal(state: &mut State, id: PartitionId, sealed: Sealed, signers: Seats, reward: u128) {
    let partition = state.partition_mut(id);
    assert!(sealed.epoch > partition.sealed_epoch, "epochs are sealed in rising order");
    partition.sealed_epoch = sealed.epoch;
    partition.checksum = sealed.checksum;
    partition.events += u128::from(sealed.events);
    partition.volume += u128::from(sealed.volume);
    let rated = if sealed.epoch >= partition.since_epoch { partition.members } else { Seats::VACANT };
    for index in signers.brokers() {
        let signer = state.broker_mut(index);
        signer.accrued += reward;
        signer.reports += 1;
        state.unpaid += reward;
    }
    let absent = rate(state, rated, signers);
    state.partition_mut(id).absent = absent;
}

/// Moves the reliability of a set; gives a bit for each of its seats that did not sign.
fn rate(state: &mut State, rated: Seats, signers: Seats) -> u8 {
    let mut absent = 0;
    for (at, seat) in rated.taken() {
        let signed = signers.contains(seat.broker);
        let step = if signed { reliability::signed } else { reliability::silent };
        absent |= u8::from(!signed) << at;
        let epoch = state.epoch();
        state.broker_mut(seat.broker).rate(epoch, step);
    }
    absent
}

/// A member that was absent at the last seal turns out to hold what it sealed.
fn excuse(state: &mut State, id: PartitionId, index: BrokerIndex) {
    let partition = state.partition_mut(id);
    let seat = conduct::absent_seat(partition, index).expect("only an absent member reports late");
    partition.absent &= !(1 << seat);
    let epoch = state.epoch();
    state.broker_mut(index).rate(epoch, reliability::late);
}

/// An account has a bounty.
fn earn(state: &mut State, account: Address, amount: u128) {
    if amount > 0 {
        *Arc::make_mut(&mut state.bounties).entry(account).or_default() += amount;
        state.unpaid += amount;
    }
}

/// Tokens moved; the zero address has none, so that leaving it mints and reaching it burns.
fn transfer(state: &mut State, from: Address, to: Address, value: u128) {
    let balances = Arc::make_mut(&mut state.balances);
    if !from.is_zero() {
        let balance = balances.get(&from).copied().unwrap_or(0);
        let rest = balance.checked_sub(value).expect("nobody spends more than they have");
        if rest == 0 {
            balances.remove(&from)
        } else {
            balances.insert(from, rest)
        };
    }
    if !to.is_zero() && value > 0 {
        let balance = balances.entry(to).or_default();
        *balance = balance.checked_add(value).expect("the supply fits 128 bits");
    }
}

/// An allowance is this much now.
pub(super) fn allow(state: &mut State, owner: Address, spender: Address, value: u128) {
    let allowances = Arc::make_mut(&mut state.allowances);
    if value == 0 {
        allowances.remove(&(owner, spender));
    } else {
        allowances.insert((owner, spender), value);
    }
}
