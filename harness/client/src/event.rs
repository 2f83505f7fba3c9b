//! An event before it is signed.

use bytes::Bytes;

/// An event to publish. Its content is a JSON value, byte for byte as it will be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The content.
    pub content: Bytes,
    /// Milliseconds since 1970 UTC; `None` stands for the time of publishing.
    pub timestamp_ms: Option<u64>,
    /// Decides the stream partition (WP 2.4.5); events without one go round the stream's partitions in turn.
    pub partition_key: Option<String>,
}

impl Event {
    /// An event published now, on any partition.
    pub fn new(content: impl Into<Bytes>) -> Self {
        Self { content: content.into(), timestamp_ms: None, partition_key: None }
    }
}
