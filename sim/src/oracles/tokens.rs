//! Tokens: none are made or lost, what is owed is there, and who has worked is paid (WP 2.4.7).

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Fact, State, rewards};
use weir_kernel::ids::{Address, BrokerIndex, PartitionId};

use crate::chain::SUPPLY;
use crate::report::Violation;
use crate::surroundings::note;

/// What is worth a transaction to claim.
const WORTH_CLAIMING: u128 = 100 * DATA;

/// Epochs of pay that may be on their way at the end: settled, claimed, or lost with a transaction and claimed again.
const UNDER_WAY_EPOCHS: u64 = 6;

/// Blocks after which a broker tries again what it has tried often, at the latest: first to have tallies settled, and
/// then to claim.
const PATIENCE_BLOCKS: u64 = 2 * 96;

/// The books, kept from the contracts' events alone.
#[derive(Debug, Default)]
pub struct Tokens {
    balances: BTreeMap<Address, u128>,
    owed: BTreeMap<BrokerIndex, u128>,
    /// Seals that brokers signed since their partition's tally was settled.
    unsettled: BTreeMap<PartitionId, BTreeMap<BrokerIndex, u128>>,
    stakes: u128,
}

impl Tokens {
    pub(super) fn on_block(
        &mut self,
        now_us: u64,
        view: &State,
        facts: &[Fact],
        violations: &mut Vec<Violation>,
    ) {
        if self.balances.is_empty() {
            self.balances = view.balances.iter().map(|(account, balance)| (*account, *balance)).collect();
            self.undo(facts);
        }
        for fact in facts {
            match fact {
                Fact::Transfer { from, to, value } => {
                    let paid = self.balances.entry(*from).or_default();
                    match paid.checked_sub(*value) {
                        Some(left) => *paid = left,
                        None => {
                            note(violations, now_us, "tokens", format!("{from} paid {value} and had {paid}"));
                        }
                    }
                    *self.balances.entry(*to).or_default() += value;
                }
                Fact::BrokerRegistered { stake, .. } => self.stakes += stake,
                Fact::StakeWithdrawn { amount, .. } => self.stakes -= (*amount).min(self.stakes),
                Fact::PartitionsSealed { entries, signers } => {
                    for entry in entries {
                        let signed = self.unsettled.entry(entry.partition).or_default();
                        signers.brokers().for_each(|broker| *signed.entry(broker).or_default() += 1);
                    }
                }
                Fact::PartitionSettled { partition, set, signed, reward, paid, .. } => {
                    self.unsettled.remove(partition);
                    let shares = rewards::shares(*reward, signed, *paid);
                    set.taken().for_each(|(at, seat)| self.earn(seat.broker, shares[at]));
                }
                // What is taken goes to the pool, but for the reporter's share, which it may claim.
                Fact::BrokerSlashed { amount, .. } => self.stakes -= (*amount).min(self.stakes),
                Fact::LateReportAccepted { index, reward, .. } => self.earn(*index, *reward),
                Fact::SeatRewarded { sponsor, from_newcomer, from_offender, .. } => {
                    self.earn(*sponsor, from_newcomer + from_offender);
                }
                Fact::RewardClaimed { index, amount } => {
                    let owed = self.owed.insert(*index, 0).unwrap_or(0);
                    if owed != *amount {
                        let what = format!("broker {index} was paid {amount}, it was owed {owed}");
                        note(violations, now_us, "tokens", what);
                    }
                }
                _ => {}
            }
        }
        let supply: u128 = self.balances.values().sum();
        if supply != SUPPLY {
            note(violations, now_us, "tokens", format!("there are {supply} tokens, {SUPPLY} were made"));
        }
        let held = self.balances.get(&view.contracts.coordinator).copied().unwrap_or(0);
        let owed = self.stakes + self.owed.values().sum::<u128>();
        if held < owed {
            note(violations, now_us, "tokens", format!("the coordinator holds {held} and owes {owed}"));
        }
    }

    /// The run is over, and all was well for a while: no honest broker is owed much more than is worth claiming.
    pub fn on_end(
        &self,
        now_us: u64,
        view: &State,
        liars: &BTreeSet<Address>,
        violations: &mut Vec<Violation>,
    ) {
        let params = &view.params;
        let share = params.epoch_reward / view.partitions.len().max(1) as u128 / u128::from(params.replicas);
        // With a seat in every partition.
        let epochs = UNDER_WAY_EPOCHS + PATIENCE_BLOCKS.div_ceil(params.epoch_blocks);
        let under_way = u128::from(epochs) * params.epoch_reward / u128::from(params.replicas);
        for (index, broker) in view.brokers.iter().filter(|(_, broker)| !liars.contains(&broker.address)) {
            let seals: u128 = self.unsettled.values().filter_map(|signed| signed.get(index)).sum();
            let unpaid = self.owed.get(index).copied().unwrap_or(0) + seals * share;
            let worth = WORTH_CLAIMING.max(params.join_fee) + under_way;
            if unpaid > worth {
                let whole = |amount: u128| amount / DATA;
                let what = format!(
                    "{} has not claimed {} DATA that it worked for; {} should be claimed at the latest",
                    broker.address,
                    whole(unpaid),
                    whole(worth)
                );
                note(violations, now_us, "paid for work", what);
            }
        }
    }

    fn earn(&mut self, broker: BrokerIndex, amount: u128) {
        *self.owed.entry(broker).or_default() += amount;
    }

    /// Balances are taken over after a block; takes that block's transfers back first.
    fn undo(&mut self, facts: &[Fact]) {
        for fact in facts {
            if let Fact::Transfer { from, to, value } = fact {
                *self.balances.entry(*from).or_default() += value;
                let got = self.balances.entry(*to).or_default();
                *got = got.saturating_sub(*value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::coordinator::{Contracts, Params};

    fn broken(facts: &[Fact]) -> usize {
        let mut view = State::new(1, Contracts::default(), Params::default());
        view.balances.insert(Address([1; 20]), SUPPLY);
        let (mut tokens, mut violations) = (Tokens::default(), Vec::new());
        tokens.on_block(0, &view, &[], &mut violations);
        assert_eq!(violations, []);
        tokens.on_block(0, &view, facts, &mut violations);
        violations.len()
    }

    #[test]
    fn tokens_that_come_from_nowhere_and_pay_that_nobody_earned_are_noticed() {
        let transfer =
            |from: u8, value| Fact::Transfer { from: Address([from; 20]), to: Address([2; 20]), value };
        assert_eq!(broken(&[transfer(1, 5)]), 0);
        assert_eq!(broken(&[transfer(3, 5)]), 2, "paid without having, and more than there were");
        assert_eq!(broken(&[Fact::RewardClaimed { index: BrokerIndex(1), amount: 1 }]), 1);
    }
}
