//! The header of a batch: fixed bytes, and the names derived from them.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::error::BatchError;
use super::lane::LaneParts;
use crate::codec::{ArrayWriter, Reader};
use crate::ids::{Address, Hash, LaneId, StreamId, StreamPartition};
use crate::limits::{HEADER_BYTES, MAX_BATCH_EVENTS};
use crate::signature::signature_length;
use crate::typed_data::{self, WordHasher};

/// The version of the format that this program reads and writes.
pub const VERSION: u8 = 1;

/// Origin type of an Ethereum address.
pub const ORIGIN_ADDRESS: u8 = 0;

/// The EIP-712 type that a publisher signs, encoded as the EIP says.
pub const BATCH_TYPE: &str = "Batch(uint8 version,address stream,uint32 streamPartition,uint8 originType,\
    address origin,uint64 openingBlock,bytes16 nonce,uint64 sequence,uint32 count,uint64 volume,uint64 firstTime,\
    uint64 lastTime,bytes32 previous,bytes32 root,address signer,bytes32 certificate,uint8 signatureType)";

/// Keccak-256 of [`BATCH_TYPE`].
const BATCH_TYPE_HASH: [u8; 32] =
    typed_data::hex("245e1fba7d0ac712248d0291253b723b91bfc4f687b0427713f95c8a873d3adb");

/// What a publisher signs for a run of events. The meaning of each field is in [`crate::batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Format version: [`VERSION`].
    pub version: u8,
    /// The stream.
    pub stream: StreamId,
    /// Which of the stream's own partitions.
    pub stream_partition: u32,
    /// Kind of origin: [`ORIGIN_ADDRESS`].
    pub origin_type: u8,
    /// The publisher.
    pub origin: Address,
    /// Height of the chain block at which the publisher's permission is judged.
    pub opening_block: u64,
    /// Tells the lanes of one publisher apart.
    pub nonce: [u8; 16],
    /// Sequence of the first event.
    pub sequence: u64,
    /// Number of events.
    pub count: u32,
    /// Content bytes in the lane so far, this batch included.
    pub volume: u64,
    /// Time of the first event, in milliseconds since 1970 UTC.
    pub first_time_ms: u64,
    /// Time of the last event.
    pub last_time_ms: u64,
    /// Digest of the lane's preceding header, or of the head that a new lane continues, or zero.
    pub previous: Hash,
    /// Merkle root over the events.
    pub root: Hash,
    /// Who signs: the origin, or a session key.
    pub signer: Address,
    /// Digest of the [`Session`](super::Session) that the signer acts under; zero where the origin signs.
    pub certificate: Hash,
    /// How it is signed: see [`crate::signature`].
    pub signature_type: u8,
}

impl Header {
    /// The lane's id.
    pub fn lane(&self) -> LaneId {
        let Self { stream, stream_partition, origin_type, origin, opening_block, nonce, .. } = *self;
        LaneParts { stream, stream_partition, origin_type, origin, opening_block, nonce }.lane()
    }

    /// The EIP-712 struct hash: names this header, whatever its signature.
    pub fn digest(&self) -> Hash {
        WordHasher::new()
            .word(&BATCH_TYPE_HASH)
            .uint(self.version)
            .address(&self.stream.0)
            .uint(self.stream_partition)
            .uint(self.origin_type)
            .address(&self.origin.0)
            .uint(self.opening_block)
            .fixed_bytes(&self.nonce)
            .uint(self.sequence)
            .uint(self.count)
            .uint(self.volume)
            .uint(self.first_time_ms)
            .uint(self.last_time_ms)
            .word(&self.previous.0)
            .word(&self.root.0)
            .address(&self.signer.0)
            .word(&self.certificate.0)
            .uint(self.signature_type)
            .finish()
    }

    /// What the signer signs on the chain with that id.
    pub fn signing_hash(&self, chain_id: u64) -> Hash {
        signing_hash(&self.stream, chain_id, &self.digest())
    }

    /// Where the lane lives.
    pub fn slot(&self) -> StreamPartition {
        StreamPartition { stream: self.stream, partition: self.stream_partition }
    }

