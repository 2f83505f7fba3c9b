//! What a publisher uses: turns events into the next batch of its lane.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::body::Batch;
use super::event::{EventError, NewEvent, event_leaf};
use super::header::{self, Header, ORIGIN_ADDRESS, VERSION};
use super::lane::LaneParts;
use super::session::{Certificate, Session};
use super::signed_header::SignedHeader;
use crate::ids::{Address, Hash, LaneId, StreamPartition};
use crate::limits::{HEADER_BYTES, MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use crate::merkle;
use crate::signature::{Signature, SignatureError, signature_length};

/// The writing end of one lane: keeps sequence, volume, time and the previous digest.
#[derive(Clone, Debug)]
pub struct LaneWriter {
    slot: StreamPartition,
    origin: Address,
    opening_block: u64,
    nonce: [u8; 16],
    signature_type: u8,
    /// The session key's account, what it acts under, and the digest of that.
    session: Option<(Address, Certificate, Hash)>,
    next_sequence: u64,
    volume: u64,
    last_time_ms: u64,
    head: Hash,
    /// The lane's id, which is hashed once.
    lane: LaneId,
}

/// Why events are not the next batch. The lane is as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneError {
    /// No events.
    Empty,
    /// More events than a batch takes.
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// More bytes than a batch takes.
    TooLarge {
        /// Bytes that the batch would have.
        bytes: usize,
    },
    /// An event breaks a bound.
    Event {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        error: EventError,
    },
    /// An event is older than the one before it in the lane.
    TimeBack {
        /// Which, from 0.
        index: usize,
        /// Its time, in milliseconds since 1970 UTC.
        timestamp_ms: u64,
        /// Time of the one before, perhaps in the preceding batch.
        previous_ms: u64,
    },
    /// Sequence or volume would not fit 64 bits.
    Exhausted,
    /// The lane's signature type is unknown.
    Signature(SignatureError),
    /// The session is of another stream or wallet than the lane, is the wallet itself, or is over when the lane opens.
    Session {
        /// What the wallet signed.
        session: Session,
        /// Height of the lane's opening block.
        opening_block: u64,
    },
    /// A signature is of another type than the lane's.
    SignatureType {
        /// The lane's type.
        wanted: u8,
        /// The signature's type.
        found: u8,
    },
}

impl fmt::Display for LaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a batch has at least one event"),
            Self::TooMany { count } => {
                write!(f, "{count} events; a batch takes {MAX_BATCH_EVENTS}: publish them in several")
            }
            Self::TooLarge { bytes } => {
                write!(
                    f,
                    "batch of {bytes} bytes; at most {MAX_BATCH_BYTES} are allowed: publish it in several"
                )
            }
            Self::Event { index, error } => write!(f, "event {index}: {error}"),
            Self::TimeBack { index, timestamp_ms, previous_ms } => write!(
                f,
                "event {index} at {timestamp_ms} ms is older than the lane's last event at {previous_ms} ms: \
                 send events in order of time, or open a second lane for older ones"
            ),
            Self::Exhausted => f.write_str("sequence or volume would exceed 64 bits: open a new lane"),
            Self::Signature(error) => write!(f, "{error}"),
            Self::Session { session, opening_block } => write!(
                f,
                "the session of {} in stream {} up to block {} is not for this lane, which opens at block \
                 {opening_block}: have the lane's wallet sign a certificate for a key of its own",
                session.origin, session.stream, session.expiry_block
            ),
            Self::SignatureType { wanted, found } => {
                write!(f, "signature of type {found} in a lane that is signed with type {wanted}")
            }
        }
    }
}

impl core::error::Error for LaneError {}

impl LaneWriter {
    /// Opens a lane.
    ///
    /// `nonce` is random: two lanes of one publisher with equal parts are a fork. `previous` is the head of the
    /// lane that this one continues and closes, or zero.
    pub fn new(
        slot: StreamPartition,
        origin: Address,
        opening_block: u64,
        nonce: [u8; 16],
        previous: Hash,
        signature_type: u8,
    ) -> Self {
        let parts = LaneParts {
            stream: slot.stream,
            stream_partition: slot.partition,
            origin_type: ORIGIN_ADDRESS,
            origin,
            opening_block,
            nonce,
        };
        Self {
            lane: parts.lane(),
            slot,
            origin,
            opening_block,
            nonce,
            signature_type,
            session: None,
            next_sequence: 0,
            volume: 0,
            last_time_ms: 0,
            head: previous,
        }
    }

