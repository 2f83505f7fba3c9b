//! Which format an input has, told from its first bytes.
//!
//! | first character that is no white space | format |
//! | --- | --- |
//! | `[` | JSON array |
//! | `{` | JSON lines if the first line is a whole object; GeoJSON if that object is a feature collection; else one document over several lines |
//! | another, and the first line is a JSON value | JSON lines |
//! | another | CSV |

use std::io::{BufRead, Chain, Cursor, Read};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{InputError, Place};

/// A format that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON array; each element is an event.
    JsonArray,
    /// One JSON value a line.
    JsonLines,
    /// A GeoJSON feature collection; each feature is an event.
    GeoJson,
    /// Comma-separated values with a header row.
    Csv,
}

/// How the input is read.
pub(super) enum Opened {
    JsonArray,
    JsonLines,
    /// Read whole: a feature collection when the format was given, otherwise a collection or one document.
    Whole(Option<Format>),
    Csv,
}

/// An input with its first line put back.
pub type Prefixed<R> = Chain<Cursor<Vec<u8>>, R>;

/// Longest first line looked at: a GeoJSON document may be all one line.
pub(super) const MAX_DOCUMENT_BYTES: u64 = 512 << 20;

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Tells the format. Without one given, reads the first line that is not blank; a pipe is not read further
/// than that.
pub(super) fn open<R: BufRead>(
    mut input: R,
    format: Option<Format>,
) -> Result<(Opened, Prefixed<R>), InputError> {
    let mut prefix = Vec::new();
    let mut first = 0..0;
    while first.is_empty() {
        let start = prefix.len();
        let read = (&mut input).take(MAX_DOCUMENT_BYTES).read_until(b'\n', &mut prefix)?;
        if start == 0 && prefix.starts_with(BYTE_ORDER_MARK) {
            prefix.drain(..BYTE_ORDER_MARK.len());
        }
        if read == 0 {
            return Err(InputError::Empty);
        }
        if read as u64 == MAX_DOCUMENT_BYTES {
            return Err(too_long(1 + prefix[..start].iter().filter(|byte| **byte == b'\n').count() as u64));
        }
        if !prefix[start..].trim_ascii().is_empty() {
            first = start..prefix.len();
        }
    }
    let opened = match format {
        Some(Format::JsonArray) => Opened::JsonArray,
        Some(Format::JsonLines) => Opened::JsonLines,
        Some(Format::GeoJson) => Opened::Whole(Some(Format::GeoJson)),
        Some(Format::Csv) => Opened::Csv,
        None => detect(prefix[first].trim_ascii()),
    };
    Ok((opened, Cursor::new(prefix).chain(input)))
}

pub(super) fn too_long(line: u64) -> InputError {
    InputError::Malformed {
        place: Place { line, element: None },
        reason: format!("a document of more than {} MiB", MAX_DOCUMENT_BYTES >> 20),
        advice: "write it as JSON lines, which are read one at a time",
    }
}

fn detect(first_line: &[u8]) -> Opened {
    let value = serde_json::from_slice::<&RawValue>(first_line);
    match (first_line[0], value) {
        (b'[', _) => Opened::JsonArray,
        (b'{', Ok(value)) if is_feature_collection(value.get()) => Opened::Whole(None),
        (b'{', Err(error)) if error.is_eof() => Opened::Whole(None),
        (b'{', _) | (_, Ok(_)) => Opened::JsonLines,
        (_, Err(_)) => Opened::Csv,
    }
}

/// Whether a JSON object says that it is a GeoJSON feature collection (RFC 7946).
pub(super) fn is_feature_collection(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<&'a RawValue>,
    }
    serde_json::from_str::<Typed<'_>>(text)
        .is_ok_and(|typed| typed.kind.is_some_and(|kind| kind.get() == "\"FeatureCollection\""))
}
