//! Evolve: what each fact does to the state. It decides nothing: facts are what the chain has already
//! accepted.
//!
//! Facts come in the order of the chain's logs. One that cannot be (an unknown broker, a balance below zero)
//! means that the logs are of other contracts than the state's, or that the twin is wrong: it panics, naming
//! what failed.

use alloc::sync::Arc;

use super::broker::Broker;
use super::entry::SealedEntry;
use super::fact::Fact;
use super::growth;
use super::permissions::{Delegation, HISTORY_EPOCHS};
use super::reliability;
use super::seats::{SEATS, Seat, Seats};
use super::state::State;
use super::stream::{Arrangements, Stream};
use super::succession::Succession;
use super::tallies::{self, Settlement, Tally};
use super::{BlockRef, begin_block};
use super::{bounties, conduct, delivery, fees, karma, licenses};
use crate::agreement::cut;
use crate::ids::{Address, BrokerIndex, Epoch, Hash, PartitionId, StreamId};

/// Applies a fact of `block` to the state.
pub fn evolve(state: &mut State, block: BlockRef, fact: &Fact) {
    begin_block(state, block.number, block.timestamp_s);
    let block = block.number;
    match fact {
        Fact::StreamCreated { stream, owner, name, description, partitions } => {
            let created = Stream::new(*owner, name, description, *partitions, block);
            state.streams.insert(*stream, Arc::new(created));
            state.stream_names.insert(*owner, name, *stream);
        }
        Fact::MetadataUpdated { stream, name, description } => rename(state, *stream, name, description),
        Fact::PermissionSet { stream, user, permission } => {
            let oldest = block.saturating_sub(state.first_block_of(HISTORY_EPOCHS));
            state.stream_mut(*stream).permit(*user, *permission, block, oldest);
        }
        Fact::PublicKeySet { stream, user, public_key } => {
            state.stream_mut(*stream).arrange(|it| match public_key.is_empty() {
                true => drop(it.public_keys.remove(user)),
                false => drop(it.public_keys.insert(*user, public_key.as_slice().into())),
            });
        }
        Fact::DelegationSet { stream, delegate, delegation } => {
            state.stream_mut(*stream).arrange(|it| match *delegation == Delegation::default() {
                true => drop(it.delegations.remove(delegate)),
                false => drop(it.delegations.insert(*delegate, *delegation)),
            });
        }
        Fact::OwnershipTransferStarted { stream, new_owner, .. } => {
            let pending = Some(*new_owner).filter(|owner| !owner.is_zero());
            state.stream_mut(*stream).arrange(|it| it.pending_owner = pending);
        }
        Fact::OwnershipTransferred { stream, new_owner, .. } => hand_over(state, *stream, *new_owner),
        Fact::RetentionSet { stream, retention } => {
            state.stream_mut(*stream).arrange(|it| it.retention = *retention);
        }
        Fact::FeeTermsSet { stream, fee_terms } => {
            state.stream_mut(*stream).arrange(|it| it.fee_terms = *fee_terms);
        }
        Fact::SearchKeysSet { stream, keys } => set_search_keys(state, *stream, keys),
        Fact::StreamRemoved { stream } => {
            set_search_keys(state, *stream, &[]);
            state.stream_mut(*stream).arrange(|it| it.removed_block = Some(block));
            let removed = known(state, *stream);
            state.stream_names.remove(removed.owner, removed.name(), *stream);
        }
        Fact::BrokerRegistered { index, broker, stake, tickets, endpoint, tls_key_hash, draw_block } => {
            let joined = Broker {
                address: *broker,
                endpoint: endpoint.clone(),
                tls_key_hash: *tls_key_hash,
                stake: *stake,
                fee: state.params.join_fee,
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
        Fact::SeatProposed { partition, seat, broker, ticket, sponsor, .. } => {
            let seat = (*seat, Some(Seat { broker: *broker, ticket: *ticket }));
            retarget(state, block, *partition, seat, *sponsor);
        }
        Fact::SeatVacated { partition, seat, .. } => {
            retarget(state, block, *partition, (*seat, None), BrokerIndex(0));
        }
        Fact::SeatRewarded { partition, broker, sponsor, from_newcomer, from_offender } => {
            bounties::apply(state, (*partition, *broker, *sponsor), (*from_newcomer, *from_offender));
        }
        Fact::MembersInstalled { partition, since_epoch, members } => {
            install(state, block, *partition, *since_epoch, *members);
        }
        Fact::PartitionsGrown { partitions, .. } => growth::grown(state, *partitions),
        Fact::PartitionsSealed { signers, entries } => {
            entries.iter().for_each(|entry| seal(state, entry, *signers));
        }
        Fact::PartitionSettled { partition, set, signed, missed, reward, paid } => {
            let (set, signed, missed, reward, paid) = (*set, *signed, *missed, *reward, *paid);
            tallies::apply(state, *partition, &Settlement { set, signed, missed, reward, paid });
        }
        Fact::BrokerRejoined { index, fee } => rejoin(state, *index, *fee),
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
            let first = state.punished.insert(conflict);
            assert!(first, "a conflict is punished once");
        }
        Fact::LateReportAccepted { partition, index, reward, .. } => {
            conduct::excuse(state, *partition, *index, *reward);
        }
        Fact::QuorumLost { partition, .. } => {
            let epoch = state.epoch_of(block);
            let lost = state.partition_mut(*partition);
            lost.sealed_epoch = epoch;
            lost.absent = 0;
            // Whoever sits here next, again or anew, has to show that it serves.
            lost.probation = [tallies::PROBATION; SEATS];
        }
        Fact::BountyClaimed { account, amount } => {
            let bounty = state.bounties.remove(account);
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

/// A stream as it was before the fact.
fn known(state: &State, id: StreamId) -> Arc<Stream> {
    let stream = state.streams.get(&id);
    stream.map(Arc::clone).expect("a stream is created before its other events")
}

/// A stream has a new name.
fn rename(state: &mut State, id: StreamId, name: &str, description: &str) {
    let stream = known(state, id);
    let owner = stream.owner;
    state.stream_names.remove(owner, stream.name(), id);
    state.stream_names.insert(owner, name, id);
    state.stream_mut(id).describe(name, description);
}

/// A stream has a new owner, who accepted it.
fn hand_over(state: &mut State, id: StreamId, owner: Address) {
    let stream = known(state, id);
    state.stream_names.remove(stream.owner, stream.name(), id);
    state.stream_names.insert(owner, stream.name(), id);
    let stream = state.stream_mut(id);
    stream.owner = owner;
    stream.arrange(|it| it.pending_owner = None);
}

/// A stream is found under these keys.
fn set_search_keys(state: &mut State, id: StreamId, keys: &[Hash]) {
    if known(state, id).search_keys().is_empty() && keys.is_empty() {
        return;
    }
    let set = |it: &mut Arrangements| core::mem::replace(&mut it.search_keys, keys.into());
    let before = state.stream_mut(id).arrange(set);
    let by_key = &mut state.stream_by_key;
    before.iter().for_each(|key| assert!(by_key.remove(&(*key, id)), "every search key is indexed"));
    keys.iter().for_each(|key| assert!(by_key.insert((*key, id)), "search keys differ"));
}

/// A broker joined. The token reports no use of an allowance (OpenZeppelin's ERC-20), so the registration
/// does.
fn register(state: &mut State, index: BrokerIndex, broker: Broker) {
    let (address, stake, fee) = (broker.address, broker.stake, broker.fee);
    use_allowance(state, address, stake + fee);
    state.stakes += stake;
    state.pool += fee;
    let before = state.brokers.insert(index, Arc::new(broker));
    assert!(before.is_none(), "broker indices are given once");
    state.broker_by_address.insert(address, index);
}

/// A suspended broker is back.
fn rejoin(state: &mut State, index: BrokerIndex, fee: u128) {
    let epoch = state.epoch();
    let broker = state.broker_mut(index);
    assert!(broker.is_suspended(), "only a suspended broker rejoins");
    broker.rate(epoch, |_| reliability::REJOINED);
    broker.fee += fee;
    let address = broker.address;
    state.pool += fee;
    use_allowance(state, address, fee);
}

/// The coordinator moved an account's tokens.
fn use_allowance(state: &mut State, owner: Address, value: u128) {
    let coordinator = state.contracts.coordinator;
    let allowed = state.allowance(owner, coordinator);
    if allowed != u128::MAX {
        allow(state, owner, coordinator, allowed.saturating_sub(value));
    }
}

/// A target seat changed hands.
fn retarget(
    state: &mut State,
    block: u64,
    partition: PartitionId,
    (at, seat): (u8, Option<Seat>),
    sponsor: BrokerIndex,
) {
    state.reseated.note(partition);
    let epoch = state.epoch_of(block);
    let partition = state.partition_mut(partition);
    partition.target.set(usize::from(at), seat);
    let sponsor = Some(sponsor).filter(|sponsor| *sponsor != BrokerIndex(0));
    partition.sponsors.set(usize::from(at), sponsor.map(|broker| Seat { broker, ticket: 0 }));
    // Of a founded partition 0 says that nobody waits; its members seal epoch 1 first.
    let epoch = if partition.founded { epoch.max(1) } else { epoch };
    partition.target_changed_epoch = if partition.is_settled() { 0 } else { epoch };
    assert!(partition.target.are_distinct(), "no broker has two seats of one partition");
}

/// A partition has new members; the first ones find nothing to seal before them.
fn install(state: &mut State, block: u64, id: PartitionId, since_epoch: Epoch, members: Seats) {
    assert!(members.are_distinct(), "no broker has two seats of one partition");
    state.reseated.note(id);
    let epoch = state.epoch_of(block);
    let partition = state.partition_mut(id);
    if !partition.founded {
        partition.founded = true;
        partition.founded_epoch = since_epoch;
        partition.sealed_epoch = epoch;
    }
    assert_eq!(partition.tally, Tally::default(), "a tally is settled before the members change");
    let previous = core::mem::replace(&mut partition.members, members);
    partition.previous_members = previous;
    partition.since_epoch = since_epoch;
    for seat in 0..SEATS {
        let broker = |set: Seats| set.get(seat).map(|seat| seat.broker);
        match broker(members) {
            None => partition.probation[seat] = 0,
            newcomer if newcomer != broker(previous) => partition.probation[seat] = tallies::PROBATION,
            _ => {}
        }
        let is_new = |broker: BrokerIndex| members.contains(broker) && !previous.contains(broker);
        if partition.target.get(seat).is_some_and(|seat| is_new(seat.broker)) {
            partition.sponsors.set(seat, None);
        }
    }
    if partition.is_settled() {
        partition.target_changed_epoch = 0;
    }
    for broker in previous.brokers().filter(|broker| !members.contains(*broker)) {
        let broker = state.broker_mut(broker);
        broker.seats = broker.seats.checked_sub(1).expect("a member has a seat");
    }
    for broker in members.brokers().filter(|broker| !previous.contains(*broker)) {
        state.broker_mut(broker).seats += 1;
    }
}

/// An epoch of a partition is sealed. If it is the members', their tally counts it; if not, they could not sign, and
/// the set of that epoch is settled by a fact of its own.
fn seal(state: &mut State, entry: &SealedEntry, signers: Seats) {
    let partition = state.partition_mut(entry.partition);
    assert!(entry.epoch > partition.sealed_epoch, "epochs are sealed in rising order");
    assert_eq!(cut::kept(entry.checksum), entry.checksum, "the chain keeps 24 bytes of a checksum");
    partition.sealed_epoch = entry.epoch;
    partition.checksum = entry.checksum;
    partition.events += u128::from(entry.events);
    partition.volume += u128::from(entry.volume);
    partition.absent = if entry.epoch >= partition.since_epoch {
        partition.tally.count(partition.members, signers)
    } else {
        tallies::absent(partition.previous_members, signers)
    };
    signers.brokers().for_each(|index| state.broker_mut(index).reports += 1);
}

/// An account has a bounty.
fn earn(state: &mut State, account: Address, amount: u128) {
    if amount > 0 {
        *state.bounties.or_default(account) += amount;
        state.unpaid += amount;
    }
}

/// Tokens moved; the zero address has none, so that leaving it mints and reaching it burns.
fn transfer(state: &mut State, from: Address, to: Address, value: u128) {
    let balances = &mut state.balances;
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
        let balance = balances.or_default(to);
        *balance = balance.checked_add(value).expect("the supply fits 128 bits");
    }
}

/// An allowance is this much now.
pub(super) fn allow(state: &mut State, owner: Address, spender: Address, value: u128) {
    let allowances = &mut state.allowances;
    if value == 0 {
        allowances.remove(&(owner, spender));
    } else {
        allowances.insert((owner, spender), value);
    }
}