    /// Has a session key sign from the next batch on. The lane's signature type is then the key's.
    ///
    /// # Errors
    ///
    /// [`LaneError::Session`]: the session is of another stream or wallet than the lane, or over when it opens.
    pub fn in_session(mut self, session: &Session, certificate: Certificate) -> Result<Self, LaneError> {
        let its = session.stream == self.slot.stream && session.origin == self.origin;
        if !its || session.key == self.origin || self.opening_block >= session.expiry_block {
            return Err(LaneError::Session { session: *session, opening_block: self.opening_block });
        }
        assert_eq!(session.expiry_block, certificate.expiry_block, "the certificate is the session's");
        self.session = Some((session.key, certificate, session.digest()));
        Ok(self)
    }

    /// Goes on after the lane's last header. It must be the last: a second batch with a sequence that was signed
    /// before is a fork.
    pub fn resume(last: &SignedHeader) -> Self {
        let SignedHeader { header: last, certificate, .. } = last;
        Self {
            lane: last.lane(),
            session: certificate.map(|certificate| (last.signer, certificate, last.certificate)),
            slot: last.slot(),
            origin: last.origin,
            opening_block: last.opening_block,
            nonce: last.nonce,
            signature_type: last.signature_type,
            next_sequence: last.next_sequence(),
            volume: last.volume,
            last_time_ms: last.last_time_ms,
            head: last.digest(),
        }
    }

    /// The lane's id.
    pub fn lane(&self) -> LaneId {
        self.lane
    }

    /// Where the lane lives.
    pub fn slot(&self) -> StreamPartition {
        self.slot
    }

    /// Whose lane it is.
    pub fn origin(&self) -> Address {
        self.origin
    }

    /// Height of the block at which the publisher's permission is judged.
    pub fn opening_block(&self) -> u64 {
        self.opening_block
    }

    /// Sequence of the next event: the number of events so far.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Content bytes so far.
    pub fn volume(&self) -> u64 {
        self.volume
    }

    /// Time of the last event, in milliseconds since 1970 UTC; the next one may not be older.
    pub fn last_time_ms(&self) -> u64 {
        self.last_time_ms
    }

    /// Digest of the last header, or what the lane continues.
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Makes the lane's next batch. From then on it is part of the lane: if it is never signed and sent, the lane
    /// ends there, since what follows would leave a gap.
    pub fn next_batch(&mut self, events: Vec<NewEvent>) -> Result<UnsignedBatch, LaneError> {
        let content_bytes = self.check(&events)?;
        let volume = self.volume.checked_add(content_bytes).ok_or(LaneError::Exhausted)?;
        let next_sequence =
            self.next_sequence.checked_add(events.len() as u64).ok_or(LaneError::Exhausted)?;
        let signature_bytes = signature_length(self.signature_type).map_err(LaneError::Signature)?;
        let certificate = self.session.map(|(_, certificate, _)| certificate);
        let start = HEADER_BYTES + 1 + signature_bytes + certificate.map_or(0, |it| it.encoded_bytes());
        let bytes = start + events.iter().map(NewEvent::encoded_bytes).sum::<usize>();
        if bytes > MAX_BATCH_BYTES {
            return Err(LaneError::TooLarge { bytes });
        }

        let mut body = Vec::with_capacity(bytes - start);
        let mut bounds = Vec::with_capacity(events.len() + 1);
        let mut leaves = Vec::with_capacity(events.len());
        bounds.push(start as u32);
        for (event, sequence) in events.iter().zip(self.next_sequence..) {
            let event_start = body.len();
            event.encode_into(&mut body);
            bounds.push((start + body.len()) as u32);
            leaves.push(event_leaf(sequence, &body[event_start..]));
        }

        let header = self.header(events.len() as u32, &events, merkle::root(&leaves), volume);
        assert_eq!(header.check(), Ok(()), "a header made here obeys the rules");
        self.next_sequence = next_sequence;
        self.volume = volume;
        self.last_time_ms = header.last_time_ms;
        self.head = header.digest();
        let names = (self.lane, self.head);
        Ok(UnsignedBatch { header, names, certificate, body, bounds, content_bytes })
    }

