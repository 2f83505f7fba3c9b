//! One event (WP 2.4.1): its bytes and its leaf.

use alloc::vec::Vec;
use core::fmt;

use crate::codec::{CodecError, Reader};
use crate::hash::sha256;
use crate::ids::Hash;
use crate::limits::{MAX_CONTENT_BYTES, MAX_KEY_ID_BYTES, MIN_EVENT_BYTES};

/// What the content is. Others are carried and signed, and read as [`BINARY`](content_type::BINARY).
pub mod content_type {
    /// Bytes without further meaning to the network.
    pub const BINARY: u8 = 0;
    /// A JSON text in UTF-8.
    pub const JSON: u8 = 1;
    /// A text in UTF-8.
    pub const TEXT: u8 = 2;
}

/// An event as read from a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its number in the lane, from 0.
    pub sequence: u64,
    /// Milliseconds since 1970 UTC, as the publisher says.
    pub timestamp_ms: u64,
    /// See [`content_type`].
    pub content_type: u8,
    /// 0: not encrypted.
    pub encryption_type: u8,
    /// Names the content key; at most 32 bytes, usually empty.
    pub key_id: &'a [u8],
    /// The payload.
    pub content: &'a [u8],
}

/// An event to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEvent {
    /// Milliseconds since 1970 UTC; never below that of the lane's last event.
    pub timestamp_ms: u64,
    /// See [`content_type`].
    pub content_type: u8,
    /// 0: not encrypted.
    pub encryption_type: u8,
    /// Names the content key; at most 32 bytes.
    pub key_id: Vec<u8>,
    /// The payload; at most 1 MiB.
    pub content: Vec<u8>,
}

/// What is wrong with one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventError {
    /// Cut short, or something follows the end.
    Layout(CodecError),
    /// The key id is too long.
    KeyIdLength {
        /// Its bytes.
        bytes: usize,
    },
    /// The content is too long.
    ContentLength {
        /// Its bytes.
        bytes: usize,
    },
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(error) => write!(f, "event {error}"),
            Self::KeyIdLength { bytes } => {
                write!(f, "key id of {bytes} bytes; at most {MAX_KEY_ID_BYTES} are allowed")
            }
            Self::ContentLength { bytes } => {
                write!(f, "content of {bytes} bytes; at most {MAX_CONTENT_BYTES} are allowed: split it")
            }
        }
    }
}

impl core::error::Error for EventError {}

impl From<CodecError> for EventError {
    fn from(error: CodecError) -> Self {
        Self::Layout(error)
    }
}

/// The Merkle leaf of an encoded event.
pub fn event_leaf(sequence: u64, encoded: &[u8]) -> Hash {
    sha256(&[&[0x00], &sequence.to_be_bytes(), encoded])
}

impl<'a> Event<'a> {
    /// Reads an event that is all of `bytes`.
    pub fn decode(sequence: u64, bytes: &'a [u8]) -> Result<Self, EventError> {
        let mut reader = Reader::new(bytes);
        let event = Self::read(sequence, &mut reader)?;
        reader.finish()?;
        Ok(event)
    }

    /// Reads the next event.
    pub(super) fn read(sequence: u64, reader: &mut Reader<'a>) -> Result<Self, EventError> {
        let timestamp_ms = reader.u64()?;
        let content_type = reader.u8()?;
        let encryption_type = reader.u8()?;
        let key_id_length = usize::from(reader.u8()?);
        if key_id_length > MAX_KEY_ID_BYTES {
            return Err(EventError::KeyIdLength { bytes: key_id_length });
        }
        let key_id = reader.take(key_id_length)?;
        let content_length = reader.u32()? as usize;
        if content_length > MAX_CONTENT_BYTES {
            return Err(EventError::ContentLength { bytes: content_length });
        }
        let content = reader.take(content_length)?;
        Ok(Self { sequence, timestamp_ms, content_type, encryption_type, key_id, content })
    }

    /// A copy that can be published again.
    pub fn to_new(&self) -> NewEvent {
        NewEvent {
            timestamp_ms: self.timestamp_ms,
            content_type: self.content_type,
            encryption_type: self.encryption_type,
            key_id: self.key_id.to_vec(),
            content: self.content.to_vec(),
        }
    }
}

impl NewEvent {
    /// An event that is not encrypted.
    pub fn new(timestamp_ms: u64, content_type: u8, content: impl Into<Vec<u8>>) -> Self {
        Self { timestamp_ms, content_type, content: content.into(), ..Self::default() }
    }

    /// Bytes that it takes in a batch.
    pub fn encoded_bytes(&self) -> usize {
        MIN_EVENT_BYTES + self.key_id.len() + self.content.len()
    }

    /// Whether it is within bounds.
    pub fn check(&self) -> Result<(), EventError> {
        if self.key_id.len() > MAX_KEY_ID_BYTES {
            return Err(EventError::KeyIdLength { bytes: self.key_id.len() });
        }
        if self.content.len() > MAX_CONTENT_BYTES {
            return Err(EventError::ContentLength { bytes: self.content.len() });
        }
        Ok(())
    }

    /// Appends the encoding of an event that was [checked](Self::check).
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        out.push(self.content_type);
        out.push(self.encryption_type);
        out.push(u8::try_from(self.key_id.len()).expect("a checked key id is short"));
        out.extend_from_slice(&self.key_id);
        let content_length = u32::try_from(self.content.len()).expect("checked content is short");
        out.extend_from_slice(&content_length.to_be_bytes());
        out.extend_from_slice(&self.content);
        assert_eq!(out.len() - start, self.encoded_bytes(), "an event takes the bytes that it says");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn encoded(event: &NewEvent) -> Vec<u8> {
        let mut bytes = Vec::new();
        event.encode_into(&mut bytes);
        bytes
    }

    #[test]
    fn an_event_is_laid_out_as_specified() {
        let event = NewEvent {
            timestamp_ms: 0x0102,
            content_type: content_type::TEXT,
            encryption_type: 3,
            key_id: vec![0xaa, 0xbb],
            content: b"hi".to_vec(),
        };
        let expected = [&[0, 0, 0, 0, 0, 0, 1, 2, 2, 3, 2, 0xaa, 0xbb, 0, 0, 0, 2][..], b"hi"].concat();
        assert_eq!(encoded(&event), expected);
        assert_eq!(Event::decode(9, &expected).map(|read| (read.sequence, read.to_new())), Ok((9, event)));
    }

    #[test]
    fn bounds_hold_for_reading_and_writing() {
        let long_key = NewEvent { key_id: vec![0; 33], ..NewEvent::default() };
        assert_eq!(long_key.check(), Err(EventError::KeyIdLength { bytes: 33 }));
        assert_eq!(Event::decode(0, &encoded(&long_key)), Err(EventError::KeyIdLength { bytes: 33 }));

        let long = NewEvent::new(1, content_type::BINARY, vec![0; MAX_CONTENT_BYTES + 1]);
        assert_eq!(long.check(), Err(EventError::ContentLength { bytes: MAX_CONTENT_BYTES + 1 }));
        assert_eq!(
            Event::decode(0, &encoded(&long)),
            Err(EventError::ContentLength { bytes: MAX_CONTENT_BYTES + 1 })
        );
        let longest = NewEvent::new(1, content_type::BINARY, vec![0; MAX_CONTENT_BYTES]);
        assert!(longest.check().is_ok() && Event::decode(0, &encoded(&longest)).is_ok());
    }
}
