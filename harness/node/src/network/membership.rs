//! Who takes part: brokers fund, register and found; those no longer wanted leave once others have their seats.
//!
//! Every step looks at the chain first and does only what is missing, so that an interruption at any instant costs
//! nothing but time.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use weir_chain::{calldata, limits};
use weir_kernel::coordinator::State;
use weir_kernel::ids::BrokerIndex;

use super::accounts;
use super::brokers::{Brokers, Slot};
use super::directory::{BrokerFiles, StateDirectory};
use super::error::NetworkError;
use super::transactions::Sender;

/// The brokers of the next run: by number, and those that have left or are to leave but still have a seat or stake, or
/// are needed by a partition that they were members of.
pub fn plan(
    directory: &StateDirectory,
    view: &State,
    brokers: u32,
) -> Result<(Vec<BrokerFiles>, Vec<BrokerFiles>), NetworkError> {
    let index_of = |files: &BrokerFiles| {
        view.broker_index(weir_kernel::ids::Address(files.wallet.address().into_array()))
    };
    let on_chain = |files: &BrokerFiles| index_of(files).and_then(|index| view.broker(index));
    for number in directory.broker_numbers()? {
        // An account registers once: one that left makes place for a new one.
        let gone =
            number >= brokers || on_chain(&directory.broker_files(number)?).is_some_and(|b| b.left.is_some());
        if gone {
            directory.set_left(number)?;
        }
    }
    let numbered = (0..brokers).map(|number| directory.broker_files(number)).collect::<Result<_, _>>()?;
    let mut leaving = directory.left_files()?;
    let has_steps_to_take = |index| next_step(view, index, false).is_some() || !may_stop(view, index);
    leaving.retain(|files| index_of(files).is_some_and(has_steps_to_take));
    Ok((numbered, leaving))
}

/// Funds and registers the brokers that the chain does not know, with the addresses at which they listen.
pub async fn join(sender: &Sender, slots: &[Arc<Slot>]) -> Result<(), NetworkError> {
    let view = sender.view();
    let strangers: Vec<_> = slots.iter().filter(|slot| view.broker_index(slot.address()).is_none()).collect();
    if strangers.is_empty() {
        return Ok(());
    }
    let (token, coordinator) = contracts(&view);
    let stake = accounts::stake(&view.params);
    let price = stake + view.params.join_fee;
    // A broker that was away for too long pays the fee again.
    let wanted = price + view.params.join_fee;
    let treasury = accounts::treasury();
    let mut sent = Vec::new();
    for slot in &strangers {
        let (what, account) = (format!("funding {}", slot.name()), slot.files().wallet.address());
        let ether = sender.chain().lock().balance(account);
        if ether < limits::BROKER_ETHER_WEI / U256::from(2) {
            let gift = limits::BROKER_ETHER_WEI - ether;
            sent.push(sender.send(what.clone(), &treasury, account, gift, Default::default())?);
        }
        let tokens = view.balance(slot.address());
        if tokens < wanted {
            let gift = calldata::transfer(account, wanted - tokens);
            sent.push(sender.send(what, &treasury, token, U256::ZERO, gift)?);
        }
    }
    sender.confirm(sent).await?;
    let mut sent = Vec::new();
    for slot in &strangers {
        let (what, wallet) = (format!("registering {}", slot.name()), &slot.files().wallet);
        let endpoint = slot.quic().expect("a stranger was started before it registers").to_string();
        let key_hash = B256::from(slot.files().tls.key_hash().0);
        let approve = calldata::approve(coordinator, price);
        sent.push(sender.send(what.clone(), wallet, token, U256::ZERO, approve)?);
        let register = calldata::register(stake, &endpoint, key_hash);
        sent.push(sender.send(what, wallet, coordinator, U256::ZERO, register)?);
    }
    sender.confirm(sent).await
}