    /// Checks everything about the events that does not depend on the whole batch; returns their content bytes.
    fn check(&self, events: &[NewEvent]) -> Result<u64, LaneError> {
        if events.is_empty() {
            return Err(LaneError::Empty);
        }
        if events.len() > MAX_BATCH_EVENTS as usize {
            return Err(LaneError::TooMany { count: events.len() });
        }
        let mut previous_ms = self.last_time_ms;
        let mut content_bytes = 0;
        for (index, event) in events.iter().enumerate() {
            event.check().map_err(|error| LaneError::Event { index, error })?;
            if event.timestamp_ms < previous_ms {
                return Err(LaneError::TimeBack { index, timestamp_ms: event.timestamp_ms, previous_ms });
            }
            previous_ms = event.timestamp_ms;
            content_bytes += event.content.len() as u64;
        }
        Ok(content_bytes)
    }

    fn header(&self, count: u32, events: &[NewEvent], root: Hash, volume: u64) -> Header {
        Header {
            version: VERSION,
            stream: self.slot.stream,
            stream_partition: self.slot.partition,
            origin_type: ORIGIN_ADDRESS,
            origin: self.origin,
            opening_block: self.opening_block,
            nonce: self.nonce,
            sequence: self.next_sequence,
            count,
            volume,
            first_time_ms: events.first().map_or(0, |event| event.timestamp_ms),
            last_time_ms: events.last().map_or(0, |event| event.timestamp_ms),
            previous: self.head,
            root,
            signer: self.session.map_or(self.origin, |(key, ..)| key),
            certificate: self.session.map_or(Hash::ZERO, |(.., digest)| digest),
            signature_type: self.signature_type,
        }
    }
}

/// A batch that waits for its signature.
#[derive(Clone, Debug)]
pub struct UnsignedBatch {
    /// What is to be signed.
    header: Header,
    /// The header's lane and digest.
    names: (LaneId, Hash),
    certificate: Option<Certificate>,
    body: Vec<u8>,
    bounds: Vec<u32>,
    content_bytes: u64,
}

impl UnsignedBatch {
    /// What is to be signed.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The same events after another header than the lane's last. No honest publisher makes such a batch: it is for
    /// those who test what is refused.
    pub fn following(mut self, previous: Hash) -> Self {
        self.header.previous = previous;
        self.names = (self.header.lane(), self.header.digest());
        self
    }

    /// What the signer signs on the chain with that id.
    pub fn signing_hash(&self, chain_id: u64) -> Hash {
        let (_, digest) = &self.names;
        header::signing_hash(&self.header.stream, chain_id, digest)
    }

    /// Completes the batch. Whether the signature is right is for [`crate::verify`] to say.
    ///
    /// # Errors
    ///
    /// [`LaneError::SignatureType`]: the signature is of another type than the lane was opened with.
    pub fn sign(self, signature: Signature) -> Result<Batch, LaneError> {
        let (wanted, found) = (self.header.signature_type, signature.signature_type());
        if wanted != found {
            return Err(LaneError::SignatureType { wanted, found });
        }
        let signed = SignedHeader { header: self.header, signature, certificate: self.certificate };
        let mut bytes = Vec::with_capacity(signed.encoded_bytes() + self.body.len());
        signed.encode_into(&mut bytes);
        bytes.extend_from_slice(&self.body);
        let end = *self.bounds.last().expect("a batch has at least one event");
        assert_eq!(bytes.len(), end as usize, "the bounds were computed for this signature's length");
        Ok(Batch::from_checked(Arc::from(bytes), signed, self.names, self.content_bytes, self.bounds))
    }
}
