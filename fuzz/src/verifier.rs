//! Signatures that cost nothing to make and cannot be made for somebody else by accident: the kernel's keyed hashes,
//! for batches and for reports ([`keyed_report`](weir_kernel::signature::keyed_report)).

use weir_kernel::batch::{Batch, LaneError, LaneWriter, Session, UnsignedBatch};
use weir_kernel::ids::Address;
use weir_kernel::signature::{KEYED_HASH, keyed_hash};
use weir_kernel::wire::Domain;

/// The chain's id and the coordinator that reports are made out to.
pub const DOMAIN: Domain = Domain { chain_id: 31337, coordinator: Address([0xC0; 20]) };

/// Has a session key sign in a lane, which its origin certifies with a keyed hash.
pub fn in_session(lane: LaneWriter, key: Address, expiry_block: u64) -> Result<LaneWriter, LaneError> {
    let (stream, origin) = (lane.slot().stream, lane.origin());
    let session = Session { stream, origin, key, expiry_block, signature_type: KEYED_HASH };
    let signature = keyed_hash(&origin, &session.signing_hash(DOMAIN.chain_id));
    lane.in_session(&session, session.certified(signature))
}

/// Signs a batch as its signer, with a keyed hash.
pub fn sign_batch(unsigned: UnsignedBatch) -> Batch {
    let signature = keyed_hash(&unsigned.header().signer, &unsigned.signing_hash(DOMAIN.chain_id));
    unsigned.sign(signature).expect("the lane was opened for keyed hashes")
}
