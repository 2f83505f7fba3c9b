//! Opening a chain from its directory: read the block log, take the newest usable snapshot, execute the rest.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_primitives::B256;

use super::archive::Archive;
use super::block::{Block, Record, RecordError, encode};
use super::block_log::{BlockLog, BlockLogError, Span};
use super::execute;
use super::pool::Pool;
use super::state::{State, Undo};
use super::{Genesis, Mirror, genesis_block, genesis_state, snapshot};

/// Why a chain cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The block log cannot be used.
    #[error(transparent)]
    Log(#[from] BlockLogError),
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the chain in {} is open in another process: stop that one first", .0.display())]
    InUse(PathBuf),
    /// It began with something else.
    #[error("{} began with another genesis: use that chain's settings or another directory", .0.display())]
    GenesisMismatch(PathBuf),
    /// A record makes no sense although its checksum is right.
    #[error("{}, record at byte {offset}: {source}", path.display())]
    Record {
        /// The block log.
        path: PathBuf,
        /// Where the record's payload begins.
        offset: u64,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A block does not follow the one before it.
    #[error("{}, record at byte {offset}: the block does not follow the one before it", path.display())]
    Order {
        /// The block log.
        path: PathBuf,
        /// Where the record's payload begins.
        offset: u64,
    },
    /// Executing a block again gave another result.
    #[error(
        "block {number} gave another result when it was executed again: the chain in {} was written by a \
         version with other rules; open it with that version or begin a new chain", path.display()
    )]
    Diverged {
        /// The block.
        number: u64,
        /// The chain's directory.
        path: PathBuf,
    },
}

impl Mirror {
    /// Opens the chain in `directory`, or begins one there.
    pub fn open(directory: &Path, genesis: &Genesis) -> Result<Self, OpenError> {
        let io = |action| move |source| OpenError::Io { action, path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(io("create"))?;
        let lock = File::create(directory.join("LOCK")).map_err(io("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(directory.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        let mut archive = Archive::default();
        archive.push(Arc::new(genesis_block(genesis, &genesis_state(genesis))), None);
        let path = directory.join("blocks.log");
        let mut records = 0u64;
        let mut log = BlockLog::open(&path, |span, payload| {
            records += 1;
            index_record(&mut archive, genesis, &path, records == 1, span, payload)
        })?;
        if records == 0 {
            log.append(&encode(&genesis_record(genesis)))?;
        }
        archive.set_log(log);
        let mut mirror = Self {
            chain_id: genesis.chain_id,
            state: State::default(),
            archive,
            pool: Pool::default(),
            undos: VecDeque::new(),
            reorg_depth: crate::limits::MAX_REORG_DEPTH,
            directory: Some(directory.to_owned()),
            _lock: Some(lock),
            stopped: false,
            stand_ins: false,
        };
        let (number, state) = newest_state(directory, genesis, &mirror.archive);
        mirror.state = state;
        mirror.replay(number, directory)?;
        Ok(mirror)
    }

    /// Executes the blocks after `number`, whose state is set.
    fn replay(&mut self, number: u64, directory: &Path) -> Result<(), OpenError> {
        for number in number + 1..=self.height() {
            let diverged = || OpenError::Diverged { number, path: directory.to_owned() };
            let block = self.archive.block(number).map_err(|error| match error {
                super::HistoryError::Log(error) => OpenError::Log(error),
                super::HistoryError::Record { source, file, .. } => {
                    OpenError::Record { path: file.into(), offset: 0, source }
                }
            })?;
            let block = block.expect("the archive holds every block up to its head");
            self.replay_block(&block).filter(|root| *root == block.header.state_root).ok_or_else(diverged)?;
        }
        Ok(())
    }

    /// The state root after executing a block again; `None` if it went another way.
    fn replay_block(&mut self, block: &Block) -> Option<B256> {
        let at = execute::Surroundings {
            chain_id: self.chain_id,
            number: block.number(),
            timestamp_s: block.header.timestamp,
            prevrandao: block.header.mix_hash,
            base_fee_wei: block.header.base_fee_per_gas.unwrap_or_default(),
            stand_ins: false,
        };
        for (tx, receipt) in block.transactions.iter().zip(&block.receipts) {
            let (outcome, changes) = execute::transaction(self.view(), &at, tx).ok()?;
            if outcome.success != receipt.success || outcome.gas_used != receipt.gas_used {
                return None;
            }
            self.state.apply(changes, &mut Undo::default());
        }
        Some(self.state.root())
    }
}

fn genesis_record(genesis: &Genesis) -> Record {
    let alloc =
        genesis.alloc.iter().map(|(address, wei)| (address.into_array(), wei.to_be_bytes())).collect();
    Record::Genesis { chain_id: genesis.chain_id, timestamp_s: genesis.timestamp_s, alloc }
}

fn index_record(
    archive: &mut Archive,
    genesis: &Genesis,
    path: &Path,
    first: bool,
    span: Span,
    payload: &[u8],
) -> Result<(), OpenError> {
    let wrong = |source| OpenError::Record { path: path.to_owned(), offset: span.offset, source };
    let record = Record::decode(payload).map_err(wrong)?;
    if first {
        let same = record == genesis_record(genesis);
        return if same { Ok(()) } else { Err(OpenError::GenesisMismatch(path.to_owned())) };
    }
    let block = record.into_block().map_err(wrong)?;
    let head = archive.head();
    if block.header.parent_hash != head.hash || block.number() != head.number() + 1 {
        return Err(OpenError::Order { path: path.to_owned(), offset: span.offset });
    }
    archive.push(Arc::new(block), Some(span));
    Ok(())
}

/// The newest snapshot that fits the chain, or the genesis state.
fn newest_state(directory: &Path, genesis: &Genesis, archive: &Archive) -> (u64, State) {
    let numbers = snapshot::list(directory).unwrap_or_else(|error| {
        tracing::warn!(directory = %directory.display(), %error, "cannot list the chain's snapshots");
        Vec::new()
    });
    for number in numbers {
        match snapshot::read(directory, number).and_then(|snapshot| usable(snapshot, number, archive)) {
            Ok(state) => return (number, state),
            Err(reason) => {
                tracing::warn!(directory = %directory.display(), number, reason, "cannot use a snapshot");
            }
        }
    }
    (0, genesis_state(genesis))
}

fn usable(snapshot: snapshot::Snapshot, number: u64, archive: &Archive) -> Result<State, String> {
    if snapshot.number != number || archive.hash(number) != Some(snapshot.block_hash) {
        return Err("it belongs to no block of this chain".into());
    }
    let block = archive.block(number).map_err(|error| error.to_string())?;
    if block.is_none_or(|block| block.header.state_root != snapshot.state.root()) {
        return Err("its state root is not that of its block".into());
    }
    Ok(snapshot.state)
}
