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

/// The brokers of the next run: by number, and those that have left or are to leave but still have a seat or stake.
pub fn plan(
    directory: &StateDirectory,
    view: &State,
    brokers: u32,
) -> Result<(Vec<BrokerFiles>, Vec<BrokerFiles>), NetworkError> {
    let on_chain = |files: &BrokerFiles| {
        let index = view.broker_index(weir_kernel::ids::Address(files.wallet.address().into_array()));
        index.and_then(|index| view.broker(index))
    };
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
    leaving.retain(|files| on_chain(files).is_some_and(|broker| broker.stake > 0 || broker.accrued > 0));
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

/// Lets leaving brokers go: each gives up its tickets, runs until it is needed nowhere, then takes its stake and what
/// it earned and has not claimed. Ends when all are gone.
pub async fn retire(sender: Sender, brokers: Arc<Brokers>) {
    let mut tried_epoch = None;
    loop {
        let view = sender.view();
        let waiting: Vec<_> = brokers.leaving().iter().filter(|slot| owed(&view, slot).is_some()).collect();
        if waiting.is_empty() {
            return;
        }
        // Once an epoch: a transaction has its effect by the next.
        if tried_epoch != Some(view.epoch()) {
            tried_epoch = Some(view.epoch());
            for slot in waiting {
                if let Err(error) = step_out(&sender, &brokers, slot, &view).await {
                    tracing::warn!(broker = slot.name(), %error, "cannot leave yet");
                }
            }
        }
        if sender.wait_for("a block", |next| next.height > view.height).await.is_err() {
            return;
        }
    }
}

/// A broker that the coordinator still holds something of.
fn owed(view: &State, slot: &Slot) -> Option<BrokerIndex> {
    let index = view.broker_index(slot.address())?;
    view.broker(index).filter(|broker| broker.stake > 0 || broker.accrued > 0).map(|_| index)
}

async fn step_out(
    sender: &Sender,
    brokers: &Brokers,
    slot: &Arc<Slot>,
    view: &State,
) -> Result<(), NetworkError> {
    let Some((index, broker)) = owed(view, slot).and_then(|index| Some((index, view.broker(index)?))) else {
        return Ok(());
    };
    let (_, coordinator) = contracts(view);
    let send = |what: &str, input| {
        let what = format!("{what} {}", slot.name());
        sender.send(what, &slot.files().wallet, coordinator, U256::ZERO, input).map(|sent| vec![sent])
    };
    match broker.left {
        None => sender.confirm(send("leaving of", calldata::leave())?).await,
        Some(_) if slot.is_running() && may_stop(view, index) => {
            tracing::info!(broker = slot.name(), "it is needed nowhere any more and stops");
            brokers.stop(slot).await
        }
        Some(withdrawable) if broker.stake > 0 && broker.seats == 0 && view.epoch() > withdrawable => {
            sender.confirm(send("the stake of", calldata::withdraw_stake())?).await
        }
        // A broker that runs claims by itself; this one is not started again.
        Some(_) if broker.stake == 0 && broker.accrued > 0 => {
            sender.confirm(send("the rewards of", calldata::claim())?).await
        }
        Some(_) => Ok(()),
    }
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
