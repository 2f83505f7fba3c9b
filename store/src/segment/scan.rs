//! Reading the log again from a place on: what a start does with what the index does not cover.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use weir_kernel::log::Record;

use super::files::Segments;
use crate::error::LogError;
use crate::layout::Place;
use crate::record::{self, HEADER_BYTES, Header};

const BUFFER_BYTES: usize = 256 * 1024;

/// Where the log ends.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The end of the last whole write.
    pub(super) end: Place,
    /// What is wrong with what follows, when anything does.
    pub(super) torn: Option<String>,
}

/// Gives each whole write from a place on to `each`, with where it begins and ends.
///
/// Only the last segment may end in something else: a segment is durable before the next one is made.
pub(super) fn scan(
    segments: &Segments,
    from: Place,
    mut each: impl FnMut(u64, &[Record], Place) -> Result<(), LogError>,
) -> Result<Scanned, LogError> {
    let (_, end) = segments.span().unwrap_or_default();
    let mut at = from;
    while at.position < end {
        let (file, start, length) = segments.file_for_scan(at.position)?;
        let mut source = Source::new(file, at.position, start + length)
            .map_err(|error| LogError::io(format!("reading {}", segments.place(at.position)), &error))?;
        let torn = loop {
            match source.next_write(at.writes + 1) {
                Ok(Some((records, after))) => {
                    each(at.position, &records, after)?;
                    at = after;
                }
                Ok(None) => break None,
                Err(Stop::Torn(cause)) => break Some(cause),
                Err(Stop::Io(error)) => {
                    return Err(LogError::io(format!("reading {}", segments.place(at.position)), &error));
                }
            }
        };
        if let Some(cause) = torn {
            if start + length == end {
                return Ok(Scanned { end: at, torn: Some(cause) });
            }
            return Err(LogError::damaged(segments.place(at.position), cause));
        }
    }
    Ok(Scanned { end: at, torn: None })
}

enum Stop {
    Torn(String),
    Io(std::io::Error),
}

impl From<String> for Stop {
    fn from(cause: String) -> Self {
        Self::Torn(cause)
    }
}

struct Source {
    file: BufReader<File>,
    position: u64,
    end: u64,
    record: Vec<u8>,
}

impl Source {
    fn new(mut file: File, position: u64, end: u64) -> std::io::Result<Self> {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length - (end - position)))?;
        Ok(Self { file: BufReader::with_capacity(BUFFER_BYTES, file), position, end, record: Vec::new() })
    }

    /// The records of the next write; `None` at the end of the file.
    fn next_write(&mut self, write: u64) -> Result<Option<(Vec<Record>, Place)>, Stop> {
        let mut records = Vec::new();
        while self.position < self.end {
            let (record, last) = self.next_record(write)?;
            records.push(record);
            if last {
                return Ok(Some((records, Place { position: self.position, writes: write })));
            }
        }
        if records.is_empty() { Ok(None) } else { Err(Stop::Torn("a write has no last record".into())) }
    }

    fn next_record(&mut self, write: u64) -> Result<(Record, bool), Stop> {
        let left = self.end - self.position;
        if left < HEADER_BYTES as u64 {
            return Err(Stop::Torn(format!("{left} bytes are too few for a record")));
        }
        self.record.resize(HEADER_BYTES, 0);
        self.file.read_exact(&mut self.record).map_err(Stop::Io)?;
        let header = self.record.first_chunk().and_then(Header::read);
        let header = header.ok_or_else(|| "a record has an impossible length".to_owned())?;
        let length = HEADER_BYTES + header.length;
        if left < length as u64 {
            return Err(Stop::Torn(format!("a record of {length} bytes has only {left}")));
        }
        self.record.resize(length, 0);
        self.file.read_exact(&mut self.record[HEADER_BYTES..]).map_err(Stop::Io)?;
        record::check(&self.record, self.position)?;
        if header.write != write {
            return Err(Stop::Torn(format!("write {} stands where {write} belongs", header.write)));
        }
        let record =
            record::decode(&self.record).ok_or_else(|| "a record has impossible fields".to_owned())?;
        self.position += length as u64;
        Ok((record, header.last))
    }
}
