//! Where the network's tokens are: the economy's part of the status.
//!
//! Every token is somewhere: `supply` is the sum of all balances. What the coordinator holds is stakes, pool, unpaid
//! rewards and bounties, and the reserve that rewards come from; what LaneFees holds is the allotments. Amounts are
//! decimal strings in the token's smallest unit.

use serde::Serialize;
use weir_kernel::coordinator::State;
use weir_kernel::coordinator::fees::BURNED;

/// Allotments shown at most.
const MAX_ALLOTMENTS: usize = 1_000;

/// Where the tokens are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EconomyStatus {
    /// What the coordinator holds.
    pub coordinator: CoordinatorFunds,
    /// What was paid for traffic; absent in a network without LaneFees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fees: Option<FeesStatus>,
    /// Who follows this coordinator, if somebody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<SuccessorStatus>,
}

/// What the coordinator holds: its `balance` is the sum of the rest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CoordinatorFunds {
    /// Its tokens.
    pub balance: String,
    /// Stakes of brokers.
    pub stakes: String,
    /// Join fees and what was slashed.
    pub pool: String,
    /// Rewards and bounties that nobody has claimed yet.
    pub unpaid: String,
    /// What rewards come from, fees of publishers among it.
    pub reserve: String,
}

/// What was paid for traffic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeesStatus {
    /// Price of an event.
    #[serde(rename = "eventPrice")]
    pub event_price: String,
    /// Price of a content byte.
    #[serde(rename = "bytePrice")]
    pub byte_price: String,
    /// Events of each lane that are free.
    #[serde(rename = "freeEvents")]
    pub free_events: u64,
    /// Content bytes of each lane that are free.
    #[serde(rename = "freeVolume")]
    pub free_volume: u64,
    /// The tokens of LaneFees: the sum of all allotments.
    pub deposits: String,
    /// All that was settled.
    pub settled: String,
    /// Of this, what was burned; it still counts as supply, on an account that nobody has the key of.
    pub burned: String,
    /// Lanes that were settled.
    pub lanes: u64,
    /// What publishers allotted, by publisher and stream; the first thousand.
    pub allotments: Vec<AllotmentStatus>,
}

/// What a publisher allotted to a stream partition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AllotmentStatus {
    /// Who pays.
    pub publisher: String,
    /// For which stream.
    pub stream: String,
    /// For which of its partitions.
    pub partition: u32,
    /// What is left.
    pub amount: String,
    /// Of this, what its owner wants back.
    pub leaving: String,
    /// After this epoch its owner can have it; 0 if nothing is leaving.
    #[serde(rename = "withdrawableEpoch")]
    pub withdrawable_epoch: u64,
    /// What settlements found missing so far.
    pub shortfall: String,
    /// The publisher's karma now.
    pub karma: String,
}

/// The coordinator that follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuccessorStatus {
    /// Its address.
    pub coordinator: String,
    /// The first epoch that is its.
    #[serde(rename = "fromEpoch")]
    pub from_epoch: u64,
}

/// The economy by a view of the chain.
pub fn economy(view: &State) -> EconomyStatus {
    let coordinator = CoordinatorFunds {
        balance: view.balance(view.contracts.coordinator).to_string(),
        stakes: view.stakes.to_string(),
        pool: view.pool.to_string(),
        unpaid: view.unpaid.to_string(),
        reserve: view.reserve().to_string(),
    };
    let successor = view.succession.accepted.map(|(coordinator, from_epoch)| SuccessorStatus {
        coordinator: coordinator.to_string(),
        from_epoch,
    });
    let fees = (!view.contracts.fees.is_zero()).then(|| fees(view));
    EconomyStatus { coordinator, fees, successor }
}

fn fees(view: &State) -> FeesStatus {
    let fees = &view.fees;
    let allotments = fees.allotments.iter().take(MAX_ALLOTMENTS).map(|((publisher, slot), allotment)| {
        let leaving = allotment.leaving.min(allotment.amount);
        AllotmentStatus {
            publisher: publisher.to_string(),
            stream: slot.stream.to_string(),
            partition: slot.partition,
            amount: allotment.amount.to_string(),
            leaving: leaving.to_string(),
            withdrawable_epoch: if leaving > 0 { allotment.withdrawable_epoch } else { 0 },
            shortfall: allotment.shortfall.to_string(),
            karma: view.karma.karma_of(*publisher, view.timestamp_s).to_string(),
        }
    });
    FeesStatus {
        event_price: fees.params.event_price.to_string(),
        byte_price: fees.params.byte_price.to_string(),
        free_events: fees.params.free_events,
        free_volume: fees.params.free_volume,
        deposits: fees.deposits.to_string(),
        settled: fees.charged.to_string(),
        burned: view.balance(BURNED).to_string(),
        lanes: fees.lanes.values().filter(|lane| lane.settled.events > 0).count() as u64,
        allotments: allotments.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_kernel::coordinator::fees::Allotment;
    use weir_kernel::coordinator::{Contracts, Params};
    use weir_kernel::ids::{Address, StreamId, StreamPartition};

    use super::*;

    #[test]
    fn allotments_are_listed_with_what_leaves() {
        let contracts = Contracts { fees: Address([9; 20]), ..Contracts::default() };
        let mut view = State::new(1, contracts, Params::default());
        let slot = StreamPartition { stream: StreamId([2; 20]), partition: 3 };
        let allotment = Allotment { amount: 50, leaving: 70, withdrawable_epoch: 8, shortfall: 4 };
        Arc::make_mut(&mut view.fees).allotments.insert((Address([1; 20]), slot), allotment);
        let shown = serde_json::to_value(economy(&view)).unwrap();
        let allotment = &shown["fees"]["allotments"][0];
        assert_eq!((&allotment["amount"], &allotment["leaving"]), (&"50".into(), &"50".into()));
        assert_eq!((&allotment["withdrawableEpoch"], &allotment["partition"]), (&8.into(), &3.into()));
        assert!(shown.get("successor").is_none());
        view.contracts.fees = Address::ZERO;
        assert!(economy(&view).fees.is_none());
    }
}
