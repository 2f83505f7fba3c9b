//! Forks: the proof goes to LaneFees when the reporter's share of what it costs is worth a transaction (WP 2.4.7).
//!
//! Every member holds the proof. They take turns by epoch, so that one of them is paid and none pays for being second.

use alloc::boxed::Box;

use super::{Duty, Wanted, settlement, turns};
use crate::agreement::Fork;
use crate::coordinator::fees::price::share;
use crate::coordinator::{Intent, Partition, State};
use crate::ids::BrokerIndex;
use crate::limits::FORK_REWARD_MINIMUM;

/// The transaction that has a fork punished, if it is this broker's to send now.
pub fn wanted(view: &State, partition: &Partition, me: BrokerIndex, fork: &Fork) -> Option<Wanted> {
    let lane = fork.lane();
    let header = &fork.first.header;
    if view.contracts.fees.is_zero()
        || view.fees.lane(&lane).is_slashed
        || [&fork.first, &fork.second].iter().any(|signed| !signed.is_for_contracts())
    {
        return None;
    }
    let params = &view.fees.params;
    let slashed = share(view.fees.allotment(header.origin, header.slot()).amount, params.slash_share);
    let mine = turns::among_members(&partition.members, settlement::number(&lane), view.epoch(), me);
    let pays = share(slashed, params.reporter_share) >= FORK_REWARD_MINIMUM;
    (mine && pays).then(|| (Duty::Fork(lane), Intent::ProveFork(Box::new(fork.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{LaneWriter, NewEvent, SignedHeader, content_type};
    use crate::broker::duties::fixture;
    use crate::coordinator::fees::{Allotment, Lane, Params};
    use crate::ids::{Address, Hash, StreamId, StreamPartition};
    use crate::signature::{SECP256K1, Signature};
    use alloc::sync::Arc;

    const ORIGIN: Address = Address([0xAA; 20]);
    const SLOT: StreamPartition = StreamPartition { stream: StreamId([2; 20]), partition: 0 };

    fn fork() -> Fork {
        let signed = |content: &str| {
            let mut writer = LaneWriter::new(SLOT, ORIGIN, 3, [0; 16], Hash::ZERO, SECP256K1);
            let event = NewEvent::new(10, content_type::TEXT, content.as_bytes());
            let unsigned = writer.next_batch(alloc::vec![event]).expect("one small event fits");
            SignedHeader::by_origin(*unsigned.header(), Signature::Secp256k1([1; 65]))
        };
        Fork::new(signed("a"), signed("b")).expect("two branches")
    }

    /// A chain where the publisher allotted so much that a reporter gets this.
    fn view(reward: u128) -> State {
        let mut view = fixture::view(4, 10);
        let params = Params { slash_share: 5_000, reporter_share: 5_000, ..Params::default() };
        let fees = Arc::make_mut(&mut view.fees);
        fees.params = params;
        fees.allotments.insert((ORIGIN, SLOT), Allotment { amount: 4 * reward, ..Allotment::default() });
        view
    }

    fn reporters(view: &State) -> usize {
        let partition = &view.partitions[0];
        (1..=4).filter(|me| wanted(view, partition, BrokerIndex(*me), &fork()).is_some()).count()
    }

    #[test]
    fn one_member_proves_a_fork_that_pays() {
        let mut view = view(FORK_REWARD_MINIMUM);
        assert_eq!(reporters(&view), 1);
        let slashed = Lane { is_slashed: true, ..Lane::default() };
        Arc::make_mut(&mut view.fees).lanes.insert(fork().lane(), slashed);
        assert_eq!(reporters(&view), 0, "once");
    }

    #[test]
    fn a_fork_that_does_not_pay_is_left_alone() {
        assert_eq!(reporters(&view(FORK_REWARD_MINIMUM - 1)), 0);
        let mut free = view(FORK_REWARD_MINIMUM);
        free.contracts.fees = Address::ZERO;
        assert_eq!(reporters(&free), 0);
    }
}
