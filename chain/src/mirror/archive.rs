//! The history: every block and transaction can be found; decoded blocks are kept only while they are recent.
//!
//! In memory stay, for each block, its hash and its place in the block log, and for each transaction its hash
//! and its place in the chain: some tens of bytes each. An archive without a file keeps the blocks
//! themselves, all of them or as many as it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use alloy_primitives::B256;

use super::block::{Block, Record, RecordError};
use super::block_log::{BlockLog, BlockLogError, Span};
use crate::limits;

/// Why a block of the past cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be read.
    #[error(transparent)]
    Log(#[from] BlockLogError),
    /// A record in it makes no sense.
    #[error("block {number} in {file}: {source}")]
    Record {
        /// The block.
        number: u64,
        /// The block log.
        file: String,
        /// What is wrong.
        source: RecordError,
    },
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: B256,
    span: Option<Span>,
    has_logs: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Archive {
    log: Option<BlockLog>,
    entries: Vec<Entry>,
    numbers: BTreeMap<B256, u64>,
    transactions: BTreeMap<B256, (u64, u32)>,
    recent: VecDeque<Arc<Block>>,
    genesis: Option<Arc<Block>>,
    /// An archive without a file forgets older blocks than so many; `None` for never.
    kept_blocks: Option<usize>,
}

impl Archive {
    /// From now on blocks are read from this file; without one they all stay in memory.
    pub fn set_log(&mut self, log: BlockLog) {
        self.log = Some(log);
    }

    /// Adds the next block. `span` is its place in the block log.
    pub fn push(&mut self, block: Arc<Block>, span: Option<Span>) {
        assert_eq!(block.number(), self.entries.len() as u64, "blocks come one after the other");
        let has_logs = block.logs().next().is_some();
        if block.number() == 0 {
            self.genesis = Some(Arc::clone(&block));
        }
        self.entries.push(Entry { hash: block.hash, span, has_logs });
        self.numbers.insert(block.hash, block.number());
        for (index, tx) in block.transactions.iter().enumerate() {
            self.transactions.insert(tx.hash, (block.number(), index as u32));
        }
        self.recent.push_back(block);
        if self.recent.len() > limits::RECENT_BLOCKS && self.recent.front().is_some_and(|b| self.on_disk(b)) {
            self.recent.pop_front();
        }
        self.forget();
    }

    /// From now on blocks below the newest so many are forgotten.
    pub fn keep_blocks(&mut self, blocks: usize) {
        // The head is always there, under those that can be dropped.
        self.kept_blocks = Some(blocks + 1);
        self.forget();
    }

    fn forget(&mut self) {
        let Some(kept) = self.kept_blocks else { return };
        self.recent.drain(..self.recent.len().saturating_sub(kept));
    }

    fn on_disk(&self, block: &Block) -> bool {
        // The genesis block follows from the genesis and is kept apart, in a chain that is on disk: while that is being
        // opened its log is not here yet, but later blocks have their places in it.
        let chain_on_disk =
            self.log.is_some() || self.entries.last().is_some_and(|entry| entry.span.is_some());
        let spilled = self.entries[block.number() as usize].span.is_some();
        spilled || block.number() == 0 && chain_on_disk
    }

    /// Writes a block to the log, if there is one; it is durable when this returns.
    pub fn append(&mut self, record: &Record) -> Result<Option<Span>, BlockLogError> {
        self.log.as_mut().map(|log| log.append(&super::block::encode(record))).transpose()
    }

    /// Takes the newest block away again. Only for archives without a file.
    pub fn pop(&mut self) -> Option<Arc<Block>> {
        assert!(self.log.is_none(), "what is on disk is final");
        if self.entries.len() <= 1 {
            return None;
        }
        let block = self.recent.pop_back()?;
        self.entries.pop();
        self.numbers.remove(&block.hash);
        for tx in &block.transactions {
            self.transactions.remove(&tx.hash);
        }
        Some(block)
    }

    pub fn head(&self) -> &Arc<Block> {
        self.recent.back().expect("an archive holds at least the genesis block")
    }

    pub fn hash(&self, number: u64) -> Option<B256> {
        self.entries.get(usize::try_from(number).ok()?).map(|entry| entry.hash)
    }

    pub fn number(&self, hash: B256) -> Option<u64> {
        self.numbers.get(&hash).copied()
    }

    pub fn has_logs(&self, number: u64) -> bool {
        self.entries.get(number as usize).is_some_and(|entry| entry.has_logs)
    }

    /// Where a transaction stands: block number and index in it.
    pub fn transaction(&self, hash: B256) -> Option<(u64, usize)> {
        self.transactions.get(&hash).map(|(number, index)| (*number, *index as usize))
    }

    pub fn block(&self, number: u64) -> Result<Option<Arc<Block>>, HistoryError> {
        let Some(entry) = usize::try_from(number).ok().and_then(|number| self.entries.get(number)) else {
            return Ok(None);
        };
        let oldest = self.entries.len() as u64 - self.recent.len() as u64;
        if let Some(position) = number.checked_sub(oldest) {
            return Ok(self.recent.get(position as usize).cloned());
        }
        if number == 0 {
            return Ok(self.genesis.clone());
        }
        let (Some(log), Some(span)) = (&self.log, entry.span) else { return Ok(None) };
        let block = Record::decode(&log.read(span)?).and_then(Record::into_block).map_err(|source| {
            HistoryError::Record { number, file: log.path().display().to_string(), source }
        })?;
        Ok(Some(Arc::new(block)))
    }
}
