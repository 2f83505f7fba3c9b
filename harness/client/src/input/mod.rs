//! Events from files and pipes: JSON arrays, JSON lines, GeoJSON and CSV.
//!
//! ```text
//!   bytes ──► detect ──► JsonArray | JsonLines | GeoJson | Csv ──► Record ──► fields ──► Event
//! ```
//!
//! JSON content stays byte for byte as it was; a CSV row becomes a JSON object of strings with the header's
//! names as keys. Arrays, lines and rows are read one at a time, so that a pipe's events leave as they come
//! and a large file needs little memory; a GeoJSON document is read whole.

mod csv;
mod detect;
pub mod field;
mod json;
pub mod scanner;

use std::io::BufRead;

pub use detect::Format;

use crate::event::Event;
use field::FieldPath;

/// Why an input cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The system failed.
    #[error("reading the input failed: {0}")]
    Read(#[from] std::io::Error),
    /// There is nothing to tell a format from.
    #[error("the input is empty: give JSON lines, a JSON array, GeoJSON or CSV with a header row")]
    Empty,
    /// Something is not what the format wants.
    #[error("{place}: {reason}; {advice}")]
    Malformed {
        /// Which line or element.
        place: Place,
        /// What is wrong.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// A field that was asked for is missing or unusable.
    #[error("{place}: {reason}")]
    Field {
        /// Which line or element.
        place: Place,
        /// Which field, what was found, what to do.
        reason: String,
    },
}

/// Where in an input something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The element of the array or collection, or the data row, from 1.
    pub element: Option<u64>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.element {
            Some(element) => write!(f, "element {element} (line {})", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

/// One record of an input: JSON text and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// A JSON value, byte for byte.
    pub content: String,
    /// Where it stood.
    pub place: Place,
}

/// What to take from each record beside its content.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The event's time; without it events carry the time of publishing.
    pub timestamp: Option<FieldPath>,
    /// The partition key.
    pub partition_key: Option<FieldPath>,
}

/// The events of an input, in its order.
pub struct Reader<R> {
    records: Records<R>,
    fields: Fields,
}

enum Records<R> {
    JsonArray(json::ArrayReader<R>),
    JsonLines(json::LinesReader<R>),
    Whole(json::WholeReader),
    Csv(csv::CsvReader<R>),
}

impl<R: BufRead> Reader<detect::Prefixed<R>> {
    /// Opens an input. The format is told from its first bytes unless it is given.
    pub fn open(input: R, format: Option<Format>, fields: Fields) -> Result<Self, InputError> {
        let (format, input) = detect::open(input, format)?;
        let records = match format {
            detect::Opened::JsonArray => Records::JsonArray(json::ArrayReader::open(input)?),
            detect::Opened::JsonLines => Records::JsonLines(json::LinesReader::new(input)),
            detect::Opened::Whole(format) => Records::Whole(json::WholeReader::open(input, format)?),
            detect::Opened::Csv => Records::Csv(csv::CsvReader::open(input)?),
        };
        Ok(Self { records, fields })
    }
}

impl<R: BufRead> Reader<R> {
    fn next_record(&mut self) -> Result<Option<Record>, InputError> {
        match &mut self.records {
            Records::JsonArray(reader) => reader.next_record(),
            Records::JsonLines(reader) => reader.next_record(),
            Records::Whole(reader) => Ok(reader.next_record()),
            Records::Csv(reader) => reader.next_record(),
        }
    }

    fn event(&self, record: Record) -> Result<Event, InputError> {
        let refuse = |reason: String| InputError::Field { place: record.place, reason };
        let timestamp_ms = self
            .fields
            .timestamp
            .as_ref()
            .map(|path| path.time_ms(&record.content))
            .transpose()
            .map_err(refuse)?;
        let partition_key = self
            .fields
            .partition_key
            .as_ref()
            .map(|path| path.text(&record.content))
            .transpose()
            .map_err(refuse)?;
        Ok(Event { content: record.content.into(), timestamp_ms, partition_key })
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Event, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose().map(|record| record.and_then(|record| self.event(record)))
    }
}

/// Orders events by time; those of one time keep their order. Lanes carry rising times, so a file that is not
/// in order would otherwise be cut into many of them.
///
/// Events without a time stay in front, in their order.
pub fn sort_by_time(events: &mut [Event]) {
    events.sort_by_key(|event| event.timestamp_ms);
}

#[cfg(test)]
mod tests;
