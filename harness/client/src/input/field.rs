//! Dotted paths into JSON values: `properties.time`, `geometry.coordinates.0`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::time::parse_time_ms;

/// Most parts of a path: deeper than any record met so far, and a bound for the walk.
const MAX_PARTS: usize = 32;

/// A path of object keys, or element numbers from 0 for arrays, joined by dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    text: String,
    parts: Vec<String>,
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text.split('.').map(Into::into).collect();
        if parts.iter().any(String::is_empty) || parts.len() > MAX_PARTS {
            return Err(format!(
                "{text:?} is not a path: give 1 to {MAX_PARTS} names joined by dots, as in properties.time"
            ));
        }
        Ok(Self { text: text.into(), parts })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FieldPath {
    /// The time that the field holds, in milliseconds since 1970 UTC: a whole number of milliseconds, or a
    /// string that [`parse_time_ms`] reads.
    pub fn time_ms(&self, json: &str) -> Result<u64, String> {
        let text = self.text(json)?;
        parse_time_ms(&text).map_err(|error| format!("the timestamp field {:?}: {error}", self.text))
    }

    /// The field's value as text: a string's characters, anything else as it stands in the JSON.
    pub fn text(&self, json: &str) -> Result<String, String> {
        let raw = self.find(json)?.ok_or_else(|| {
            format!("there is no field {:?}: correct the path, or leave such records out", self.text)
        })?;
        match raw.get() {
            "null" => {
                Err(format!("the field {:?} is null: give it a value, or leave such records out", self.text))
            }
            text if text.starts_with('"') => serde_json::from_str(text).map_err(|error| error.to_string()),
            text => Ok(text.into()),
        }
    }

    fn find<'a>(&self, json: &'a str) -> Result<Option<&'a RawValue>, String> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        Step(&self.parts).deserialize(&mut deserializer).map_err(|error| error.to_string())
    }
}

/// Walks the rest of a path; everything beside it is skipped, not built.
struct Step<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_any(self)
    }
}

macro_rules! not_a_container {
    ($($method:ident $kind:ty),*) => {
        $(fn $method<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(None)
        })*
    };
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if found.is_none() && key == self.0[0] {
                found = map.next_value_seed(Step(&self.0[1..]))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let wanted = self.0[0].parse::<usize>().ok();
        let mut found = None;
        for index in 0.. {
            if Some(index) == wanted {
                match sequence.next_element_seed(Step(&self.0[1..]))? {
                    Some(value) => found = value,
                    None => break,
                }
            } else if sequence.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    not_a_container!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_f64 f64, visit_str &str);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, json: &str) -> Result<String, String> {
        path.parse::<FieldPath>().expect(path).text(json)
    }

    #[test]
    fn a_path_walks_objects_and_arrays() {
        let json = r#"{"a":{"b":[10,{"c":"x\u0041"}]},"n":1.50,"s":"t","z":null}"#;
        assert_eq!(text("a.b.0", json).as_deref(), Ok("10"));
        assert_eq!(text("a.b.1.c", json).as_deref(), Ok("xA"));
        assert_eq!(text("n", json).as_deref(), Ok("1.50"));
        assert_eq!(text("a.b", json).as_deref(), Ok(r#"[10,{"c":"x\u0041"}]"#));
    }

    #[test]
    fn what_is_missing_is_named() {
        let json = r#"{"a":{"b":1},"n":null,"t":[1]}"#;
        for path in ["x", "a.x", "a.b.c", "n.x", "t.1", "t.x"] {
            let error = text(path, json).expect_err(path);
            assert!(error.contains(path) && error.contains("no field"), "{error}");
        }
        assert!(text("n", json).expect_err("null").contains("is null"));
    }

    #[test]
    fn times_are_milliseconds_or_iso_8601() {
        let path: FieldPath = "t".parse().expect("a path");
        assert_eq!(path.time_ms(r#"{"t":1517966773840}"#), Ok(1_517_966_773_840));
        assert_eq!(path.time_ms(r#"{"t":"1517966773840"}"#), Ok(1_517_966_773_840));
        assert_eq!(path.time_ms(r#"{"t":"2018-02-07T01:26:13.840Z"}"#), Ok(1_517_966_773_840));
        let error = path.time_ms(r#"{"t":"2001/01/01 00:47"}"#).expect_err("not ISO 8601");
        assert!(error.contains("\"t\"") && error.contains("2001/01/01 00:47"), "{error}");
        assert!(path.time_ms(r#"{"t":1.5}"#).is_err());
    }

    #[test]
    fn a_path_has_names_between_its_dots() {
        for text in ["", ".", "a..b", "a."] {
            assert!(text.parse::<FieldPath>().is_err(), "{text:?}");
        }
    }
}