/// Gives the development account its tokens, if it never had any.
pub async fn fund_development(sender: &Sender) -> Result<(), NetworkError> {
    let view = sender.view();
    let (token, _) = contracts(&view);
    let account = accounts::development().address();
    let known = view.balances.contains_key(&weir_kernel::ids::Address(account.into_array()));
    if known || sender.chain().lock().nonce(account) > 0 {
        return Ok(());
    }
    let gift = calldata::transfer(account, accounts::DEVELOPMENT_TOKENS);
    let what = "funding the development account";
    let sent = sender.send(what, &accounts::treasury(), token, U256::ZERO, gift)?;
    sender.confirm(vec![sent]).await
}

/// Whether every partition has members that act.
pub fn all_act(view: &State) -> bool {
    view.partitions.iter().all(|partition| partition.founded && partition.since_epoch <= view.epoch())
}

/// What a broker that is to leave does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    GiveUpTickets,
    Stop,
    WithdrawStake,
    Claim,
    Wait,
}

/// Lets leaving brokers go: each gives up its tickets, runs until it is needed nowhere, then takes its stake and what
/// it earned and has not claimed. Ends when all are gone.
pub async fn retire(sender: Sender, brokers: Arc<Brokers>) {
    let mut tried_epoch = None;
    loop {
        let view = sender.view();
        let step = |slot: &Arc<Slot>| {
            let index = view.broker_index(slot.address());
            let running = slot.is_running();
            index.and_then(|index| next_step(&view, index, running)).map(|step| (slot.clone(), step))
        };
        let waiting: Vec<_> = brokers.leaving().iter().filter_map(step).collect();
        if waiting.is_empty() {
            return;
        }
        // Once an epoch: a transaction has its effect by the next.
        if tried_epoch != Some(view.epoch()) {
            tried_epoch = Some(view.epoch());
            for (slot, step) in waiting {
                if let Err(error) = take(step, &sender, &brokers, &slot, &view).await {
                    tracing::warn!(broker = slot.name(), %error, "cannot leave yet");
                }
            }
        }
        if sender.wait_for("a block", |next| next.height > view.height).await.is_err() {
            return;
        }
    }
}

/// The next step of a leaving broker; none if it has stopped and the coordinator holds nothing of it any more. One
/// whose stake is back may still be needed by a partition that it was a member of: it runs until it is not.
fn next_step(view: &State, index: BrokerIndex, running: bool) -> Option<Step> {
    let broker = view.broker(index)?;
    let is_gone = broker.stake == 0 && broker.accrued == 0 && !running;
    let step = match broker.left {
        None if broker.stake > 0 => Step::GiveUpTickets,
        _ if running && may_stop(view, index) => Step::Stop,
        Some(until) if broker.stake > 0 && broker.seats == 0 && view.epoch() > until => Step::WithdrawStake,
        // A broker that runs claims by itself; this one is not started again.
        _ if broker.stake == 0 && broker.accrued > 0 && !running => Step::Claim,
        _ => Step::Wait,
    };
    (!is_gone).then_some(step)
}

async fn take(
    step: Step,
    sender: &Sender,
    brokers: &Brokers,
    slot: &Arc<Slot>,
    view: &State,
) -> Result<(), NetworkError> {
    let (what, input) = match step {
        Step::Wait => return Ok(()),
        Step::Stop => {
            tracing::info!(broker = slot.name(), "it is needed nowhere any more and stops");
            return brokers.stop(slot).await;
        }
        Step::GiveUpTickets => ("leaving of", calldata::leave()),
        Step::WithdrawStake => ("the stake of", calldata::withdraw_stake()),
        Step::Claim => ("the rewards of", calldata::claim()),
    };
    let (_, coordinator) = contracts(view);
    let what = format!("{what} {}", slot.name());
    sender.confirm(vec![sender.send(what, &slot.files().wallet, coordinator, U256::ZERO, input)?]).await
}

/// Whether a broker that left is needed nowhere: where it is a member, all others that should be there are, and act,
/// and are a quorum.
fn may_stop(view: &State, index: BrokerIndex) -> bool {
    let epoch = view.epoch();
    let active = |broker: BrokerIndex| view.broker(broker).is_some_and(|broker| broker.left.is_none());
    view.partitions.iter().all(|partition| {
        if partition.previous_members.contains(index) && partition.sealed_epoch + 1 < partition.since_epoch {
            return false;
        }
        if !partition.members.contains(index) {
            return true;
        }
        let others = partition.members.brokers().filter(|broker| active(*broker)).count();
        let complete = partition
            .target
            .brokers()
            .filter(|b| active(*b))
            .all(|broker| partition.members.contains(broker));
        complete && others >= view.quorum() && partition.since_epoch <= epoch
    })
}

