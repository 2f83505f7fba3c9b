//! Signatures that cost nothing to make and cannot be made for somebody else by accident.
//!
//! Batches use the kernel's keyed hash. Reports are 65 bytes, because that is what a certificate carries: the signer,
//! the keyed hash over what it signs, and zeros. So the chain can recover who signed, as `ecrecover` does.

use weir_kernel::batch::{Batch, LaneError, LaneWriter, Session, UnsignedBatch};
use weir_kernel::ids::{Address, Hash};
use weir_kernel::signature::{KEYED_HASH, SECP256K1, keyed_hash};
use weir_kernel::verify::Verifier;
use weir_kernel::wire::Domain;

/// The chain's id and the coordinator that reports are made out to.
pub const DOMAIN: Domain = Domain { chain_id: 31337, coordinator: Address([0xC0; 20]) };

/// Accepts keyed hashes in batches, and in reports under the type of secp256k1.
#[derive(Clone, Copy, Debug, Default)]
pub struct FuzzVerifier;

impl Verifier for FuzzVerifier {
    fn verify(&self, signature_type: u8, signer: &Address, signing_hash: &Hash, signature: &[u8]) -> bool {
        match signature_type {
            KEYED_HASH => keyed_hash(signer, signing_hash).as_bytes() == signature,
            SECP256K1 => report_signature(signer, signing_hash) == signature,
            _ => false,
        }
    }
}

/// A broker's signature under a report.
pub fn report_signature(signer: &Address, signing_hash: &Hash) -> [u8; 65] {
    let mut signature = [0; 65];
    signature[..20].copy_from_slice(&signer.0);
    signature[20..52].copy_from_slice(keyed_hash(signer, signing_hash).as_bytes());
    signature
}

/// Who made a signature under a report; `None` if nobody did.
pub fn recover_report(signing_hash: &Hash, signature: &[u8; 65]) -> Option<Address> {
    let signer = Address(*signature.first_chunk()?);
    (report_signature(&signer, signing_hash) == *signature).then_some(signer)
}

/// Has a session key sign in a lane, which its origin certifies with a keyed hash.
pub fn in_session(lane: LaneWriter, key: Address, expiry_block: u64) -> Result<LaneWriter, LaneError> {
    let (stream, origin) = (lane.slot().stream, lane.origin());
    let session = Session { stream, origin, key, expiry_block, signature_type: KEYED_HASH };
    let signature = keyed_hash(&origin, &session.signing_hash(DOMAIN.chain_id));
    lane.in_session(&session, session.certified(signature))
}

/// Signs a batch as its signer, with a keyed hash.
pub fn sign_batch(unsigned: UnsignedBatch) -> Batch {
    let signature = keyed_hash(&unsigned.header.signer, &unsigned.signing_hash(DOMAIN.chain_id));
    unsigned.sign(signature).expect("the lane was opened for keyed hashes")
}
