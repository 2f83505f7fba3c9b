//! Questions to the chain: accounts, blocks, receipts, log entries, calls.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, Log, U256};

use super::execute::{self, CallError, CallRequest, Surroundings};
use super::{Block, HistoryError, Mirror, Receipt, Transaction};
use crate::limits;

/// Which log entries are wanted (the filter of `eth_getLogs`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// First block.
    pub from_block: u64,
    /// Last block; blocks that do not exist yet are no error.
    pub to_block: u64,
    /// Contracts; empty for all.
    pub addresses: Vec<Address>,
    /// For each position the topics of which one must stand there; an empty list lets anything stand there.
    pub topics: Vec<Vec<B256>>,
}

impl LogFilter {
    /// Whether a log entry is wanted, apart from its block.
    pub fn matches(&self, log: &Log) -> bool {
        let address = self.addresses.is_empty() || self.addresses.contains(&log.address);
        let topic = |(position, wanted): (usize, &Vec<B256>)| {
            wanted.is_empty() || log.topics().get(position).is_some_and(|topic| wanted.contains(topic))
        };
        address && self.topics.len() <= 4 && self.topics.iter().enumerate().all(topic)
    }
}

/// A log entry with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedLog {
    /// The entry.
    pub log: Log,
    /// The block that holds it.
    pub block_number: u64,
    /// That block's hash.
    pub block_hash: B256,
    /// That block's time in seconds since 1970 UTC.
    pub block_timestamp_s: u64,
    /// The transaction that emitted it.
    pub transaction_hash: B256,
    /// The transaction's place in the block.
    pub transaction_index: u64,
    /// The entry's place in the block.
    pub log_index: u64,
}

/// A transaction and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTransaction {
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// Its block and its index in it; `None` while it waits.
    pub place: Option<(Arc<Block>, usize)>,
}

/// Why log entries were not answered.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The past cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Too many entries match.
    #[error("more than {max} log entries match: ask for fewer blocks", max = limits::MAX_LOGS_ANSWERED)]
    TooMany,
}

impl Mirror {
    /// An account's balance in wei after the newest block.
    pub fn balance(&self, address: Address) -> U256 {
        self.state.balance(address)
    }

    /// An account's nonce after the newest block.
    pub fn nonce(&self, address: Address) -> u64 {
        self.state.nonce(address)
    }

    /// The nonce that an account's next transaction should have: after those that wait.
    pub fn pending_nonce(&self, address: Address) -> u64 {
        self.pool.next_nonce(address, self.state.nonce(address))
    }

    /// How many transactions wait.
    pub fn pending_transactions(&self) -> usize {
        self.pool.len()
    }

    /// A contract's code, empty for other accounts.
    pub fn code(&self, address: Address) -> Bytes {
        self.state.code(address)
    }

    /// One word of a contract's storage.
    pub fn storage_at(&self, address: Address, slot: U256) -> B256 {
        self.state.slot(address, slot).into()
    }

    /// The block of this number.
    pub fn block(&self, number: u64) -> Result<Option<Arc<Block>>, HistoryError> {
        self.archive.block(number)
    }

    /// The block of this hash.
    pub fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<Block>>, HistoryError> {
        self.archive.number(hash).map_or(Ok(None), |number| self.archive.block(number))
    }

    /// The receipt of a transaction that is in a block.
    pub fn receipt(&self, hash: B256) -> Result<Option<Receipt>, HistoryError> {
        let Some((number, index)) = self.archive.transaction(hash) else { return Ok(None) };
        Ok(self.archive.block(number)?.and_then(|block| block.receipts.get(index).cloned()))
    }

    /// A transaction, in a block or still waiting.
    pub fn transaction(&self, hash: B256) -> Result<Option<FoundTransaction>, HistoryError> {
        let Some((number, index)) = self.archive.transaction(hash) else {
            let waiting = self.pool.get(hash).cloned();
            return Ok(waiting.map(|transaction| FoundTransaction { transaction, place: None }));
        };
        let Some(block) = self.archive.block(number)? else { return Ok(None) };
        let found = block.transactions.get(index).cloned();
        Ok(found.map(|transaction| FoundTransaction { transaction, place: Some((block, index)) }))
    }

    /// The log entries that match, in the order of the chain.
    pub fn logs(&self, filter: &LogFilter) -> Result<Vec<PlacedLog>, LogsError> {
        let mut found = Vec::new();
        for number in filter.from_block..=filter.to_block.min(self.height()) {
            if !self.archive.has_logs(number) {
                continue;
            }
            let Some(block) = self.archive.block(number)? else { break };
            for placed in placed_logs(&block).filter(|placed| filter.matches(&placed.log)) {
                if found.len() == limits::MAX_LOGS_ANSWERED {
                    return Err(LogsError::TooMany);
                }
                found.push(placed);
            }
        }
        Ok(found)
    }

    /// Tries a call in the newest block, without gas price, and returns what it returned.
    pub fn call(&self, from: Address, to: Address, data: Bytes, value: U256) -> Result<Bytes, CallError> {
        self.simulate(&CallRequest { from, to: Some(to), data, value, ..CallRequest::default() })
    }

    /// Tries a call and returns what it returned.
    pub fn simulate(&self, request: &CallRequest) -> Result<Bytes, CallError> {
        execute::call(self.view(), &self.call_surroundings(request.in_next_block), request)
            .map(|(data, _)| data)
    }

    /// A gas limit with which the transaction succeeds in the next block.
    pub fn estimate_gas(&self, request: &CallRequest) -> Result<u64, CallError> {
        execute::estimate(self.view(), &self.call_surroundings(true), request)
    }

    fn call_surroundings(&self, in_next_block: bool) -> Surroundings {
        let head = self.head();
        if in_next_block {
            return self.next_surroundings(head.header.timestamp);
        }
        Surroundings {
            chain_id: self.chain_id,
            number: head.number(),
            timestamp_s: head.header.timestamp,
            prevrandao: head.header.mix_hash,
            base_fee_wei: limits::BASE_FEE_WEI,
            stand_ins: self.stand_ins,
        }
    }
}

/// A block's log entries with their places.
pub(crate) fn placed_logs(block: &Block) -> impl Iterator<Item = PlacedLog> + '_ {
    block.receipts.iter().flat_map(move |receipt| {
        receipt.logs.iter().enumerate().map(move |(position, log)| PlacedLog {
            log: log.clone(),
            block_number: block.number(),
            block_hash: block.hash,
            block_timestamp_s: block.header.timestamp,
            transaction_hash: receipt.transaction_hash,
            transaction_index: receipt.transaction_index,
            log_index: receipt.first_log_index + position as u64,
        })
    })
}
