//! Why bytes are not a batch.

use core::fmt;

use super::event::EventError;
use crate::codec::CodecError;
use crate::ids::{Address, Hash};
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use crate::signature::SignatureError;

/// The first rule of the format (see [`crate::batch`]) that bytes break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// Cut short, or something follows the end.
    Layout(CodecError),
    /// More bytes than any batch has.
    TooLarge {
        /// Bytes given.
        bytes: usize,
    },
    /// A version that this program does not know.
    Version(u8),
    /// An origin type that this program does not know.
    OriginType(u8),
    /// The signer is not the origin, and no certificate says by what right.
    Signer {
        /// The signer named.
        signer: Address,
        /// The origin named.
        origin: Address,
    },
    /// A certificate is named where the origin signs itself, or is named and not there.
    Certificate(Hash),
    /// The certificate is not the one that the header names: of another stream, origin, key or expiry.
    SessionMismatch {
        /// What the header names.
        header: Hash,
        /// Digest of the certificate for this header.
        certificate: Hash,
    },
    /// The lane opens when the session is over.
    SessionExpired {
        /// Height of the lane's opening block.
        opening_block: u64,
        /// Height of the first block in which the session is over.
        expiry_block: u64,
    },
    /// The signature's type is unknown, or its length is not that of its type.
    Signature(SignatureError),
    /// No events, or too many.
    Count(u32),
    /// The sequence of the event after this batch would not fit 64 bits.
    SequenceOverflow {
        /// Sequence of the first event.
        sequence: u64,
        /// Number of events.
        count: u32,
    },
    /// The header's last time is before its first.
    TimeRange {
        /// First time, in milliseconds since 1970 UTC.
        first_ms: u64,
        /// Last time.
        last_ms: u64,
    },
    /// An event is older than the one before it.
    TimeBack {
        /// Which event, from 0.
        index: u32,
        /// Its time, in milliseconds since 1970 UTC.
        timestamp_ms: u64,
        /// Time of the one before.
        previous_ms: u64,
    },
    /// The header's first or last time is not that of the first or last event.
    TimeMismatch {
        /// First and last time in the header, in milliseconds since 1970 UTC.
        header_ms: (u64, u64),
        /// Times of the first and the last event.
        events_ms: (u64, u64),
    },
    /// An event breaks a bound.
    Event {
        /// Which event, from 0.
        index: u32,
        /// What is wrong with it.
        error: EventError,
    },
    /// The meter is below the content of this batch, or, in a lane's first batch, not equal to it.
    Volume {
        /// The meter in the header, in bytes.
        volume: u64,
        /// Content bytes in this batch.
        content: u64,
        /// Sequence of the first event.
        sequence: u64,
    },
    /// The root is not that of the events.
    Root {
        /// Root in the header.
        header: Hash,
        /// Root over the events.
        events: Hash,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(error) => write!(f, "batch {error}"),
            Self::TooLarge { bytes } => {
                write!(f, "batch of {bytes} bytes; at most {MAX_BATCH_BYTES} are allowed: split it")
            }
            Self::Version(version) => write!(f, "batch version {version} is unknown, 1 is known"),
            Self::OriginType(kind) => {
                write!(f, "origin type {kind} is unknown, 0 (Ethereum address) is known")
            }
            Self::Signer { signer, origin } => {
                write!(f, "signer {signer} is not the origin {origin}, and no session certificate is named")
            }
            Self::Certificate(hash) => {
                write!(f, "session certificate {hash} is named where the origin signs, or is not there")
            }
            Self::SessionMismatch { header, certificate } => write!(
                f,
                "the certificate, {certificate}, is not {header}, which the header names: it is for another stream, \
                 origin, key or expiry"
            ),
            Self::SessionExpired { opening_block, expiry_block } => write!(
                f,
                "the lane opens at block {opening_block}, the session is over from block {expiry_block} on: have the \
                 wallet sign another certificate"
            ),
            Self::Signature(error) => write!(f, "{error}"),
            Self::Count(count) => write!(f, "batch of {count} events; 1 to {MAX_BATCH_EVENTS} are allowed"),
            Self::SequenceOverflow { sequence, count } => {
                write!(f, "sequence {sequence} + {count} events exceeds 64 bits; open a new lane")
            }
            Self::TimeRange { first_ms, last_ms } => {
                write!(f, "header's last time {last_ms} ms is before its first time {first_ms} ms")
            }
            Self::TimeBack { index, timestamp_ms, previous_ms } => write!(
                f,
                "event {index} at {timestamp_ms} ms is older than the one before it at {previous_ms} ms"
            ),
            Self::TimeMismatch { header_ms, events_ms } => write!(
                f,
                "header says times {} to {} ms, its events have {} to {} ms",
                header_ms.0, header_ms.1, events_ms.0, events_ms.1
            ),
            Self::Event { index, error } => write!(f, "event {index}: {error}"),
            Self::Volume { volume, content, sequence: 0 } => {
                write!(f, "volume {volume} of a lane's first batch is not its {content} content bytes")
            }
            Self::Volume { volume, content, .. } => {
                write!(f, "volume {volume} is below the {content} content bytes of the batch alone")
            }
            Self::Root { header, events } => {
                write!(f, "root {header} in the header is not the root {events} of the events")
            }
        }
    }
}

impl core::error::Error for BatchError {}

impl From<CodecError> for BatchError {
    fn from(error: CodecError) -> Self {
        Self::Layout(error)
    }
}

impl From<SignatureError> for BatchError {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}
