//! Payloads: what clients send as JSON, and the optional envelope around it.
//!
//! A JSON object with exactly the keys `content` and `metadata`, the second an object, is an envelope: its content
//! is published, and of its metadata `timestamp` (milliseconds or ISO 8601), `partition` and `partitionKey` count.
//! What the node gives itself (`streamId`, `sequenceNumber`, `publisherId`, `msgChainId`) may be there and is
//! ignored, so that what was read can be published again. Anything else is content as it stands, byte for byte.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_kernel::batch::content_type;
use weir_kernel::limits::MAX_CONTENT_BYTES;

use super::error::ApiError;
use super::query::{Parameters, parse_time_ms};
use crate::service::publisher::{Choice, PublishEvent};

/// The query parameters that choose a partition and a time.
pub const PLACE_PARAMETERS: [&str; 4] = ["partition", "partitionKey", "partitionKeyField", "timestamp"];

/// How the events of one request or connection are placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    partition: Option<u32>,
    key: Option<String>,
    key_field: Option<String>,
    timestamp_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    partition: Option<u32>,
    partition_key: Option<String>,
}

impl Placement {
    /// By query parameters.
    pub fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let placement = Self {
            partition: parameters.parse("partition", "a partition number from 0")?,
            key: parameters.text("partitionKey").map(str::to_owned),
            key_field: parameters.text("partitionKeyField").map(str::to_owned),
            timestamp_ms: parameters.time_ms("timestamp")?,
        };
        let ways = [placement.partition.is_some(), placement.key.is_some(), placement.key_field.is_some()];
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err(ApiError::invalid(
                "only one of \"partition\", \"partitionKey\" and \"partitionKeyField\" can choose the partition",
            ));
        }
        Ok(placement)
    }

    /// One event from a JSON text, with or without envelope.
    pub fn json_event(&self, text: &[u8]) -> Result<(Choice, PublishEvent), ApiError> {
        let raw: &RawValue = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        self.event_of(raw)
    }

    /// The events of a JSON array, each with or without envelope; at most `most`.
    pub fn json_events(&self, text: &[u8], most: usize) -> Result<Vec<(Choice, PublishEvent)>, ApiError> {
        let raw: Vec<&RawValue> = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        if raw.is_empty() || raw.len() > most {
            return Err(ApiError::invalid(format!("{} events: with batch=true send 1 to {most}", raw.len())));
        }
        let event = |(index, raw): (usize, &&RawValue)| {
            self.event_of(raw).map_err(|error| {
                let reason = format!("event {index}: {}", error.reason);
                ApiError { reason, ..error }
            })
        };
        raw.iter().enumerate().map(event).collect()
    }

    /// One event of other content than JSON.
    pub fn plain_event(
        &self,
        content_type: u8,
        content: Vec<u8>,
    ) -> Result<(Choice, PublishEvent), ApiError> {
        if self.key_field.is_some() {
            return Err(ApiError::invalid("\"partitionKeyField\" names a field of a JSON object: send JSON"));
        }
        if content.len() > MAX_CONTENT_BYTES {
            return Err(ApiError::too_large("the content", MAX_CONTENT_BYTES));
        }
        let event = PublishEvent { content_type, content, timestamp_ms: self.timestamp_ms };
        Ok((self.choice(None, None), event))
    }

    fn event_of(&self, raw: &RawValue) -> Result<(Choice, PublishEvent), ApiError> {
        let envelope = serde_json::from_str::<Envelope<'_>>(raw.get()).ok();
        let envelope = envelope.filter(|envelope| envelope.metadata.get().starts_with('{'));
        let Some(envelope) = envelope else { return self.event(raw, None, None, None) };
        let metadata: Metadata<'_> = serde_json::from_str(envelope.metadata.get())
            .map_err(|error| ApiError::invalid(format!("metadata: {error}")))?;
        let timestamp_ms =
            metadata.timestamp.filter(|raw| raw.get() != "null").map(envelope_time).transpose()?;
        self.event(envelope.content, timestamp_ms, metadata.partition, metadata.partition_key)
    }

    fn event(
        &self,
        content: &RawValue,
        timestamp_ms: Option<u64>,
        partition: Option<u32>,
        key: Option<String>,
    ) -> Result<(Choice, PublishEvent), ApiError> {
        if content.get().len() > MAX_CONTENT_BYTES {
            return Err(ApiError::too_large("the content", MAX_CONTENT_BYTES));
        }
        let choice = match (&self.key_field, partition.is_some() || key.is_some()) {
            (Some(field), false) => Choice::Key(field_key(content, field)?),
            _ => self.choice(partition, key),
        };
        let event = PublishEvent {
            content_type: content_type::JSON,
            content: content.get().as_bytes().to_vec(),
            timestamp_ms: timestamp_ms.or(self.timestamp_ms),
        };
        Ok((choice, event))
    }

    /// The envelope's own choice comes first.
    fn choice(&self, partition: Option<u32>, key: Option<String>) -> Choice {
        let own = partition.map(Choice::Partition).or(key.map(|key| Choice::Key(key.into_bytes())));
        own.or(self.partition.map(Choice::Partition))
            .or(self.key.clone().map(|key| Choice::Key(key.into_bytes())))
            .unwrap_or_default()
    }
}