fn contracts(view: &State) -> (Address, Address) {
    (Address::from(view.contracts.token.0), Address::from(view.contracts.coordinator.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::coordinator::{Broker, Contracts, Params, Seats};

    const LEAVER: BrokerIndex = BrokerIndex(5);
    const OTHERS: [BrokerIndex; 4] = [BrokerIndex(1), BrokerIndex(2), BrokerIndex(3), BrokerIndex(4)];

    fn registered() -> Broker {
        Broker {
            address: Default::default(),
            endpoint: String::new(),
            tls_key_hash: Default::default(),
            stake: 100,
            fee: 0,
            tickets: 1,
            draw: None,
            draw_block: 0,
            left: None,
            reliability: 10_000,
            settled_reliability: 10_000,
            rated_epoch: 0,
            accrued: 0,
            claimed: 0,
            reports: 0,
            seats: 0,
        }
    }

    /// Five brokers, of which the last is still a member of what the others are to have.
    fn view() -> State {
        let mut view = State::new(1, Contracts::default(), Params { replicas: 4, ..Params::default() });
        view.height = view.first_block_of(10);
        for number in 1..=5 {
            view.brokers.insert(BrokerIndex(number), Arc::new(registered()));
        }
        broker(&mut view).seats = 1;
        let partition = &mut Arc::make_mut(&mut view.partitions)[0];
        partition.founded = true;
        partition.target = Seats::of_brokers(OTHERS);
        partition.members = Seats::of_brokers([OTHERS[0], OTHERS[1], OTHERS[2], LEAVER]);
        partition.sealed_epoch = 8;
        view
    }

    fn broker(view: &mut State) -> &mut Broker {
        Arc::make_mut(view.brokers.get_mut(&LEAVER).expect("it is there"))
    }

    /// The leaver has handed over, but what it was a member of before is not sealed yet.
    fn succeeded(view: &mut State) {
        broker(view).seats = 0;
        let partition = &mut Arc::make_mut(&mut view.partitions)[0];
        partition.previous_members = partition.members;
        partition.members = Seats::of_brokers(OTHERS);
        partition.since_epoch = 10;
    }

    #[test]
    fn a_leaver_gives_up_its_tickets_and_waits_for_its_successor() {
        let mut view = view();
        assert_eq!(next_step(&view, LEAVER, true), Some(Step::GiveUpTickets));
        broker(&mut view).left = Some(5);
        assert_eq!(next_step(&view, LEAVER, true), Some(Step::Wait));
    }

    #[test]
    fn one_whose_stake_is_back_runs_while_it_is_needed_and_stops_then() {
        let mut view = view();
        broker(&mut view).left = Some(5);
        succeeded(&mut view);
        assert_eq!(next_step(&view, LEAVER, true), Some(Step::WithdrawStake));
        broker(&mut view).stake = 0;
        assert_eq!(next_step(&view, LEAVER, true), Some(Step::Wait));
        Arc::make_mut(&mut view.partitions)[0].sealed_epoch = 9;
        assert_eq!(next_step(&view, LEAVER, true), Some(Step::Stop));
        assert_eq!(next_step(&view, LEAVER, false), None);
    }

    #[test]
    fn one_that_has_stopped_takes_its_stake_and_what_it_earned() {
        let mut view = view();
        let leaver = broker(&mut view);
        (leaver.left, leaver.accrued) = (Some(5), 7);
        succeeded(&mut view);
        assert_eq!(next_step(&view, LEAVER, false), Some(Step::WithdrawStake));
        broker(&mut view).stake = 0;
        assert_eq!(next_step(&view, LEAVER, false), Some(Step::Claim));
        broker(&mut view).accrued = 0;
        assert_eq!(next_step(&view, LEAVER, false), None);
    }
}
