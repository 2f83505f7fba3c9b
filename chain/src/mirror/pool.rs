//! Transactions that wait for a block.
//!
//! They run in the order in which they arrived, except that each sender's run in the order of their nonces. A
//! transaction whose predecessors have not come yet waits for them, up to [`limits::MAX_NONCE_AHEAD`] ahead.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};

use super::block::{DecodeTransactionError, Transaction, maximum_cost};
use crate::limits;

/// Why a transaction is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeTransactionError),
    /// It is meant for another chain, or for any (no EIP-155).
    #[error("the transaction is signed for chain {found:?}, this is chain {expected}: sign it again")]
    WrongChainId {
        /// This chain.
        expected: u64,
        /// What the transaction says.
        found: Option<u64>,
    },
    /// The sender has already sent a transaction with this nonce and it is in a block.
    #[error("nonce too low: {found} is used, the next nonce of {sender} is {expected}")]
    NonceTooLow {
        /// Who sent it.
        sender: Address,
        /// The account's nonce.
        expected: u64,
        /// The transaction's.
        found: u64,
    },
    /// Too many transactions are missing before it.
    #[error("nonce too high: {found} of {sender} cannot wait, the next nonce is {expected}")]
    NonceTooHigh {
        /// Who sent it.
        sender: Address,
        /// The account's nonce.
        expected: u64,
        /// The transaction's.
        found: u64,
    },
    /// The account cannot pay what the transaction and those before it may cost.
    #[error("insufficient funds: {sender} has {balance} wei and the transaction may need {needed}")]
    InsufficientFunds {
        /// Who sent it.
        sender: Address,
        /// What the account has.
        balance: U256,
        /// Value and gas of this and the sender's earlier waiting transactions.
        needed: U256,
    },
    /// The gas limit does not even pay for the transaction's bytes.
    #[error("intrinsic gas too low: the gas limit is {found} and must be at least {needed}")]
    IntrinsicGas {
        /// The least gas limit.
        needed: u64,
        /// The transaction's.
        found: u64,
    },
    /// The gas limit is above what a transaction may ask for (EIP-7825).
    #[error("the gas limit {0} is above {max}", max = limits::TX_GAS_LIMIT)]
    GasLimit(u64),
    /// It offers less than the base fee.
    #[error("max fee per gas {0} is less than the base fee {base}", base = limits::BASE_FEE_WEI)]
    FeeTooLow(u128),
    /// The priority fee is above the whole fee.
    #[error("the priority fee is above the max fee per gas")]
    PriorityFee,
    /// It is waiting or in a block already.
    #[error("already known: transaction {0}")]
    AlreadyKnown(B256),
    /// Another transaction of this nonce waits and this one does not pay clearly more.
    #[error("replacement transaction underpriced: offer at least {0} wei a unit of gas")]
    ReplacementUnderpriced(u128),
    /// Too much waits.
    #[error("the transaction pool is full ({0} transactions): try again after the next block")]
    PoolFull(usize),
    /// The chain stopped after a failed write.
    #[error("the chain has stopped because its block log could not be written: free the disk and restart")]
    Stopped,
}

#[derive(Clone, Debug)]
struct Waiting {
    arrival: u64,
    tx: Arc<Transaction>,
}

/// The waiting transactions.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    senders: BTreeMap<Address, BTreeMap<u64, Waiting>>,
    hashes: BTreeMap<B256, (Address, u64)>,
    bytes: usize,
    arrivals: u64,
}

impl Pool {
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn get(&self, hash: B256) -> Option<&Arc<Transaction>> {
        let (sender, nonce) = self.hashes.get(&hash)?;
        self.senders.get(sender)?.get(nonce).map(|waiting| &waiting.tx)
    }

    /// The nonce after the waiting transactions that follow `nonce` without a gap.
    pub fn next_nonce(&self, sender: Address, nonce: u64) -> u64 {
        let Some(waiting) = self.senders.get(&sender) else { return nonce };
        let ready = waiting.range(nonce..).zip(nonce..).take_while(|((found, _), wanted)| *found == wanted);
        nonce + ready.count() as u64
    }

    /// What the sender's waiting transactions before this nonce may cost.
    pub fn cost_before(&self, sender: Address, nonce: u64) -> U256 {
        let waiting = self.senders.get(&sender).into_iter().flat_map(|waiting| waiting.range(..nonce));
        waiting.fold(U256::ZERO, |sum, (_, waiting)| sum.saturating_add(maximum_cost(&waiting.tx)))
    }

    /// Takes a transaction that has been checked against the chain.
    pub fn insert(&mut self, tx: Arc<Transaction>) -> Result<(), SubmitError> {
        if self.hashes.contains_key(&tx.hash) {
            return Err(SubmitError::AlreadyKnown(tx.hash));
        }
        let nonce = tx.envelope.nonce();
        let replaced = self.senders.get(&tx.sender).and_then(|waiting| waiting.get(&nonce));
        let arrival = match replaced {
            Some(old) => {
                let price = old.tx.envelope.max_fee_per_gas();
                let wanted = price + (price * limits::REPLACEMENT_BUMP_PERCENT).div_ceil(100).max(1);
                if tx.envelope.max_fee_per_gas() < wanted {
                    return Err(SubmitError::ReplacementUnderpriced(wanted));
                }
                old.arrival
            }
            None => {
                let bytes = self.bytes + tx.raw.len();
                if self.len() >= limits::MAX_POOL_TRANSACTIONS || bytes > limits::MAX_POOL_BYTES {
                    return Err(SubmitError::PoolFull(self.len()));
                }
                self.arrivals += 1;
                self.arrivals
            }
        };
        self.remove(tx.sender, nonce);
        self.bytes += tx.raw.len();
        self.hashes.insert(tx.hash, (tx.sender, nonce));
        self.senders.entry(tx.sender).or_default().insert(nonce, Waiting { arrival, tx });
        Ok(())
    }

    /// Removes one transaction.
    pub fn remove(&mut self, sender: Address, nonce: u64) -> Option<Arc<Transaction>> {
        let waiting = self.senders.get_mut(&sender)?;
        let removed = waiting.remove(&nonce)?;
        if waiting.is_empty() {
            self.senders.remove(&sender);
        }
        self.hashes.remove(&removed.tx.hash);
        self.bytes -= removed.tx.raw.len();
        Some(removed.tx)
    }

    /// Removes a sender's transactions before `nonce`: they can never run.
    pub fn remove_before(&mut self, sender: Address, nonce: u64) {
        let stale: Vec<u64> = self
            .senders
            .get(&sender)
            .map(|waiting| waiting.range(..nonce).map(|(n, _)| *n).collect())
            .unwrap_or_default();
        for nonce in stale {
            self.remove(sender, nonce);
        }
    }

    /// The senders whose next transaction is here, by its arrival.
    pub fn ready(&self, nonce_of: impl Fn(Address) -> u64) -> BTreeMap<u64, Address> {
        let heads = self.senders.iter().filter_map(|(sender, waiting)| {
            waiting.get(&nonce_of(*sender)).map(|head| (head.arrival, *sender))
        });
        heads.collect()
    }

    /// A sender's transaction of this nonce, with its arrival.
    pub fn at(&self, sender: Address, nonce: u64) -> Option<(u64, &Arc<Transaction>)> {
        self.senders.get(&sender)?.get(&nonce).map(|waiting| (waiting.arrival, &waiting.tx))
    }
}
