//! JSON inputs: arrays, lines, feature collections and single documents.

use std::io::{BufRead, Read};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::detect::{Format, MAX_DOCUMENT_BYTES, is_feature_collection, too_long};
use super::scanner::{MAX_VALUE_BYTES, Scanner};
use super::{InputError, Place, Record};

const FIX_OR_FORMAT: &str =
    "correct it, or name the format with --format json-array, json-lines, geojson or csv";

/// Elements of one array, one at a time.
pub(super) struct ArrayReader<R> {
    scanner: Scanner<R>,
    element: u64,
    finished: bool,
}

impl<R: BufRead> ArrayReader<R> {
    pub(super) fn open(input: R) -> Result<Self, InputError> {
        let mut scanner = Scanner::new(input);
        match scanner.peek()? {
            Some(b'[') => scanner.skip()?,
            found => return Err(malformed(&scanner, None, format!("wanted [, found {}", shown(found)))),
        }
        Ok(Self { scanner, element: 0, finished: false })
    }

    pub(super) fn next_record(&mut self) -> Result<Option<Record>, InputError> {
        if self.finished {
            return Ok(None);
        }
        match (self.scanner.peek()?, self.element) {
            (Some(b']'), 0) => return self.end(),
            (_, 0) => {}
            (Some(b']'), _) => return self.end(),
            (Some(b','), _) => self.scanner.skip()?,
            (found, element) => {
                let reason = format!("wanted a comma or ] after element {element}, found {}", shown(found));
                return Err(malformed(&self.scanner, None, reason));
            }
        }
        self.element += 1;
        self.scanner.peek()?;
        let place = Place { line: self.scanner.line(), element: Some(self.element) };
        let value = self.scanner.value()?;
        checked(value, place).map(Some)
    }

    fn end(&mut self) -> Result<Option<Record>, InputError> {
        self.scanner.skip()?;
        self.finished = true;
        match self.scanner.peek()? {
            None => Ok(None),
            found => Err(malformed(&self.scanner, None, format!("{} follows the array's end", shown(found)))),
        }
    }
}

/// One value a line; blank lines are passed over.
pub(super) struct LinesReader<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> LinesReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    pub(super) fn next_record(&mut self) -> Result<Option<Record>, InputError> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.input).take(MAX_VALUE_BYTES as u64).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            let place = Place { line: self.line, element: None };
            if read == MAX_VALUE_BYTES {
                let reason = format!("the line is longer than {} MiB", MAX_VALUE_BYTES >> 20);
                return Err(InputError::Malformed { place, reason, advice: "split it into several events" });
            }
            let trimmed = line.trim_ascii();
            if !trimmed.is_empty() {
                return checked(trimmed.to_vec(), place).map(Some);
            }
        }
    }
}

/// A document that is read whole: a feature collection, or a single value over several lines.
pub(super) struct WholeReader {
    records: std::vec::IntoIter<Record>,
}

#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(borrow)]
    features: Vec<&'a RawValue>,
}

impl WholeReader {
    pub(super) fn open<R: BufRead>(input: R, format: Option<Format>) -> Result<Self, InputError> {
        let mut bytes = Vec::new();
        input.take(MAX_DOCUMENT_BYTES).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == MAX_DOCUMENT_BYTES {
            return Err(too_long(1));
        }
        let whole = Place { line: 1, element: None };
        let text = String::from_utf8(bytes).map_err(|error| not_text(whole, &error.utf8_error()))?;
        let value: &RawValue = serde_json::from_str(&text).map_err(|error| not_json(whole, &error))?;
        if format == Some(Format::GeoJson) || is_feature_collection(value.get()) {
            return Self::features(&text);
        }
        let blank = text.len() - text.trim_start().len();
        let record = Record { content: value.get().into(), place: place_of(&text, blank, None) };
        Ok(Self { records: vec![record].into_iter() })
    }

    fn features(text: &str) -> Result<Self, InputError> {
        let whole = Place { line: 1, element: None };
        let collection: Collection<'_> =
            serde_json::from_str(text).map_err(|error| InputError::Malformed {
                place: whole,
                reason: format!("not a GeoJSON feature collection: {error}"),
                advice: "it is an object with \"type\":\"FeatureCollection\" and an array \"features\"",
            })?;
        let mut line = 1;
        let mut counted = 0;
        let records = (1..)
            .zip(collection.features)
            .map(|(element, feature)| {
                let offset = feature.get().as_ptr() as usize - text.as_ptr() as usize;
                line += text.as_bytes()[counted..offset].iter().filter(|byte| **byte == b'\n').count() as u64;
                counted = offset;
                Record { content: feature.get().into(), place: Place { line, element: Some(element) } }
            })
            .collect::<Vec<_>>();
        Ok(Self { records: records.into_iter() })
    }

    pub(super) fn next_record(&mut self) -> Option<Record> {
        self.records.next()
    }
}

fn checked(value: Vec<u8>, place: Place) -> Result<Record, InputError> {
    let text = String::from_utf8(value).map_err(|error| not_text(place, &error.utf8_error()))?;
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) if raw.get().len() == text.len() => Ok(Record { content: text, place }),
        Ok(raw) => Ok(Record { content: raw.get().into(), place }),
        Err(error) => Err(not_json(place, &error)),
    }
}

fn not_json(place: Place, error: &serde_json::Error) -> InputError {
    // serde_json counts lines and columns within the value; the place says where the value starts.
    let line = place.line + (error.line() as u64).saturating_sub(1);
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    InputError::Malformed {
        place: Place { line, ..place },
        reason: format!("not JSON, {reason} at column {}", error.column()),
        advice: FIX_OR_FORMAT,
    }
}

fn not_text(place: Place, error: &std::str::Utf8Error) -> InputError {
    InputError::Malformed {
        place,
        reason: format!("not UTF-8 text after {} bytes", error.valid_up_to()),
        advice: "convert the input to UTF-8",
    }
}

fn malformed<R: BufRead>(scanner: &Scanner<R>, element: Option<u64>, reason: String) -> InputError {
    InputError::Malformed { place: Place { line: scanner.line(), element }, reason, advice: FIX_OR_FORMAT }
}

fn place_of(text: &str, offset: usize, element: Option<u64>) -> Place {
    let line = 1 + text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() as u64;
    Place { line, element }
}

fn shown(byte: Option<u8>) -> String {
    byte.map_or_else(|| "the end of the input".into(), |byte| format!("{:?}", byte as char))
}
