//! Reading history over HTTP, a line an event, streamed: memory stays bounded however long the answer is.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::Method;
use weir_kernel::ids::StreamId;

use crate::client::Client;
use crate::http::RequestError;

/// Longest line taken: an event's content escaped, with its metadata.
const MAX_LINE_BYTES: usize = 8 << 20;

/// What to read. Bounds are inclusive; the order is (timestamp, lane, sequence).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// The last events.
    Last(u64),
    /// Events at or after a time, milliseconds since 1970 UTC.
    From(u64),
    /// Events between two times.
    Range(u64, u64),
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON object a line.
    Lines,
    /// Signed batches.
    Binary,
}

impl Query {
    pub(crate) fn path(self, stream: StreamId, partition: Option<u32>, format: Format) -> String {
        let format = match format {
            Format::Lines => "jsonl",
            Format::Binary => "binary",
        };
        let partition = partition.map_or_else(|| "all".into(), |partition| partition.to_string());
        let base = format!("/streams/{stream}/data/partitions/{partition}");
        match self {
            Self::Last(count) => format!("{base}/last?count={count}&format={format}"),
            Self::From(from) => format!("{base}/from?fromTimestamp={from}&format={format}"),
            Self::Range(from, to) => {
                format!("{base}/range?fromTimestamp={from}&toTimestamp={to}&format={format}")
            }
        }
    }
}

/// The lines of an answer.
pub struct Lines {
    url: String,
    body: BoxStream<'static, Result<Bytes, reqwest::Error>>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are known to hold no line end.
    searched: usize,
    finished: bool,
}

impl Client {
    /// Asks for history: all partitions merged, or one of them.
    ///
    /// # Errors
    ///
    /// The node's refusal, or that it is gone.
    pub async fn query(
        &self,
        stream: StreamId,
        query: Query,
        partition: Option<u32>,
    ) -> Result<Lines, RequestError> {
        let response = self.ask(&query.path(stream, partition, Format::Lines)).await?;
        let url = response.url().to_string();
        let body = response.bytes_stream().boxed();
        Ok(Lines { url, body, buffer: Vec::new(), searched: 0, finished: false })
    }

    /// Asks for a path; signs in where that is wanted.
    pub(crate) async fn ask(&self, path: &str) -> Result<reqwest::Response, RequestError> {
        match self.http().send(self.request(Method::GET, path)).await {
            Err(refusal) if refusal.wants_sign_in() => {
                self.sign_in_after(refusal).await?;
                self.http().send(self.request(Method::GET, path)).await
            }
            response => response,
        }
    }
}

impl Lines {
    /// The next event: one JSON object without line ends. `None` after the last.
    ///
    /// # Errors
    ///
    /// The answer breaks off: what came before is right, and more would follow.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, RequestError> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=self.searched + end).collect();
                self.searched = 0;
                line.pop();
                if !line.trim_ascii().is_empty() {
                    return self.checked(line).map(Some);
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE_BYTES {
                return Err(self.garbled(format!("a line of more than {} MiB", MAX_LINE_BYTES >> 20)));
            }
            if self.finished {
                let line = std::mem::take(&mut self.buffer);
                self.searched = 0;
                return if line.trim_ascii().is_empty() { Ok(None) } else { self.checked(line).map(Some) };
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    let reason = format!("the answer broke off: {}", crate::http::root_cause(&error));
                    return Err(RequestError::Unreachable { url: self.url.clone(), reason });
                }
                None => self.finished = true,
            }
        }
    }

    /// A node that fails in the middle of an answer says so in its last line.
    fn checked(&self, line: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        #[derive(serde::Deserialize)]
        struct Shape<'a> {
            #[serde(borrow)]
            metadata: Option<&'a serde_json::value::RawValue>,
            code: Option<String>,
            reason: Option<String>,
        }
        match serde_json::from_slice::<Shape<'_>>(&line) {
            Ok(Shape { metadata: Some(_), .. }) => Ok(line),
            Ok(Shape { code: Some(code), reason, .. }) => {
                Err(RequestError::Refused { status: 200, code, reason: reason.unwrap_or_default() })
            }
            Ok(_) => Err(self.garbled("a line that is no event".into())),
            Err(error) => Err(self.garbled(format!("a line that is no event: {error}"))),
        }
    }

    fn garbled(&self, reason: String) -> RequestError {
        RequestError::Garbled { url: self.url.clone(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_interface() {
        let stream = StreamId([1; 20]);
        let base = format!("/streams/{stream}/data/partitions");
        assert_eq!(
            Query::Last(10).path(stream, None, Format::Lines),
            format!("{base}/all/last?count=10&format=jsonl")
        );
        assert_eq!(
            Query::From(5).path(stream, Some(3), Format::Lines),
            format!("{base}/3/from?fromTimestamp=5&format=jsonl")
        );
        assert_eq!(
            Query::Range(5, 9).path(stream, None, Format::Lines),
            format!("{base}/all/range?fromTimestamp=5&toTimestamp=9&format=jsonl")
        );
        assert_eq!(
            Query::Last(2).path(stream, Some(0), Format::Binary),
            format!("{base}/0/last?count=2&format=binary")
        );
    }

    async fn read(chunks: &[&'static str]) -> Result<Vec<String>, RequestError> {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        let body = futures_util::stream::iter(chunks).boxed();
        let mut lines = Lines { url: "x".into(), body, buffer: Vec::new(), searched: 0, finished: false };
        let mut found = Vec::new();
        while let Some(line) = lines.next().await? {
            found.push(String::from_utf8(line).expect("text"));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn lines_are_put_together_from_chunks() {
        let lines =
            read(&["{\"metadata\":1}\n{\"meta", "data\":2}", "\n\n{\"metadata\":3}"]).await.expect("lines");
        assert_eq!(lines, ["{\"metadata\":1}", "{\"metadata\":2}", "{\"metadata\":3}"]);
        assert!(read(&[]).await.expect("no lines").is_empty());
    }

    #[tokio::test]
    async fn a_failure_in_the_middle_is_not_taken_for_an_event() {
        let error = read(&["{\"metadata\":1}\n{\"code\":\"unavailable\",\"reason\":\"gone\"}\n"]).await;
        assert!(matches!(error, Err(RequestError::Refused { code, .. }) if code == "unavailable"));
        assert!(read(&["{\"metadata\":1}\n{\"metad"]).await.is_err());
        assert!(read(&["{}\n"]).await.is_err());
    }
}
