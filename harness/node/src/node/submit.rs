//! Transactions of a broker: signed with its key, sent to the chain, on a thread of their own because the chain may
//! be slow. What does not get through is asked for again by the kernel when it still matters.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use alloy_primitives::{TxKind, U256};
use weir_chain::calldata;
use weir_chain::mirror::CallRequest;
use weir_chain::port::{Chain, SharedMirror};
use weir_chain::wallet::{Account, Wallet};
use weir_kernel::coordinator::Intent;
use weir_kernel::signature::SecretKey;

/// Transactions that wait; then the oldest goes, for newer intents know the newer chain.
const MAX_WAITING: usize = 256;

/// Gas beyond the estimate: the chain may change between estimate and block.
const GAS_MARGIN: u64 = 100_000;

/// The queue to the submitter thread.
#[derive(Clone, Default)]
pub struct Submitter {
    queue: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    intents: VecDeque<(alloy_primitives::Address, Intent)>,
    closed: bool,
}

impl Submitter {
    /// Queues an intent for the coordinator.
    pub fn submit(&self, coordinator: weir_kernel::ids::Address, intent: Intent) {
        let mut state = self.queue.0.lock().expect("no holder of the submit queue panics");
        if state.intents.len() >= MAX_WAITING {
            state.intents.pop_front();
        }
        state.intents.push_back((alloy_primitives::Address::from(coordinator.0), intent));
        self.queue.1.notify_one();
    }

    /// Ends the thread; what waits is dropped.
    pub fn close(&self) {
        self.queue.0.lock().expect("no holder of the submit queue panics").closed = true;
        self.queue.1.notify_one();
    }

    fn next(&self) -> Option<(alloy_primitives::Address, Intent)> {
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
            let mut account = Account::new(wallet, chain.chain_id(), nonce);
            while let Some((coordinator, intent)) = queue.next() {
                send(&name, &chain, &mut account, coordinator, &intent);
            }
        })
    }
}

fn send(
    name: &str,
    chain: &SharedMirror,
    account: &mut Account,
    coordinator: alloy_primitives::Address,
    intent: &Intent,
) {
    let input = calldata::intent(intent);
    let request = CallRequest {
        from: account.address(),
        to: Some(coordinator),
        data: input.clone(),
        ..CallRequest::default()
    };
    // What would revert is not sent: somebody else was faster, or the chain has moved on.
    let gas_limit = match chain.estimate_gas(&request) {
        Ok(gas) => gas + GAS_MARGIN,
        Err(error) => {
            tracing::debug!(broker = name, ?intent, %error, "not sent to the chain");
            return;
        }
    };
    account.resync(chain.nonce(account.address()));
    let raw = account.sign(TxKind::Call(coordinator), U256::ZERO, input, gas_limit);
    if let Err(error) = chain.submit(&raw) {
        tracing::warn!(broker = name, ?intent, %error, "the chain did not take a transaction");
    }
}
