//! What a node needs of a chain, and the mirror in that form.

use std::sync::{Arc, Mutex, MutexGuard};

use alloy_primitives::{Address, B256, Bytes, Log};

use crate::mirror::{CallError, CallRequest, HistoryError, Mirror, Receipt, SubmitError};

/// A block's log entries in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockLogs {
    /// The block's number.
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// The parent's hash: a reader that sees another than it read before has met a reorganisation.
    pub parent_hash: B256,
    /// The block's time in seconds since 1970 UTC.
    pub timestamp_s: u64,
    /// Its log entries.
    pub logs: Vec<Log>,
}

/// A chain as a node uses it: read blocks one after the other, send transactions, try calls. Nothing waits
/// for a block: a transaction's outcome is asked for by [`Chain::receipt`] after later blocks.
///
/// [`SharedMirror`] is the development chain. An implementation over JSON-RPC to a real node belongs beside
/// it: it needs several endpoints, confirmations, and recovery of the gap after an outage.
pub trait Chain: Send + Sync {
    /// EIP-155 chain id.
    fn chain_id(&self) -> u64;

    /// The number of the newest block.
    fn height(&self) -> u64;

    /// The log entries of a block; `None` if there is no such block yet.
    fn block_logs(&self, number: u64) -> Result<Option<BlockLogs>, HistoryError>;

    /// Takes a signed raw transaction and returns its hash.
    fn submit(&self, raw: &[u8]) -> Result<B256, SubmitError>;

    /// The nonce that an account's next transaction should have.
    fn nonce(&self, address: Address) -> u64;

    /// Tries a call.
    fn call(&self, request: &CallRequest) -> Result<Bytes, CallError>;

    /// A gas limit with which a transaction succeeds now.
    fn estimate_gas(&self, request: &CallRequest) -> Result<u64, CallError>;

    /// What became of a transaction; `None` while it is in no block.
    fn receipt(&self, hash: B256) -> Result<Option<Receipt>, HistoryError>;
}

/// The mirror, shared by all who use it in a process.
#[derive(Clone, Debug)]
pub struct SharedMirror(Arc<Mutex<Mirror>>);

impl SharedMirror {
    /// Shares a mirror.
    pub fn new(mirror: Mirror) -> Self {
        Self(Arc::new(Mutex::new(mirror)))
    }

    /// The mirror itself, for as long as nobody else needs it.
    pub fn lock(&self) -> MutexGuard<'_, Mirror> {
        self.0.lock().expect("a thread panicked inside the mirror, whose state is now unknown")
    }

    /// Answers an Ethereum JSON-RPC request; see [`crate::rpc::handle`].
    pub fn rpc(&self, request: &serde_json::Value) -> Option<serde_json::Value> {
        crate::rpc::handle(&mut self.lock(), request)
    }
}

impl Chain for SharedMirror {
    fn chain_id(&self) -> u64 {
        self.lock().chain_id()
    }

    fn height(&self) -> u64 {
        self.lock().height()
    }

    fn block_logs(&self, number: u64) -> Result<Option<BlockLogs>, HistoryError> {
        let block = self.lock().block(number)?;
        Ok(block.map(|block| BlockLogs {
            number,
            hash: block.hash,
            parent_hash: block.header.parent_hash,
            timestamp_s: block.header.timestamp,
            logs: block.logs().cloned().collect(),
        }))
    }

    fn submit(&self, raw: &[u8]) -> Result<B256, SubmitError> {
        self.lock().submit(raw)
    }

    fn nonce(&self, address: Address) -> u64 {
        self.lock().pending_nonce(address)
    }

    fn call(&self, request: &CallRequest) -> Result<Bytes, CallError> {
        self.lock().simulate(request)
    }

    fn estimate_gas(&self, request: &CallRequest) -> Result<u64, CallError> {
        self.lock().estimate_gas(request)
    }

    fn receipt(&self, hash: B256) -> Result<Option<Receipt>, HistoryError> {
        self.lock().receipt(hash)
    }
}
