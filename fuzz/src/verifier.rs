//! Signatures that cost nothing to make and cannot be made for somebody else by accident: the kernel's keyed hashes,
//! for batches and for reports ([`keyed_report`](weir_kernel::signature::keyed_report)).

use weir_kernel::batch::{Batch, UnsignedBatch};
use weir_kernel::ids::Address;
use weir_kernel::signature::keyed_hash;
use weir_kernel::wire::Domain;

/// The chain's id and the coordinator that reports are made out to.
pub const DOMAIN: Domain = Domain { chain_id: 31337, coordinator: Address([0xC0; 20]) };

/// Signs a batch as its origin, with a keyed hash.
pub fn sign_batch(unsigned: UnsignedBatch) -> Batch {
    let signature = keyed_hash(&unsigned.header.origin, &unsigned.signing_hash(DOMAIN.chain_id));
    unsigned.sign(signature).expect("the lane was opened for keyed hashes")
}
