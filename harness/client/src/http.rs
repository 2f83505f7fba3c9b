//! Requests to a node, and its refusals as errors.

use std::error::Error;

use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Longest answer to a request that is read whole: lists of streams and status of large networks fit.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Why a request has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// Nobody answers there, or the connection broke.
    #[error("cannot reach {url}: {reason}; start a network with `weir up`, or name a node with --url")]
    Unreachable {
        /// The address.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// The node refuses.
    #[error("{reason} ({code})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Machine-readable.
        code: String,
        /// What was wrong and what to do.
        reason: String,
    },
    /// The answer is not what a weir node says.
    #[error("{url} answered something else than a weir node does: {reason}; check --url")]
    Garbled {
        /// The address.
        url: String,
        /// What was wrong.
        reason: String,
    },
}

impl RequestError {
    /// Whether signing in may help.
    pub(crate) fn wants_sign_in(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }
}

/// A refusal's body.
#[derive(Deserialize)]
pub(crate) struct RefusalBody {
    pub code: String,
    pub reason: String,
}

/// A refusal from a status and a body; bodies of other programs are shown as they are, shortened.
pub(crate) fn refusal(status: u16, body: &[u8]) -> RequestError {
    if let Ok(RefusalBody { code, reason }) = serde_json::from_slice(body) {
        return RequestError::Refused { status, code, reason };
    }
    let text: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    let reason = if text.is_empty() { format!("the node answered with status {status}") } else { text };
    RequestError::Refused { status, code: format!("status {status}"), reason }
}

/// Sends requests to one node.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    base: String,
    client: reqwest::Client,
}

impl Http {
    /// `base` without a slash at its end.
    pub fn new(base: String, client: reqwest::Client) -> Self {
        Self { base, client }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Sends; an answer of another status than success is an error.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, RequestError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await?;
        Err(refusal(status.as_u16(), &body))
    }

    /// Sends and reads a JSON answer.
    pub async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, RequestError> {
        let response = self.send(request).await?;
        let url = response.url().to_string();
        let body = self.body(response).await?;
        serde_json::from_slice(&body)
            .map_err(|error| RequestError::Garbled { url, reason: error.to_string() })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, RequestError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                let reason = format!("more than {} MiB", MAX_ANSWER_BYTES >> 20);
                return Err(RequestError::Garbled { url: response.url().to_string(), reason });
            }
        }
        Ok(body)
    }

    pub fn unreachable(&self, error: &reqwest::Error) -> RequestError {
        RequestError::Unreachable { url: self.base.clone(), reason: root_cause(error) }
    }
}

/// The innermost error: "connection refused" rather than "error sending request".
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A text as one value of a URL's query (RFC 3986: everything but unreserved characters is escaped).
pub(crate) fn query_value(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte as char),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_nodes_words() {
        let error = refusal(404, br#"{"code":"not-found","reason":"no stream 0x01"}"#);
        assert_eq!(error.to_string(), "no stream 0x01 (not-found)");
        assert!(refusal(502, b"Bad Gateway").to_string().contains("Bad Gateway"));
        assert!(refusal(500, b"").to_string().contains("status 500"));
        assert!(refusal(401, b"").wants_sign_in() && !refusal(404, b"").wants_sign_in());
    }

    #[test]
    fn a_query_value_cannot_break_out() {
        assert_eq!(query_value("a b&c=ü/~"), "a%20b%26c%3D%C3%BC%2F~");
    }
}
