//! A batch in memory: its bytes, and where its events are.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::error::BatchError;
use super::event::{Event, event_leaf};
use super::header::{self, Header};
use super::session::Certificate;
use super::signed_header::SignedHeader;
use crate::codec::{CodecError, Reader};
use crate::ids::{Hash, LaneId};
use crate::limits::{MAX_BATCH_BYTES, MIN_EVENT_BYTES};
use crate::merkle::{self, MerkleProof};
use crate::signature::Signature;

/// A batch that obeys every rule of [`crate::batch`]. Its signature is checked by [`crate::verify`]. A clone shares
/// the bytes.
#[derive(Clone)]
pub struct Batch(Arc<Inner>);

struct Inner {
    bytes: Arc<[u8]>,
    signed: SignedHeader,
    lane: LaneId,
    digest: Hash,
    content_bytes: u64,
    /// Where each event starts in `bytes`, and the end of the last one.
    bounds: Box<[u32]>,
}

/// What one pass over the events finds.
struct Scan {
    bounds: Vec<u32>,
    leaves: Vec<Hash>,
    content_bytes: u64,
    first_time_ms: u64,
    last_time_ms: u64,
}

impl Batch {
    /// Reads a batch that is all of `bytes`, and checks every rule but the signature.
    pub fn decode(bytes: Arc<[u8]>) -> Result<Self, BatchError> {
        if bytes.len() > MAX_BATCH_BYTES {
            return Err(BatchError::TooLarge { bytes: bytes.len() });
        }
        let mut reader = Reader::new(&bytes);
        let signed = SignedHeader::read(&mut reader)?;
        let scan = scan(&signed.header, reader)?;
        check_against_events(&signed.header, &scan)?;
        let names = (signed.header.lane(), signed.header.digest());
        Ok(Self::from_checked(bytes, signed, names, scan.content_bytes, scan.bounds))
    }

    /// Puts together a batch whose rules hold already, and of which the header's lane and digest are known.
    pub(super) fn from_checked(
        bytes: Arc<[u8]>,
        signed: SignedHeader,
        (lane, digest): (LaneId, Hash),
        content_bytes: u64,
        bounds: Vec<u32>,
    ) -> Self {
        assert_eq!(
            bounds.len(),
            signed.header.count as usize + 1,
            "every event has a start, the last an end"
        );
        let bounds = bounds.into_boxed_slice();
        Self(Arc::new(Inner { bytes, signed, lane, digest, content_bytes, bounds }))
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.0.signed.header
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.0.signed.signature
    }

    /// Header and signature without the events.
    pub fn signed_header(&self) -> SignedHeader {
        self.0.signed
    }

    /// The session certificate; `None` where the origin signed itself.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.0.signed.certificate.as_ref()
    }

    /// The lane's id, computed when the batch was decoded.
    pub fn lane(&self) -> LaneId {
        self.0.lane
    }

    /// The header's digest, computed when the batch was decoded.
    pub fn digest(&self) -> Hash {
        self.0.digest
    }

    /// What the signer signed on the chain with that id.
    pub fn signing_hash(&self, chain_id: u64) -> Hash {
        header::signing_hash(&self.header().stream, chain_id, &self.0.digest)
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.0.bytes
    }

    /// Number of events: at least 1.
    #[allow(clippy::len_without_is_empty, reason = "no batch is empty")]
    pub fn len(&self) -> u32 {
        self.header().count
    }

    /// Content bytes of all events.
    pub fn content_bytes(&self) -> u64 {
        self.0.content_bytes
    }

    /// The event at `index`, from 0; `None` past the end.
    pub fn event(&self, index: u32) -> Option<Event<'_>> {
        let sequence = self.header().sequence + u64::from(index);
        let bytes = self.event_bytes(index)?;
        Some(Event::decode(sequence, bytes).expect("every event was decoded when the batch was"))
    }

    /// The events in order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event<'_>> {
        (0..self.len()).map(|index| self.event(index).expect("the index is below the count"))
    }

    /// Encoding of the event at `index`: what its proof is about.
    pub fn event_bytes(&self, index: u32) -> Option<&[u8]> {
        let start = *self.0.bounds.get(index as usize)?;
        let end = *self.0.bounds.get(index as usize + 1)?;
        Some(&self.0.bytes[start as usize..end as usize])
    }

    /// Time of the event at `index`, in milliseconds since 1970 UTC, without reading the rest of it.
    pub fn timestamp_ms(&self, index: u32) -> Option<u64> {
        let time = self.event_bytes(index)?.first_chunk::<8>().expect("an event starts with its time");
        Some(u64::from_be_bytes(*time))
    }

    /// Proof that the event at `index` is one of this header's. Hashes the whole batch.
    pub fn proof(&self, index: u32) -> Option<MerkleProof> {
        let leaves: Vec<Hash> = (0..self.len())
            .map(|leaf| {
                let bytes = self.event_bytes(leaf).expect("the index is below the count");
                event_leaf(self.header().sequence + u64::from(leaf), bytes)
            })
            .collect();
        merkle::proof(&leaves, index)
    }
}

