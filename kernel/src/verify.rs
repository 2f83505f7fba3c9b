//! Verification as a type (WP 2.4.9): what has passed it is [`Verified`], and nothing else can be.
//!
//! ```text
//!   bytes ──decode──► Batch ──signatures──► Verified<Batch>
//!                       │                     │
//!                  BatchError           signed_header() ──► Verified<SignedHeader>
//! ```
//!
//! Whether the origin may publish is no question of the bytes: the chain answers it, at the opening block.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use crate::batch::{Batch, BatchError, Event, EventError, Header, SignedHeader, event_leaf};
use crate::ids::{Address, Hash};
use crate::merkle::MerkleProof;
use crate::typed_data::{domain_separator, signing_hash};

/// Checks signatures of the types that it knows.
pub trait Verifier {
    /// Whether `signature` is by `signer` over `signing_hash`. `false` for a type that it does not know.
    fn verify(&self, signature_type: u8, signer: &Address, signing_hash: &Hash, signature: &[u8]) -> bool;

    /// The same for a session certificate, which comes with every batch of its session: a verifier may remember it.
    fn verify_certificate(
        &self,
        signature_type: u8,
        wallet: &Address,
        signing_hash: &Hash,
        signature: &[u8],
    ) -> bool {
        self.verify(signature_type, wallet, signing_hash, signature)
    }

    /// A batch of these bytes that passed here before, on the same chain. Only a simulation remembers: there, many
    /// brokers get the same batch.
    fn recall(&self, bytes: &[u8]) -> Option<Verified<Batch>> {
        let _ = bytes;
        None
    }

    /// A batch has passed.
    fn passed(&self, batch: &Verified<Batch>) {
        let _ = batch;
    }
}

/// Something whose format and signature were checked. Only this module makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The thing itself; it can no longer show that it was verified.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Verified<Batch> {
    /// Header and signature alone: checked with the batch.
    pub fn signed_header(&self) -> Verified<SignedHeader> {
        Verified(self.0.signed_header())
    }
}

/// Why bytes are not a valid, signed batch or header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidBatch {
    /// The format is broken.
    Malformed(BatchError),
    /// The signature is not the signer's over this header, or of a type that this verifier does not accept.
    Signature {
        /// The type of the signature.
        signature_type: u8,
        /// Who should have signed.
        signer: Address,
    },
    /// The session certificate is not signed by the origin.
    Certificate {
        /// The type of the signature.
        signature_type: u8,
        /// The wallet that should have signed.
        origin: Address,
    },
}

impl fmt::Display for InvalidBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "{error}"),
            Self::Signature { signature_type, signer } => write!(
                f,
                "signature of type {signature_type} is not by {signer}, or not for this chain, or not accepted here"
            ),
            Self::Certificate { signature_type, origin } => write!(
                f,
                "session certificate's signature of type {signature_type} is not by {origin}, or not for this stream, \
                 key, expiry and chain, or not accepted here"
            ),
        }
    }
}

impl core::error::Error for InvalidBatch {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::Signature { .. } | Self::Certificate { .. } => None,
        }
    }
}

impl From<BatchError> for InvalidBatch {
    fn from(error: BatchError) -> Self {
        Self::Malformed(error)
    }
}

/// Decodes a batch and checks its signature for the chain with that id.
pub fn verify(
    bytes: Arc<[u8]>,
    chain_id: u64,
    verifier: &(impl Verifier + ?Sized),
) -> Result<Verified<Batch>, InvalidBatch> {
    verify_batch(Batch::decode(bytes)?, chain_id, verifier)
}

/// Checks the signatures of a batch that obeys all other rules.
pub fn verify_batch(
    batch: Batch,
    chain_id: u64,
    verifier: &(impl Verifier + ?Sized),
) -> Result<Verified<Batch>, InvalidBatch> {
    check_signatures(&batch.signed_header(), &batch.digest(), chain_id, verifier)?;
    Ok(Verified(batch))
}

