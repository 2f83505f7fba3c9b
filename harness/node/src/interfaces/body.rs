//! Request bodies, bounded.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;

use super::error::ApiError;

/// What is read of a body that is too long, so that its sender gets to see the answer: most clients look for it only
/// when they have sent all.
const DRAIN_BYTES: usize = 32 << 20;

/// Reads a body of at most `limit_bytes`.
pub async fn read_body(headers: &HeaderMap, body: Body, limit_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut too_long = announced.is_some_and(|bytes| bytes > limit_bytes as u64);
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut seen = 0;
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| ApiError::invalid(format!("the body broke off: {error}")))?;
        seen += part.len();
        too_long |= seen > limit_bytes;
        if !too_long {
            bytes.extend_from_slice(&part);
        } else if seen > DRAIN_BYTES {
            break;
        }
    }
    if too_long { Err(ApiError::too_large("the body", limit_bytes)) } else { Ok(bytes) }
}

/// The media type of a body without its parameters, in lower case; empty if none is named.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
