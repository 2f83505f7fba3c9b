//! The mirror: an Ethereum chain in process, with the contracts' real bytecode.
//!
//! Blocks are made when [`Mirror::produce_block`] is called, never by themselves; the same calls with the
//! same arguments give the same chain, block hash for block hash. With a directory each block is on disk
//! before it is visible, and opening continues where the chain stopped; without one, for simulation and
//! tests, nothing is written and the newest blocks can be dropped again.
//!
//! What differs from Ethereum: the base fee is constant ([`limits::BASE_FEE_WEI`]); a block may have the time
//! of its parent; the state root is a sum of hashes, see `state`; no system contracts run at the start of a
//! block. Only the newest state is kept, the history is answered from blocks.

mod archive;
mod block;
mod block_log;
mod execute;
mod open;
mod pool;
mod query;
mod snapshot;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy_consensus::{EMPTY_ROOT_HASH, Header, Transaction as _};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, Bloom, Bytes, KECCAK256_EMPTY, U256, keccak256};

use crate::limits;
use archive::Archive;
pub use archive::HistoryError;
pub use block::{Block, DecodeTransactionError, Receipt, RecordError, Transaction};
use block::{Outcome, Record};
pub use block_log::BlockLogError;
use execute::Surroundings;
pub use execute::{CallError, CallRequest};
pub use open::OpenError;
use pool::Pool;
pub use pool::SubmitError;
pub use query::{FoundTransaction, LogFilter, LogsError, PlacedLog};
use state::{AccountRecord, State, StateView, Undo};

/// What a chain begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Time of the genesis block in seconds since 1970 UTC.
    pub timestamp_s: u64,
    /// Balances in wei.
    pub alloc: BTreeMap<Address, U256>,
}

/// Why no block was made.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The block could not be written. The chain takes nothing any more until it is opened again.
    #[error("a block could not be kept: {0}; free the disk, then start again")]
    Write(#[from] BlockLogError),
    /// An earlier write failed.
    #[error("the chain has stopped because its block log could not be written: free the disk and restart")]
    Stopped,
}

/// Why blocks were not dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReorgError {
    /// What is on disk is final.
    #[error("a chain on disk drops no blocks; open one in memory")]
    OnDisk,
    /// There are not so many blocks that can be dropped.
    #[error("{asked} blocks cannot be dropped, at most {possible}")]
    TooDeep {
        /// How many were to be dropped.
        asked: usize,
        /// How many can be.
        possible: usize,
    },
}

/// The chain. See the module's words.
#[derive(Debug)]
pub struct Mirror {
    chain_id: u64,
    state: State,
    archive: Archive,
    pool: Pool,
    undos: VecDeque<Undo>,
    /// How many of the newest blocks can be dropped.
    reorg_depth: usize,
    directory: Option<PathBuf>,
    /// Held as long as the chain is open, so that no second process writes the same files.
    _lock: Option<File>,
    stopped: bool,
    /// Whether stand-ins for signatures are taken: [`crate::stand_in`].
    stand_ins: bool,
}

impl Mirror {
    /// A chain that lives in memory only.
    pub fn in_memory(genesis: &Genesis) -> Self {
        let state = genesis_state(genesis);
        let mut archive = Archive::default();
        archive.push(Arc::new(genesis_block(genesis, &state)), None);
        Self {
            chain_id: genesis.chain_id,
            state,
            archive,
            pool: Pool::default(),
            undos: VecDeque::new(),
            reorg_depth: limits::MAX_REORG_DEPTH,
            directory: None,
            _lock: None,
            stopped: false,
            stand_ins: false,
        }
    }

    /// From now on takes stand-ins for signatures beside real ones, as simulations make them: [`crate::stand_in`]. Only
    /// a chain in memory does.
    pub fn take_stand_ins(&mut self) {
        assert!(self.directory.is_none(), "what is on disk is signed");
        self.stand_ins = true;
    }

    /// From now on forgets what is in blocks below the newest so many, [`limits::MAX_REORG_DEPTH`] at most: they can
    /// neither be dropped nor read. Only a chain in memory does, and whoever follows it does not look further back.
    pub fn keep_blocks(&mut self, blocks: usize) {
        assert!(self.directory.is_none(), "what is on disk is kept");
        assert!(blocks <= limits::MAX_REORG_DEPTH, "no more blocks can be dropped");
        self.reorg_depth = blocks;
        self.forget_undos();
        self.archive.keep_blocks(blocks);
    }

    fn forget_undos(&mut self) {
        self.undos.drain(..self.undos.len().saturating_sub(self.reorg_depth));
    }

    /// EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The number of the newest block.
    pub fn height(&self) -> u64 {
        self.head().number()
    }

    /// The newest block.
    pub fn head(&self) -> &Arc<Block> {
        self.archive.head()
    }

