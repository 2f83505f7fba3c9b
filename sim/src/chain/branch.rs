//! A provider on a branch of its own: what it shows of the newest blocks nobody else ever sees, until it joins the
//! others again and its branch is gone.
//!
//! A branch's blocks have the numbers and times of the others' and other hashes, and nothing is in them: transactions
//! go to the others' chain. Who follows the branch has a follower of its own, as a node has in production.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use weir_chain::mirror::{CallError, CallRequest, HistoryError, Receipt, SubmitError};
use weir_chain::port::{BlockLogs, Chain, SharedMirror};
use weir_kernel::coordinator::State;
use weir_node::follower::{FollowError, Follower};

use super::ChainActor;

/// The chain as such a provider shows it.
struct Provider {
    mirror: SharedMirror,
    /// The last block that its branch has in common with the others'.
    after: u64,
    /// It joins the others with the block after this one.
    until: u64,
}

/// A broker's view of the chain through such a provider.
pub struct Branch {
    follower: Follower<Provider>,
    until: u64,
}

impl ChainActor {
    /// A branch that parts from the chain now and is so many blocks long.
    pub fn branch(&self, blocks: u64) -> Branch {
        let after = self.mirror.height();
        let provider = Provider { mirror: self.mirror.clone(), after, until: after + blocks };
        Branch { follower: self.follower.through(provider), until: after + blocks }
    }

    /// Whether a branch's provider is back on the chain.
    pub fn has_outgrown(&self, branch: &Branch) -> bool {
        self.mirror.height() > branch.until
    }
}

impl Branch {
    /// The view as far as it has been followed.
    pub fn view(&self) -> Arc<State> {
        self.follower.view()
    }

    /// Takes in what is confirmed by now.
    ///
    /// # Errors
    ///
    /// [`FollowError::Reorganised`] once the provider is back and has shown more than the confirmations hide.
    pub fn advance(&mut self) -> Result<(), FollowError> {
        self.follower.advance().map(drop)
    }
}

impl Provider {
    fn is_own(&self, number: u64) -> bool {
        number > self.after && self.mirror.height() <= self.until
    }
}

/// The hash of a branch's block.
fn orphan(number: u64) -> B256 {
    keccak256([b"weir simulated branch".as_slice(), &number.to_be_bytes()].concat())
}

impl Chain for Provider {
    fn chain_id(&self) -> u64 {
        self.mirror.chain_id()
    }

    fn height(&self) -> u64 {
        self.mirror.height()
    }

    fn block_logs(&self, number: u64) -> Result<Option<BlockLogs>, HistoryError> {
        let block = self.mirror.block_logs(number)?;
        Ok(block.map(|block| match self.is_own(number) {
            false => block,
            true => BlockLogs {
                hash: orphan(number),
                parent_hash: if self.is_own(number - 1) { orphan(number - 1) } else { block.parent_hash },
                logs: Vec::new(),
                ..block
            },
        }))
    }

    fn submit(&self, raw: &[u8]) -> Result<B256, SubmitError> {
        self.mirror.submit(raw)
    }

    fn nonce(&self, address: Address) -> u64 {
        self.mirror.nonce(address)
    }

    fn call(&self, request: &CallRequest) -> Result<Bytes, CallError> {
        self.mirror.call(request)
    }

    fn estimate_gas(&self, request: &CallRequest) -> Result<u64, CallError> {
        self.mirror.estimate_gas(request)
    }

    fn receipt(&self, hash: B256) -> Result<Option<Receipt>, HistoryError> {
        self.mirror.receipt(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    /// A chain where blocks count once another is on top, and a branch of so many blocks.
    fn parted(blocks: u64) -> (ChainActor, Branch) {
        let scenario = Scenario { confirmations: 2, ..Scenario::calm(4) };
        let chain = ChainActor::new(1, &scenario, &[]);
        let branch = chain.branch(blocks);
        (chain, branch)
    }

    fn produce(chain: &mut ChainActor, times: u64) {
        (0..times).for_each(|second| drop(chain.produce(2_000_000_000 + second)));
    }

    #[test]
    fn a_branch_within_the_confirmations_is_not_noticed() {
        let (mut chain, mut branch) = parted(1);
        for _ in 0..4 {
            produce(&mut chain, 1);
            branch.advance().unwrap();
            assert_eq!(branch.view(), chain.view());
        }
        assert!(chain.has_outgrown(&branch));
    }

    #[test]
    fn a_longer_branch_is_noticed_when_the_provider_is_back() {
        let (mut chain, mut branch) = parted(3);
        for _ in 0..3 {
            produce(&mut chain, 1);
            branch.advance().unwrap();
            assert_eq!(branch.view().height, chain.view().height, "it goes on by itself");
        }
        produce(&mut chain, 1);
        let error = branch.advance().unwrap_err();
        assert!(matches!(error, FollowError::Reorganised { .. }), "{error}");
        assert!(branch.advance().is_err(), "and it stays so");
    }

    #[test]
    fn a_reorganisation_within_the_confirmations_changes_nothing_that_counts() {
        let (mut chain, _) = parted(1);
        produce(&mut chain, 3);
        let (before, height) = (chain.view(), chain.mirror.height());
        let tip = chain.mirror.block_logs(height).unwrap().unwrap().hash;
        chain.reorganise(1, 2_000_000_009);
        assert_eq!((chain.view(), chain.mirror.height()), (before, height));
        assert_ne!(chain.mirror.block_logs(height).unwrap().unwrap().hash, tip);
        produce(&mut chain, 2);
        assert_eq!(chain.view().height, height + 1);
    }
}
