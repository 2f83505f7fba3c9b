//! Request bodies, bounded.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;

use super::error::ApiError;

/// Reads a body of at most `limit_bytes`; refuses a longer one as soon as that is known.
pub async fn read_body(headers: &HeaderMap, body: Body, limit_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit_bytes as u64) {
        return Err(ApiError::too_large("the body", limit_bytes));
    }
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| ApiError::invalid(format!("the body broke off: {error}")))?;
        if bytes.len() + part.len() > limit_bytes {
            return Err(ApiError::too_large("the body", limit_bytes));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// The media type of a body without its parameters, in lower case; empty if none is named.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
