//! The bytes on the wire: stream kinds, the hello, and length-prefixed frames. Pure; no I/O.
//!
//! The layout is in the crate documentation. Nothing here allocates more than what has already arrived.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use weir_kernel::ids::Address;

use crate::Channel;
use crate::close::CloseCode;
use crate::limits;

/// The TLS application protocol name: the major version of everything below it.
pub const ALPN: &[u8] = b"weir/1";

/// Oldest protocol version that this node speaks.
pub const MIN_VERSION: u16 = 1;

/// Newest protocol version that this node speaks.
pub const MAX_VERSION: u16 = 1;

/// First bytes of every hello.
pub const MAGIC: [u8; 4] = *b"weir";

/// Bytes of a frame's length prefix.
pub const PREFIX_BYTES: usize = 4;

const HELLO_BYTES: usize = 4 + 2 + 2 + 8 + 20 + 20 + 4;

/// The byte that opens a channel's stream.
pub const fn stream_kind(channel: Channel) -> u8 {
    match channel {
        Channel::Live => 1,
        Channel::Bulk => 2,
    }
}

/// What each end says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Oldest version the sender speaks.
    pub min_version: u16,
    /// Newest version the sender speaks.
    pub max_version: u16,
    /// The chain whose directory the sender follows (EIP-155 id).
    pub chain_id: u64,
    /// The sender's broker address.
    pub sender: Address,
    /// Whom the sender dialled; zero from the end that was dialled. Without it, somebody who registers another
    /// broker's key and endpoint under an address of its own would make honest brokers dial that broker twice, and
    /// the second connection would take the first one's place.
    pub recipient: Address,
    /// Longest frame, in bytes, that the sender accepts.
    pub max_frame_bytes: u32,
}

/// Why bytes are no hello.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HelloError {
    /// Fewer bytes than the fields take.
    #[error("a hello of {0} bytes is shorter than {HELLO_BYTES}")]
    Short(usize),
    /// It does not begin with the magic bytes.
    #[error("a hello begins with {0:02x?} instead of \"weir\"")]
    Magic([u8; 4]),
    /// The oldest version is newer than the newest.
    #[error("a hello names the empty version range {0} to {1}")]
    Range(u16, u16),
}

/// What two hellos agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The newest version both speak.
    pub version: u16,
    /// Longest frame, in bytes, that the peer accepts and this node may send.
    pub max_frame_bytes: usize,
}

impl Hello {
    /// The hello of a node that speaks the versions of this crate.
    pub fn new(chain_id: u64, sender: Address, recipient: Address) -> Self {
        let max_frame_bytes = limits::MAX_FRAME_BYTES as u32;
        Self {
            min_version: MIN_VERSION,
            max_version: MAX_VERSION,
            chain_id,
            sender,
            recipient,
            max_frame_bytes,
        }
    }

    /// The body, without the length prefix.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HELLO_BYTES);
        out.put_slice(&MAGIC);
        out.put_u16(self.min_version);
        out.put_u16(self.max_version);
        out.put_u64(self.chain_id);
        out.put_slice(&self.sender.0);
        out.put_slice(&self.recipient.0);
        out.put_u32(self.max_frame_bytes);
        out
    }

    /// Reads a body; bytes after the known fields belong to later versions and are ignored.
    ///
    /// # Errors
    /// [`HelloError`] names the field that is wrong.
    pub fn decode(body: &[u8]) -> Result<Self, HelloError> {
        if body.len() < HELLO_BYTES {
            return Err(HelloError::Short(body.len()));
        }
        let mut rest = body;
        let mut magic = [0; 4];
        rest.copy_to_slice(&mut magic);
        if magic != MAGIC {
            return Err(HelloError::Magic(magic));
        }
        let (min_version, max_version, chain_id) = (rest.get_u16(), rest.get_u16(), rest.get_u64());
        let (mut sender, mut recipient) = (Address::ZERO, Address::ZERO);
        rest.copy_to_slice(&mut sender.0);
        rest.copy_to_slice(&mut recipient.0);
        let max_frame_bytes = rest.get_u32();
        if min_version > max_version {
            return Err(HelloError::Range(min_version, max_version));
        }
        Ok(Self { min_version, max_version, chain_id, sender, recipient, max_frame_bytes })
    }

    /// What this node and a peer can do together.
    ///
    /// # Errors
    /// The code with which the connection is to be closed.
    pub fn agree(&self, theirs: &Self) -> Result<Agreed, CloseCode> {
        if theirs.chain_id != self.chain_id {
            return Err(CloseCode::ChainMismatch);
        }
        let version = self.max_version.min(theirs.max_version);
        if version < self.min_version.max(theirs.min_version) {
            return Err(CloseCode::VersionMismatch);
        }
        if (theirs.max_frame_bytes as usize) < limits::MIN_PEER_FRAME_BYTES {
            return Err(CloseCode::LimitsRefused);
        }
        Ok(Agreed { version, max_frame_bytes: limits::MAX_FRAME_BYTES.min(theirs.max_frame_bytes as usize) })
    }
}

/// A frame announces more bytes than are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a frame announces {bytes} bytes, {limit} are allowed")]
pub struct FrameTooLarge {
    /// The announced length.
    pub bytes: usize,
    /// The longest allowed.
    pub limit: usize,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub struct FrameDecoder {
    limit: usize,
    buffer: BytesMut,
}

impl FrameDecoder {
    /// A decoder of frames of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, buffer: BytesMut::new() }
    }