/// The key in a field of a JSON object: a string's text, anything else as it is written. `a.b` is the field `b` of
/// the field `a`, unless there is a field named `a.b`.
fn field_key(content: &RawValue, field: &str) -> Result<Vec<u8>, ApiError> {
    type Fields<'a> = std::collections::BTreeMap<String, &'a RawValue>;
    fn find<'a>(raw: &'a RawValue, field: &str) -> Option<&'a RawValue> {
        let fields: Fields<'a> = serde_json::from_str(raw.get()).ok()?;
        if let Some(found) = fields.get(field) {
            return Some(found);
        }
        let (outer, inner) = field.split_once('.')?;
        find(fields.get(outer)?, inner)
    }
    let Some(found) = find(content, field) else {
        return Err(ApiError::invalid(format!("the content is no JSON object with a field {field:?}")));
    };
    let text = serde_json::from_str::<String>(found.get());
    Ok(text.map_or_else(|_| found.get().as_bytes().to_vec(), String::into_bytes))
}

fn envelope_time(raw: &RawValue) -> Result<u64, ApiError> {
    let text = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
    parse_time_ms(&text).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        ApiError::invalid(format!(
            "metadata.timestamp is {shown:?}: it must be milliseconds since 1970 or ISO 8601 such as \
             2026-01-31T12:00:00Z"
        ))
    })
}

fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::invalid(format!("malformed JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(query: &str) -> Result<Placement, ApiError> {
        let uri = format!("/x?{query}").parse().unwrap();
        Placement::read(&Parameters::read(&uri, &PLACE_PARAMETERS).unwrap())
    }

    fn event(query: &str, text: &str) -> Result<(Choice, PublishEvent), ApiError> {
        placement(query)?.json_event(text.as_bytes())
    }

    #[test]
    fn content_stays_as_it_came() {
        let text = r#"{"b":1.50,  "a":"\u00e9","b":2}"#;
        let (choice, published) = event("", &format!("  {text}\n")).unwrap();
        assert_eq!(published.content, text.as_bytes());
        assert_eq!((choice, published.timestamp_ms), (Choice::Content, None));
        assert_eq!(event("", "17").unwrap().1.content, b"17");
    }

    #[test]
    fn an_envelope_is_taken_off() {
        let envelope = r#"{"content": {"x" :1}, "metadata": {"timestamp": "1970-01-01T00:00:01Z",
            "partitionKey": "k", "sequenceNumber": 9}}"#;
        let (choice, published) = event("partition=3&timestamp=5", envelope).unwrap();
        assert_eq!(published.content, br#"{"x" :1}"#);
        assert_eq!((choice, published.timestamp_ms), (Choice::Key(b"k".to_vec()), Some(1000)));
        for plain in
            [r#"{"content":1}"#, r#"{"content":1,"metadata":7}"#, r#"{"content":1,"metadata":{},"more":2}"#]
        {
            assert_eq!(event("", plain).unwrap().1.content, plain.as_bytes());
        }
        let wrong = event("", r#"{"content":1,"metadata":{"timestamp":"soon"}}"#).unwrap_err();
        assert!(wrong.reason.contains("soon"), "{}", wrong.reason);
    }

    #[test]
    fn a_field_can_be_the_key() {
        let key = |query: &str, text: &str| event(query, text).unwrap().0;
        assert_eq!(key("partitionKeyField=id", r#"{"id":"a"}"#), Choice::Key(b"a".to_vec()));
        assert_eq!(key("partitionKeyField=id", r#"{"id":17.0}"#), Choice::Key(b"17.0".to_vec()));
        assert_eq!(key("partitionKeyField=p.id", r#"{"p":{"id":1}}"#), Choice::Key(b"1".to_vec()));
        assert_eq!(key("partitionKey=z", "1"), Choice::Key(b"z".to_vec()));
        assert_eq!(key("partition=2", "1"), Choice::Partition(2));
        assert!(event("partitionKeyField=id", r#"{"di":1}"#).unwrap_err().reason.contains("\"id\""));
        assert!(placement("partition=1&partitionKey=z").is_err());
    }

    #[test]
    fn malformed_json_is_refused_with_its_place() {
        let reason = event("", "{\"a\":\n tru}").unwrap_err().reason;
        assert!(reason.contains("line 2"), "{reason}");
        assert!(event("", "").is_err());
        assert!(event("", "{} {}").is_err());
        assert!(event("", &"[".repeat(100_000)).is_err());
        assert!(placement("").unwrap().json_event(b"\"\xff\"").is_err());
    }

    #[test]
    fn sizes_and_numbers_are_bounded() {
        let long = format!("\"{}\"", "x".repeat(MAX_CONTENT_BYTES));
        assert_eq!(event("", &long).unwrap_err().code, "too-large");
        let many = placement("").unwrap();
        assert_eq!(many.json_events(b"[1,{\"a\":2}]", 2).unwrap().len(), 2);
        assert!(many.json_events(b"[1,2,3]", 2).unwrap_err().reason.contains("3 events"));
        assert!(many.json_events(b"[]", 2).is_err());
        assert!(many.json_events(b"{}", 2).is_err());
    }
}
