//! CSV with a header row: each row becomes a JSON object whose values are strings, in the header's order.
//!
//! Cells stay strings because a CSV file does not say which of them are numbers: 007 may be a name.

use std::collections::BTreeSet;
use std::io::BufRead;

use super::{InputError, Place, Record};

const HEADER_ADVICE: &str = "the first row names the columns, each with a name of its own";
const ROW_ADVICE: &str = "give each row as many cells as the header, and quote cells that hold commas";

pub(super) struct CsvReader<R> {
    reader: csv::Reader<R>,
    row: csv::StringRecord,
    /// The header's names as JSON strings.
    keys: Vec<String>,
    element: u64,
}

impl<R: BufRead> CsvReader<R> {
    pub(super) fn open(input: R) -> Result<Self, InputError> {
        let mut reader = csv::ReaderBuilder::new().has_headers(true).flexible(true).from_reader(input);
        let header = reader.headers().map_err(|error| refused(&error, None))?.clone();
        let place = Place { line: header.position().map_or(1, csv::Position::line), element: None };
        let mut seen = BTreeSet::new();
        for (column, name) in (1..).zip(&header) {
            if name.trim().is_empty() || !seen.insert(name) {
                let what = if name.trim().is_empty() { "has no name" } else { "repeats a name" };
                let reason = format!("column {column} of the header {what}: {name:?}");
                return Err(InputError::Malformed { place, reason, advice: HEADER_ADVICE });
            }
        }
        let keys = header.iter().map(json_string).collect();
        Ok(Self { reader, row: csv::StringRecord::new(), keys, element: 0 })
    }

    pub(super) fn next_record(&mut self) -> Result<Option<Record>, InputError> {
        let more = self
            .reader
            .read_record(&mut self.row)
            .map_err(|error| refused(&error, Some(self.element + 1)))?;
        if !more {
            return Ok(None);
        }
        self.element += 1;
        let line = self.row.position().map_or(0, csv::Position::line);
        let place = Place { line, element: Some(self.element) };
        if self.row.len() != self.keys.len() {
            let reason = format!("the row has {} cells, the header {}", self.row.len(), self.keys.len());
            return Err(InputError::Malformed { place, reason, advice: ROW_ADVICE });
        }
        let cells = self.keys.iter().zip(&self.row).map(|(key, cell)| format!("{key}:{}", json_string(cell)));
        let content = format!("{{{}}}", cells.collect::<Vec<_>>().join(","));
        Ok(Some(Record { content, place }))
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn refused(error: &csv::Error, element: Option<u64>) -> InputError {
    if let csv::ErrorKind::Io(error) = error.kind() {
        return InputError::Read(std::io::Error::new(error.kind(), error.to_string()));
    }
    let line = error.position().map_or(1, csv::Position::line);
    InputError::Malformed { place: Place { line, element }, reason: error.to_string(), advice: ROW_ADVICE }
}