/// The same as [`verify`] of bytes that somebody else holds; a batch that the verifier recalls is not checked again.
pub fn verify_bytes(
    bytes: &[u8],
    chain_id: u64,
    verifier: &(impl Verifier + ?Sized),
) -> Result<Verified<Batch>, InvalidBatch> {
    if let Some(known) = verifier.recall(bytes).filter(|known| known.bytes()[..] == *bytes) {
        return Ok(known);
    }
    let batch = verify(bytes.into(), chain_id, verifier)?;
    verifier.passed(&batch);
    Ok(batch)
}

/// Checks a header alone: what its fields can show, and its signature for the chain with that id.
pub fn verify_header(
    signed: SignedHeader,
    chain_id: u64,
    verifier: &(impl Verifier + ?Sized),
) -> Result<Verified<SignedHeader>, InvalidBatch> {
    signed.check()?;
    check_signatures(&signed, &signed.header.digest(), chain_id, verifier)?;
    Ok(Verified(signed))
}

/// The wallet's signature under the certificate, if there is one, then the signer's under the header.
fn check_signatures(
    signed: &SignedHeader,
    digest: &Hash,
    chain_id: u64,
    verifier: &(impl Verifier + ?Sized),
) -> Result<(), InvalidBatch> {
    let SignedHeader { header, signature, certificate } = signed;
    // Under one domain: the stream's.
    let domain = domain_separator(chain_id, &Address(header.stream.0));
    if let Some(certificate) = certificate {
        let (signature_type, origin) = (certificate.signature.signature_type(), header.origin);
        // The header's field is the digest of the certificate: the format says so.
        let hash = signing_hash(&domain, &header.certificate);
        if !verifier.verify_certificate(signature_type, &origin, &hash, certificate.signature.as_bytes()) {
            return Err(InvalidBatch::Certificate { signature_type, origin });
        }
    }
    let of_the_type_named = signature.signature_type() == header.signature_type;
    let hash = signing_hash(&domain, digest);
    let accepted = of_the_type_named
        && verifier.verify(header.signature_type, &header.signer, &hash, signature.as_bytes());
    if accepted {
        Ok(())
    } else {
        Err(InvalidBatch::Signature { signature_type: header.signature_type, signer: header.signer })
    }
}

/// Why an event is not shown to be one of a header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventProofError {
    /// The event's own bytes are broken.
    Event(EventError),
    /// The path is for a tree of another size.
    Count {
        /// Leaves that the path says.
        proof: u32,
        /// Events that the header says.
        header: u32,
    },
    /// The path does not lead to the header's root.
    Root,
    /// The event's time is outside the header's range.
    Time {
        /// The event's time, in milliseconds since 1970 UTC.
        timestamp_ms: u64,
    },
}

impl fmt::Display for EventProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(error) => write!(f, "{error}"),
            Self::Count { proof, header } => {
                write!(f, "proof is for a batch of {proof} events, the header has {header}")
            }
            Self::Root => f.write_str("proof does not lead from this event to the header's root"),
            Self::Time { timestamp_ms } => {
                write!(f, "event time {timestamp_ms} ms is outside the header's range")
            }
        }
    }
}

impl core::error::Error for EventProofError {}

/// Checks that `event`, as encoded in its batch, is the one at the proof's index under `header`, whose signature
/// the caller has checked. Any single event proves its origin so (WP 2.4.9).
pub fn verify_event<'a>(
    header: &Header,
    event: &'a [u8],
    proof: &MerkleProof,
) -> Result<Event<'a>, EventProofError> {
    if proof.count != header.count {
        return Err(EventProofError::Count { proof: proof.count, header: header.count });
    }
    let sequence = header.sequence.saturating_add(u64::from(proof.index));
    let decoded = Event::decode(sequence, event).map_err(EventProofError::Event)?;
    if !proof.verify(event_leaf(sequence, event), &header.root) {
        return Err(EventProofError::Root);
    }
    // A signer can put any root in a header; only whole batches are checked against their times.
    if !(header.first_time_ms..=header.last_time_ms).contains(&decoded.timestamp_ms) {
        return Err(EventProofError::Time { timestamp_ms: decoded.timestamp_ms });
    }
    Ok(decoded)
}
