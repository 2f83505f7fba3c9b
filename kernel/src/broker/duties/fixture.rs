//! Chains for the tests of duties.

use alloc::sync::Arc;

use crate::coordinator::{BlockRef, Contracts, Fact, Params, Partition, Seats, State, evolve};
use crate::ids::{Address, BrokerIndex, Hash, PartitionId};

/// LaneFees in these chains.
pub const FEES: Address = Address([0xFE; 20]);

/// The account of a broker.
pub fn account(number: u32) -> Address {
    Address([u8::try_from(number).expect("few brokers"); 20])
}

/// A chain in `epoch` with brokers 1 to `brokers`, each with its draw and a ticket, four of them the founded members of
/// every partition, whose last epoch is sealed.
pub fn view(brokers: u32, epoch: u64) -> State {
    let contracts = Contracts { fees: FEES, ..Contracts::default() };
    let mut view = State::new(1, contracts, Params { partitions: 2, ..Params::default() });
    view.height = view.first_block_of(epoch);
    for number in 1..=brokers {
        let index = BrokerIndex(number);
        let block = BlockRef { number: view.height, timestamp_s: 0 };
        let registered = Fact::BrokerRegistered {
            index,
            broker: account(number),
            stake: 1_000,
            tickets: 1,
            endpoint: "127.0.0.1:1".into(),
            tls_key_hash: Hash::ZERO,
            draw_block: 1,
        };
        let drawn = Fact::DrawRecorded { index, draw: crate::hash::sha256(&[&number.to_be_bytes()]) };
        [registered, drawn].iter().for_each(|fact| evolve(&mut view, block, fact));
    }
    for number in 0..2 {
        let changes = crate::coordinator::useful_changes(&view, usize::MAX);
        let seats = changes.into_iter().filter(|change| change.partition.0 == number);
        let seats = Seats::of(
            seats.map(|change| crate::coordinator::Seat { broker: change.broker, ticket: change.ticket }),
        );
        let at = partition(&mut view, number);
        (at.target, at.members, at.founded) = (seats, seats, true);
        (at.sealed_epoch, at.checksum) = (epoch.saturating_sub(1), Hash([7; 32]));
    }
    view
}

/// A partition, to change it.
pub fn partition(view: &mut State, number: u32) -> &mut Partition {
    &mut Arc::make_mut(&mut view.partitions)[PartitionId(number).0 as usize]
}

/// A broker, to change it.
pub fn broker(view: &mut State, number: u32) -> &mut crate::coordinator::Broker {
    let brokers = &mut view.brokers;
    Arc::make_mut(brokers.get_mut(&BrokerIndex(number)).expect("it registered"))
}