    /// Sequence of the event after this batch. It fits in every header that [`Header::check`] accepts.
    pub fn next_sequence(&self) -> u64 {
        self.sequence.saturating_add(u64::from(self.count))
    }

    /// The canonical bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        ArrayWriter::new()
            .put(&[self.version])
            .put(&self.stream.0)
            .put(&self.stream_partition.to_be_bytes())
            .put(&[self.origin_type])
            .put(&self.origin.0)
            .put(&self.opening_block.to_be_bytes())
            .put(&self.nonce)
            .put(&self.sequence.to_be_bytes())
            .put(&self.count.to_be_bytes())
            .put(&self.volume.to_be_bytes())
            .put(&self.first_time_ms.to_be_bytes())
            .put(&self.last_time_ms.to_be_bytes())
            .put(&self.previous.0)
            .put(&self.root.0)
            .put(&self.signer.0)
            .put(&self.certificate.0)
            .put(&[self.signature_type])
            .finish()
    }

    /// Reads a header that is all of `bytes`, and checks what a header alone can show.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let mut reader = Reader::new(bytes);
        let header = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(header)
    }

    /// The header of a batch, nothing else of which is looked at; `None` if that is no header.
    pub fn of_batch(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes.get(..HEADER_BYTES)?).ok()
    }

    /// Reads the next header and checks it.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BatchError> {
        let header = Self {
            version: reader.u8()?,
            stream: StreamId(reader.array()?),
            stream_partition: reader.u32()?,
            origin_type: reader.u8()?,
            origin: Address(reader.array()?),
            opening_block: reader.u64()?,
            nonce: reader.array()?,
            sequence: reader.u64()?,
            count: reader.u32()?,
            volume: reader.u64()?,
            first_time_ms: reader.u64()?,
            last_time_ms: reader.u64()?,
            previous: Hash(reader.array()?),
            root: Hash(reader.array()?),
            signer: Address(reader.array()?),
            certificate: Hash(reader.array()?),
            signature_type: reader.u8()?,
        };
        header.check()?;
        Ok(header)
    }

    /// The rules of [`crate::batch`] that a header alone can break.
    pub fn check(&self) -> Result<(), BatchError> {
        if self.version != VERSION {
            return Err(BatchError::Version(self.version));
        }
        if self.origin_type != ORIGIN_ADDRESS {
            return Err(BatchError::OriginType(self.origin_type));
        }
        let (is_origin, uncertified) = (self.signer == self.origin, self.certificate.is_zero());
        if uncertified && !is_origin {
            return Err(BatchError::Signer { signer: self.signer, origin: self.origin });
        }
        if is_origin && !uncertified {
            return Err(BatchError::Certificate(self.certificate));
        }
        signature_length(self.signature_type)?;
        if self.count == 0 || self.count > MAX_BATCH_EVENTS {
            return Err(BatchError::Count(self.count));
        }
        if self.sequence.checked_add(u64::from(self.count)).is_none() {
            return Err(BatchError::SequenceOverflow { sequence: self.sequence, count: self.count });
        }
        if self.last_time_ms < self.first_time_ms {
            return Err(BatchError::TimeRange { first_ms: self.first_time_ms, last_ms: self.last_time_ms });
        }
        Ok(())
    }
}

/// The signing hash of a header whose digest is known.
pub(crate) fn signing_hash(stream: &StreamId, chain_id: u64, digest: &Hash) -> Hash {
    let domain = typed_data::domain_separator(chain_id, &Address(stream.0));
    typed_data::signing_hash(&domain, digest)
}

/// As its canonical bytes.
impl Encode for Header {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        Header::encode(self).encode(encoder)
    }
}

/// A header that breaks a rule does not decode.
impl<Context> Decode<Context> for Header {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let bytes = <[u8; HEADER_BYTES]>::decode(decoder)?;
        Header::decode(&bytes)
            .map_err(|_| DecodeError::Other("a batch header that breaks a rule of the format"))
    }
}

bincode::impl_borrow_decode!(Header);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::keccak256;

    #[test]
    fn the_hash_of_the_type_is_of_what_it_says() {
        assert_eq!(keccak256(&[BATCH_TYPE.as_bytes()]).0, BATCH_TYPE_HASH);
    }
}