    /// Takes the stream's next bytes. Memory grows with what arrives: of what a prefix announces, only
    /// [`limits::READ_STEP_BYTES`] are set aside before they come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.buffer.capacity() - self.buffer.len() < bytes.len() {
            let announced = self.buffer.first_chunk::<PREFIX_BYTES>();
            let frame = announced.map_or(0, |prefix| u32::from_be_bytes(*prefix) as usize + PREFIX_BYTES);
            let missing = frame.saturating_sub(self.buffer.len()).min(limits::READ_STEP_BYTES);
            self.buffer.reserve(missing.max(bytes.len()));
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameTooLarge`] as soon as the prefix is there; the stream is then useless.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let bytes = u32::from_be_bytes(*prefix) as usize;
        if bytes > self.limit {
            return Err(FrameTooLarge { bytes, limit: self.limit });
        }
        if self.buffer.len() - PREFIX_BYTES < bytes {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        let frame = self.buffer.split_to(bytes);
        Ok(Some(if bytes <= limits::COPY_FRAME_BYTES {
            Bytes::copy_from_slice(&frame)
        } else {
            frame.freeze()
        }))
    }
}

/// Prefixes frames and packs the small ones together, for few large writes.
#[derive(Debug, Default)]
pub struct FrameEncoder {
    chunks: Vec<Bytes>,
    staging: BytesMut,
}

impl FrameEncoder {
    /// Appends a frame.
    ///
    /// # Panics
    /// If the frame is longer than [`limits::MAX_FRAME_BYTES`]: senders check that before they queue it.
    pub fn push(&mut self, frame: Bytes) {
        assert!(frame.len() <= limits::MAX_FRAME_BYTES, "frames are checked before they are queued");
        self.staging.put_u32(frame.len() as u32);
        if frame.len() <= limits::COPY_FRAME_BYTES {
            self.staging.extend_from_slice(&frame);
        } else {
            self.chunks.push(self.staging.split().freeze());
            self.chunks.push(frame);
        }
    }

    /// The bytes of all frames so far, in order.
    pub fn finish(mut self) -> Vec<Bytes> {
        if !self.staging.is_empty() {
            self.chunks.push(self.staging.freeze());
        }
        self.chunks
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn hello() -> Hello {
        Hello::new(31337, Address([0x0b; 20]), Address([0x0c; 20]))
    }

    /// The layout of the crate documentation, byte by byte.
    #[test]
    fn hello_vector() {
        let mut expected = b"weir\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x7a\x69".to_vec();
        expected.extend([0x0b; 20]);
        expected.extend([0x0c; 20]);
        expected.extend([0x00, 0x80, 0x00, 0x00]);
        assert_eq!(hello().encode(), expected);
        assert_eq!(Hello::decode(&expected), Ok(hello()));
    }

    #[test]
    fn hello_refusals() {
        let body = hello().encode();
        assert_eq!(Hello::decode(&body[..59]), Err(HelloError::Short(59)));
        let mut other = body.clone();
        other[0] = b'W';
        assert_eq!(Hello::decode(&other), Err(HelloError::Magic(*b"Weir")));
        let empty = Hello { min_version: 3, max_version: 2, ..hello() };
        assert_eq!(Hello::decode(&empty.encode()), Err(HelloError::Range(3, 2)));
        let mut later = body;
        later.extend([1, 2, 3]);
        assert_eq!(Hello::decode(&later), Ok(hello()), "later versions may add fields");
    }

    #[test]
    fn agreement() {
        let ours = hello();
        let theirs = Hello { sender: Address([1; 20]), max_version: 9, max_frame_bytes: 100_000, ..ours };
        assert_eq!(ours.agree(&theirs), Ok(Agreed { version: 1, max_frame_bytes: 100_000 }));
        let boastful = Hello { max_frame_bytes: u32::MAX, ..ours };
        assert_eq!(ours.agree(&boastful).map(|a| a.max_frame_bytes), Ok(limits::MAX_FRAME_BYTES));
        let newer = Hello { min_version: 2, max_version: 3, ..ours };
        assert_eq!(ours.agree(&newer), Err(CloseCode::VersionMismatch));
        assert_eq!(ours.agree(&Hello { chain_id: 1, ..ours }), Err(CloseCode::ChainMismatch));
        assert_eq!(ours.agree(&Hello { max_frame_bytes: 10, ..ours }), Err(CloseCode::LimitsRefused));
    }

    #[test]
    fn oversize_is_refused_at_the_prefix() {
        let mut decoder = FrameDecoder::new(10);
        decoder.push(&[0, 0, 0, 11]);
        assert_eq!(decoder.next_frame(), Err(FrameTooLarge { bytes: 11, limit: 10 }));
    }

    proptest! {
        /// However the bytes are cut on their way, the frames come out as they went in.
        #[test]
        fn frames_survive_any_cut(
            frames in vec(prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 16_380..16_390)], 0..12),
            step in 1usize..20_000,
        ) {
            let mut encoder = FrameEncoder::default();
            frames.iter().for_each(|frame| encoder.push(Bytes::copy_from_slice(frame)));
            let bytes = encoder.finish().concat();
            let mut decoder = FrameDecoder::new(limits::MAX_FRAME_BYTES);
            let mut out = Vec::new();
            for piece in bytes.chunks(step) {
                decoder.push(piece);
                while let Some(frame) = decoder.next_frame().expect("within the limit") {
                    out.push(frame.to_vec());
                }
            }
            prop_assert_eq!(out, frames);
        }

        /// Garbage is a frame, a wait or an error, never a panic.
        #[test]
        fn garbage_does_no_harm(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Hello::decode(&bytes);
            let mut decoder = FrameDecoder::new(64);
            decoder.push(&bytes);
            let mut taken = 0;
            while let Ok(Some(frame)) = decoder.next_frame() {
                taken += frame.len() + PREFIX_BYTES;
            }
            prop_assert!(taken <= bytes.len());
        }
    }
}
