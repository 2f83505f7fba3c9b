//! Rejoining: a broker that was away so long that it lost its tickets pays the join fee again (WP 2.4.6).
//!
//! It does so once it is back and its reliability has rested: while it still moves, the broker has seats, and signing
//! there brings the reliability back for nothing. And once nothing that it missed is still to come, or that would take
//! from what it paid for, and might suspend it again at once: what is counted of it is settled first, and what it was a
//! member of before is waited for until that is sealed. So a broker that is taken down again and again pays at most
//! once a pause.

use super::{Duty, Wanted, seating, tallies};
use crate::coordinator::{Intent, Partition, State};
use crate::ids::BrokerIndex;

/// What this broker does to be counted on again once its reliability has rested for so many epochs,
/// [`REJOIN_PAUSE_EPOCHS`](crate::limits::REJOIN_PAUSE_EPOCHS): it has its misses settled, then lets the coordinator
/// take the fee, then pays it.
pub fn wanted(view: &State, me: BrokerIndex, pause_epochs: u64) -> Option<Wanted> {
    let broker = view.broker(me).filter(|broker| broker.left.is_none() && broker.is_suspended())?;
    let has_rested = view.epoch() >= broker.rated_epoch.saturating_add(pause_epochs);
    let fee = view.params.join_fee;
    if !has_rested || view.balance(broker.address) < fee {
        return None;
    }
    if seating::numbered(view).any(|(_, partition)| awaits_a_seal_of(partition, me)) {
        return None;
    }
    let settlement = tallies::settlement(view, me, |tally, seat| tally.misses[seat] > 0);
    if settlement.is_some() {
        return settlement;
    }
    if view.allowance(broker.address, view.contracts.coordinator) < fee {
        return Some((Duty::Approve, Intent::Approve { spender: view.contracts.coordinator, amount: fee }));
    }
    Some((Duty::Rejoin, Intent::Rejoin))
}

/// Whether a seal is still to come that rates this broker, which is no member any more.
fn awaits_a_seal_of(partition: &Partition, me: BrokerIndex) -> bool {
    partition.previous_members.contains(me) && partition.sealed_epoch + 1 < partition.since_epoch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;
    use crate::coordinator::reliability::MINIMUM;
    use crate::ids::PartitionId;
    use crate::limits::REJOIN_PAUSE_EPOCHS;

    /// A chain where broker 1 is suspended since epoch 10 and has this much.
    fn view(epoch: u64, balance: u128) -> State {
        let mut view = fixture::view(4, epoch);
        view.balances.insert(fixture::account(1), balance);
        let broker = fixture::broker(&mut view, 1);
        (broker.reliability, broker.rated_epoch) = (MINIMUM - 1, 10);
        view
    }

    fn duty(view: &State) -> Option<Duty> {
        wanted(view, BrokerIndex(1), REJOIN_PAUSE_EPOCHS).map(|(duty, _)| duty)
    }

    #[test]
    fn a_suspended_broker_pays_again_once_it_has_rested() {
        let fee = fixture::view(1, 0).params.join_fee;
        let rested = 10 + REJOIN_PAUSE_EPOCHS;
        assert_eq!(duty(&view(rested - 1, fee)), None);
        assert_eq!(duty(&view(rested, fee - 1)), None, "it cannot pay");
        let mut ready = view(rested, fee);
        assert_eq!(duty(&ready), Some(Duty::Approve));
        let pair = (fixture::account(1), ready.contracts.coordinator);
        ready.allowances.insert(pair, fee);
        assert_eq!(duty(&ready), Some(Duty::Rejoin));
        fixture::broker(&mut ready, 1).left = Some(12);
        assert_eq!(duty(&ready), None);
    }

    #[test]
    fn what_it_missed_comes_before_what_it_pays() {
        let fee = fixture::view(1, 0).params.join_fee;
        let mut view = view(20, fee);
        let seat = view.partitions[1].members.position(BrokerIndex(1)).expect("four brokers have four seats");
        fixture::partition(&mut view, 1).tally.misses[seat] = 1;
        assert_eq!(duty(&view), Some(Duty::SettleTallies(PartitionId(1))));
        let before = fixture::partition(&mut view, 0);
        (before.previous_members, before.since_epoch, before.sealed_epoch) = (before.members, 20, 18);
        assert_eq!(duty(&view), None, "the seal of epoch 19 rates it");
        fixture::partition(&mut view, 0).sealed_epoch = 19;
        fixture::partition(&mut view, 1).tally.misses[seat] = 0;
        assert_eq!(duty(&view), Some(Duty::Approve));
    }

    #[test]
    fn who_is_counted_on_pays_nothing() {
        let fee = fixture::view(1, 0).params.join_fee;
        let mut view = view(20, fee);
        fixture::broker(&mut view, 1).reliability = MINIMUM;
        assert_eq!(duty(&view), None);
    }
}
