//! Deliveries: that a lane of a product's stream moved, shown by its head in the cut that was sealed last.
//!
//! Only the last cut of a partition counts, and it counts in one window, so that heads cannot be saved up for
//! windows in which nothing is published. Each event counts once. Of a lane that was opened before the product was
//! offered, what lies before its first proof does not count.

use super::{CutUse, Fact, Refusal, known};
use crate::agreement::cut::{LaneHead, rolled};
use crate::batch::LaneParts;
use crate::coordinator::{Refusal as AnyRefusal, State};
use crate::ids::{Address, Hash, LaneId, PartitionId};
use crate::merkle::MerkleProof;

/// A head in a sealed cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The partition that sealed it.
    pub partition: PartitionId,
    /// The checksum that the sealed one rolled on from.
    pub previous: Hash,
    /// The lane.
    pub lane: LaneParts,
    /// How many events it has.
    pub next_sequence: u64,
    /// How many content bytes.
    pub volume: u64,
    /// The digest of its last header.
    pub digest: Hash,
    /// From the head's leaf to the cut's root.
    pub path: MerkleProof,
}

/// `prove`.
pub(super) fn prove(state: &State, address: Address, delivery: &Delivery) -> Result<Fact, AnyRefusal> {
    let license = known(state, address)?;
    let Delivery { partition, next_sequence, .. } = *delivery;
    let stream = delivery.lane.stream;
    if !license.product.streams.contains(&stream) {
        return Err(Refusal::StreamNotInProduct { stream }.into());
    }
    let lane = delivery.lane.lane();
    let epoch = check_cut(state, lane, delivery)?;
    let window = state.timestamp_s / license.product.window_seconds;
    let used = license.cuts.get(&partition).copied().unwrap_or_default();
    if used.epoch == epoch && used.window != window {
        let CutUse { epoch, window } = used;
        return Err(Refusal::CutUsed { partition, epoch, window }.into());
    }
    let proved = license.proved.get(&lane).copied().unwrap_or(0);
    if next_sequence <= proved {
        return Err(Refusal::LaneNotAdvanced { lane, next_sequence, proved }.into());
    }
    let counts = proved != 0 || delivery.lane.opening_block >= license.offered_block;
    let events = if counts { next_sequence - proved } else { 0 };
    let license = address;
    Ok(Fact::DeliveryProved { license, stream, lane, partition, epoch, window, next_sequence, events })
}

/// The head is in the partition's last sealed cut; returns that cut's epoch.
fn check_cut(state: &State, lane: LaneId, delivery: &Delivery) -> Result<u64, AnyRefusal> {
    let Delivery { partition, next_sequence, volume, digest, ref path, .. } = *delivery;
    let MerkleProof { index, count, path: ref hashes } = *path;
    let malformed = Refusal::PathMalformed { index, count, length: hashes.len() };
    let head = LaneHead { lane, next_sequence, volume, digest };
    let root = path.root(head.leaf()).ok_or(malformed)?;
    let present = state.known_partition(partition)?;
    let (epoch, stored) = (present.sealed_epoch, present.checksum);
    let given = rolled(&delivery.previous, partition, epoch, &root);
    if given != stored {
        return Err(Refusal::ChecksumMismatch { partition, epoch, given, stored }.into());
    }
    Ok(epoch)
}
