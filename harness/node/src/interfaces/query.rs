//! Query parameters, read strictly: what is unknown, twice there or not of its form is named in the error.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;
use jiff::Timestamp;
use weir_kernel::broker::{From, Level};

use super::error::ApiError;

/// The parameters of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads the query of an address. `known` are the names that may be there, `apiKey` besides.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            ApiError::invalid("the query after ? cannot be decoded: percent-encode it as UTF-8")
        })?;
        let mut found = BTreeMap::new();
        for (name, value) in pairs {
            if name != "apiKey" && !known.contains(&name.as_str()) {
                let list = known.join(", ");
                return Err(ApiError::invalid(format!(
                    "unknown query parameter {name:?}: known here are {list}"
                )));
            }
            if found.insert(name.clone(), value).is_some() {
                return Err(ApiError::invalid(format!("query parameter {name:?} is there twice")));
            }
        }
        Ok(Self(found))
    }

    /// A parameter as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter read by its type.
    pub fn parse<T: std::str::FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, ApiError> {
        let read = |text: &str| text.parse().map_err(|_| wrong(name, text, what));
        self.text(name).map(read).transpose()
    }

    /// A parameter that must be there.
    pub fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, ApiError> {
        value.ok_or_else(|| ApiError::invalid(format!("query parameter {name:?} is missing")))
    }

    /// `true` or `false`; absent is `false`.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1" | "") => Ok(true),
            Some(text) => Err(wrong(name, text, "true or false")),
        }
    }

    /// A time: milliseconds since 1970 UTC, or ISO 8601 with a zone.
    pub fn time_ms(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let read = |text: &str| {
            parse_time_ms(text).ok_or_else(|| {
                wrong(name, text, "milliseconds since 1970 or ISO 8601 such as 2026-01-31T12:00:00Z")
            })
        };
        self.text(name).map(read).transpose()
    }

    /// An acknowledgement level; absent is `stored`.
    pub fn level(&self) -> Result<Level, ApiError> {
        match self.text("ack") {
            None | Some("stored") => Ok(Level::Stored),
            Some("accepted") => Ok(Level::Accepted),
            Some("sealed") => Ok(Level::Sealed),
            Some(text) => Err(wrong("ack", text, "accepted, stored or sealed")),
        }
    }

    /// Where a subscription starts; absent is `latest`.
    pub fn from(&self) -> Result<From, ApiError> {
        match self.text("from") {
            None | Some("latest") => Ok(From::Latest),
            Some("all") => Ok(From::All),
            Some(text) => parse_time_ms(text).map(From::Time).ok_or_else(|| {
                wrong(
                    "from",
                    text,
                    "latest, all, milliseconds since 1970 or ISO 8601 such as 2026-01-31T12:00:00Z",
                )
            }),
        }
    }

    /// Numbers with commas between them; absent is none.
    pub fn numbers(&self, name: &str) -> Result<Vec<u32>, ApiError> {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
        let read = |part: &str| part.trim().parse().map_err(|_| wrong(name, text, "numbers such as 0,1,2"));
        let mut numbers = text.split(',').map(read).collect::<Result<Vec<u32>, _>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }
}

/// Reads a time: milliseconds since 1970 UTC, or ISO 8601 with a zone, not before 1970.
pub fn parse_time_ms(text: &str) -> Option<u64> {
    if let Ok(milliseconds) = text.parse() {
        return Some(milliseconds);
    }
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

/// A parameter that is not of its form.
pub fn wrong(name: &str, found: &str, wanted: &str) -> ApiError {
    let shown: String = found.chars().take(80).collect();
    ApiError::invalid(format!("query parameter {name:?} is {shown:?}: it must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, ApiError> {
        let uri = format!("/x?{query}").parse().unwrap();
        Parameters::read(&uri, &["count", "from", "partitions", "ack", "flag"])
    }

    #[test]
    fn parameters_are_named_when_they_are_wrong() {
        let reason = |result: Result<Parameters, ApiError>| result.unwrap_err().reason;
        assert!(reason(read("cuont=1")).contains("\"cuont\""));
        assert!(reason(read("count=1&count=2")).contains("twice"));
        let parameters = read("count=ten&flag=maybe&ack=soon&from=yesterday&partitions=1,x").unwrap();
        assert!(parameters.parse::<u64>("count", "a number").unwrap_err().reason.contains("\"ten\""));
        assert!(parameters.flag("flag").unwrap_err().reason.contains("maybe"));
        assert!(parameters.level().unwrap_err().reason.contains("sealed"));
        assert!(parameters.from().unwrap_err().reason.contains("ISO 8601"));
        assert!(parameters.numbers("partitions").unwrap_err().reason.contains("1,x"));
        assert!(parameters.required::<u64>("count", None).unwrap_err().reason.contains("missing"));
    }

    #[test]
    fn parameters_are_read_by_their_type() {
        let parameters =
            read("count=7&from=2026-01-31T12%3A00%3A00Z&partitions=2,0,2&apiKey=k&ack=sealed").unwrap();
        assert_eq!(parameters.parse::<u64>("count", "a number"), Ok(Some(7)));
        assert_eq!(parameters.from(), Ok(From::Time(1_769_860_800_000)));
        assert_eq!(parameters.numbers("partitions"), Ok(vec![0, 2]));
        assert_eq!(parameters.level(), Ok(Level::Sealed));
        assert_eq!(parameters.text("apiKey"), Some("k"));
        let none = read("").unwrap();
        assert_eq!(
            (none.from(), none.level(), none.flag("flag")),
            (Ok(From::Latest), Ok(Level::Stored), Ok(false))
        );
    }

    #[test]
    fn times_have_two_forms() {
        assert_eq!(parse_time_ms("1700000000000"), Some(1_700_000_000_000));
        assert_eq!(parse_time_ms("1970-01-01T01:00:00.25+01:00"), Some(250));
        for text in ["1969-12-31T23:59:59Z", "-5", "2026-01-31", "", "99999999999999999999999"] {
            assert_eq!(parse_time_ms(text), None, "{text}");
        }
    }
}
