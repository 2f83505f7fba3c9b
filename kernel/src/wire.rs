//! Frames between brokers, and rows on disk: the one place that uses the frame codec.
//!
//! # Format
//!
//! | part | bytes |
//! | --- | --- |
//! | version | `1` |
//! | message | [`Message`] in bincode 2, standard configuration: little-endian, variable-length integers, an enum's variant as an integer in the order of its definition |
//! | batches | their number, then for each its length and its bytes, in bincode |
//!
//! Nothing follows. What is signed never depends on this codec: batches travel as their own canonical bytes, and a
//! report's signature is over typed data. Frames are decoded with a limit on every allocation, and every signature in
//! them is checked before the kernel sees them.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::{Decode, Encode, config};

use crate::agreement::{Cut, Fork};
use crate::batch::Batch;
use crate::broker::{Message, SignedEntry};
use crate::coordinator::report_signing_hash;
use crate::ids::Address;
use crate::limits::{MAX_FRAME_BATCHES, MAX_FRAME_BYTES};
use crate::signature::SECP256K1;
use crate::verify::{InvalidBatch, Verified, Verifier, verify_bytes, verify_header};

/// The version of frames that this kernel speaks.
pub const FRAME_VERSION: u8 = 2;

fn frame_config() -> impl config::Config {
    config::standard().with_limit::<MAX_FRAME_BYTES>()
}

/// What signatures in frames are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The chain's id.
    pub chain_id: u64,
    /// The network coordinator: verifying contract of reports.
    pub coordinator: Address,
}

/// A message whose signatures were checked. Only this module makes it from bytes.
#[derive(Clone, Debug)]
pub struct Received {
    message: Message,
    batches: Vec<Verified<Batch>>,
    stored: Vec<Arc<[u8]>>,
}

impl Received {
    pub(crate) fn local(message: Message, batches: Vec<Verified<Batch>>) -> Self {
        Self { message, batches, stored: Vec::new() }
    }

    pub(crate) fn local_stored(message: Message, stored: Vec<Arc<[u8]>>) -> Self {
        Self { message, batches: Vec::new(), stored }
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Its batches; none of an answer, whose batches only count with its order.
    pub fn batches(&self) -> &[Verified<Batch>] {
        &self.batches
    }

    /// Bytes of the batches that it keeps in memory.
    pub fn attached_bytes(&self) -> usize {
        let batches = self.batches.iter().map(|batch| batch.bytes().len());
        batches.chain(self.stored.iter().map(|batch| batch.len())).sum()
    }

    pub(crate) fn into_parts(self) -> Parts {
        (self.message, self.batches, self.stored)
    }
}

/// What a frame carries: the message, its batches, and for an answer the batches' bytes instead.
pub(crate) type Parts = (Message, Vec<Verified<Batch>>, Vec<Arc<[u8]>>);

/// Why a frame is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Longer than a frame may be: its bytes.
    TooLarge(usize),
    /// Of a version that this kernel does not speak; `None` for an empty frame.
    Version(Option<u8>),
    /// Not the codec's bytes, or something after the end.
    Malformed(String),
    /// More batches than a frame may carry, or batches beside a message that has none.
    Batches(usize),
    /// A batch is broken or not signed by its origin.
    Batch(InvalidBatch),
    /// A fork proof that proves nothing.
    Fork,
    /// A report that its sender did not sign, or whose entry the chain could not take.
    Report(Address),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => write!(f, "frame of {bytes} bytes: at most {MAX_FRAME_BYTES} are taken"),
            Self::Version(Some(version)) => {
                write!(f, "frame of version {version}: this broker speaks {FRAME_VERSION}")
            }
            Self::Version(None) => f.write_str("empty frame"),
            Self::Malformed(what) => write!(f, "malformed frame: {what}"),
            Self::Batches(count) => write!(f, "a frame of this kind does not carry {count} batches"),
            Self::Batch(error) => write!(f, "batch in frame: {error}"),
            Self::Fork => f.write_str("fork proof whose headers do not conflict or are not signed"),
            Self::Report(sender) => {
                write!(f, "report that {sender} did not sign, or whose entry does not fit into its two words")
            }
        }
    }
}

impl core::error::Error for FrameError {}

/// Bytes of most messages, batches aside.
const MESSAGE_BYTES: usize = 256;

/// Bytes of most rows.
const ROW_BYTES: usize = 512;

/// Bytes before a batch: its length.
const LENGTH_BYTES: usize = 9;

/// Appends to a vector that has room: batches are copied once, into the frame.
struct Frame(Vec<u8>);

