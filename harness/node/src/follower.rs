//! The follower: turns a chain's logs into the shared view, once a process.
//!
//! Blocks are read one after the other, each log becomes a fact, each fact evolves the kernel's twin. Brokers get
//! the result as an immutable view; nothing of it is computed twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_chain::deploy::Addresses;
use weir_chain::facts::decode_block;
use weir_chain::mirror::HistoryError;
use weir_chain::port::Chain;
use weir_kernel::coordinator::{BlockRef, Params, State, begin_block, evolve};
use weir_kernel::ids::StreamId;

/// Why the chain cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A block could not be read.
    #[error("reading block {number}: {source}")]
    Read {
        /// The block.
        number: u64,
        /// The chain's reason.
        source: HistoryError,
    },
    /// The chain replaced a block that brokers have acted on.
    #[error(
        "block {number} does not follow the block before it: the chain went back deeper than it is confirmed; stop and check the chain before anything is signed"
    )]
    Reorganised {
        /// The block that does not fit.
        number: u64,
    },
}

/// Follows one chain.
pub struct Follower<C> {
    chain: C,
    addresses: Addresses,
    confirmations: u64,
    streams: BTreeSet<StreamId>,
    state: Arc<State>,
    next: u64,
    last_hash: Option<[u8; 32]>,
}

impl<C: Chain> Follower<C> {
    /// Follows `chain` from its first block. A block counts once `confirmations` blocks, itself included, are there.
    pub fn new(chain: C, addresses: Addresses, params: Params, confirmations: u64) -> Self {
        assert!(confirmations > 0, "a block is its own first confirmation");
        let contracts = addresses.contracts();
        let state = Arc::new(State::new(chain.chain_id(), contracts, params));
        Self { chain, addresses, confirmations, streams: BTreeSet::new(), state, next: 0, last_hash: None }
    }

    /// From where this one stands, the same chain through another provider.
    pub fn through<D: Chain>(&self, provider: D) -> Follower<D> {
        let Self { addresses, confirmations, next, last_hash, .. } = *self;
        let (streams, state) = (self.streams.clone(), Arc::clone(&self.state));
        Follower { chain: provider, addresses, confirmations, streams, state, next, last_hash }
    }

    /// The view as far as it has been followed.
    pub fn view(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Takes in every block that is confirmed by now; `Some` with the new view if there was one.
    ///
    /// # Errors
    ///
    /// [`FollowError`] names the block. After [`FollowError::Reorganised`] the follower stays where it is.
    pub fn advance(&mut self) -> Result<Option<Arc<State>>, FollowError> {
        let confirmed = self.chain.height().checked_sub(self.confirmations - 1);
        let Some(confirmed) = confirmed.filter(|height| *height >= self.next) else { return Ok(None) };
        while self.next <= confirmed {
            let number = self.next;
            let block =
                self.chain.block_logs(number).map_err(|source| FollowError::Read { number, source })?;
            let Some(block) = block else { break };
            if self.last_hash.is_some_and(|last| last != block.parent_hash.0) {
                return Err(FollowError::Reorganised { number });
            }
            let reference = BlockRef { number, timestamp_s: block.timestamp_s };
            let state = Arc::make_mut(&mut self.state);
            begin_block(state, number, block.timestamp_s);
            for fact in decode_block(&self.addresses, &mut self.streams, &block.logs) {
                evolve(state, reference, &fact);
            }
            self.last_hash = Some(block.hash.0);
            self.next += 1;
        }
        Ok(Some(self.view()))
    }
}
