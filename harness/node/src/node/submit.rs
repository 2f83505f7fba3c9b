//! Transactions of a broker: signed with its key, sent to the chain, on a thread of their own because the chain may
//! be slow.
//!
//! A transaction that waits for its block is not sent a second time. What does not get through is asked for again by
//! the kernel when it still matters; a refusal is told to the operator unless it only says that somebody was faster.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use weir_chain::calldata;
use weir_chain::mirror::CallRequest;
use weir_chain::port::{Chain, SharedMirror};
use weir_chain::wallet::{Account, Wallet};
use weir_kernel::broker::duties::refusals::is_overtaken;
use weir_kernel::coordinator::{Contracts, Intent};
use weir_kernel::signature::SecretKey;

/// Transactions that wait; then the oldest goes, for newer intents know the newer chain.
const MAX_WAITING: usize = 256;

/// Transactions that wait for their block at most: what the chain has not taken by then is forgotten.
const MAX_IN_FLIGHT: usize = 1024;

/// Gas beyond the estimate: the chain may change between estimate and block.
const GAS_MARGIN: u64 = 100_000;

/// The queue to the submitter thread.
#[derive(Clone, Default)]
pub struct Submitter {
    queue: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    intents: VecDeque<(Address, Intent)>,
    closed: bool,
}

impl Submitter {
    /// Queues an intent for its contract.
    pub fn submit(&self, contracts: &Contracts, intent: Intent) {
        let to = Address::from(intent.contract(contracts).0);
        let mut state = self.queue.0.lock().expect("no holder of the submit queue panics");
        if state.intents.len() >= MAX_WAITING {
            state.intents.pop_front();
        }
        state.intents.push_back((to, intent));
        self.queue.1.notify_one();
    }

    /// Ends the thread; what waits is dropped.
    pub fn close(&self) {
        self.queue.0.lock().expect("no holder of the submit queue panics").closed = true;
        self.queue.1.notify_one();
    }

    fn next(&self) -> Option<(Address, Intent)> {
        let state = self.queue.0.lock().expect("no holder of the submit queue panics");
        let mut state = self
            .queue
            .1
            .wait_while(state, |state| state.intents.is_empty() && !state.closed)
            .expect("no holder of the submit queue panics");
        if state.closed { None } else { state.intents.pop_front() }
    }

    /// The thread's work.
    pub fn run(&self, name: String, key: &SecretKey, chain: SharedMirror) -> Box<dyn FnOnce() + Send> {
        let queue = self.clone();
        let wallet = Wallet::from_bytes(&key.to_bytes()).expect("a kernel key is a wallet key");
        Box::new(move || {
            let nonce = chain.nonce(wallet.address());
            let account = Account::new(wallet, chain.chain_id(), nonce);
            let mut desk = Desk { name, chain, account, in_flight: BTreeMap::new() };
            while let Some((to, intent)) = queue.next() {
                desk.send(to, &intent);
            }
        })
    }
}

/// What the thread works with.
struct Desk {
    name: String,
    chain: SharedMirror,
    account: Account,
    /// Calls that wait for their block: hash of the call, hash of the transaction.
    in_flight: BTreeMap<B256, B256>,
}

impl Desk {
    fn send(&mut self, to: Address, intent: &Intent) {
        let input = calldata::intent(intent);
        let call = keccak256([to.as_slice(), &input].concat());
        if self.waits(&call) {
            return;
        }
        let from = self.account.address();
        let request = CallRequest { from, to: Some(to), data: input.clone(), ..CallRequest::default() };
        let gas_limit = match self.chain.estimate_gas(&request) {
            Ok(gas) => gas + GAS_MARGIN,
            // What would revert is not sent.
            Err(error) => return self.refused(intent, &error.to_string()),
        };
        self.account.resync(self.chain.nonce(from));
        let raw: Bytes = self.account.sign(TxKind::Call(to), U256::ZERO, input, gas_limit);
        match self.chain.submit(&raw) {
            Ok(hash) => {
                if self.in_flight.len() >= MAX_IN_FLIGHT {
                    self.in_flight.clear();
                }
                self.in_flight.insert(call, hash);
            }
            Err(error) => {
                tracing::warn!(broker = self.name, ?intent, %error, "the chain did not take a transaction");
            }
        }
    }

    /// Whether the same call is under way. Those that are in a block are forgotten.
    fn waits(&mut self, call: &B256) -> bool {
        let chain = &self.chain;
        self.in_flight.retain(|_, hash| chain.receipt(*hash).is_ok_and(|receipt| receipt.is_none()));
        self.in_flight.contains_key(call)
    }

    fn refused(&self, intent: &Intent, reason: &str) {
        if names(reason).any(is_overtaken) {
            tracing::debug!(broker = self.name, ?intent, reason, "overtaken: not sent to the chain");
        } else {
            tracing::warn!(broker = self.name, ?intent, reason, "the contract refuses a transaction");
        }
    }
}

/// The words of a reason that may be the name of a contract's error: the reason may come with others around it.
fn names(reason: &str) -> impl Iterator<Item = &str> {
    reason.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_error_is_found_in_its_sentence() {
        let reason = "execution reverted: NothingToClaim(index: 3)";
        assert!(names(reason).any(is_overtaken));
        assert!(!names("execution reverted: InvalidSignature(partition: 1)").any(is_overtaken));
    }

    #[test]
    fn a_full_queue_forgets_its_oldest_intent() {
        let queue = Submitter::default();
        let contracts = Contracts::default();
        queue.submit(&contracts, Intent::Claim);
        (0..MAX_WAITING).for_each(|_| queue.submit(&contracts, Intent::ClaimBounty));
        assert!(matches!(queue.next(), Some((_, Intent::ClaimBounty))));
        queue.close();
        assert!(queue.next().is_none());
    }
}