impl Writer for Frame {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Encodes a frame.
pub fn encode(message: &Message, batches: &[Arc<[u8]>]) -> Vec<u8> {
    let attached: usize = batches.iter().map(|batch| batch.len() + LENGTH_BYTES).sum();
    let mut frame = Frame(Vec::with_capacity(MESSAGE_BYTES + attached));
    frame.0.push(FRAME_VERSION);
    bincode::encode_into_writer((message, batches), &mut frame, config::standard())
        .expect("messages hold nothing that cannot be encoded");
    frame.0
}

/// The message of a frame, with nothing checked: it says to which shard the frame goes, which then decodes it. `None`
/// for what is no frame.
pub fn peek(bytes: &[u8]) -> Option<Message> {
    let (version, body) = bytes.split_first().filter(|_| bytes.len() <= MAX_FRAME_BYTES)?;
    let (message, _) = bincode::decode_from_slice(body, frame_config()).ok()?;
    (*version == FRAME_VERSION).then_some(message)
}

/// Decodes a frame that `from` sent, and checks every signature in it.
pub fn decode(
    bytes: &[u8],
    from: Address,
    domain: Domain,
    verifier: &(impl Verifier + ?Sized),
) -> Result<Received, FrameError> {
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge(bytes.len()));
    }
    let (version, body) = bytes.split_first().ok_or(FrameError::Version(None))?;
    if *version != FRAME_VERSION {
        return Err(FrameError::Version(Some(*version)));
    }
    // Batches are looked at where they lie; each is copied once, into memory of its own: a batch that is kept does not
    // keep its frame.
    let ((message, attached), read): ((Message, Vec<&[u8]>), usize) =
        bincode::borrow_decode_from_slice(body, frame_config())
            .map_err(|e| FrameError::Malformed(format!("{e}")))?;
    if read != body.len() {
        return Err(FrameError::Malformed(format!("{} bytes after the end", body.len() - read)));
    }
    check_message(&message, from, domain, verifier)?;
    if attached.len() > max_batches(&message) {
        return Err(FrameError::Batches(attached.len()));
    }
    let batches = attached
        .into_iter()
        .map(|bytes| verify_bytes(bytes, domain.chain_id, verifier).map_err(FrameError::Batch))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(match message {
        Message::Answer { .. } => {
            let stored = batches.iter().map(|batch| Arc::clone(batch.bytes())).collect();
            Received { message, batches: Vec::new(), stored }
        }
        _ => Received { message, batches, stored: Vec::new() },
    })
}

fn max_batches(message: &Message) -> usize {
    match message {
        Message::Append { .. } | Message::Repair { .. } | Message::Answer { .. } => MAX_FRAME_BATCHES,
        Message::Live { .. } => 1,
        _ => 0,
    }
}

fn check_message(
    message: &Message,
    from: Address,
    domain: Domain,
    verifier: &(impl Verifier + ?Sized),
) -> Result<(), FrameError> {
    let forks: &[Fork] = match message {
        Message::Closing { forks, .. } | Message::Decline { forks, .. } => forks,
        Message::Propose { cut, .. } => &cut.forks,
        Message::Cuts { cuts, .. } => {
            return cuts.iter().try_for_each(|cut| check_forks(cut, domain, verifier));
        }
        Message::Report(report) => return check_report(report, from, domain, verifier),
        _ => &[],
    };
    forks.iter().try_for_each(|fork| check_fork(fork, domain, verifier))
}

fn check_forks(cut: &Cut, domain: Domain, verifier: &(impl Verifier + ?Sized)) -> Result<(), FrameError> {
    cut.forks.iter().try_for_each(|fork| check_fork(fork, domain, verifier))
}

fn check_fork(fork: &Fork, domain: Domain, verifier: &(impl Verifier + ?Sized)) -> Result<(), FrameError> {
    let signed = [&fork.first, &fork.second]
        .into_iter()
        .all(|header| verify_header(*header, domain.chain_id, verifier).is_ok());
    if signed && fork.is_proof() { Ok(()) } else { Err(FrameError::Fork) }
}

fn check_report(
    report: &SignedEntry,
    from: Address,
    domain: Domain,
    verifier: &(impl Verifier + ?Sized),
) -> Result<(), FrameError> {
    let digest = report_signing_hash(domain.chain_id, &domain.coordinator, &report.entry.hash());
    if report.entry.fits() && verifier.verify(SECP256K1, &from, &digest, &report.signature) {
        Ok(())
    } else {
        Err(FrameError::Report(from))
    }
}

/// Encodes a row of a table.
pub fn encode_row(value: &impl Encode) -> Vec<u8> {
    let mut row = Frame(Vec::with_capacity(ROW_BYTES));
    bincode::encode_into_writer(value, &mut row, config::standard())
        .expect("rows hold nothing that cannot be encoded");
    row.0
}

/// Decodes a row of a table; `None` if it is not one.
pub fn decode_row<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    let (value, read) = bincode::decode_from_slice(bytes, frame_config()).ok()?;
    (read == bytes.len()).then_some(value)
}