    /// Takes a signed raw transaction (EIP-2718, types 0 to 2) and returns its hash. It runs in a later
    /// block.
    pub fn submit(&mut self, raw: &[u8]) -> Result<B256, SubmitError> {
        if self.stopped {
            return Err(SubmitError::Stopped);
        }
        let tx = block::decode_transaction(raw, self.stand_ins)?;
        let hash = tx.hash;
        if self.archive.transaction(hash).is_some() {
            return Err(SubmitError::AlreadyKnown(hash));
        }
        self.check(&tx)?;
        self.pool.insert(Arc::new(tx))?;
        Ok(hash)
    }

    fn check(&self, tx: &Transaction) -> Result<(), SubmitError> {
        let (sender, envelope) = (tx.sender, &tx.envelope);
        if envelope.chain_id() != Some(self.chain_id) {
            return Err(SubmitError::WrongChainId { expected: self.chain_id, found: envelope.chain_id() });
        }
        if envelope.gas_limit() > limits::TX_GAS_LIMIT {
            return Err(SubmitError::GasLimit(envelope.gas_limit()));
        }
        let needed = execute::intrinsic_gas(tx);
        if envelope.gas_limit() < needed {
            return Err(SubmitError::IntrinsicGas { needed, found: envelope.gas_limit() });
        }
        let fee = envelope.max_fee_per_gas();
        if fee < u128::from(limits::BASE_FEE_WEI) {
            return Err(SubmitError::FeeTooLow(fee));
        }
        if envelope.max_priority_fee_per_gas().is_some_and(|priority| priority > fee) {
            return Err(SubmitError::PriorityFee);
        }
        let (expected, found) = (self.state.nonce(sender), envelope.nonce());
        if found < expected {
            return Err(SubmitError::NonceTooLow { sender, expected, found });
        }
        if found - expected > limits::MAX_NONCE_AHEAD {
            return Err(SubmitError::NonceTooHigh { sender, expected, found });
        }
        let balance = self.state.balance(sender);
        let needed = self.pool.cost_before(sender, found).saturating_add(block::maximum_cost(tx));
        if balance < needed {
            return Err(SubmitError::InsufficientFunds { sender, balance, needed });
        }
        Ok(())
    }

    /// Makes the next block from what waits and fits into [`limits::BLOCK_GAS_LIMIT`], and returns it once it
    /// is durable. `timestamp_s` is in seconds since 1970 UTC; if it lies before the parent's, the parent's
    /// counts.
    pub fn produce_block(&mut self, timestamp_s: u64) -> Result<Arc<Block>, ProduceError> {
        if self.stopped {
            return Err(ProduceError::Stopped);
        }
        let at = self.next_surroundings(timestamp_s);
        let mut undo = Undo::default();
        let (transactions, outcomes) = self.run_pool(&at, &mut undo);
        let header = self.header(&at, &transactions, &outcomes);
        let to_write = self.directory.is_some().then(|| outcomes.clone());
        let block = block::assemble(header, transactions, outcomes);
        let block = Arc::new(block.expect("the EVM emits at most 4 topics a log entry"));
        let written =
            to_write.map_or(Ok(None), |outcomes| self.archive.append(&Record::of(&block, outcomes)));
        let span = match written {
            Ok(span) => span,
            Err(error) => {
                self.state.revert(undo);
                self.stopped = true;
                return Err(error.into());
            }
        };
        self.install(Arc::clone(&block), span, undo);
        if block.number().is_multiple_of(limits::SNAPSHOT_INTERVAL_BLOCKS) {
            self.snapshot();
        }
        Ok(block)
    }

    /// Indexes a block that is durable, forgets its transactions in the pool, and keeps the undo while in
    /// memory.
    fn install(&mut self, block: Arc<Block>, span: Option<block_log::Span>, undo: Undo) {
        for tx in &block.transactions {
            self.pool.remove_before(tx.sender, self.state.nonce(tx.sender));
        }
        self.archive.push(block, span);
        if self.directory.is_none() {
            self.undos.push_back(undo);
            self.forget_undos();
        }
    }

    /// Runs what is ready, in order of arrival with each sender's nonces respected. A sender whose next
    /// transaction does not fit waits for the next block, so that nothing overtakes it.
    fn run_pool(&mut self, at: &Surroundings, undo: &mut Undo) -> (Vec<Arc<Transaction>>, Vec<Outcome>) {
        let (mut transactions, mut outcomes) = (Vec::new(), Vec::new());
        let mut gas_left = limits::BLOCK_GAS_LIMIT;
        let mut ready = self.pool.ready(|sender| self.state.nonce(sender));
        while let Some((_, sender)) = ready.pop_first() {
            let Some((_, tx)) = self.pool.at(sender, self.state.nonce(sender)) else { continue };
            if tx.envelope.gas_limit() > gas_left {
                continue;
            }
            let tx = Arc::clone(tx);
            match execute::transaction(self.view(), at, &tx) {
                Ok((outcome, changes)) => {
                    self.state.apply(changes, undo);
                    gas_left -= outcome.gas_used;
                    transactions.push(tx);
                    outcomes.push(outcome);
                }
                Err(reason) => {
                    // It was valid when it came; what ran since took the ether that it needs.
                    tracing::warn!(transaction = %tx.hash, %sender, %reason, "dropped a waiting transaction");
                    self.pool.remove(sender, tx.envelope.nonce());
                    continue;
                }
            }
            if let Some((arrival, _)) = self.pool.at(sender, self.state.nonce(sender)) {
                ready.insert(arrival, sender);
            }
        }
        (transactions, outcomes)
    }

