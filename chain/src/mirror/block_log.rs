//! The block log: an append-only file of framed records, synced before anything in it is visible.
//!
//! The file begins with eight bytes of magic. A frame is the payload's length (u32), the CRC-32 of that
//! length and the frame's own offset in the file as u64 (u32), the CRC-32 of the payload (u32) and the
//! payload, all little-endian. A frame that cannot be read is a torn tail, left by a crash while it was
//! written, if no whole frame follows it: it is cut off. If one follows, records that were synced are
//! damaged, and nothing is guessed: that is an error with file and offset.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::limits;

pub(crate) const MAGIC: &[u8; 8] = b"weirblk1";
pub(crate) const FRAME_HEADER_BYTES: usize = 12;

/// Why a block log cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum BlockLogError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is no block log of this version; give another directory or move the file away", .0.display())]
    Magic(PathBuf),
    /// A record that was synced has changed since.
    #[error("{} is damaged at byte {offset}: restore the file from a copy, or begin a new chain in an \
             empty directory", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged frame begins.
        offset: u64,
    },
}

/// Where a record's payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub offset: u64,
    pub length: u32,
    pub checksum: u32,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct BlockLog {
    file: File,
    path: PathBuf,
    end: u64,
}

impl BlockLog {
    /// Opens or creates the file and hands each record to `visit` in order.
    pub fn open<E: From<BlockLogError>>(
        path: &Path,
        mut visit: impl FnMut(Span, &[u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let io = |action| move |source| BlockLogError::Io { action, path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open"))?;
        let size = file.metadata().map_err(io("measure"))?.len();
        let mut magic = vec![0; MAGIC.len().min(size as usize)];
        file.read_exact(&mut magic).map_err(io("read"))?;
        if !MAGIC.starts_with(&magic) {
            return Err(BlockLogError::Magic(path.to_owned()).into());
        }
        if magic.len() < MAGIC.len() {
            file.write_all_at(MAGIC, 0).map_err(io("begin"))?;
            file.set_len(MAGIC.len() as u64).map_err(io("begin"))?;
            file.sync_all().map_err(io("sync"))?;
            if let Some(directory) = path.parent() {
                File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("sync"))?;
            }
        }
        let mut log = Self { file, path: path.to_owned(), end: MAGIC.len() as u64 };
        let size = size.max(log.end);
        while log.end < size {
            let Some((span, payload)) = log.read_frame(log.end, size)? else {
                log.cut_tail(size)?;
                break;
            };
            visit(span, &payload)?;
            log.end = span.offset + u64::from(span.length);
        }
        Ok(log)
    }

    fn error(&self, action: &'static str) -> impl FnOnce(io::Error) -> BlockLogError {
        let path = self.path.clone();
        move |source| BlockLogError::Io { action, path, source }
    }

    /// The frame at `offset`, or `None` if there is no whole one.
    fn read_frame(&self, offset: u64, size: u64) -> Result<Option<(Span, Vec<u8>)>, BlockLogError> {
        let mut header = [0; FRAME_HEADER_BYTES];
        if size - offset < FRAME_HEADER_BYTES as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut header, offset).map_err(self.error("read"))?;
        let Some(span) = parse_header(&header, offset) else { return Ok(None) };
        if size - span.offset < u64::from(span.length) {
            return Ok(None);
        }
        let mut payload = vec![0; span.length as usize];
        self.file.read_exact_at(&mut payload, span.offset).map_err(self.error("read"))?;
        Ok((crc32fast::hash(&payload) == span.checksum).then_some((span, payload)))
    }

    /// Cuts off what lies from `end` on, after making sure that no whole frame is in it.
    fn cut_tail(&mut self, size: u64) -> Result<(), BlockLogError> {
        let mut tail = vec![0; (size - self.end) as usize];
        self.file.read_exact_at(&mut tail, self.end).map_err(self.error("read"))?;
        let whole_frame_at = |start: usize| {
            let header = tail.get(start..start + FRAME_HEADER_BYTES)?;
            let span = parse_header(header.try_into().ok()?, self.end + start as u64)?;
            let begin = start + FRAME_HEADER_BYTES;
            let payload = tail.get(begin..begin + span.length as usize)?;
            (crc32fast::hash(payload) == span.checksum).then_some(())
        };
        if (1..tail.len()).any(|start| whole_frame_at(start).is_some()) {
            return Err(BlockLogError::Damaged { path: self.path.clone(), offset: self.end });
        }
        tracing::warn!(
            file = %self.path.display(),
            offset = self.end,
            bytes = tail.len(),
            "cut off a block that was being written when the process ended"
        );
        self.file.set_len(self.end).map_err(self.error("cut the tail of"))?;
        self.file.sync_all().map_err(self.error("sync"))
    }

    /// Appends a record; it is on disk when this returns.
    pub fn append(&mut self, payload: &[u8]) -> Result<Span, BlockLogError> {
        let length = u32::try_from(payload.len()).expect("a block's gas limit keeps its record under 4 GiB");
        assert!(payload.len() <= limits::MAX_RECORD_BYTES, "a record must be readable again");
        let checksum = crc32fast::hash(payload);
        let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + payload.len());
        let written = "a vector takes everything";
        frame.write_all(&length.to_le_bytes()).expect(written);
        frame.write_all(&header_checksum(length, self.end).to_le_bytes()).expect(written);
        frame.write_all(&checksum.to_le_bytes()).expect(written);
        frame.write_all(payload).expect(written);
        self.file.write_all_at(&frame, self.end).map_err(self.error("append to"))?;
        self.file.sync_data().map_err(self.error("sync"))?;
        let span = Span { offset: self.end + FRAME_HEADER_BYTES as u64, length, checksum };
        self.end += frame.len() as u64;
        Ok(span)
    }

