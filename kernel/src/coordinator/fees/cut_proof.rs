//! That a lane's head is in a sealed cut (WP 2.4.6, 2.4.7).
//!
//! The chain keeps one rolling checksum a partition, which commits to every cut so far ([`Cut`]):
//!
//! ```text
//!   head leaf ──path──► root ──┐
//!            previous, epoch ──┴─► checksum ──later (epoch, root)──► ... ──► the one that the chain has
//! ```
//!
//! A cut names only heads that moved, so a lane that has been quiet is in an older cut; the seals after it are
//! given as (epoch, root), and the checksum is rolled on through them. Which partition is the lane's home is not
//! asked: a quorum of a partition's members is trusted not to seal a lane that is not theirs, and no lane is
//! settled without its publisher's signature.
//!
//! [`Cut`]: crate::agreement::cut::Cut

use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::Refusal;
use crate::agreement::cut::{LaneHead, rolled};
use crate::coordinator::{Refusal as AnyRefusal, State as AnyState};
use crate::ids::{Epoch, Hash, PartitionId};
use crate::merkle::MerkleProof;

/// The most seals that may lie between a cut and the checksum on chain.
pub const MAXIMUM_LATER_SEALS: usize = 256;

/// The way from a head to the checksum that the chain has.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CutProof {
    /// The partition that sealed it.
    pub partition: PartitionId,
    /// The epoch of the cut.
    pub epoch: Epoch,
    /// The checksum before the cut.
    pub previous: Hash,
    /// From the head's leaf to the cut's root.
    pub path: MerkleProof,
    /// The seals since, oldest first: epoch and root.
    pub later: Vec<(Epoch, Hash)>,
}

/// The head is in a sealed cut.
pub(super) fn check(state: &AnyState, head: &LaneHead, proof: &CutProof) -> Result<(), AnyRefusal> {
    let (given, maximum) = (proof.later.len(), MAXIMUM_LATER_SEALS);
    if given > maximum {
        return Err(Refusal::TooManySeals { given, maximum }.into());
    }
    let MerkleProof { index, count, ref path } = proof.path;
    let malformed = Refusal::InvalidCutProof { index, count, path_length: path.len() };
    let root = proof.path.root(head.leaf()).ok_or(malformed)?;
    let given = proof
        .later
        .iter()
        .fold(rolled(&proof.previous, proof.partition, proof.epoch, &root), |checksum, (epoch, root)| {
            rolled(&checksum, proof.partition, *epoch, root)
        });
    let stored = state.known_partition(proof.partition)?.checksum;
    if given != stored {
        return Err(Refusal::CutNotSealed { partition: proof.partition, given, stored }.into());
    }
    Ok(())
}
