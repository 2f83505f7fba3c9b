//! Times as people write them: milliseconds since 1970 UTC, or ISO 8601; and lengths of time.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A text that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Neither form.
    #[error(
        "{0:?} is not a time: give milliseconds since 1970 such as 1517966773840, \
         or ISO 8601 such as 2018-02-07T01:26:13.840Z"
    )]
    Unreadable(String),
    /// Before 1970: the wire form counts from there.
    #[error("{0:?} lies before 1970, and event times count from there")]
    TooEarly(String),
    /// No length of time.
    #[error("{0:?} is not a length of time: give at least a second, such as 90s, 12h, 30d or 2w")]
    NoLength(String),
}

/// Reads milliseconds since 1970 UTC, or ISO 8601; a date and time without an offset is UTC, a date alone is
/// its midnight.
///
/// ```
/// use weir_client::time::parse_time_ms;
///
/// assert_eq!(parse_time_ms("1517966773840"), Ok(1_517_966_773_840));
/// assert_eq!(parse_time_ms("2018-02-07T01:26:13.840Z"), Ok(1_517_966_773_840));
/// assert_eq!(parse_time_ms("2018-02-07T03:26:13.840+02:00"), Ok(1_517_966_773_840));
/// assert_eq!(parse_time_ms("1970-01-02"), Ok(86_400_000));
/// ```
pub fn parse_time_ms(text: &str) -> Result<u64, TimeError> {
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
        return trimmed.parse().map_err(|_| TimeError::Unreadable(text.into()));
    }
    let timestamp = trimmed
        .parse::<Timestamp>()
        .or_else(|_| {
            trimmed
                .parse::<DateTime>()
                .and_then(|civil| civil.to_zoned(TimeZone::UTC))
                .map(|zoned| zoned.timestamp())
        })
        .map_err(|_| TimeError::Unreadable(text.into()))?;
    u64::try_from(timestamp.as_millisecond()).map_err(|_| TimeError::TooEarly(text.into()))
}

/// Reads a length of time in whole seconds. A day has 24 hours; months and years have no fixed length and are refused.
///
/// ```
/// use weir_client::time::parse_length_s;
///
/// assert_eq!(parse_length_s("90s"), Ok(90));
/// assert_eq!(parse_length_s("1d 12h"), Ok(129_600));
/// assert_eq!(parse_length_s("2 weeks"), Ok(1_209_600));
/// ```
pub fn parse_length_s(text: &str) -> Result<u64, TimeError> {
    let no_length = || TimeError::NoLength(text.into());
    let span: Span = text.trim().parse().map_err(|_| no_length())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| no_length())?;
    u64::try_from(length.as_secs()).ok().filter(|seconds| *seconds > 0).ok_or_else(no_length)
}

/// ISO 8601 in UTC, for people; a time beyond the calendar is shown in milliseconds.
pub fn format_time_ms(time_ms: u64) -> String {
    i64::try_from(time_ms)
        .ok()
        .and_then(|time_ms| Timestamp::from_millisecond(time_ms).ok())
        .map_or_else(|| format!("{time_ms} ms"), |timestamp| timestamp.to_string())
}

/// The wall clock in milliseconds since 1970 UTC.
pub fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_an_offset_is_utc() {
        assert_eq!(parse_time_ms("2010-01-01T01:00:00"), parse_time_ms("2010-01-01T01:00:00Z"));
        assert_eq!(parse_time_ms("2010-01-01T01:00:00"), Ok(1_262_307_600_000));
    }

    #[test]
    fn what_is_no_time_says_what_would_be() {
        for text in ["", "yesterday", "2001/01/01 00:47", "-5", "1.5", "99999999999999999999999"] {
            let error = parse_time_ms(text).expect_err(text);
            assert!(matches!(error, TimeError::Unreadable(_)), "{text}: {error}");
        }
        assert!(matches!(parse_time_ms("1969-12-31T23:59:59Z"), Err(TimeError::TooEarly(_))));
    }

    #[test]
    fn a_length_of_time_is_fixed_and_not_nothing() {
        for text in ["", "30", "0s", "-3d", "500ms", "1 month", "forever"] {
            assert_eq!(parse_length_s(text), Err(TimeError::NoLength(text.into())));
        }
    }

    #[test]
    fn people_see_iso_8601() {
        assert_eq!(format_time_ms(1_517_966_773_840), "2018-02-07T01:26:13.84Z");
        assert_eq!(format_time_ms(u64::MAX), "18446744073709551615 ms");
    }
}