    /// Reads a record again.
    pub fn read(&self, span: Span) -> Result<Vec<u8>, BlockLogError> {
        let mut payload = vec![0; span.length as usize];
        self.file.read_exact_at(&mut payload, span.offset).map_err(self.error("read"))?;
        if crc32fast::hash(&payload) != span.checksum {
            let offset = span.offset - FRAME_HEADER_BYTES as u64;
            return Err(BlockLogError::Damaged { path: self.path.clone(), offset });
        }
        Ok(payload)
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Covers the frame's place, so that a frame within a payload (anybody can send one in calldata) is none.
fn header_checksum(length: u32, offset: u64) -> u32 {
    crc32fast::hash(&[length.to_le_bytes().as_slice(), offset.to_le_bytes().as_slice()].concat())
}

fn parse_header(header: &[u8; FRAME_HEADER_BYTES], offset: u64) -> Option<Span> {
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = word(0);
    let readable = word(4) == header_checksum(length, offset) && length as usize <= limits::MAX_RECORD_BYTES;
    let offset = offset + FRAME_HEADER_BYTES as u64;
    readable.then_some(Span { offset, length, checksum: word(8) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(path: &Path) -> Result<Vec<Vec<u8>>, BlockLogError> {
        let mut found = Vec::new();
        BlockLog::open(path, |_, payload| {
            found.push(payload.to_vec());
            Ok::<(), BlockLogError>(())
        })?;
        Ok(found)
    }

    fn written(path: &Path) -> Vec<Vec<u8>> {
        let payloads = vec![b"first".to_vec(), vec![], b"a third record".to_vec()];
        let mut log = BlockLog::open(path, |_, _| Ok::<(), BlockLogError>(())).unwrap();
        for payload in &payloads {
            let span = log.append(payload).unwrap();
            assert_eq!(log.read(span).unwrap(), *payload);
        }
        payloads
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.log");
        let payloads = written(&path);
        let whole = std::fs::read(&path).unwrap();
        let last = whole.len() - FRAME_HEADER_BYTES - payloads[2].len();
        for length in last..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(records(&path).unwrap(), payloads[..2], "torn at byte {length}");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), last as u64);
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(records(&path).unwrap(), payloads);
    }

    #[test]
    fn a_frame_inside_a_torn_payload_is_no_frame() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.log");
        written(&path);
        let bait = std::fs::read(&path).unwrap()[MAGIC.len()..].to_vec();
        std::fs::remove_file(&path).unwrap();
        let mut log = BlockLog::open(&path, |_, _| Ok::<(), BlockLogError>(())).unwrap();
        log.append(&[bait, vec![0; 8]].concat()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(records(&path).unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_file_torn_in_its_magic_begins_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.log");
        for length in 0..MAGIC.len() {
            std::fs::write(&path, &MAGIC[..length]).unwrap();
            assert_eq!(records(&path).unwrap(), Vec::<Vec<u8>>::new());
            assert_eq!(std::fs::read(&path).unwrap(), MAGIC);
        }
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(records(&path), Err(BlockLogError::Magic(_))));
    }

    #[test]
    fn damage_before_the_last_record_is_an_error_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.log");
        let payloads = written(&path);
        let whole = std::fs::read(&path).unwrap();
        let last = whole.len() - FRAME_HEADER_BYTES - payloads[2].len();
        for position in MAGIC.len()..last {
            let mut damaged = whole.clone();
            damaged[position] ^= 0x40;
            std::fs::write(&path, &damaged).unwrap();
            let first = MAGIC.len() + FRAME_HEADER_BYTES + payloads[0].len();
            let expected = if position < first { MAGIC.len() } else { first } as u64;
            match records(&path) {
                Err(BlockLogError::Damaged { offset, .. }) => assert_eq!(offset, expected),
                other => panic!("byte {position}: {other:?}"),
            }
            assert_eq!(std::fs::read(&path).unwrap(), damaged, "a damaged file is left as it is");
        }
    }
}