    /// What an execution reads.
    fn view(&self) -> StateView<'_> {
        StateView { state: &self.state, archive: &self.archive }
    }

    fn next_surroundings(&self, timestamp_s: u64) -> Surroundings {
        let parent = self.head();
        Surroundings {
            chain_id: self.chain_id,
            number: parent.number() + 1,
            timestamp_s: timestamp_s.max(parent.header.timestamp),
            prevrandao: prevrandao(parent.hash),
            base_fee_wei: limits::BASE_FEE_WEI,
            stand_ins: self.stand_ins,
        }
    }

    fn header(&self, at: &Surroundings, transactions: &[Arc<Transaction>], outcomes: &[Outcome]) -> Header {
        let receipts = block::consensus_receipts(transactions, outcomes);
        let envelopes: Vec<_> = transactions.iter().map(|tx| &tx.envelope).collect();
        let blooms = receipts.iter().map(|receipt| *receipt.logs_bloom());
        Header {
            logs_bloom: blooms.fold(Bloom::ZERO, |all, bloom| all | bloom),
            transactions_root: calculate_transaction_root(&envelopes),
            receipts_root: calculate_receipt_root(&receipts),
            gas_used: outcomes.iter().map(|outcome| outcome.gas_used).sum(),
            ..bare_header(at, self.head().hash, self.state.root())
        }
    }

    /// Writes a snapshot of the state now, so that the next opening executes nothing. A failure is only
    /// logged: opening then takes longer.
    pub fn snapshot(&self) {
        let (Some(directory), head) = (&self.directory, self.head()) else { return };
        if let Err(error) = snapshot::write(directory, head.number(), head.hash, &self.state) {
            tracing::warn!(directory = %directory.display(), %error, "cannot write a snapshot of the chain");
        }
    }

    /// Drops the newest `depth` blocks and puts their transactions back into the pool. For simulation.
    pub fn reorg(&mut self, depth: usize) -> Result<(), ReorgError> {
        if self.directory.is_some() {
            return Err(ReorgError::OnDisk);
        }
        if depth > self.undos.len() {
            return Err(ReorgError::TooDeep { asked: depth, possible: self.undos.len() });
        }
        let mut dropped = Vec::new();
        for _ in 0..depth {
            let undo = self.undos.pop_back().expect("counted above");
            self.state.revert(undo);
            dropped.push(self.archive.pop().expect("each undo belongs to a block"));
        }
        for tx in dropped.iter().rev().flat_map(|block| &block.transactions) {
            if let Err(reason) = self.pool.insert(Arc::clone(tx)) {
                tracing::warn!(transaction = %tx.hash, %reason, "a dropped block's transaction is lost");
            }
        }
        Ok(())
    }
}

/// The random value of a block: any function of what came before will do for development.
fn prevrandao(parent: B256) -> B256 {
    keccak256([b"weir.prevrandao".as_slice(), parent.as_slice()].concat())
}

fn bare_header(at: &Surroundings, parent_hash: B256, state_root: B256) -> Header {
    Header {
        parent_hash,
        state_root,
        number: at.number,
        timestamp: at.timestamp_s,
        gas_limit: limits::BLOCK_GAS_LIMIT,
        mix_hash: at.prevrandao,
        base_fee_per_gas: Some(at.base_fee_wei),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        extra_data: Bytes::from_static(b"weir"),
        ..Header::default()
    }
}

fn genesis_state(genesis: &Genesis) -> State {
    let mut state = State::default();
    for (address, balance) in &genesis.alloc {
        let record = AccountRecord { nonce: 0, balance: *balance, code_hash: KECCAK256_EMPTY };
        state.set_account(*address, Some(record));
    }
    state
}

fn genesis_block(genesis: &Genesis, state: &State) -> Block {
    let at = Surroundings {
        chain_id: genesis.chain_id,
        number: 0,
        timestamp_s: genesis.timestamp_s,
        // The chain id goes in here, so that two chains never share a block hash.
        prevrandao: prevrandao(B256::from(U256::from(genesis.chain_id))),
        base_fee_wei: limits::BASE_FEE_WEI,
        stand_ins: false,
    };
    let header = bare_header(&at, B256::ZERO, state.root());
    block::assemble(header, Vec::new(), Vec::new()).expect("a block without log entries")
}