/// Reads all events; allocates in proportion to the bytes that are there.
fn scan(header: &Header, mut reader: Reader<'_>) -> Result<Scan, BatchError> {
    let count = header.count as usize;
    let (offset, left) = (reader.offset(), reader.left());
    let wanted = count * MIN_EVENT_BYTES;
    if wanted > left {
        return Err(CodecError::Truncated { offset, wanted, left }.into());
    }
    let mut scan = Scan {
        bounds: Vec::with_capacity(count + 1),
        leaves: Vec::with_capacity(count),
        content_bytes: 0,
        first_time_ms: 0,
        last_time_ms: 0,
    };
    scan.bounds.push(offset_u32(offset));
    for index in 0..header.count {
        let sequence = header.sequence + u64::from(index);
        let mut probe = reader.clone();
        let event = Event::read(sequence, &mut probe).map_err(|error| match error {
            super::event::EventError::Layout(error) => BatchError::Layout(error),
            error => BatchError::Event { index, error },
        })?;
        let encoded = reader.take(probe.offset() - reader.offset())?;
        if index == 0 {
            scan.first_time_ms = event.timestamp_ms;
        } else if event.timestamp_ms < scan.last_time_ms {
            let (timestamp_ms, previous_ms) = (event.timestamp_ms, scan.last_time_ms);
            return Err(BatchError::TimeBack { index, timestamp_ms, previous_ms });
        }
        scan.last_time_ms = event.timestamp_ms;
        scan.content_bytes += event.content.len() as u64;
        scan.leaves.push(event_leaf(sequence, encoded));
        scan.bounds.push(offset_u32(reader.offset()));
    }
    reader.finish()?;
    Ok(scan)
}

fn offset_u32(offset: usize) -> u32 {
    u32::try_from(offset).expect("a batch is shorter than 4 GiB")
}

/// The rules that tie the header to its events.
fn check_against_events(header: &Header, scan: &Scan) -> Result<(), BatchError> {
    let header_ms = (header.first_time_ms, header.last_time_ms);
    let events_ms = (scan.first_time_ms, scan.last_time_ms);
    if header_ms != events_ms {
        return Err(BatchError::TimeMismatch { header_ms, events_ms });
    }
    let (volume, content, sequence) = (header.volume, scan.content_bytes, header.sequence);
    if volume < content || (sequence == 0 && volume != content) {
        return Err(BatchError::Volume { volume, content, sequence });
    }
    let root = merkle::root(&scan.leaves);
    if root != header.root {
        return Err(BatchError::Root { header: header.root, events: root });
    }
    Ok(())
}

/// Batches are equal when their bytes are.
impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.bytes == other.0.bytes
    }
}

impl Eq for Batch {}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("lane", &self.0.lane)
            .field("sequence", &self.header().sequence)
            .field("count", &self.header().count)
            .field("digest", &self.0.digest)
            .field("bytes", &self.0.bytes.len())
            .finish_non_exhaustive()
    }
}
