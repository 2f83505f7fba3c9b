//! Transactions of the set-up: sent from any account, and waited for.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use tokio::sync::watch;
use tokio::time::timeout;
use weir_chain::port::{Chain, SharedMirror};
use weir_chain::wallet::{Account, Wallet};
use weir_kernel::coordinator::State;

use super::error::NetworkError;

/// Gas of every transaction of the set-up: several times what the dearest of them takes.
const GAS_LIMIT: u64 = 2_000_000;

/// How long a transaction, or anything else of the set-up, may take. Many times what is normal.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Sends transactions, and waits for the views that follow from them.
#[derive(Clone)]
pub struct Sender {
    chain: SharedMirror,
    views: watch::Receiver<Arc<State>>,
}

/// A transaction that was sent.
pub struct Sent {
    what: String,
    hash: B256,
}

impl Sender {
    /// On this chain, whose views come by `views`.
    pub fn new(chain: SharedMirror, views: watch::Receiver<Arc<State>>) -> Self {
        Self { chain, views }
    }

    /// The chain.
    pub fn chain(&self) -> &SharedMirror {
        &self.chain
    }

    /// The newest view.
    pub fn view(&self) -> Arc<State> {
        self.views.borrow().clone()
    }

    /// Sends a call; it runs in a later block.
    pub fn send(
        &self,
        what: impl Into<String>,
        wallet: &Wallet,
        to: Address,
        value: U256,
        input: Bytes,
    ) -> Result<Sent, NetworkError> {
        let what = what.into();
        let mut mirror = self.chain.lock();
        // The nonce is looked up and used under one lock: the account may be sending elsewhere too.
        let nonce = mirror.pending_nonce(wallet.address());
        let mut account = Account::new(wallet.clone(), mirror.chain_id(), nonce);
        let raw = account.sign(TxKind::Call(to), value, input, GAS_LIMIT);
        match mirror.submit(&raw) {
            Ok(hash) => Ok(Sent { what, hash }),
            Err(error) => Err(NetworkError::Transaction { what, reason: error.to_string() }),
        }
    }

    /// Waits until all of them are in blocks that the view shows.
    pub async fn confirm(&self, sent: Vec<Sent>) -> Result<(), NetworkError> {
        let slow = NetworkError::Slow { what: "a transaction", seconds: PATIENCE.as_secs() };
        timeout(PATIENCE, self.confirm_all(sent)).await.unwrap_or(Err(slow))
    }

    async fn confirm_all(&self, sent: Vec<Sent>) -> Result<(), NetworkError> {
        for Sent { what, hash } in sent {
            let failed = |reason: String| NetworkError::Transaction { what: what.clone(), reason };
            let (height, failure) = loop {
                let receipt = self.chain.receipt(hash).map_err(|error| failed(error.to_string()))?;
                if let Some(receipt) = receipt {
                    break (receipt.block_number, receipt.failure());
                }
                self.next_view("a transaction").await?;
            };
            if let Some(reason) = failure {
                return Err(failed(reason));
            }
            self.wait_for("a block", |view| view.height >= height).await?;
        }
        Ok(())
    }

    async fn next_view(&self, what: &'static str) -> Result<(), NetworkError> {
        let height = self.view().height;
        self.wait_for(what, |view| view.height > height).await.map(|_| ())
    }

    /// Waits for a view.
    pub async fn wait_for(
        &self,
        what: &'static str,
        mut ready: impl FnMut(&State) -> bool,
    ) -> Result<Arc<State>, NetworkError> {
        let mut views = self.views.clone();
        match timeout(PATIENCE, views.wait_for(|view| ready(view))).await {
            Ok(Ok(view)) => Ok(view.clone()),
            Ok(Err(_)) => Err(NetworkError::ChainStopped(String::new())),
            Err(_) => Err(NetworkError::Slow { what, seconds: PATIENCE.as_secs() }),
        }
    }
}
